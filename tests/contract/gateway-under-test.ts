// A gateway on a real PostgreSQL, spoken to over HTTP, with a key for each role.

import { randomBytes } from 'node:crypto';
import { loadConfig } from '../../src/runtime/config.ts';
import { createHttpServer } from '../../src/runtime/http.ts';
import type { HttpServer } from '../../src/runtime/http.ts';
import { silentLog } from '../../src/runtime/log.ts';
import { createMetrics } from '../../src/runtime/metrics.ts';
import type { Runtime } from '../../src/runtime/runtime.ts';
import { createSystemRuntime } from '../../src/runtime/system-runtime.ts';
import { startGateway } from '../../src/services/gateway/start.ts';
import { ROLES } from '../../src/services/gateway/roles.ts';
import type { Role } from '../../src/services/gateway/roles.ts';
import { createApiKey } from '../../src/stores/postgres/api-keys.ts';
import { connectPostgres } from '../../src/stores/postgres/connect.ts';
import type { Postgres } from '../../src/stores/postgres/connect.ts';
import { migrate } from '../../src/stores/postgres/migrate.ts';
import { startPostgres } from '../servers/postgres.ts';
import type { PostgresServer } from '../servers/postgres.ts';

export type Json = { [key: string]: unknown };

export type Reply = { status: number; headers: Headers; body: Json; text: string };

export type CallOptions = {
  body?: unknown;
  headers?: Record<string, string>;
  /** Whose key; `nobody` sends none. */
  as?: Role | 'nobody';
};

export type GatewayUnderTest = AsyncDisposable & {
  readonly server: PostgresServer;
  readonly postgres: Postgres;
  readonly http: HttpServer;
  readonly url: string;
  readonly keys: Record<Role, string>;
  readonly runtime: Runtime;
  /** `GET /v1/sites/:site`, as fastify has them. */
  readonly registered: string[];
  call(method: string, path: string, options?: CallOptions): Promise<Reply>;
  /** Another process of the same gateway. */
  another(options?: StartOptions): Promise<GatewayUnderTest>;
};

export type StartOptions = { rateLimitPerMinute?: number; token?: string; stateUrl?: string };

export async function startGatewayUnderTest(options: StartOptions = {}): Promise<GatewayUnderTest> {
  await using opened = new AsyncDisposableStack();
  const server = opened.use(await startPostgres());
  const runtime = testRuntime();
  const postgres = opened.use(await connectPostgres({ url: server.url }, runtime));
  await migrate(postgres);
  const keys: Partial<Record<Role, string>> = {};
  for (const role of ROLES)
    keys[role] = (await createApiKey(postgres, runtime, { name: role, role })).key;
  const secretKey = randomBytes(32);

  async function open(options: StartOptions): Promise<GatewayUnderTest> {
    await using parts = new AsyncDisposableStack();
    const runtime = testRuntime();
    const http = createHttpServer(
      { service: 'gateway', version: '0.0.0', host: '127.0.0.1', port: 0, token: options.token },
      runtime,
    );
    const registered: string[] = [];
    http.app.addHook('onRoute', ({ method, url }) => {
      for (const one of [method].flat()) registered.push(`${one} ${url}`);
    });
    const { config } = loadConfig({ environment: {} });
    parts.use(
      await startGateway(
        {
          state: { ...config.state, url: options.stateUrl ?? config.state.url },
          gateway: { databasePool: 8, rateLimitPerMinute: options.rateLimitPerMinute ?? 0 },
          databaseUrl: server.url,
          isDatabaseEmbedded: false,
          databaseTimeouts: { connectTimeoutMs: 1_000, queryTimeoutMs: 2_000 },
          secretKeys: [secretKey],
        },
        runtime,
        http,
      ),
    );
    parts.use(http);
    await http.listen();
    const url = `http://127.0.0.1:${http.port}`;
    const closing = parts.move();
    return {
      server,
      postgres,
      http,
      url,
      runtime,
      registered,
      keys: keys as Record<Role, string>,
      call: (method, path, call = {}) => request(url, keys, method, path, call),
      another: (own = {}) => open(own),
      [Symbol.asyncDispose]: () => closing.disposeAsync(),
    };
  }

  const gateway = opened.use(await open(options));
  const closing = opened.move();
  return { ...gateway, [Symbol.asyncDispose]: () => closing.disposeAsync() };
}

function testRuntime(): Runtime {
  const runtime = createSystemRuntime({
    log: { level: 'silent', format: 'json' },
    fields: {},
    engine: 'dgram',
    processMetrics: false,
  });
  return { ...runtime, log: silentLog(), metrics: createMetrics({ processMetrics: false }) };
}

async function request(
  url: string,
  keys: Partial<Record<Role, string>>,
  method: string,
  path: string,
  { body, headers = {}, as = 'owner' }: CallOptions,
): Promise<Reply> {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: {
      ...(as === 'nobody' ? {} : { authorization: `Bearer ${keys[as]}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.includes('json') === true;
  return {
    status: response.status,
    headers: response.headers,
    body: isJson && text !== '' ? (JSON.parse(text) as Json) : {},
    text,
  };
}
