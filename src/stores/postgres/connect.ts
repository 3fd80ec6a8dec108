// The database as the rest of Evergate sees it: queries with a deadline, transactions, notifications,
// on whichever server is the primary now. Reconnects by itself and says when it is away.
// bigint arrives as a number, timestamptz as milliseconds since 1970 (values.ts).

import { Kysely, PostgresDialect } from 'kysely';
import type { PostgresPoolClient } from 'kysely';
import { LATENCY_BOUNDS_SECONDS } from '../../runtime/metrics.ts';
import type { HistogramCell } from '../../runtime/metrics.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { describeHost, parsePostgresUrl } from './address.ts';
import type { PostgresHost } from './address.ts';
import { createConnectionPool } from './connection-pool.ts';
import type { ConnectionPool, PooledConnection } from './connection-pool.ts';
import { PostgresUnavailable } from './errors.ts';
import { findPrimary, isPermanent } from './find-primary.ts';
import { subscribe } from './listen.ts';
import type { Subscription } from './listen.ts';
import type { Database } from './schema.ts';

export type PostgresOptions = {
  /** `postgres://user:password@db1,db2/evergate`; see address.ts. */
  url: string;
  /** Who we are, for pg_stat_activity and the metrics: `radius`, `gateway`. */
  applicationName?: string;
  /** Connections to the primary. */
  maxConnections?: number;
  /** Queries that may wait for a connection; the next one fails at once. */
  maxWaiting?: number;
  /** For each query that does not say otherwise. */
  queryTimeoutMs?: number;
  connectTimeoutMs?: number;
};

const DEFAULTS = {
  applicationName: 'evergate',
  maxConnections: 8,
  maxWaiting: 1_000,
  queryTimeoutMs: 2_000,
  connectTimeoutMs: 1_000,
} as const;

/** While away, the primary is looked for this often; while quiet, it is asked every `QUIET_MS`. */
const SEARCH_PERIOD_MS = 250;
const QUIET_MS = 5_000;

type QueryOptions = {
  /** Prepares the statement under this name once per connection, and names it in the metrics. */
  name?: string;
  /** From the call to the answer, the wait for a connection included. */
  timeoutMs?: number;
};

export type Queryable = {
  query<Row>(text: string, values?: readonly unknown[], options?: QueryOptions): Promise<Row[]>;
};

/**
 * A query rejects with `PostgresUnavailable` when the database is away or slow, and with pg's
 * DatabaseError when it refused the statement. After `PostgresUnavailable` a write may have
 * happened or not: repeat only what may happen twice.
 */
export type Postgres = AsyncDisposable &
  Queryable & {
    /** Commits if `run` resolves and rolls back if it rejects. */
    transaction<T>(run: (transaction: Queryable) => Promise<T>): Promise<T>;
    kysely: Kysely<Database>;
    status(): 'connected' | 'disconnected';
    /** Resolves with the round trip in milliseconds. */
    ping(): Promise<number>;
    /** Subscribes in the background, again after each break, until disposed of. */
    listen(subscription: Subscription): AsyncDisposable;
  };

/**
 * Resolves also when the database is away, with status `disconnected`, and goes on looking for it.
 * Rejects when trying again cannot help: an impossible URL, a wrong password, no such database.
 */
