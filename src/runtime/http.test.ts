import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import type { InjectOptions } from 'fastify';
import { afterEach, describe, expect, test } from 'vitest';
import { systemClock } from './clock.ts';
import { createHttpServer } from './http.ts';
import type { HttpServer, HttpServerOptions } from './http.ts';
import type { CheckResult, HealthCheck } from './http/health.ts';
import { ProblemError, unavailable } from './http/problem.ts';
import { silentLog } from './log.ts';
import type { Fields } from './log.ts';
import { createMetrics } from './metrics.ts';
import { systemRandom } from './random.ts';

const opened: HttpServer[] = [];
afterEach(async () => {
  for (const server of opened.splice(0)) await server[Symbol.asyncDispose]();
});

const logged: Fields[] = [];
const warned: string[] = [];

function createServer(options: Partial<HttpServerOptions> = {}): HttpServer {
  logged.length = 0;
  warned.length = 0;
  const server = createHttpServer(
    { service: 'test', version: '1.2.3', host: '127.0.0.1', port: 0, ...options },
    {
      clock: systemClock(),
      random: systemRandom(),
      log: {
        ...silentLog(),
        warn: (message) => warned.push(message),
        error: (_message, fields) => logged.push(fields ?? {}),
      },
      metrics: createMetrics({ processMetrics: false }),
    },
  );
  opened.push(server);
  return server;
}

const check = (name: string, result: CheckResult, required = true): HealthCheck => ({
  name,
  required,
  run: () => Promise.resolve(result),
});

async function get(server: HttpServer, url: string, headers: Record<string, string> = {}) {
  const reply = await server.app.inject({ url, headers });
  const isJson = String(reply.headers['content-type']).includes('json');
  return {
    status: reply.statusCode,
    headers: reply.headers,
    text: reply.body,
    body: isJson ? reply.json<Record<string, unknown>>() : {},
  };
}

