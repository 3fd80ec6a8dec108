// The shared state on Valkey ≥ 7.2 or Redis ≥ 7: single, Sentinel or Cluster. Each operation is one
// command on one key, so that a Cluster can keep every key where it likes.
//
// The prefix names the cluster of Evergate nodes, never one node: nodes with the same prefix share.

import type { SharedState } from '../../domain/shared-state.ts';
import { compareAndSetScript } from './compare-and-set.lua.ts';
import { incrementScript } from './increment.lua.ts';
import { connectRedis, isScriptMissing } from './redis-connection.ts';
import type { RedisConnection, RedisTimeouts, StateRuntime } from './redis-connection.ts';
import type { Argument } from './redis-pipeline.ts';
import type { RedisScript } from './redis-script.ts';
import type { Operation } from './state-metrics.ts';
import { parseStateUrl } from './state-url.ts';
import { wholeTtlMs } from './time-to-live.ts';

export type RedisStateConfig = RedisTimeouts & { url: string; keyPrefix: string };

export type RedisState = SharedState &
  AsyncDisposable &
  Pick<RedisConnection, 'status' | 'connections' | 'onReconnected'>;

const KEYS_PER_SCAN = 1_000;

/** Also resolves when the server cannot be reached: operations then reject until it can. */
export async function connectRedisState(
  config: RedisStateConfig,
  runtime: StateRuntime,
): Promise<RedisState> {
  const address = parseStateUrl(config.url);
  if (address.kind === 'memory') throw new Error('state.url memory is no Valkey or Redis');
  const connection = await connectRedis(address, config, runtime);
  return {
    ...sharedStateOn(connection, config.keyPrefix, runtime),
    status: connection.status,
    connections: connection.connections,
    onReconnected: connection.onReconnected,
    [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose](),
  };
}

function sharedStateOn(
  { run, masters }: RedisConnection,
  prefix: string,
  { clock }: StateRuntime,
): SharedState {
  async function runScript(
    operation: Operation,
    script: RedisScript,
    key: string,
    args: Argument[],
  ) {
    try {
      return await run(operation, 'evalsha', [script.sha1, 1, prefix + key, ...args]);
    } catch (error) {
      if (!isScriptMissing(error)) throw error;
      return await run(operation, 'eval', [script.text, 1, prefix + key, ...args]);
    }
  }

  return {
    async get(key) {
      return found(await run('get', 'get', [prefix + key]));
    },

    async set(key, value, ttlMs) {
      await run('set', 'set', [prefix + key, Buffer.from(value), 'PX', wholeTtlMs(ttlMs)]);
    },

    async delete(key) {
      return (await run('delete', 'del', [prefix + key])) === 1;
    },

    async exists(key) {
      return (await run('exists', 'exists', [prefix + key])) === 1;
    },

    async keys(begin, limit) {
      // A scan may show a key twice, and each step has the command time-out for itself.
      const keys = new Set<string>();
      const pattern = `${escapePattern(prefix + begin)}*`;
      for (const node of masters()) {
        let cursor = '0';
        do {
          const args = [cursor, 'MATCH', pattern, 'COUNT', KEYS_PER_SCAN];
          const [next, page] = (await run('keys', 'scan', args, node)) as [Buffer, Buffer[]];
          for (const key of page) keys.add(key.toString().slice(prefix.length));
          cursor = next.toString();
        } while (cursor !== '0' && keys.size < limit);
        if (keys.size >= limit) break;
      }
      return [...keys].slice(0, limit);
    },

    async setIfAbsent(key, value, ttlMs) {
      const args = [prefix + key, Buffer.from(value), 'NX', 'GET', 'PX', wholeTtlMs(ttlMs)];
      return found(await run('setIfAbsent', 'set', args));
    },

    async increment(key, by, ttlMs) {
      return (await runScript('increment', incrementScript, key, [
        by,
        wholeTtlMs(ttlMs),
      ])) as number;
    },

    async compareAndSet(key, expected, next, ttlMs) {
      if (expected === undefined && next === undefined) {
        return (await run('compareAndSet', 'exists', [prefix + key])) === 0;
      }
      if (expected === undefined) {
        const args = [prefix + key, Buffer.from(next ?? ''), 'NX', 'PX', wholeTtlMs(ttlMs)];
        return (await run('compareAndSet', 'set', args)) !== null;
      }
      const args =
        next === undefined
          ? [Buffer.from(expected), 0]
          : [Buffer.from(expected), wholeTtlMs(ttlMs), Buffer.from(next)];
      return (await runScript('compareAndSet', compareAndSetScript, key, args)) === 1;
    },

    async ping() {
      const startedAtMs = clock.monotonicMs();
      await Promise.all(masters().map((node) => run('ping', 'ping', [], node)));
      return clock.monotonicMs() - startedAtMs;
    },
  };
}

function found(reply: unknown): Buffer | undefined {
  return reply instanceof Buffer ? reply : undefined;
}

function escapePattern(text: string): string {
  return text.replace(/[\\*?[\]^-]/g, '\\$&');
}
