// The ioredis client for each kind of address, with the options that were measured to fail fast and to
// come back by themselves through killed, frozen and replaced servers. With its defaults ioredis hangs
// and resends. What it must never do here:
//
// - queue commands while it is not connected: the caller has a deadline;
// - send a command again that may have run already: an increment would count twice;
// - wait without a bound for a server that accepts connections and does not answer.

import { Cluster, Redis } from 'ioredis';
import type { RedisOptions } from 'ioredis';
import type { StateAddress } from './state-url.ts';

export type RedisClient = Redis | Cluster;

export type RemoteAddress = Exclude<StateAddress, { kind: 'memory' }>;

type Timeouts = { connectionTimeoutMs: number; commandTimeoutMs: number; maxRetries: number };

export function createRedisClient(address: RemoteAddress, timeouts: Timeouts): RedisClient {
  const { connectionTimeoutMs, commandTimeoutMs } = timeouts;
  const common = {
    connectTimeout: connectionTimeoutMs,
    // Nothing heard for this long while commands wait: the server is frozen or unreachable. Also the
    // bound for the handshake of a new connection.
    socketTimeout: Math.max(2 * commandTimeoutMs, 1_000),
    keepAlive: 2_000,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    maxLoadingRetryTime: 200,
    connectionName: 'evergate',
    // The answers of a server that is no longer, or not yet, the right one.
    reconnectOnError: (error: Error) =>
      /^(READONLY|LOADING|MASTERDOWN)/.test(error.message) ? 1 : false,
    ...(address.username === undefined ? {} : { username: address.username }),
    ...(address.password === undefined ? {} : { password: address.password }),
    // How long a connection that we end ourselves may linger when the other side is frozen.
    disconnectTimeout: commandTimeoutMs,
  } satisfies RedisOptions;
  const retryStrategy = (attempts: number) => Math.min(50 * attempts, 200);

  if (address.kind === 'cluster') {
    return new Cluster(address.nodes, {
      enableOfflineQueue: false,
      clusterRetryStrategy: retryStrategy,
      slotsRefreshTimeout: 500,
      slotsRefreshInterval: 2_000,
      // Without a delay ioredis does not resend what was under way when a connection broke.
      retryDelayOnFailover: 0,
      retryDelayOnClusterDown: 50,
      retryDelayOnTryAgain: 50,
      maxRedirections: timeouts.maxRetries + 1,
      redisOptions: { ...common, ...(address.tls ? { tls: {} } : {}) },
    });
  }
  const oneServer = {
    ...common,
    enableOfflineQueue: false,
    db: address.database,
    retryStrategy,
    ...(address.tls ? { tls: {} } : {}),
  };
  if (address.kind === 'single') {
    return new Redis({ ...oneServer, host: address.host, port: address.port });
  }
  const client = new Redis({
    ...oneServer,
    sentinels: address.sentinels,
    name: address.masterName,
    sentinelRetryStrategy: retryStrategy,
    sentinelCommandTimeout: Math.max(commandTimeoutMs, 500),
    // Listens to the Sentinels and leaves a deposed master at once: a frozen one wakes up later and
    // would accept writes that are lost.
    failoverDetector: true,
    ...(address.sentinelPassword === undefined
      ? {}
      : { sentinelPassword: address.sentinelPassword }),
    ...(address.tls ? { sentinelTLS: {}, enableTLSForSentinelMode: true } : {}),
  });
  silenceFailoverDetector(client);
  return client;
}

/**
 * ioredis prints to standard error whenever a Sentinel is away that it would have listened to. Nobody
 * can listen to that connection's errors from outside, so they are caught where it is made.
 */
function silenceFailoverDetector(client: Redis): void {
  type Connector = { connectToSentinel(...args: unknown[]): Redis };
  const { connector } = client as unknown as { connector: Connector };
  const connectToSentinel = connector.connectToSentinel;
  connector.connectToSentinel = (...args) => {
    const sentinel = connectToSentinel.apply(connector, args);
    return sentinel.on('error', () => undefined);
  };
}