describe('health', () => {
  test('is healthy when every check passes', async () => {
    const server = createServer();
    server.addHealth({
      checks: [check('one', { status: 'pass' })],
      database: () => 'embedded',
      redis: () => 'connected',
    });
    expect(await get(server, '/health')).toMatchObject({
      status: 200,
      body: {
        status: 'healthy',
        timestamp: expect.stringMatching(/^\d{4}-.*Z$/),
        service: 'test',
        version: '1.2.3',
        uptime_seconds: 0,
        database: 'embedded',
        redis: 'connected',
        checks: [{ name: 'one', status: 'pass', latency_ms: expect.any(Number) }],
      },
    });
    expect(await get(server, '/ready')).toMatchObject({
      status: 200,
      body: { status: 'ready', checks: [{ name: 'one', status: 'pass' }] },
    });
  });

  test('is degraded, and ready, when what fails is not required', async () => {
    const server = createServer();
    server.addHealth({ checks: [check('extra', { status: 'fail', detail: 'gone' }, false)] });
    expect(await get(server, '/health')).toMatchObject({
      status: 200,
      body: { status: 'degraded', checks: [{ status: 'fail', detail: 'gone' }] },
    });
    expect((await get(server, '/health/readiness')).status).toBe(200);
  });

  test('is unhealthy, and not ready, when what fails is required; it lives all the same', async () => {
    const server = createServer();
    server.addHealth({ checks: [check('store', { status: 'fail', detail: 'db1 is away' })] });
    expect(await get(server, '/health')).toMatchObject({
      status: 503,
      body: { status: 'unhealthy' },
    });
    const readiness = await get(server, '/health/readiness');
    expect(readiness).toMatchObject({ status: 503, body: { status: 'not_ready' } });
    expect(readiness.text).not.toContain('db1'); // anybody may ask
    for (const path of ['/health/liveness', '/healthz']) {
      expect(await get(server, path)).toMatchObject({ status: 200, body: { status: 'ok' } });
    }
  });

  test('says that a check has failed which throws or hangs, and does not pile hung ones up', async () => {
    const server = createServer();
    let started = 0;
    server.addHealth({
      checks: [
        { name: 'throws', required: false, run: () => Promise.reject(new Error('no luck')) },
        {
          name: 'hangs',
          required: false,
          run: () => {
            started++;
            return new Promise(() => undefined);
          },
        },
      ],
    });
    const [one] = await Promise.all([get(server, '/health'), get(server, '/health')]);
    await get(server, '/health');
    expect(one.body).toMatchObject({
      status: 'degraded',
      checks: [
        { name: 'throws', status: 'fail', detail: 'no luck' },
        { name: 'hangs', status: 'fail', detail: 'no answer within 1000 ms' },
      ],
    });
    expect(started).toBe(1);
  });

  test('of several services in one process is that of the worst', async () => {
    const server = createServer();
    server.addHealth({ checks: [check('one', { status: 'pass' })], database: () => 'connected' });
    server.addHealth({
      checks: [check('two', { status: 'degraded' }), check('one', { status: 'fail' }, false)],
      database: () => 'disconnected',
    });
    expect((await get(server, '/health')).body).toMatchObject({
      status: 'degraded',
      database: 'disconnected',
      checks: [
        { name: 'one', status: 'fail' },
        { name: 'two', status: 'degraded' },
      ],
    });
  });

  test('a draining server is not ready, but alive', async () => {
    const server = createServer();
    server.drain();
    expect(await get(server, '/ready')).toMatchObject({
      status: 503,
      body: { status: 'not_ready', checks: [{ name: 'draining', status: 'fail' }] },
    });
    expect((await get(server, '/health')).body).toMatchObject({ status: 'degraded' });
    expect((await get(server, '/healthz')).status).toBe(200);
  });

  test.each(['/health', '/healthz', '/ready', '/metrics'])(
    'can be switched off: %s is then unknown',
    async (path) => {
      expect((await get(createServer({ servesHealth: false }), path)).status).toBe(404);
    },
  );

  test('asks for the token at /health and /metrics alone', async () => {
    const server = createServer({ token: 'health-token' });
    for (const path of ['/health', '/metrics']) {
      expect((await get(server, path)).status).toBe(401);
      expect((await get(server, path, { authorization: 'Bearer wrong' })).status).toBe(401);
      expect((await get(server, path, { authorization: 'Bearer health-token' })).status).toBe(200);
    }
    for (const path of ['/health/liveness', '/healthz', '/health/readiness', '/ready']) {
      expect((await get(server, path)).status).toBe(200);
    }
  });

  test('metrics are in the Prometheus text format and count requests by route', async () => {
    const server = createServer();
    server.app.get('/things/:id', async () => ({}));
    await get(server, '/things/1');
    await get(server, '/things/2');
    await get(server, '/nowhere/at/all');
    const { text, headers } = await get(server, '/metrics');
    expect(headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(text).toMatch(/evergate_http_requests_total\{.*route="\/things\/:id".*\} 2/);
    expect(text).not.toContain('nowhere');
  });
});

describe('what goes wrong becomes a problem document', () => {
  function serverThatFails(): HttpServer {
    const server = createServer();
    server.app.get('/boom', () => Promise.reject(new Error('postgres://user:pw@db1 refused')));
    server.app.get('/away', () => {
      throw new ProblemError(unavailable('Come back.', 7), { cause: new Error('inside') });
    });
    server.app.post('/things/:id', async (request) => ({ got: request.body ?? null }));
    return server;
  }

  test('a fault of ours tells nothing outside, and its cause to the log', async () => {
    const reply = await get(serverThatFails(), '/boom');
    expect(reply.status).toBe(500);
    expect(reply.headers['content-type']).toBe('application/problem+json; charset=utf-8');
    expect(reply.body).toEqual({
      type: 'urn:evergate:problem:internal-error',
      title: 'Something went wrong on our side',
      status: 500,
      detail: 'The cause is in our log under the request id.',
      instance: '/boom',
      request_id: reply.headers['x-request-id'],
    });
    expect(logged).toMatchObject([
      {
        request_id: reply.headers['x-request-id'],
        error: { message: expect.stringContaining('db1') },
      },
    ]);
  });

  test('a problem says when to come back', async () => {
    const reply = await get(serverThatFails(), '/away');
    expect(reply).toMatchObject({ status: 503, body: { detail: 'Come back.' } });
    expect(reply.headers['retry-after']).toBe('7');
    expect(reply.text).not.toContain('inside');
  });

  test.each<[string, number, InjectOptions]>([
    ['an unknown path', 404, { url: '/none' }],
    ['a method that is not possible', 405, { method: 'DELETE', url: '/things/1' }],
    [
      'broken JSON',
      400,
      {
        method: 'POST',
        url: '/things/1',
        payload: '{"a":',
        headers: { 'content-type': 'application/json' },
      },
    ],
    [
      'a __proto__ key',
      400,
      {
        method: 'POST',
        url: '/things/1',
        payload: '{"__proto__":{"a":1}}',
        headers: { 'content-type': 'application/json' },
      },
    ],
    [
      'another content type',
      415,
      {
        method: 'POST',
        url: '/things/1',
        payload: 'a=1',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
      },
    ],
    [
      'plain text',
      415,
      { method: 'POST', url: '/things/1', payload: 'a', headers: { 'content-type': 'text/plain' } },
    ],
    [
      'a body beyond 1 MiB',
      413,
      {
        method: 'POST',
        url: '/things/1',
        payload: `"${'x'.repeat(1024 * 1024)}"`,
        headers: { 'content-type': 'application/json' },
      },
    ],
    ['a broken escape', 400, { url: '/things/%zz' }],
    ['an endless parameter', 414, { method: 'POST', url: `/things/${'x'.repeat(2_000)}` }],
  ])('%s is %d', async (_what, status, request) => {
    const reply = await serverThatFails().app.inject(request);
    expect(reply.statusCode).toBe(status);
    expect(reply.headers['content-type']).toBe('application/problem+json; charset=utf-8');
    expect(reply.json()).toMatchObject({
      status,
      type: expect.stringMatching(/^urn:evergate:problem:/),
    });
  });

  test('a method that is not possible comes with those that are', async () => {
    const reply = await serverThatFails().app.inject({ method: 'DELETE', url: '/things/1' });
    expect(reply.headers['allow']).toBe('POST');
  });

  test('an empty body is no body', async () => {
    const reply = await serverThatFails().app.inject({
      method: 'POST',
      url: '/things/1',
      headers: { 'content-type': 'application/json' },
    });
    expect(reply.json()).toEqual({ got: null });
  });

  test('what is not even HTTP gets a short answer and loses its connection', async () => {
    const server = serverThatFails();
    await server.listen();
    const answer = await new Promise<string>((resolve) => {
      let text = '';
      const socket = connect(server.port, '127.0.0.1', () => socket.write('nonsense\r\n\r\n'));
      socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      socket.on('close', () => resolve(text));
    });
    expect(answer).toMatch(/^HTTP\/1.1 400 Bad Request\r\n[^]*application\/problem\+json/);
  });
});

test('a request id of a balancer is kept, an odd one is replaced', async () => {
  const server = createServer();
  const id = async (given: string) =>
    (await get(server, '/healthz', { 'x-request-id': given })).headers['x-request-id'];
  expect(await id('0123456789abcdef')).toBe('0123456789abcdef');
  expect(await id('a b')).toMatch(/^[0-9a-f-]{36}$/);
});

test('every answer carries the security headers', async () => {
  const server = createServer();
  for (const path of ['/healthz', '/none']) {
    expect((await get(server, path)).headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'content-security-policy': expect.stringContaining("default-src 'none'"),
      'cache-control': 'no-store',
    });
  }
});

