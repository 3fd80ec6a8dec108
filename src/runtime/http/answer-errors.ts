// Every way in which a request can fail, turned into a problem document: ours, fastify's, and those
// that happen before there is a request. The cause goes to the log, never outside.

import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Log } from '../log.ts';
import {
  PROBLEM_CONTENT_TYPE,
  ProblemError,
  badRequest,
  internalError,
  methodNotAllowed,
  notFound,
  payloadTooLarge,
  problemDocument,
  unsupportedMediaType,
  uriTooLong,
} from './problem.ts';
import type { Problem } from './problem.ts';

export function addProblemDocuments(app: FastifyInstance, log: Log): void {
  const routes: { pattern: RegExp; method: string }[] = [];
  app.addHook('onRoute', ({ method, url }) => {
    for (const one of [method].flat()) routes.push({ pattern: patternOf(url), method: one });
  });

  app.setErrorHandler((error, request, reply) => answer(error, request, reply, log));
  app.setNotFoundHandler((request, reply) => {
    const path = pathOf(request);
    const allow = [
      ...new Set(routes.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method)),
    ];
    const problem =
      allow.length === 0
        ? notFound('No such path; /v1/openapi.json lists those of the API.')
        : methodNotAllowed(
            `${request.method} is not possible here; ${allow.join(', ')} is.`,
            allow,
          );
    return sendProblem(request, reply, problem);
  });
}

/** What must be known before there is a server: errors in the request line, and below HTTP. */
addProblemDocuments.serverOptions = (log: Log) => ({
  frameworkErrors: (error: Error, request: FastifyRequest, reply: FastifyReply) => {
    void answer(error, request, reply, log);
  },
  clientErrorHandler: (error: Error & { code?: string }, socket: Socket) => {
    if (error.code === 'ECONNRESET' || !socket.writable) return socket.destroy();
    const status =
      { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 }[error.code ?? ''] ?? 400;
    const title = STATUS_CODES[status] ?? '';
    const body = JSON.stringify({ type: 'about:blank', title, status });
    socket.end(
      `HTTP/1.1 ${status} ${title}\r\nconnection: close\r\ncontent-type: ${PROBLEM_CONTENT_TYPE}\r\n` +
        `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    );
    return undefined;
  },
});

export function sendProblem(request: FastifyRequest, reply: FastifyReply, problem: Problem) {
  if (problem.headers !== undefined) reply.headers(problem.headers);
  if (problem.retryAfterSeconds !== undefined) {
    reply.header('retry-after', String(problem.retryAfterSeconds));
  }
  return reply
    .code(problem.status)
    .type(PROBLEM_CONTENT_TYPE)
    .send(JSON.stringify(problemDocument(problem, pathOf(request), request.id)));
}

function answer(error: unknown, request: FastifyRequest, reply: FastifyReply, log: Log) {
  const problem =
    error instanceof ProblemError ? error.problem : (fromFastify(error) ?? internalError());
  if (problem.status >= 500) {
    log.error('an HTTP request failed', {
      request_id: request.id,
      method: request.method,
      route: request.routeOptions.url,
      status: problem.status,
      error,
    });
  }
  return sendProblem(request, reply, problem);
}

/** Undefined for what is not the caller's mistake. */
function fromFastify(error: unknown): Problem | undefined {
  const { code, statusCode } = error as { code?: unknown; statusCode?: unknown };
  switch (code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return payloadTooLarge('Send less at once; bulk calls can be divided.');
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return unsupportedMediaType('Send JSON, with the header Content-Type: application/json.');
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
      return badRequest('The body is not JSON.');
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return badRequest('The body does not have the length that Content-Length says.');
    case 'FST_ERR_BAD_URL':
      return badRequest('The path has a broken %-escape.');
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return uriTooLong('A part of the path has more than 1,000 characters.');
    default:
      // What the JSON parser refuses (a `__proto__` key, for one) has no code.
      return error instanceof SyntaxError && statusCode === 400
        ? badRequest('The body is not JSON that can be accepted.')
        : undefined;
  }
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0] ?? '/';
}

/** `/v1/sites/:name` as a pattern for whole paths. */
function patternOf(url: string): RegExp {
  const source = url
    .replaceAll(/[$()+.?[\\\]^{|}]/g, String.raw`\$&`)
    .replaceAll(/:\w+/g, '[^/]+')
    .replaceAll('*', '.*');
  return new RegExp(`^${source}$`);
}
