// The shared state keeps its promises, whichever implementation it is, and against real servers.
// The promises are in shared-state-laws.ts; what happens when servers die in shared-state-faults.test.ts.

import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { promisify } from 'node:util';
import { MessageChannel } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/runtime/clock.ts';
import { createMemoryState } from '../../src/stores/state/memory.ts';
import type { MemoryState } from '../../src/stores/state/memory.ts';
import { connectStateThroughPort, serveState } from '../../src/stores/state/port.ts';
import type { Channel } from '../../src/stores/state/port.ts';
import { connectRedisState } from '../../src/stores/state/redis.ts';
import { ensureDebianPackage } from '../servers/ensure-package.ts';
import { freeTcpPort } from '../servers/free-port.ts';
import { ENGINES } from '../servers/redis-programs.ts';
import { startRedis, startRedisCluster, startSentinelGroup } from '../servers/redis.ts';
import type { RedisServer } from '../servers/redis.ts';
import { describeLaws } from './shared-state-laws.ts';
import type { Backend } from './shared-state-laws.ts';
import { redisConfig, testRuntime } from './shared-state-runtime.ts';

const run = promisify(execFile);

describeLaws('memory', async () => {
  const memoryOf = memories();
  return {
    connect: async (keyPrefix) => ({ ...memoryOf(keyPrefix), ...disposedOfBy(() => undefined) }),
    ...disposedOfBy(() => undefined),
  };
});

describeLaws('the memory of another process, through a port', async () => {
  const memoryOf = memories();
  return {
    connect: async (keyPrefix) => {
      const { port1: ours, port2: theirs } = new MessageChannel();
      serveState(memoryOf(keyPrefix), channelOf(theirs));
      const state = connectStateThroughPort(channelOf(ours), testRuntime(), {
        commandTimeoutMs: 2_000,
      });
      return { ...state, ...disposedOfBy(() => ours.close()) };
    },
    ...disposedOfBy(() => undefined),
  };
});

for (const engine of ENGINES) {
  describeLaws(`a single ${engine} server`, async () => backendOf(await startRedis({ engine })));

  describeLaws(`${engine} behind Sentinels`, async () =>
    backendOf(await startSentinelGroup({ engine })),
  );

  describeLaws(`a ${engine} Cluster of 3 masters and 3 replicas`, async () =>
    backendOf(await startRedisCluster({ engine })),
  );
}

