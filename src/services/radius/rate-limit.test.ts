import { describe, expect, test } from 'vitest';
import { SharedStateUnavailable } from '../../domain/shared-state.ts';
import { createMemoryState } from '../../stores/state/memory.ts';
import { virtualRuntime } from '../../../tests/simulation/virtual-runtime.ts';
import { createRateLimit } from './rate-limit.ts';

function cluster(perMinute: number, nodes: number) {
  const { clock, scheduler } = virtualRuntime();
  const memory = createMemoryState({ clock });
  const limits = Array.from({ length: nodes }, () =>
    createRateLimit({ perMinute, state: memory, clock }),
  );
  /** How many of these requests pass, asked in turn at each node. */
  const ask = async (requests: number, address = 'r1') => {
    const takes = Array.from({ length: requests }, (_, i) =>
      Promise.resolve(limits[i % nodes]?.take(address)),
    );
    const passed = await Promise.all(takes);
    return passed.filter((each) => each === true).length;
  };
  return { ask, limits, scheduler, clock };
}

test.each([1, 7, 60, 100])('a limit of %i is exact over two nodes', async (perMinute) => {
  expect(await cluster(perMinute, 2).ask(5 * perMinute)).toBe(perMinute);
});

test('a large limit is never exceeded, and missed by one block per node at most', async () => {
  const perMinute = 6_000;
  const { ask } = cluster(perMinute, 3);
  const passed = (await ask(2 * perMinute)) + (await ask(perMinute));
  expect(passed).toBeLessThanOrEqual(perMinute);
  expect(passed).toBeGreaterThan(perMinute - 3 * 60);
});

test('a new minute brings new permits, and each router has its own', async () => {
  const { ask, scheduler } = cluster(10, 2);
  expect(await ask(20)).toBe(10);
  expect(await ask(20)).toBe(0);
  expect(await ask(20, 'r2')).toBe(10);
  await scheduler.run(60_000);
  expect(await ask(20)).toBe(10);
});

test('while it holds permits it answers at once', async () => {
  const { limits } = cluster(6_000, 1);
  const [limit] = limits;
  expect(await limit?.take('r1')).toBe(true);
  expect(limit?.take('r1')).toBe(true);
});

test('more addresses than memory has room for are counted all the same', async () => {
  const { limits } = cluster(1, 1);
  const [limit] = limits;
  const take = (address: number) => Promise.resolve(limit?.take(String(address)));
  expect(await take(0)).toBe(true);
  for (let address = 1; address <= 100_000; address++) await take(address);
  expect(await take(0)).toBe(false);
});

test('0 is unlimited', () => {
  expect(cluster(0, 1).limits[0]?.take('r1')).toBe(true);
});

describe('when the shared state rejects', () => {
  test('so does the question, and the next one asks again', async () => {
    const { clock } = virtualRuntime();
    const memory = createMemoryState({ clock });
    let isAway = true;
    const state = {
      ...memory,
      increment: (key: string, by: number, ttlMs: number) =>
        isAway
          ? Promise.reject(new SharedStateUnavailable('away'))
          : memory.increment(key, by, ttlMs),
    };
    const limit = createRateLimit({ perMinute: 10, state, clock });
    await expect(limit.take('r1')).rejects.toThrow(SharedStateUnavailable);
    isAway = false;
    expect(await limit.take('r1')).toBe(true);
  });
});
