// What all implementations share is in tests/contract/shared-state-laws.ts; this is what memory adds.

import { expect, test } from 'vitest';
import { manualClock } from '../../../tests/contract/shared-state-clock.ts';
import { createMetrics } from '../../runtime/metrics.ts';
import { createMemoryState } from './memory.ts';

const value = Buffer.from('v');

test('a value is there until its time to live is over, and not at that moment any more', async () => {
  const clock = manualClock();
  const state = createMemoryState({ clock });
  await state.set('k', value, 100);
  await clock.advance(99);
  expect(await state.get('k')).toEqual(value);
  await clock.advance(1);
  expect(await state.get('k')).toBeUndefined();
});

test('what has expired leaves the memory although nobody asks for it', async () => {
  const clock = manualClock();
  const state = createMemoryState({ clock });
  for (let i = 0; i < 1_000; i++) await state.set(`old-${i}`, value, 10);
  await clock.advance(20);
  for (let i = 0; i < 1_000; i++) await state.set(`new-${i}`, value, 60_000);
  expect(state.size()).toBe(1_000);
});

test('a full memory makes room, and what lives long outlives a flood of short-lived keys', async () => {
  const clock = manualClock();
  const metrics = createMetrics({ processMetrics: false });
  const state = createMemoryState({ clock, metrics, maxEntries: 100 });
  for (let i = 0; i < 10; i++) await state.set(`seat-${i}`, value, 3_600_000);
  for (let i = 0; i < 5_000; i++) await state.increment(`flood-${i}`, 1, 60_000);
  expect(state.size()).toBe(100);
  expect(await state.keys('seat-', 100)).toHaveLength(10);
  expect(await metrics.text()).toContain('evergate_state_evictions_total 4910');
});

test('entries are what is alive, with the time that they have left', async () => {
  const clock = manualClock();
  const state = createMemoryState({ clock });
  await state.set('a', value, 100);
  await state.increment('n', 7, 50);
  await state.set('gone', value, 10);
  await clock.advance(20);
  expect([...state.entries()]).toEqual([
    { key: 'a', value, ttlMs: 80 },
    { key: 'n', value: Buffer.from('7'), ttlMs: 30 },
  ]);
});

test('operations are counted in the latency histogram', async () => {
  const metrics = createMetrics({ processMetrics: false });
  const state = createMemoryState({ clock: manualClock(), metrics });
  await state.get('k');
  await state.get('k');
  expect(await metrics.text()).toContain(
    'radius_backend_latency_seconds_bucket{operation="get",le="0.001"} 2',
  );
});

test('a time to live that is no number stops the process instead of lasting for ever', () => {
  const state = createMemoryState({ clock: manualClock() });
  expect(() => state.set('k', value, NaN)).toThrow('a time to live of NaN ms');
  expect(() => state.set('k', value, Infinity)).toThrow('a time to live of Infinity ms');
});