export async function connectPostgres(
  postgresOptions: PostgresOptions,
  runtime: Runtime,
): Promise<Postgres> {
  const options = { ...DEFAULTS, ...postgresOptions };
  const { applicationName } = options;
  const { clock } = runtime;
  const log = runtime.log.with({ database: applicationName });
  const address = parsePostgresUrl(options.url);
  const metrics = databaseMetrics(runtime, applicationName);

  let pool: ConnectionPool | undefined;
  let whyAway: unknown;
  let searching: Promise<void> | undefined;
  let lastSuccessMs = clock.monotonicMs();
  let isClosed = false;

  /** One search at a time, however many queries fail. Never rejects. */
  function search(): Promise<void> {
    if (isClosed) return Promise.resolve();
    const startedMs = clock.monotonicMs();
    searching ??= findPrimary(address, {
      applicationName,
      clock,
      timeoutMs: options.connectTimeoutMs,
    })
      .then(usePrimary, (error: unknown) => {
        // A server so busy that it is slow to let us in still answers those who are in: keep them.
        if (pool === undefined || lastSuccessMs < startedMs) loseAll(error);
      })
      .finally(() => {
        searching = undefined;
      });
    return searching;
  }

  function usePrimary(host: PostgresHost) {
    if (isClosed) return;
    lastSuccessMs = clock.monotonicMs();
    if (pool?.host === host) return;
    log.info('database connected', { host: describeHost(host) });
    pool?.destroy();
    const opened = createConnectionPool({
      ...options,
      address,
      host,
      clock,
      onCountChange: () => metrics.connections.set(opened.connectionCount),
      onIdleError: () => void search(),
    });
    pool = opened;
    metrics.connected.set(1);
  }

  function loseAll(error: unknown) {
    if (isClosed) return;
    if (pool !== undefined || whyAway === undefined) log.warn('database disconnected', { error });
    whyAway = error;
    pool?.destroy();
    pool = undefined;
    metrics.connected.set(0);
    metrics.connections.set(0);
  }

  async function acquire(timeoutMs: number): Promise<PooledConnection> {
    if (isClosed) throw new PostgresUnavailable('the database connection is closed');
    if (pool === undefined) {
      throw new PostgresUnavailable('the database is away', { cause: whyAway });
    }
    return pool.acquire(timeoutMs);
  }

  /** Counts and times the work, and looks for the primary when it failed for the server's fault. */
  async function observed<T>(operation: string, work: () => Promise<T>): Promise<T> {
    const startedMs = clock.monotonicMs();
    try {
      const result = await work();
      lastSuccessMs = clock.monotonicMs();
      return result;
    } catch (error) {
      metrics.errors.add();
      if (error instanceof PostgresUnavailable) void search();
      throw error;
    } finally {
      metrics.latency(operation).observe((clock.monotonicMs() - startedMs) / 1000);
    }
  }

  async function query<Row>(
    text: string,
    values: readonly unknown[] = [],
    { name, timeoutMs = options.queryTimeoutMs }: QueryOptions = {},
  ): Promise<Row[]> {
    return observed(name ?? 'query', async () => {
      const startedMs = clock.monotonicMs();
      const connection = await acquire(timeoutMs);
      try {
        const leftMs = Math.max(1, timeoutMs - (clock.monotonicMs() - startedMs));
        const result = await connection.query(text, values, { name, timeoutMs: leftMs });
        return result.rows as Row[];
      } finally {
        connection.release();
      }
    });
  }

  async function transaction<T>(run: (transaction: Queryable) => Promise<T>): Promise<T> {
    const connection = await observed('connect', () => acquire(options.queryTimeoutMs));
    const inside: Queryable = {
      query: (text, values = [], { name, timeoutMs = options.queryTimeoutMs } = {}) =>
        observed(name ?? 'query', async () => {
          const result = await connection.query(text, values, { name, timeoutMs });
          return result.rows as never[];
        }),
    };
    let isOver = false;
    try {
      await inside.query('begin', [], { name: 'begin' });
      const result = await run(inside);
      await inside.query('commit', [], { name: 'commit' });
      isOver = true;
      return result;
    } catch (error) {
      await inside.query('rollback', [], { name: 'rollback' }).then(
        () => {
          isOver = true;
        },
        () => undefined, // the connection is destroyed, and that rolls back too
      );
      throw error;
    } finally {
      connection.release(!isOver);
    }
  }

  async function kyselyClient(): Promise<PostgresPoolClient> {
    const timeoutMs = options.queryTimeoutMs;
    const connection = await observed('connect', () => acquire(timeoutMs));
    const runQuery = (text: string, values: readonly unknown[]) =>
      observed('kysely', () => connection.query(text, values, { name: undefined, timeoutMs }));
    return {
      query: runQuery as unknown as PostgresPoolClient['query'],
      release: (destroy) => connection.release(destroy),
    };
  }

  const kysely = new Kysely<Database>({
    dialect: new PostgresDialect({
      pool: { connect: kyselyClient, end: () => Promise.resolve(), options: {} },
    }),
  });

  await search();
  if (whyAway instanceof PostgresUnavailable && isPermanent(whyAway.cause)) throw whyAway;

  const watching = clock.every(SEARCH_PERIOD_MS, () => {
    if (pool === undefined || clock.monotonicMs() - lastSuccessMs > QUIET_MS) void search();
  });

  return {
    query,
    transaction,
    kysely,
    status: () => (pool === undefined ? 'disconnected' : 'connected'),
    async ping() {
      const startedMs = clock.monotonicMs();
      await query('select', [], { name: 'ping', timeoutMs: options.connectTimeoutMs });
      return clock.monotonicMs() - startedMs;
    },
    listen: (subscription) =>
      subscribe(subscription, {
        clock,
        log,
        primary: () => (pool === undefined ? undefined : { address, host: pool.host }),
        applicationName,
      }),
    async [Symbol.asyncDispose]() {
      if (isClosed) return;
      isClosed = true;
      watching[Symbol.dispose]();
      await kysely.destroy();
      await pool?.[Symbol.asyncDispose]();
      metrics.connected.set(0);
    },
  };
}

function databaseMetrics(runtime: Runtime, client: string) {
  const { metrics } = runtime;
  const latency = metrics.histogram(
    'radius_backend_latency_seconds',
    'Time that stores took to answer, by operation.',
    LATENCY_BOUNDS_SECONDS,
  );
  const cells = new Map<string, HistogramCell>();
  return {
    latency(operation: string): HistogramCell {
      let cell = cells.get(operation);
      if (cell === undefined) {
        cell = latency.labels({ operation: `postgres.${operation}` });
        cells.set(operation, cell);
      }
      return cell;
    },
    connected: metrics
      .gauge('evergate_database_connected', 'Whether the primary answers: 1 or 0.')
      .labels({ client }),
    connections: metrics
      .gauge('evergate_database_connections', 'Open connections to the primary.')
      .labels({ client }),
    errors: metrics
      .counter('evergate_database_errors_total', 'Queries that failed, for whatever reason.')
      .labels({ client }),
  };
}
