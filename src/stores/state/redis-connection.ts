// Commands to a Valkey or Redis server, group or Cluster: each is answered or fails within its time-out,
// whatever the server does, and the connection comes back by itself. What a command means belongs to
// redis.ts, how it travels to redis-pipeline.ts.

import { Cluster } from 'ioredis';
import type { Redis } from 'ioredis';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { Runtime } from '../../runtime/runtime.ts';
import { describeError } from '../../runtime/log.ts';
import { SharedStateUnavailable } from '../../domain/shared-state.ts';
import { createRedisClient } from './redis-client.ts';
import type { RedisClient, RemoteAddress } from './redis-client.ts';
import { NotSent, createPipeline } from './redis-pipeline.ts';
import type { Argument } from './redis-pipeline.ts';
import { createStateMetrics } from './state-metrics.ts';
import type { Operation } from './state-metrics.ts';

export type StateRuntime = Pick<Runtime, 'clock' | 'log' | 'metrics'>;

export type RedisTimeouts = {
  connectionTimeoutMs: number;
  commandTimeoutMs: number;
  /** How often a command that did not run is tried again, all inside its time-out. */
  maxRetries: number;
};

export type RedisConnection = AsyncDisposable & {
  /** Rejects with SharedStateUnavailable, within the command time-out. */
  run(operation: Operation, name: string, args: Argument[], node?: Redis): Promise<unknown>;
  /** The servers that take writes: one, or each master of a Cluster. */
  masters(): Redis[];
  /** `disconnected` also while the server keeps silent. */
  status(): 'connected' | 'disconnected';
  /** Connections open for commands; one for each server that takes writes when all is well. */
  connections(): number;
  /** Calls after each connection but the first: what was in the server may be gone. */
  onReconnected(listener: () => void): Disposable;
};

/** More than this waiting for answers means that the server does not keep up: then we say so at once. */
const MAX_IN_FLIGHT = 20_000;

const RECONNECT_AFTER_MS = 50;

/** The server says that the command was not carried out: trying again cannot do it twice. */
const DID_NOT_RUN =
  /^(READONLY|LOADING|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|MOVED|ASK|Too many Cluster redirections)/;
const MAY_RUN_TWICE: ReadonlySet<Operation> = new Set(['get', 'exists', 'keys', 'ping']);

type Request = { operation: Operation; name: string; args: Argument[]; target: RedisClient };

/** Resolves once connected, or when the connection time-out has passed: it then goes on trying. */
export async function connectRedis(
  address: RemoteAddress,
  timeouts: RedisTimeouts,
  runtime: StateRuntime,
): Promise<RedisConnection> {
  const { clock } = runtime;
  const { commandTimeoutMs, maxRetries } = timeouts;
  const metrics = createStateMetrics(runtime.metrics);
  const client = createRedisClient(address, timeouts);
  const masters = () => (client instanceof Cluster ? client.nodes('master') : [client]);
  const connection = watchConnection(client, masters, runtime);
  const pipeline = createPipeline({
    clock,
    timeoutMs: commandTimeoutMs,
    sockets: () => openSockets(masters()),
    onTimeout: connection.noteSilence,
  });
  let inFlight = 0;
  let isClosed = false;

  async function run(operation: Operation, name: string, args: Argument[], node?: Redis) {
    const startedAtMs = clock.monotonicMs();
    inFlight++;
    try {
      if (isClosed) throw new Error('closed');
      if (inFlight > MAX_IN_FLIGHT) throw new Error(`${inFlight} commands wait for answers`);
      const reply = await send({ operation, name, args, target: node ?? client }, startedAtMs);
      connection.noteAnswer();
      return reply;
    } catch (error) {
      const cause = reasonFor(error, connection.lastError());
      const failure = new SharedStateUnavailable(`the shared state failed at ${operation}`, {
        cause,
      });
      if (!isScriptMissing(failure)) metrics.errors[operation].add();
      throw failure;
    } finally {
      inFlight--;
      metrics.latencySeconds[operation].observe((clock.monotonicMs() - startedAtMs) / 1000);
    }
  }

  async function send(request: Request, startedAtMs: number): Promise<unknown> {
    const { target, name, args } = request;
    try {
      return await pipeline.send(target, name, args);
    } catch (error) {
      return await sendAgain(request, startedAtMs, error);
    }
  }

  async function sendAgain(request: Request, startedAtMs: number, firstError: unknown) {
    const { operation, target, name, args } = request;
    let error = firstError;
    for (let retries = 0; retries < maxRetries && isWorthRetrying(operation, error); retries++) {
      await clock.sleep(commandTimeoutMs / (maxRetries + 1));
      const leftMs = startedAtMs + commandTimeoutMs - clock.monotonicMs();
      if (leftMs <= 0) break;
      try {
        return await pipeline.sendAlone(target, name, args, leftMs);
      } catch (again) {
        error = again;
      }
    }
    throw error;
  }

  function isWorthRetrying(operation: Operation, error: unknown): boolean {
    // A connection that has been gone for longer than a command may take will not be back in time.
    if (isClosed || connection.isSilent() || connection.awayForMs() > commandTimeoutMs)
      return false;
    if (error instanceof NotSent || MAY_RUN_TWICE.has(operation)) return true;
    return error instanceof Error && DID_NOT_RUN.test(error.message);
  }

  async function close() {
    if (isClosed) return;
    isClosed = true;
    connection.stop();
    const sockets = openSockets(client instanceof Cluster ? client.nodes() : [client]);
    client.disconnect();
    await Promise.all(
      sockets.map((socket) => {
        const closed = once(socket, 'close');
        socket.destroy();
        return closed;
      }),
    );
  }

  await connection.ready(timeouts.connectionTimeoutMs);
  return {
    run,
    masters,
    status: connection.status,
    connections: () => openSockets(masters()).length,
    onReconnected: connection.onReconnected,
    [Symbol.asyncDispose]: close,
  };
}

