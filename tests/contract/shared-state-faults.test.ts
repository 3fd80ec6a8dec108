// The shared state while real servers are killed, frozen, read-only and replaced: every call ends within
// its bound, everything comes back by itself, and a node that may degrade never stops answering.

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { SharedStateUnavailable } from '../../src/domain/shared-state.ts';
import type { SharedState } from '../../src/domain/shared-state.ts';
import { openSharedState } from '../../src/stores/state/open.ts';
import type { OpenedState } from '../../src/stores/state/open.ts';
import { connectRedisState } from '../../src/stores/state/redis.ts';
import { ENGINES } from '../servers/redis-programs.ts';
import { startRedis, startRedisCluster, startSentinelGroup } from '../servers/redis.ts';
import type { RedisCluster, RedisServer, SentinelGroup } from '../servers/redis.ts';
import { startFakeSentinel } from './shared-state-fake-sentinel.ts';
import { until } from './shared-state-laws.ts';
import { redisConfig, testRuntime } from './shared-state-runtime.ts';

const TTL_MS = 60_000;
/** The command time-out of 200 ms, and what a busy test machine may add. */
const BOUND_MS = 200 + 400;

const value = Buffer.from('value');

/** Every operation, on keys that lie all over a Cluster. */
const callsOn = (state: SharedState, round: number): Promise<unknown>[] => [
  state.get(`get-${round}`),
  state.set(`set-${round}`, value, TTL_MS),
  state.delete(`delete-${round}`),
  state.exists(`exists-${round}`),
  state.keys('none', 1),
  state.setIfAbsent(`absent-${round}`, value, TTL_MS),
  state.increment(`count-${round}`, 1, TTL_MS),
  state.compareAndSet(`cas-${round}`, undefined, value, TTL_MS),
  state.compareAndSet(`cas-${round}`, value, undefined, TTL_MS),
];

/** One round of all operations: how many failed, and that none took longer than it may. */
async function failuresIn(state: SharedState, round: number): Promise<number> {
  const outcomes = await Promise.all(
    callsOn(state, round).map(async (call) => {
      const began = performance.now();
      const error: unknown = await call.then(
        () => undefined,
        (reason: unknown) => reason,
      );
      return { error, tookMs: performance.now() - began };
    }),
  );
  const errors = outcomes.flatMap(({ error }) => (error === undefined ? [] : [error]));
  expect(errors.filter((error) => !(error instanceof SharedStateUnavailable))).toEqual([]);
  expect(Math.max(...outcomes.map(({ tookMs }) => tookMs))).toBeLessThan(BOUND_MS);
  return errors.length;
}

let rounds = 0;
const works = async (state: SharedState) => (await failuresIn(state, ++rounds)) === 0;

async function connect(url: string) {
  return await connectRedisState({ ...redisConfig(url), connectionTimeoutMs: 500 }, testRuntime());
}

describe('a single server', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis({ args: ['--enable-debug-command', 'local'] });
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });

  test('is killed: every call rejects within its bound, and works again after its restart', async () => {
    await using state = await connect(server.url);
    let reconnections = 0;
    state.onReconnected(() => reconnections++);
    await state.set('k', value, TTL_MS);
    await server.kill();
    for (let round = 0; round < 5; round++) expect(await failuresIn(state, round)).toBe(9);
    expect(state.status()).toBe('disconnected');
    expect(state.connections()).toBe(0);

    await server.start();
    await until(() => works(state));
    expect(await state.get('k')).toBeUndefined();
    expect(state.status()).toBe('connected');
    expect(state.connections()).toBe(1);
    expect(reconnections).toBe(1);
  });

  test('is frozen: every call rejects within its bound, and works again when it wakes up', async () => {
    await using state = await connect(server.url);
    await state.set('k', value, TTL_MS);
    server.freeze();
    const began = performance.now();
    // Longer than the socket's time-out: also the connections that are attempted meanwhile are bounded.
    for (let round = 0; performance.now() - began < 3_000; round++) {
      expect(await failuresIn(state, round)).toBe(9);
      await sleep(20);
    }
    expect(state.status()).toBe('disconnected');
    server.thaw();
    await until(() => works(state));
    expect(await state.get('k')).toEqual(value);
    expect(state.connections()).toBe(1);
  });

  test('is frozen: an increment that timed out has run once or not at all', async () => {
    await using state = await connect(server.url);
    let answered = 0;
    let sent = 0;
    const count = () => {
      sent++;
      return state.increment('once', 1, TTL_MS).then(
        () => answered++,
        () => undefined,
      );
    };
    for (let cycle = 0; cycle < 3; cycle++) {
      const calls = Array.from({ length: 20 }, count);
      server.freeze();
      calls.push(...Array.from({ length: 20 }, count));
      await sleep(100);
      calls.push(...Array.from({ length: 20 }, count));
      await Promise.all(calls);
      server.thaw();
      await until(() => works(state));
    }
    const sum = Number((await state.get('once')) ?? 0);
    expect(sum).toBeGreaterThanOrEqual(answered);
    expect(sum).toBeLessThanOrEqual(sent);
  });

  test('is not there yet: opening does not wait for ever, and it works when it has come', async () => {
    await server.kill();
    await using state = await connect(server.url);
    expect(await failuresIn(state, 0)).toBe(9);
    await server.start();
    await until(() => works(state));
  });

  test('is a replica without a master: writes reject, and work when it takes writes again', async () => {
    await using state = await connect(server.url);
    await server.cli('replicaof', '127.0.0.1', '1');
    await expect(state.set('k', value, TTL_MS)).rejects.toThrow(SharedStateUnavailable);
    expect(await failuresIn(state, 0)).toBeGreaterThan(0);
    await server.cli('replicaof', 'no', 'one');
    await until(() => works(state));
  });

  test('loads its data: calls reject within their bound until it is done', async () => {
    await using loading = await startRedis({
      args: [
        '--enable-debug-command',
        'local',
        '--key-load-delay',
        '1000',
        '--loading-process-events-interval-bytes',
        '1024',
      ],
    });
    await using state = await connect(loading.url);
    await loading.cli('debug', 'populate', '3000');
    await loading.cli('save');
    await loading.kill();
    await loading.start();
    expect(await loading.cli('info', 'persistence')).toContain('loading:1');
    expect(await failuresIn(state, 0)).toBe(9);
    await until(() => works(state));
    expect(await loading.cli('dbsize')).toMatch(/^30\d\d$/);
  });
});

