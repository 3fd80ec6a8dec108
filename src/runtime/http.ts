// The HTTP server of a process: health, metrics, problem documents and an orderly close, the same
// for every service; several services may share one (`evergate up`). Paths and shapes are the table
// "HTTP, on every service" of DESIGN.md. What else a service answers, it registers on `app` itself.

import { createHash, timingSafeEqual } from 'node:crypto';
import fastify from 'fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { createHealth } from './http/health.ts';
import type { HealthPart } from './http/health.ts';
import { addProblemDocuments, sendProblem } from './http/answer-errors.ts';
import { measureRequests } from './http/measure.ts';
import { unauthorized } from './http/problem.ts';
import { timeOrderedId } from './random.ts';
import type { Runtime } from './runtime.ts';

export type HttpServerOptions = {
  /** What `/health` calls this process, such as `radius` or `auth-service`. */
  service: string;
  version: string;
  host: string;
  /** 0 picks a free one. */
  port: number;
  /** Health, metrics and probes, unless told otherwise. */
  servesHealth?: boolean;
  /** Asked for at `/health` and `/metrics`; probes of life and readiness stay open. */
  token?: string | undefined;
  /** Peers whose X-Forwarded-For is believed; a proxy on this machine unless told otherwise. */
  trustedProxies?: string[];
  /** Requests that run longer than this after the close began are cut off. */
  closeTimeoutMs?: number;
};

export type HttpServer = AsyncDisposable & {
  /** Routes are registered here before `listen`. */
  readonly app: FastifyInstance;
  /** The port in use; before `listen`, the one that was asked for. */
  readonly port: number;
  readonly version: string;
  /** Adds the checks of a service, also while the server runs. */
  addHealth(part: HealthPart): void;
  /** Rejects when the port cannot be had. Whether that ends the process is for the caller to say. */
  listen(): Promise<void>;
  /** From now on not ready, so that balancers send no more; requests are still answered. */
  drain(): void;
};

const BODY_LIMIT_BYTES = 1024 * 1024;
/** A client that is slower than this with its request is hung up on. */
const REQUEST_TIMEOUT_MS = 30_000;
const CLOSE_TIMEOUT_MS = 10_000;

/** No page of ours is framed, sniffed, cached or fed by another site, unless its route says so. */
const SECURITY_HEADERS = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cache-control': 'no-store',
};

export function createHttpServer(
  options: HttpServerOptions,
  runtime: Pick<Runtime, 'clock' | 'random' | 'log' | 'metrics'>,
): HttpServer {
  const { clock, random, log, metrics } = runtime;
  const app = fastify({
    logger: false,
    bodyLimit: BODY_LIMIT_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    trustProxy: options.trustedProxies ?? ['loopback'],
    genReqId: (request) => givenRequestId(request) ?? timeOrderedId(random, clock.nowMs()),
    // A request that still arrives on an open connection is answered, and told to connect anew.
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 1_000 },
    ...addProblemDocuments.serverOptions(log),
  });
  addProblemDocuments(app, log);
  measureRequests(app, { clock, log, metrics });
  readJsonBodies(app);
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(SECURITY_HEADERS).header('x-request-id', request.id);
  });

  const health = createHealth(clock);
  const startedMs = clock.monotonicMs();
  let draining = false;
  let closing = false;
  // Otherwise a request that outlives the close would leave its connection open, and us waiting.
  app.addHook('onSend', async (_request, reply) => {
    if (closing) reply.header('connection', 'close');
  });

  if (options.servesHealth !== false) addHealthRoutes();

  function addHealthRoutes() {
    const guarded = { onRequest: tokenGuard(options.token) };
    app.get('/health', guarded, async (_request, reply) => {
      const { status, database, redis, checks } = await health.report();
      return reply.code(status === 'unhealthy' ? 503 : 200).send({
        status: draining && status === 'healthy' ? 'degraded' : status,
        timestamp: new Date(clock.nowMs()).toISOString(),
        service: options.service,
        version: options.version,
        uptime_seconds: Math.floor((clock.monotonicMs() - startedMs) / 1_000),
        ...(database === undefined ? {} : { database }),
        ...(redis === undefined ? {} : { redis }),
        checks: [
          ...checks.map(({ name, status, latencyMs, detail }) => ({
            name,
            status,
            latency_ms: latencyMs,
            ...(detail === undefined ? {} : { detail }),
          })),
          ...(draining ? [{ name: 'draining', status: 'degraded', latency_ms: 0 }] : []),
        ],
      });
    });

    app.get('/metrics', guarded, async (_request, reply) =>
      reply.type('text/plain; version=0.0.4; charset=utf-8').send(await metrics.text()),
    );

    for (const path of ['/health/liveness', '/healthz']) {
      app.get(path, async (_request, reply) => reply.send({ status: 'ok' }));
    }

    // Readiness is open to everybody: it names the checks, the details are for /health.
    for (const path of ['/health/readiness', '/ready']) {
      app.get(path, async (_request, reply) => {
        const report = await health.report();
        const isReady = report.status !== 'unhealthy' && !draining;
        const checks = report.checks.map(({ name, status }) => ({ name, status }));
        if (draining) checks.push({ name: 'draining', status: 'fail' });
        return reply
          .code(isReady ? 200 : 503)
          .send({ status: isReady ? 'ready' : 'not_ready', checks });
      });
    }
  }

  return {
    app,
    version: options.version,
    get port() {
      const address = app.server.address();
      return typeof address === 'object' && address !== null ? address.port : options.port;
    },
    addHealth: (part) => health.add(part),
    async listen() {
      try {
        await app.listen({ host: options.host, port: options.port });
      } catch (error) {
        throw new Error(`cannot listen on ${options.host} port ${options.port}`, { cause: error });
      }
    },
    drain() {
      draining = true;
    },
    async [Symbol.asyncDispose]() {
      draining = true;
      closing = true;
      // Closing twice is closing once: each service that shares the server may do it.
      using _cutOff = clock.after(options.closeTimeoutMs ?? CLOSE_TIMEOUT_MS, () => {
        log.warn('requests were still running when the HTTP server had to close');
        app.server.closeAllConnections();
      });
      await app.close();
    },
  };
}

/** A balancer's request id is kept, so that its log and ours can be joined. */
function givenRequestId(request: { headers: Record<string, unknown> }): string | undefined {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && /^[\w.:-]{8,64}$/.test(given) ? given : undefined;
}

/** JSON alone; a DELETE with a content type and no body is no mistake. */
function readJsonBodies(app: FastifyInstance): void {
  const parseJson = app.getDefaultJsonParser('error', 'error');
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'string' },
    (request, body: string, done) => {
      if (body === '') done(null, undefined);
      else void parseJson(request, body, done);
    },
  );
}

function tokenGuard(token: string | undefined) {
  return async (request: FastifyRequest, reply: FastifyReply) => {
    if (token === undefined || bearerIs(request.headers.authorization, token)) return;
    await sendProblem(
      request,
      reply,
      unauthorized('Send the header Authorization: Bearer <health.token>.'),
    );
  };
}

/** In constant time: digests have one length, whatever was sent. */
function bearerIs(header: string | undefined, token: string): boolean {
  const given = /^Bearer +(.+)$/i.exec(header ?? '')?.[1] ?? '';
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(token));
}