describe.each(ENGINES)('a connection to %s', (engine) => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis({ engine, password: 'pässwörd/1@' });
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });
  const clientCount = async () =>
    (await server.cli('client', 'list'))
      .split('\n')
      .filter((line) => line.includes('name=evergate')).length;

  test('is one connection, whatever is asked at once, and status says connected', async () => {
    await using state = await connectRedisState(redisConfig(server.url), testRuntime());
    await Promise.all(
      Array.from({ length: 1000 }, (_, i) => state.set(`k${i}`, new Uint8Array(1), 1_000)),
    );
    expect(state.connections()).toBe(1);
    expect(await clientCount()).toBe(1);
    expect(state.status()).toBe('connected');
  });

  test('leaves nothing behind after 20 openings and closings', async () => {
    for (let cycle = 0; cycle < 20; cycle++) {
      await using state = await connectRedisState(redisConfig(server.url), testRuntime());
      await state.set('k', new Uint8Array(1), 1_000);
    }
    await expect.poll(clientCount).toBe(0);
  });

  test('is over when closed: operations reject and nothing is connected', async () => {
    const state = await connectRedisState(redisConfig(server.url), testRuntime());
    await state[Symbol.asyncDispose]();
    await state[Symbol.asyncDispose]();
    await expect(state.get('k')).rejects.toThrow('the shared state failed at get');
    expect(state.connections()).toBe(0);
    expect(state.status()).toBe('disconnected');
  });

  test('sends scripts again that the server has forgotten', async () => {
    await using state = await connectRedisState(redisConfig(server.url), testRuntime());
    expect(await state.increment('flushed', 1, 60_000)).toBe(1);
    await server.cli('script', 'flush');
    expect(await state.increment('flushed', 1, 60_000)).toBe(2);
    const sums = await Promise.all([1, 2, 3].map(() => state.increment('flushed', 1, 60_000)));
    expect(sums).toEqual([3, 4, 5]);
  });

  test('writes keys with the prefix and a time to live, and nothing else', async () => {
    await server.cli('flushall');
    const config = { ...redisConfig(server.url), keyPrefix: 'shop:' };
    await using state = await connectRedisState(config, testRuntime());
    await state.set('a', new Uint8Array(1), 60_000);
    await state.increment('b', 1, 60_000);
    await state.compareAndSet('c', undefined, new Uint8Array(1), 60_000);
    await state.compareAndSet('c', new Uint8Array(1), new Uint8Array(2), 60_000);
    await state.setIfAbsent('d', new Uint8Array(1), 60_000);
    expect((await server.cli('keys', '*')).split('\n').sort()).toEqual([
      'shop:a',
      'shop:b',
      'shop:c',
      'shop:d',
    ]);
    for (const key of ['shop:a', 'shop:b', 'shop:c', 'shop:d']) {
      expect(Number(await server.cli('pttl', key))).toBeGreaterThan(0);
    }
  });

  test('can be encrypted: a certificate that we trust is accepted, any other is not', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'evergate-tls-'));
    const [key, certificate] = [join(directory, 'key.pem'), join(directory, 'certificate.pem')];
    ensureDebianPackage(['openssl'], ['openssl']);
    const request = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2';
    const subject = '-subj /CN=test -addext subjectAltName=IP:127.0.0.1';
    const files = ['-keyout', key, '-out', certificate];
    await run('openssl', [...request.split(' '), ...subject.split(' '), ...files]);
    const tlsPort = await freeTcpPort();
    const settings = `--tls-port ${tlsPort} --tls-auth-clients no --tls-cert-file ${certificate}`;
    await using encrypted = await startRedis({
      engine,
      args: [...settings.split(' '), '--tls-key-file', key, '--tls-ca-cert-file', certificate],
    });
    const config = { ...redisConfig(`rediss://127.0.0.1:${tlsPort}`), connectionTimeoutMs: 500 };
    await using distrustful = await connectRedisState(config, testRuntime());
    expect(distrustful.status()).toBe('disconnected');

    const trusted = getCACertificates();
    setDefaultCACertificates([...trusted, await readFile(certificate, 'utf8')]);
    await using state = await connectRedisState(config, testRuntime());
    setDefaultCACertificates(trusted);
    const values = await Promise.all(
      Array.from({ length: 100 }, () => state.increment('n', 1, 60_000)),
    );
    expect(values.at(-1)).toBe(100);
    expect(await encrypted.cli('get', 'evergate:n')).toBe('100');
    await rm(directory, { recursive: true });
  });

  test('counts every operation in the latency histogram, and says that it is connected', async () => {
    const runtime = testRuntime();
    await using state = await connectRedisState(redisConfig(server.url), runtime);
    await state.get('k');
    await state.get('k');
    await state.ping();
    const text = await runtime.metrics.text();
    expect(text).toContain('radius_backend_latency_seconds_count{operation="get"} 2');
    expect(text).toContain('radius_backend_latency_seconds_count{operation="ping"} 1');
    for (const le of ['0.001', '0.01', '0.1', '+Inf']) {
      expect(text).toContain(`radius_backend_latency_seconds_bucket{operation="get",le="${le}"}`);
    }
    expect(text).toContain('evergate_state_connected 1');
  });

  test('with a wrong password rejects with the reason, and shows neither password nor value', async () => {
    const runtime = testRuntime();
    await using state = await connectRedisState(
      redisConfig(server.url.replace(/:[^:@]+@/, ':wrong-secret@')),
      runtime,
    );
    expect(state.status()).toBe('disconnected');
    const error: unknown = await state
      .set('k', Buffer.from('a-value'), 1_000)
      .catch((e: unknown) => e);
    const shown = JSON.stringify([messagesOf(error), runtime.lines]);
    expect(shown).toContain('WRONGPASS');
    expect(shown).not.toMatch(/wrong-secret|a-value|pässwörd/);
    expect(await runtime.metrics.text()).toContain(
      'evergate_state_errors_total{operation="set"} 1',
    );
  });
});

function messagesOf(error: unknown): string[] {
  return error instanceof Error ? [error.message, ...messagesOf(error.cause)] : [];
}

function backendOf(server: AsyncDisposable & { url: string }): Backend {
  return {
    connect: (keyPrefix) =>
      connectRedisState({ ...redisConfig(server.url), keyPrefix }, testRuntime()),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** One memory for each cluster, shared by its nodes. */
function memories(): (keyPrefix: string) => MemoryState {
  const byPrefix = new Map<string, MemoryState>();
  return (keyPrefix) => {
    const memory = byPrefix.get(keyPrefix) ?? createMemoryState({ clock: systemClock() });
    byPrefix.set(keyPrefix, memory);
    return memory;
  };
}

function channelOf(port: MessagePort): Channel {
  return {
    send: (message) => port.postMessage(message),
    onMessage: (listener) => void port.on('message', listener),
  };
}

function disposedOfBy(close: () => void): AsyncDisposable {
  return {
    [Symbol.asyncDispose]: () => {
      close();
      return Promise.resolve();
    },
  };
}