describe.each(ENGINES)('a group behind Sentinels, of %s', (engine) => {
  let group: SentinelGroup;
  beforeAll(async () => {
    group = await startSentinelGroup({ engine });
  });
  afterAll(async () => {
    await group[Symbol.asyncDispose]();
  });

  test('whose master is killed works again without a restart, on another server', async () => {
    await using state = await connect(group.url);
    await state.set('kept', value, TTL_MS);
    const old = await group.master();
    await old.kill();
    expect(await works(state)).toBe(false);
    await until(() => works(state));
    expect((await group.master()).port).not.toBe(old.port);
    expect(await state.get('kept')).toEqual(value);
    expect(state.connections()).toBe(1);
    await old.start();
    await group.ready();
  });

  test('whose master is frozen works again, and not on the old master when that wakes up', async () => {
    await using state = await connect(group.url);
    const old = await group.master();
    old.freeze();
    expect(await works(state)).toBe(false);
    await until(() => works(state));
    old.thaw();
    await group.ready();
    await until(() => works(state));
    await state.set('after', value, TTL_MS);
    const master = await group.master();
    expect(master.port).not.toBe(old.port);
    expect(await master.cli('exists', 'evergate:after')).toBe('1');
  });

  test('works on while a Sentinel is away, and prints nothing about it', async () => {
    const printed = vi.spyOn(console, 'error');
    const [sentinel] = group.sentinels;
    await sentinel?.kill();
    await using state = await connect(group.url);
    expect(await works(state)).toBe(true);
    await sleep(500); // for the connections to the Sentinels, which come after the first answer
    expect(printed).not.toHaveBeenCalled();
    printed.mockRestore();
    await sentinel?.start();
    await group.ready();
  });
});

test('a failover that is announced while we ask for the master does not end the connection for good', async () => {
  await using server = await startRedis();
  await using sentinel = await startFakeSentinel(server.port);
  await using state = await connect(sentinel.url);
  expect(await works(state)).toBe(true);

  sentinel.holdAnswers();
  await server.cli('client', 'kill', 'type', 'normal');
  await until(() => sentinel.waiting() > 0);
  sentinel.announceFailover();
  await sleep(50); // for the announcement to arrive before the answer
  sentinel.answer();
  await until(() => works(state));
});

describe.each(ENGINES)('a Cluster of %s', (engine) => {
  let cluster: RedisCluster;
  beforeAll(async () => {
    cluster = await startRedisCluster({ engine });
  });
  afterAll(async () => {
    await cluster[Symbol.asyncDispose]();
  });

  const spread = Array.from({ length: 60 }, (_, i) => `spread-${i}`);
  const allKeysWork = async (state: SharedState) => {
    const calls = spread.map((key) => state.setIfAbsent(key, value, TTL_MS));
    return (await Promise.allSettled(calls)).every(({ status }) => status === 'fulfilled');
  };

  test.each(['killed', 'frozen'])(
    'of which a master is %s works again on all keys',
    async (how) => {
      await using state = await connect(cluster.url);
      expect(await allKeysWork(state)).toBe(true);
      const [victim] = await cluster.masters();
      if (how === 'killed') await victim?.kill();
      else victim?.freeze();
      expect(await allKeysWork(state)).toBe(false);
      await until(() => allKeysWork(state));
      await until(() => works(state));
      expect(state.connections()).toBe(3);
      expect(state.status()).toBe('connected');
      if (how === 'killed') await victim?.start();
      else victim?.thaw();
      await cluster.ready();
      expect(await works(state)).toBe(true);
    },
  );
});

