// The wiring of the gateway, from top to bottom: read it first. It alone knows which database there
// is. The HTTP server is handed over, because several services may share one.

import type { Config } from '../../runtime/config.ts';
import type { HttpServer } from '../../runtime/http.ts';
import type { HealthPart } from '../../runtime/http/health.ts';
import { badRequest, unavailable } from '../../runtime/http/problem.ts';
import type { Problem } from '../../runtime/http/problem.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { createApiKeys } from '../../stores/postgres/api-keys.ts';
import { connectPostgres } from '../../stores/postgres/connect.ts';
import type { Postgres, Queryable } from '../../stores/postgres/connect.ts';
import { PostgresUnavailable, isDataError, sqlState } from '../../stores/postgres/errors.ts';
import { createIdempotency, pruneIdempotency } from '../../stores/postgres/idempotency.ts';
import { createPlans } from '../../stores/postgres/resources/plans.ts';
import { createRouters } from '../../stores/postgres/resources/routers.ts';
import { createSessions } from '../../stores/postgres/resources/sessions.ts';
import { createSites } from '../../stores/postgres/resources/sites.ts';
import { createSubscribers } from '../../stores/postgres/resources/subscribers.ts';
import { createVouchers } from '../../stores/postgres/resources/vouchers.ts';
import { createSecretBox } from '../../stores/secret-box.ts';
import type { SecretBox } from '../../stores/secret-box.ts';
import { openSharedState } from '../../stores/state/open.ts';
import type { OpenedState } from '../../stores/state/open.ts';
import { createCallers } from './callers.ts';
import { createRateLimit } from './rate-limit.ts';
import { serveApi } from './routes.ts';
import type { Database, Stores } from './stores.ts';
import { serveWelcome } from './welcome.ts';

export type GatewayConfig = Pick<Config, 'state'> & {
  gateway: Pick<Config['gateway'], 'rateLimitPerMinute' | 'databasePool'>;
  databaseUrl: string;
  isDatabaseEmbedded: boolean;
  databaseTimeouts: { connectTimeoutMs: number; queryTimeoutMs: number };
  secretKeys: Parameters<typeof createSecretBox>[0];
};

const PRUNE_PERIOD_MS = 10 * 60_000;

/**
 * Registers its routes and its health on `http`. Whoever made that server lets it listen, and closes
 * it before the gateway: requests that still run need the stores.
 */
export async function startGateway(
  config: GatewayConfig,
  runtime: Runtime,
  http: HttpServer,
): Promise<AsyncDisposable> {
  await using opened = new AsyncDisposableStack();

  const postgres = opened.use(
    await connectPostgres(
      {
        url: config.databaseUrl,
        applicationName: 'gateway',
        maxConnections: config.gateway.databasePool,
        ...config.databaseTimeouts,
      },
      runtime,
    ),
  );
  const state = opened.use(await openSharedState(config.state, runtime));
  const database = openDatabase(postgres, createSecretBox(config.secretKeys), runtime);
  const { apiKeys } = database.stores;
  const ignored = (error: unknown) =>
    runtime.log.debug('the use of an API key was not noted', { error });

  serveApi(
    http.app,
    {
      database,
      callers: createCallers({
        clock: runtime.clock,
        find: (key) => apiKeys.findValid(key),
        noteUse: (keyId) => void apiKeys.noteUse(keyId).catch(ignored),
      }),
      rateLimit: createRateLimit(state.state, runtime),
      rateLimitPerMinute: config.gateway.rateLimitPerMinute,
      explain,
      version: http.version,
    },
    runtime,
  );
  serveWelcome(http.app, http.version);
  http.addHealth(healthOf(config, postgres, state));
  opened.use(
    runtime.clock.every(PRUNE_PERIOD_MS, () => {
      pruneIdempotency(postgres).catch((error: unknown) =>
        runtime.log.warn('old idempotency keys were not pruned', { error }),
      );
    }),
  );

  return opened.move();
}

function openDatabase(postgres: Postgres, box: SecretBox, runtime: Runtime): Database {
  const storesOn = (queryable: Queryable): Stores => ({
    sites: createSites(queryable),
    routers: createRouters(queryable, box),
    plans: createPlans(queryable),
    subscribers: createSubscribers(queryable, box),
    vouchers: createVouchers(queryable),
    sessions: createSessions(queryable),
    apiKeys: createApiKeys(queryable, runtime),
    idempotency: createIdempotency(queryable, box),
    async lock(name) {
      await queryable.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [name], {
        timeoutMs: 20_000,
      });
    },
  });
  return {
    stores: storesOn(postgres),
    transaction: (run) => postgres.transaction((transaction) => run(storesOn(transaction))),
    snapshot: (run) =>
      postgres.transaction(async (transaction) => {
        await transaction.query('set transaction isolation level repeatable read read only');
        return run(storesOn(transaction));
      }),
  };
}

/** What the caller should know of an error: whether to come back, or to send something else. */
function explain(error: unknown): Problem | undefined {
  if (error instanceof PostgresUnavailable) {
    return unavailable(
      'The database is away. What was sent may be sent again, with the same Idempotency-Key.',
      2,
    );
  }
  // Two transactions waited for each other, and this one was given up.
  if (['40001', '40P01'].includes(sqlState(error) ?? '')) {
    return unavailable('Somebody else was changing the same things. Send it again.', 1);
  }
  if (isDataError(error)) return badRequest('The database cannot store one of these values.');
  return undefined;
}

function healthOf(config: GatewayConfig, postgres: Postgres, state: OpenedState): HealthPart {
  return {
    checks: [
      {
        name: 'database',
        required: true,
        async run() {
          await postgres.ping();
          return { status: 'pass' };
        },
      },
      {
        name: 'state',
        required: config.state.onFailure === 'reject',
        async run() {
          await state.state.ping();
          return state.isDegraded()
            ? { status: 'degraded', detail: 'rate limits are per gateway' }
            : { status: 'pass' };
        },
      },
    ],
    database: () =>
      config.isDatabaseEmbedded && postgres.status() === 'connected'
        ? 'embedded'
        : postgres.status(),
    redis: () => (state.isDegraded() ? 'disconnected' : state.status()),
  };
}