/** Knows whether the server answers, and tells the log and the metrics when that changes. */
function watchConnection(
  client: RedisClient,
  masters: () => Redis[],
  { clock, log, metrics }: StateRuntime,
) {
  const gauge = metrics
    .gauge('evergate_state_connected', '1 while the shared state answers')
    .labels({});
  const reconnected = new Set<() => void>();
  let lastError: Error | undefined;
  /** A command has timed out and nothing was heard since. */
  let isSilent = false;
  let isStopped = false;
  let hasBeenReady = false;
  let wasConnected: boolean | undefined;
  let awaySinceMs = clock.monotonicMs();

  function status() {
    if (isStopped || client.status !== 'ready') return 'disconnected';
    // In a Cluster the others still answer; a silent server loses its connection before long.
    const isWhole =
      client instanceof Cluster ? masters().every((node) => node.status === 'ready') : !isSilent;
    return isWhole ? 'connected' : 'disconnected';
  }

  function note() {
    const isConnected = status() === 'connected';
    if (isConnected === wasConnected || isStopped) return;
    gauge.set(isConnected ? 1 : 0);
    if (isConnected) {
      lastError = undefined;
      log.info('the shared state is connected');
    } else if (wasConnected === true) {
      awaySinceMs = clock.monotonicMs();
      lastError ??= new Error(isSilent ? 'it keeps silent' : 'the connection was closed');
      log.warn('the shared state is away', { error: lastError });
    }
    wasConnected = isConnected;
  }

  function noteError(error: Error) {
    lastError = withoutArguments(error);
    note();
  }

  client.on('error', noteError);
  client.on('node error', noteError);
  client.on('close', note);
  // ioredis gives up for good when a Sentinel announces a failover while it is asking who the master is.
  client.on('end', () => {
    note();
    if (!isStopped) clock.after(RECONNECT_AFTER_MS, () => void client.connect().catch(noteError));
  });
  client.on('-node', note);
  client.on('+node', (node: Redis) => {
    // ioredis would connect at the first command, and refuse the others until then.
    node.once('ready', note);
    if (node.status === 'wait' && node.options.readOnly !== true) node.connect().catch(noteError);
    note();
  });
  client.on('ready', () => {
    isSilent = false;
    note();
    if (hasBeenReady) for (const listener of reconnected) listener();
    hasBeenReady = true;
  });

  return {
    status,
    isSilent: () => isSilent,
    awayForMs: () => (status() === 'connected' ? 0 : clock.monotonicMs() - awaySinceMs),
    /** Why there is no connection, if that is so. */
    lastError: () => (status() === 'connected' ? undefined : lastError),
    noteSilence() {
      isSilent = true;
      note();
    },
    noteAnswer() {
      if (!isSilent) return;
      isSilent = false;
      note();
    },
    onReconnected(listener: () => void): Disposable {
      reconnected.add(listener);
      return { [Symbol.dispose]: () => void reconnected.delete(listener) };
    },
    async ready(withinMs: number) {
      const untilMs = clock.monotonicMs() + withinMs;
      // Also each server of a Cluster, which ioredis does not wait for.
      while (status() === 'disconnected' && clock.monotonicMs() < untilMs) await clock.sleep(5);
      note();
      if (status() === 'connected') return;
      log.warn('the shared state cannot be reached yet', { error: lastError });
    },
    stop() {
      isStopped = true;
      gauge.set(0);
    },
  };
}

/** True if the server does not have the script that EVALSHA named: send its text. */
export function isScriptMissing(error: unknown): boolean {
  return (
    error instanceof SharedStateUnavailable &&
    error.cause instanceof Error &&
    error.cause.message.startsWith('NOSCRIPT')
  );
}

/** ioredis has no stream before its first connection, whatever its types say. */
function openSockets(nodes: Redis[]): Socket[] {
  const sockets: Socket[] = [];
  for (const node of nodes) {
    const socket = node.stream as Socket | undefined;
    if (socket?.destroyed === false) sockets.push(socket);
  }
  return sockets;
}

/** In words for an operator. */
function reasonFor(error: unknown, connectionError: Error | undefined): Error {
  if (error instanceof NotSent) {
    return new Error('not connected', connectionError && { cause: connectionError });
  }
  if (/^(Connection is closed|Reached the max retries)/.test(describeError(error))) {
    return new Error('the connection broke', connectionError && { cause: connectionError });
  }
  return withoutArguments(error);
}

/** ioredis attaches the command's arguments to an error, and a server may quote them: values are secrets. */
function withoutArguments(error: unknown): Error {
  return new Error(describeError(error).replace(/, with args beginning with.*$/s, ''));
}
