// How a call of the API goes, from its token to its answer: who is it, how often, may it, is what it
// says valid; then, if it may change something, once per Idempotency-Key in one transaction.

import { createHash } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { ProblemError, badRequest, unauthorized, unavailable } from '../../runtime/http/problem.ts';
import type { Problem } from '../../runtime/http/problem.ts';
import { timeOrderedId } from '../../runtime/random.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { bearerToken } from './callers.ts';
import type { Caller, Callers } from './callers.ts';
import {
  forbidden,
  invalidBody,
  invalidParameters,
  keyOfOtherRequest,
  stillRunning,
  tooManyRequests,
} from './problems.ts';
import type { RateLimit } from './rate-limit.ts';
import { may } from './roles.ts';
import type { Answer, Route } from './route.ts';
import type { Database, RequestIdentity, StoredAnswer, Stores } from './stores.ts';
import { bodyErrors, parameterErrors } from './validate.ts';

export type ServeOptions = {
  database: Database;
  callers: Callers;
  rateLimit: RateLimit;
  /** 0 is no limit. */
  rateLimitPerMinute: number;
  /** A problem for errors whose reason the caller should know: the database is away. */
  explain(error: unknown): Problem | undefined;
};

/** Automation of the machine itself (an owner's key over the loopback interface) may do more. */
const OWN_MACHINE_PER_MINUTE = 6_000;

export function serveRoute(
  app: FastifyInstance,
  route: Route,
  options: ServeOptions,
  runtime: Runtime,
): void {
  const callerOf = new WeakMap<FastifyRequest, Caller>();
  app.route({
    method: route.method,
    url: route.path.replaceAll(/\{(\w+)\}/g, ':$1'),
    ...(route.bodyLimitBytes === undefined ? {} : { bodyLimit: route.bodyLimitBytes }),

    // Before the body is read: a stranger's body is not worth reading.
    onRequest: async (request, reply) => {
      await explained(options, async () => {
        const caller = await admit(request, reply, options);
        if (!may(caller.role, route.permission)) {
          throw new ProblemError(forbidden(caller.role, route.permission));
        }
        callerOf.set(request, caller);
      });
    },

    handler: async (request, reply) => {
      const caller = callerOf.get(request);
      if (caller === undefined) throw new Error('a call was not admitted');
      const asked = {
        ...validated(route, request),
        ifMatch: request.headers['if-match'],
        ifNoneMatch: request.headers['if-none-match'],
        caller,
        nowMs: runtime.clock.nowMs(),
        random: runtime.random,
        newId: () => timeOrderedId(runtime.random, runtime.clock.nowMs()),
      };
      const run = async (stores: Stores) => toStored(await route.handle({ ...asked, stores }));
      const answer = await explained(options, () =>
        carryOut(route, request, caller, run, options.database),
      );
      if (route.changesKeys === true) options.callers.forgetAll();
      return send(reply, answer);
    },
  });
}

/** Counted by key; by address for whoever has none that is known. */
async function admit(
  request: FastifyRequest,
  reply: FastifyReply,
  options: ServeOptions,
): Promise<Caller> {
  const { callers } = options;
  const key = bearerToken(request.headers.authorization);
  const known = key === undefined ? 'unknown' : callers.remembered(key);
  if (known === undefined || known === 'unknown') {
    await withinLimit(`address:${request.ip}`, options.rateLimitPerMinute, reply, options);
  }
  const caller = key === undefined ? 'unknown' : await callers.identify(key);
  if (caller === 'unknown') {
    throw new ProblemError(
      unauthorized(
        key === undefined
          ? 'Send the header Authorization: Bearer evg_…; evergate token create makes a key.'
          : 'This key is not known, was revoked, or its time is over.',
      ),
    );
  }
  const isOwnMachine = caller.role === 'owner' && isLoopback(request.ip);
  const perMinute = isOwnMachine
    ? Math.max(OWN_MACHINE_PER_MINUTE, options.rateLimitPerMinute)
    : options.rateLimitPerMinute;
  await withinLimit(`key:${caller.keyId}`, perMinute, reply, options);
  return caller;
}

