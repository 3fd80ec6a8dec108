// A bounded pool of connections to one server, on pg. Every query has a deadline that destroys its
// connection: a frozen server answers nothing, closes nothing, and must cost a bounded time.
// Which server is the primary is connect.ts's business.

import { once } from 'node:events';
import { Socket } from 'node:net';
import pg from 'pg';
import type { Clock } from '../../runtime/clock.ts';
import { describeHost } from './address.ts';
import type { PostgresAddress, PostgresHost } from './address.ts';
import { PostgresUnavailable, isServerTrouble } from './errors.ts';
import { valueTypes } from './values.ts';

export type ConnectionPool = AsyncDisposable & {
  readonly host: PostgresHost;
  readonly connectionCount: number;
  acquire(timeoutMs: number): Promise<PooledConnection>;
  /** Closes every connection now, whatever it is doing. */
  destroy(): void;
};

export type PooledConnection = {
  query(text: string, values: readonly unknown[], options: RunOptions): Promise<pg.QueryResult>;
  /** Back to the pool, unless it is broken or `destroy` says that it must not be used again. */
  release(destroy?: boolean): void;
};

type RunOptions = { name: string | undefined; timeoutMs: number };

export type PoolOptions = {
  address: PostgresAddress;
  host: PostgresHost;
  applicationName: string;
  maxConnections: number;
  /** Queries beyond this many waiting for a connection fail at once. */
  maxWaiting: number;
  connectTimeoutMs: number;
  clock: Clock;
  onCountChange: () => void;
  /** An idle connection failed: perhaps the server is gone. */
  onIdleError: (error: Error) => void;
};

/** A server that does not say goodbye within this time is left. */
const GOODBYE_MS = 500;

export function createConnectionPool(options: PoolOptions): ConnectionPool {
  const { clock, host } = options;
  const sockets = new Set<Socket>();
  const notReplicated = new WeakSet<pg.PoolClient>();
  const pool = new pg.Pool({
    ...clientConfig(options.address, host, options.applicationName),
    connectionTimeoutMillis: options.connectTimeoutMs,
    stream: () => trackedSocket(sockets),
    max: options.maxConnections,
    idleTimeoutMillis: 60_000,
  });
  pool.on('error', options.onIdleError);
  pool.on('connect', (client) => {
    options.onCountChange();
    // Between two queries of a transaction nobody else listens, and an unheard error ends the process.
    client.on('error', () => undefined);
    client.on('notice', (notice) => {
      if (isNotReplicated(notice)) notReplicated.add(client);
    });
  });
  pool.on('remove', options.onCountChange);

  function pooled(client: pg.PoolClient): PooledConnection {
    let isBroken = false;
    let isReleased = false;
    const release = (destroy = false) => {
      if (isReleased) return;
      isReleased = true;
      client.release(destroy || isBroken);
    };

    async function query(text: string, values: readonly unknown[], run: RunOptions) {
      const working = client.query({
        text,
        values: values as unknown[],
        ...(run.name === undefined ? {} : { name: run.name }),
      });
      try {
        const result = await withinDeadline(clock, run.timeoutMs, working, () => {
          isBroken = true;
          release();
        });
        if (notReplicated.delete(client)) {
          throw new PostgresUnavailable('committed on the primary, but perhaps not on its replica');
        }
        return result;
      } catch (error) {
        if (error instanceof PostgresUnavailable) throw error;
        if (!isServerTrouble(error)) throw error;
        isBroken = true;
        if (error instanceof RangeError || error instanceof TypeError) throw error; // ours: a value
        throw new PostgresUnavailable(`PostgreSQL at ${describeHost(host)} failed`, {
          cause: error,
        });
      }
    }

    return { query, release };
  }

  return {
    host,
    get connectionCount() {
      return pool.totalCount;
    },
    async acquire(timeoutMs) {
      if (pool.waitingCount >= options.maxWaiting) {
        throw new PostgresUnavailable(
          `${pool.waitingCount} queries are waiting for ${describeHost(host)} already`,
        );
      }
      const connecting = pool.connect();
      try {
        const client = await withinDeadline(clock, timeoutMs, connecting, () => {
          connecting.then(
            (late) => late.release(),
            () => undefined,
          );
        });
        return pooled(client);
      } catch (error) {
        if (error instanceof PostgresUnavailable) throw error;
        throw new PostgresUnavailable(`cannot connect to PostgreSQL at ${describeHost(host)}`, {
          cause: error,
        });
      }
    },
    destroy() {
      for (const socket of sockets) socket.destroy();
      if (!pool.ending) void pool.end().catch(() => undefined);
    },
    async [Symbol.asyncDispose]() {
      // A frozen server would keep its connections, and the process, open for ever.
      using _timer = clock.after(GOODBYE_MS, () => {
        for (const socket of sockets) socket.destroy();
      });
      const closed = [...sockets].map((socket) => once(socket, 'close'));
      if (!pool.ending) await pool.end();
      await Promise.all(closed); // the pool itself does not wait for them
    },
  };
}

/** A connection outside the pool, for a question that must not wait in the queue. */
export async function connectClient(
  address: PostgresAddress,
  host: PostgresHost,
  options: { applicationName: string; timeoutMs: number; clock: Clock },
): Promise<{ client: pg.Client; destroy: () => void }> {
  const sockets = new Set<Socket>();
  const client = new pg.Client({
    ...clientConfig(address, host, options.applicationName),
    stream: () => trackedSocket(sockets),
  });
  client.on('error', () => undefined);
  const destroy = () => {
    for (const socket of sockets) socket.destroy();
  };
  try {
    await withinDeadline(options.clock, options.timeoutMs, client.connect(), destroy);
  } catch (error) {
    destroy();
    throw error;
  }
  return { client, destroy };
}

/** Rejects when the time is over, after `expire` has made sure that the work stops. */
export function withinDeadline<T>(
  clock: Clock,
  timeoutMs: number,
  work: Promise<T>,
  expire: () => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(timeoutMs, () => {
      reject(new PostgresUnavailable(`no answer within ${Math.round(timeoutMs)} ms`));
      expire();
    });
    work.then(
      (value) => {
        timer[Symbol.dispose]();
        resolve(value);
      },
      (error: unknown) => {
        timer[Symbol.dispose]();
        reject(error);
      },
    );
  });
}

function clientConfig(
  address: PostgresAddress,
  host: PostgresHost,
  applicationName: string,
): pg.ClientConfig {
  return {
    host: host.host,
    port: host.port,
    user: address.user,
    password: address.password ?? '',
    database: address.database,
    ssl: address.tls,
    application_name: applicationName,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    idle_in_transaction_session_timeout: 30_000,
    types: valueTypes,
    // A query whose client has gone away at its deadline is cancelled within a second.
    options: '-c client_connection_check_interval=1000 -c timezone=UTC -c datestyle=ISO -c jit=off',
  };
}

function trackedSocket(sockets: Set<Socket>): Socket {
  const socket = new Socket();
  sockets.add(socket);
  socket.once('close', () => sockets.delete(socket));
  return socket;
}

/**
 * A commit that was cancelled while it waited for the synchronous replica succeeds with a warning:
 * "committed locally, but might not have been replicated". The text is translated, the routine is not.
 */
function isNotReplicated(notice: { code?: string | undefined; routine?: string | undefined }) {
  return notice.code === '01000' && notice.routine === 'SyncRepWaitForLSN';
}