describe('a node that may degrade', () => {
  async function openDegrading(url: string) {
    const runtime = testRuntime();
    const config = { ...redisConfig(url), connectionTimeoutMs: 500, onFailure: 'degrade' as const };
    return { opened: await openSharedState(config, runtime), runtime };
  }

  /** All the time, until told to stop: not one operation may fail. */
  function keepUsing({ state }: OpenedState) {
    let isStopped = false;
    let round = 0;
    let slow = 0;
    const using = (async () => {
      while (!isStopped) {
        const began = performance.now();
        await Promise.all(callsOn(state, 1_000 + ++round));
        if (performance.now() - began > 100) slow++;
        await sleep(10);
      }
    })();
    return {
      stop: async () => {
        isStopped = true;
        await using;
        return { round, slow };
      },
    };
  }

  test('answers through a kill, hands over what it wrote, and tells when the state is back', async () => {
    await using server = await startRedis();
    const { opened, runtime } = await openDegrading(server.url);
    await using _ = opened;
    let recoveries = 0;
    opened.onRecovered(() => recoveries++);
    const use = keepUsing(opened);
    expect(opened.isDegraded()).toBe(false);

    await server.kill();
    await until(() => opened.isDegraded());
    await opened.state.set('written-meanwhile', value, TTL_MS);
    expect(await opened.state.get('written-meanwhile')).toEqual(value);
    expect(await runtime.metrics.text()).toContain('evergate_state_degraded 1');

    await server.start();
    await until(() => !opened.isDegraded() && recoveries > 0);
    await using other = await connect(server.url);
    expect(await other.get('written-meanwhile')).toEqual(value);
    expect((await use.stop()).round).toBeGreaterThan(0);
    const text = await runtime.metrics.text();
    expect(text).toContain('evergate_state_degraded 0');
    expect(text).toMatch(/evergate_state_degraded_operations_total [1-9]/);
  });

  test('answers while the server is frozen, and waits for it once, not at each packet', async () => {
    await using server = await startRedis();
    await using opened = (await openDegrading(server.url)).opened;
    const use = keepUsing(opened);
    server.freeze();
    await until(() => opened.isDegraded());
    await sleep(1_500); // long enough for many more rounds, each of which would be slow
    server.thaw();
    await until(() => !opened.isDegraded());
    const { round, slow } = await use.stop();
    expect(round).toBeGreaterThan(20);
    expect(slow).toBeLessThan(round / 4);
  });

  test('answers from the start, even if the server is not there', async () => {
    await using server = await startRedis();
    await server.kill();
    await using opened = (await openDegrading(server.url)).opened;
    expect(opened.status()).toBe('disconnected');
    await Promise.all(callsOn(opened.state, 1));
    expect(opened.isDegraded()).toBe(true);
    await server.start();
    await until(() => !opened.isDegraded());
    expect(opened.status()).toBe('connected');
  });

  test('goes on with what the caller has read before the state went away', async () => {
    await using server = await startRedis();
    await using opened = (await openDegrading(server.url)).opened;
    await opened.state.set('conversation', Buffer.from('round 1'), TTL_MS);
    await server.kill();
    const round1 = Buffer.from('round 1');
    const round2 = Buffer.from('round 2');
    expect(await opened.state.compareAndSet('conversation', round1, round2, TTL_MS)).toBe(true);
    expect(await opened.state.compareAndSet('conversation', round1, round2, TTL_MS)).toBe(false);
    expect(await opened.state.get('conversation')).toEqual(round2);
  });

  test('answers through the failover of a Sentinel group', async () => {
    await using group = await startSentinelGroup();
    await using opened = (await openDegrading(group.url)).opened;
    let recoveries = 0;
    opened.onRecovered(() => recoveries++);
    const use = keepUsing(opened);
    await (await group.master()).kill();
    await until(() => opened.isDegraded());
    await until(() => !opened.isDegraded() && recoveries > 0);
    expect((await use.stop()).round).toBeGreaterThan(0);
    expect(opened.status()).toBe('connected');
  });

  test('answers while a master of a Cluster is replaced', async () => {
    await using cluster = await startRedisCluster();
    await using opened = (await openDegrading(cluster.url)).opened;
    let recoveries = 0;
    opened.onRecovered(() => recoveries++);
    const use = keepUsing(opened);
    const [victim] = await cluster.masters();
    await victim?.kill();
    await until(() => opened.isDegraded());
    await until(() => !opened.isDegraded() && recoveries > 0);
    await until(() => works(opened.state));
    expect((await use.stop()).round).toBeGreaterThan(0);
  });

  test('that must rather reject passes the errors on, and tells when the state is back', async () => {
    await using server = await startRedis();
    const config = { ...redisConfig(server.url), onFailure: 'reject' as const };
    await using opened = await openSharedState(config, testRuntime());
    let recoveries = 0;
    opened.onRecovered(() => recoveries++);
    await server.kill();
    expect(await failuresIn(opened.state, 0)).toBe(9);
    expect(opened.isDegraded()).toBe(false);
    await server.start();
    await until(() => recoveries > 0);
    expect(await works(opened.state)).toBe(true);
  });
});
