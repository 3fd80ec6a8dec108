import { expect, test } from 'vitest';
import { SharedStateUnavailable } from '../../domain/shared-state.ts';
import { systemClock } from '../../runtime/clock.ts';
import { createMetrics } from '../../runtime/metrics.ts';
import { createRateLimit } from './rate-limit.ts';

function runtimeAt(nowMs: () => number) {
  return { clock: { ...systemClock(), nowMs }, metrics: createMetrics({ processMetrics: false }) };
}

function sharedCounts() {
  const counts = new Map<string, number>();
  return {
    increment: (key: string, by: number) => {
      counts.set(key, (counts.get(key) ?? 0) + by);
      return Promise.resolve(counts.get(key) ?? 0);
    },
  };
}

test('two gateways count together, and a new minute begins anew', async () => {
  let nowMs = 60_000 * 100 + 45_000;
  const state = sharedCounts();
  const [one, other] = [
    createRateLimit(
      state,
      runtimeAt(() => nowMs),
    ),
    createRateLimit(
      state,
      runtimeAt(() => nowMs),
    ),
  ];
  expect(await one.count('key:a', 2)).toEqual({
    kind: 'within',
    limit: 2,
    remaining: 1,
    resetSeconds: 15,
  });
  expect(await other.count('key:a', 2)).toMatchObject({ kind: 'within', remaining: 0 });
  expect(await one.count('key:a', 2)).toMatchObject({ kind: 'exceeded', resetSeconds: 15 });
  expect(await one.count('key:b', 2)).toMatchObject({ kind: 'within' });
  nowMs += 15_000;
  expect(await one.count('key:a', 2)).toMatchObject({ kind: 'within', resetSeconds: 60 });
});

test('a shared state that refuses is said to be unavailable', async () => {
  const increment = () => Promise.reject(new SharedStateUnavailable('away'));
  const limit = createRateLimit(
    { increment },
    runtimeAt(() => 0),
  );
  expect(await limit.count('key:a', 2)).toEqual({ kind: 'unavailable' });
});