async function withinLimit(
  caller: string,
  perMinute: number,
  reply: FastifyReply,
  options: ServeOptions,
) {
  if (options.rateLimitPerMinute === 0) return;
  const decision = await options.rateLimit.count(caller, perMinute);
  if (decision.kind === 'unavailable') {
    throw new ProblemError(unavailable('Requests cannot be counted at the moment.', 5));
  }
  reply.headers({
    'ratelimit-limit': String(decision.limit),
    'ratelimit-remaining': String(decision.remaining),
    'ratelimit-reset': String(decision.resetSeconds),
    'ratelimit-policy': `${decision.limit};w=60`,
  });
  if (decision.kind === 'exceeded') {
    throw new ProblemError(tooManyRequests(decision.limit, decision.resetSeconds));
  }
}

function validated(route: Route, request: FastifyRequest) {
  const params = route.params.safeParse(request.params);
  const query = route.query.safeParse(request.query);
  const wrong = [params, query].flatMap(({ error }) =>
    error === undefined ? [] : parameterErrors(error),
  );
  if (wrong.length > 0) throw new ProblemError(invalidParameters(wrong));
  return { params: params.data, query: query.data, body: validatedBody(route.body, request.body) };
}

function validatedBody(schema: z.ZodType | undefined, body: unknown): unknown {
  if (schema === undefined) {
    if (body === undefined) return undefined;
    throw new ProblemError(badRequest('No body is expected here.'));
  }
  if (body === undefined) {
    throw new ProblemError(
      badRequest('A JSON body is expected, with Content-Type: application/json.'),
    );
  }
  const result = schema.safeParse(body);
  if (!result.success) throw new ProblemError(invalidBody(bodyErrors(result.error)));
  return result.data;
}

async function carryOut(
  route: Route,
  request: FastifyRequest,
  caller: Caller,
  run: (stores: Stores) => Promise<StoredAnswer>,
  database: Database,
): Promise<StoredAnswer> {
  if (route.method === 'GET') {
    return route.snapshot === true ? database.snapshot(run) : run(database.stores);
  }
  const key = request.headers['idempotency-key'];
  if (key === undefined) return database.transaction(run);
  if (typeof key !== 'string' || !/^[\x21-\x7e]{1,255}$/.test(key)) {
    throw new ProblemError(
      badRequest('An Idempotency-Key has 1 to 255 visible ASCII characters; a UUID is good.'),
    );
  }
  const identity: RequestIdentity = { apiKeyId: caller.keyId, key, requestHash: hashOf(request) };
  return database.transaction((stores) => once(identity, stores, run));
}

/**
 * A refused request is not remembered: it changed nothing, and its transaction is undone with the
 * claim in it, so the same key may be used for a corrected one.
 */
async function once(
  identity: RequestIdentity,
  stores: Stores,
  run: (stores: Stores) => Promise<StoredAnswer>,
): Promise<StoredAnswer> {
  const claim = await stores.idempotency.claim(identity);
  switch (claim.kind) {
    case 'repeated': {
      const headers = { ...claim.answer.headers, 'idempotency-replayed': 'true' };
      return { ...claim.answer, headers };
    }
    case 'other-request':
      throw new ProblemError(keyOfOtherRequest());
    case 'running':
      throw new ProblemError(stillRunning());
    case 'first':
      break;
  }
  const answer = await run(stores);
  await stores.idempotency.complete(identity, answer);
  return answer;
}

function hashOf(request: FastifyRequest): Buffer {
  return createHash('sha256')
    .update(`${request.method} ${request.url}\n${JSON.stringify(request.body) ?? ''}`)
    .digest();
}

function toStored({ status, body, version, location }: Answer): StoredAnswer {
  return {
    status,
    headers: {
      ...(version === undefined ? {} : { etag: `"${version}"` }),
      ...(location === undefined ? {} : { location }),
    },
    body: body === undefined ? '' : JSON.stringify(body),
  };
}

function send(reply: FastifyReply, answer: StoredAnswer) {
  reply.code(answer.status).headers(answer.headers);
  return answer.body === ''
    ? reply.send()
    : reply.type('application/json; charset=utf-8').send(answer.body);
}

async function explained<T>(options: ServeOptions, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const problem = error instanceof ProblemError ? undefined : options.explain(error);
    throw problem === undefined ? error : new ProblemError(problem, { cause: error });
  }
}

function isLoopback(address: string): boolean {
  return address === '::1' || /^(?:::ffff:)?127\./.test(address);
}