test('a port that is taken is an error for the caller', async () => {
  const first = createServer();
  await first.listen();
  const second = createServer({ port: first.port });
  await expect(second.listen()).rejects.toThrow(`cannot listen on 127.0.0.1 port ${first.port}`);
});

describe('closing', () => {
  test('finishes the requests that run, then refuses new ones', async () => {
    const server = createServer();
    let finish: () => void = () => undefined;
    const running = new Promise<void>((resolve) => {
      server.app.get('/slow', async () => {
        resolve();
        await new Promise<void>((resume) => {
          finish = resume;
        });
        return { done: true };
      });
    });
    await server.listen();
    const { port } = server;
    const answer = fetch(`http://127.0.0.1:${port}/slow`);
    await running;
    const closed = server[Symbol.asyncDispose]();
    await expect
      .poll(() => fetch(`http://127.0.0.1:${port}/healthz`).catch(() => 'refused'), {
        timeout: 20_000,
      })
      .toBe('refused');
    finish();
    const finished = await answer;
    expect(finished.headers.get('connection')).toBe('close');
    expect(await finished.json()).toEqual({ done: true });
    await closed;
    expect(warned).toEqual([]);
  });

  test('does not wait for idle connections, nor for ever', async () => {
    const server = createServer({ closeTimeoutMs: 100 });
    const running = new Promise<void>((resolve) => {
      server.app.get('/endless', () => {
        resolve();
        return new Promise(() => undefined);
      });
    });
    await server.listen();
    await (await fetch(`http://127.0.0.1:${server.port}/healthz`)).text(); // kept alive by the client
    const endless = new Promise((resolve) => {
      httpRequest({ port: server.port, path: '/endless' }).on('error', resolve).end();
    });
    await running;
    await server[Symbol.asyncDispose]();
    await expect(endless).resolves.toBeInstanceOf(Error);
  });
});
