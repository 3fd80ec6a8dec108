import { beforeEach, describe, expect, test } from 'vitest';
import type { Credential } from '../../domain/subscriber.ts';
import { virtualRuntime } from '../../../tests/simulation/virtual-runtime.ts';
import { subscriber } from '../../../tests/simulation/world.ts';
import { createCredentialCache, CredentialUnavailable } from './credential-cache.ts';
import type { CredentialCache } from './credential-cache.ts';

const MAX_AGE_MS = 60_000;
const STALE_MAX_AGE_MS = 3_600_000;

let runtime: ReturnType<typeof virtualRuntime>;
let cache: CredentialCache;
/** The names of each query. */
let queries: string[][];
let database: Map<string, Credential>;
let condition: 'up' | 'away' | 'hung';

beforeEach(() => {
  runtime = virtualRuntime();
  queries = [];
  database = new Map(['alice', 'bob'].map((name) => [name, subscriber(name)]));
  condition = 'up';
  cache = createCredentialCache({
    maxAgeMs: MAX_AGE_MS,
    staleMaxAgeMs: STALE_MAX_AGE_MS,
    runtime,
    async load(names) {
      queries.push(names);
      await runtime.clock.sleep(10);
      if (condition === 'hung') await runtime.clock.sleep(1e9);
      if (condition === 'away') throw new Error('away');
      return names.map((name) => database.get(name));
    },
  });
});

function find(name: string): Promise<Credential | null> {
  const answer = Promise.resolve(cache.find(name));
  return runtime.scheduler.until(answer, 5_000);
}

function pass(ms: number): Promise<void> {
  return runtime.scheduler.run(ms);
}

test('what is fresh is used as it is, without a promise', async () => {
  await find('alice');
  await pass(MAX_AGE_MS - 100);
  expect(cache.find('alice')).toMatchObject({ username: 'alice' });
  expect(queries).toEqual([['alice']]);
});

test('what is old is asked for again', async () => {
  await find('alice');
  await pass(MAX_AGE_MS + 1);
  database.set('alice', subscriber('alice', { disabled: true }));
  expect(await find('alice')).toMatchObject({ disabled: true });
  expect(queries).toHaveLength(2);
});

describe('while the database is away', () => {
  test('what is old is used', async () => {
    await find('alice');
    await pass(MAX_AGE_MS + 1);
    condition = 'away';
    expect(await find('alice')).toMatchObject({ username: 'alice' });
  });

  test('what is too old is not', async () => {
    await find('alice');
    await pass(STALE_MAX_AGE_MS + 1);
    condition = 'away';
    await expect(find('alice')).rejects.toThrow(CredentialUnavailable);
  });

  test('what was never known is unavailable, which is not the same as unknown', async () => {
    condition = 'away';
    await expect(find('carol')).rejects.toThrow(CredentialUnavailable);
  });

  test('a hung query is waited for no longer than a second, and after it nobody waits', async () => {
    await find('alice');
    await pass(MAX_AGE_MS + 1);
    condition = 'hung';
    const askedAtMs = runtime.clock.monotonicMs();
    expect(await find('alice')).toMatchObject({ username: 'alice' });
    expect(runtime.clock.monotonicMs() - askedAtMs).toBe(1_000);
    expect(await find('alice')).toMatchObject({ username: 'alice' });
    expect(runtime.clock.monotonicMs() - askedAtMs).toBe(1_000);
  });
});

describe('a change that was announced', () => {
  test('is seen at the next login', async () => {
    await find('alice');
    database.delete('alice');
    cache.forget('alice');
    expect(await find('alice')).toBeNull();
  });

  test('makes what is known unusable, also while the database is away', async () => {
    await find('alice');
    cache.forget('alice');
    condition = 'away';
    await expect(find('alice')).rejects.toThrow(CredentialUnavailable);
  });

  test('is not undone by an answer that was already on its way', async () => {
    const early = cache.find('alice');
    await pass(5); // asked, not answered
    database.set('alice', subscriber('alice', { disabled: true }));
    cache.forget('alice');
    await runtime.scheduler.until(Promise.resolve(early), 100);
    await find('alice');
    expect(queries).toEqual([['alice'], ['alice']]);
  });

  test('of a voucher reaches it however its code was typed', async () => {
    const voucher = { ...subscriber('ABCD-EFGH'), kind: 'voucher' as const };
    database.set('Abcd-Efgh', voucher);
    await find('Abcd-Efgh');
    database.set('Abcd-Efgh', { ...voucher, disabled: true });
    cache.forget('ABCD-EFGH');
    expect(await find('Abcd-Efgh')).toMatchObject({ disabled: true });
  });

  test('does not keep the answers of others from being kept', async () => {
    const early = cache.find('bob');
    await pass(5); // asked, not answered
    cache.forget('alice');
    await runtime.scheduler.until(Promise.resolve(early), 100);
    expect(cache.find('bob')).toMatchObject({ username: 'bob' });
  });

  test('may be of everybody', async () => {
    await find('alice');
    cache.forgetAll();
    condition = 'away';
    await expect(find('alice')).rejects.toThrow(CredentialUnavailable);
  });
});

describe('usage that has changed', () => {
  test('is asked for, and what is known still serves while the database is away', async () => {
    await find('alice');
    cache.refresh('alice');
    condition = 'away';
    expect(await find('alice')).toMatchObject({ username: 'alice' });
    expect(queries).toHaveLength(2);
  });

  test('is not hidden by an answer that was already on its way', async () => {
    const early = cache.find('alice');
    await pass(5); // asked, not answered
    cache.refresh('alice');
    await runtime.scheduler.until(Promise.resolve(early), 100);
    await find('alice');
    expect(queries).toEqual([['alice'], ['alice']]);
  });

  test('may be of everybody, when announcements were missed', async () => {
    await find('alice');
    await find('bob');
    cache.refreshAll();
    await find('alice');
    condition = 'away';
    expect(await find('bob')).toMatchObject({ username: 'bob' });
    expect(queries).toHaveLength(4);
  });
});

test('names that are asked for at once share a query, and a name is asked for once', async () => {
  const names = ['alice', 'bob', 'carol', 'alice', 'bob'];
  const found = await runtime.scheduler.until(
    Promise.all(names.map((each) => Promise.resolve(cache.find(each)))),
    50,
  );
  expect(found.map((each) => each?.username)).toEqual(['alice', 'bob', undefined, 'alice', 'bob']);
  expect(queries).toEqual([['alice', 'bob', 'carol']]);
});

test('who does not exist is believed not to for five seconds', async () => {
  expect(await find('carol')).toBeNull();
  database.set('carol', subscriber('carol'));
  await pass(4_900);
  expect(cache.find('carol')).toBeNull();
  await pass(200);
  expect(await find('carol')).toMatchObject({ username: 'carol' });
});

test('names that nobody has are few in memory, and displace no subscriber', async () => {
  await find('alice');
  const names = Array.from({ length: 60_000 }, (_, number) => `nobody-${String(number)}`);
  while (names.length > 0) {
    const found = names.splice(0, 15_000).map((name) => Promise.resolve(cache.find(name)));
    await runtime.scheduler.until(Promise.all(found), 5_000);
  }
  expect(cache.size).toBe(50_001);
  condition = 'away';
  expect(await find('alice')).toMatchObject({ username: 'alice' });
});
