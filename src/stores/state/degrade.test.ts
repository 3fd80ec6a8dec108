import { describe, expect, test } from 'vitest';
import { manualRuntime } from '../../../tests/contract/shared-state-clock.ts';
import { SharedStateUnavailable } from '../../domain/shared-state.ts';
import type { SharedState } from '../../domain/shared-state.ts';
import { withFallback } from './degrade.ts';
import type { OnFailure } from './degrade.ts';
import { createMemoryState } from './memory.ts';

const value = Buffer.from('v');
const TTL_MS = 60_000;

/** A shared state that a test can take away, wholly or for writes only. */
function setUp(onFailure: OnFailure) {
  const runtime = manualRuntime();
  const shared = createMemoryState({ clock: runtime.clock });
  const fault = { isAway: false, isReadOnly: false, asked: 0 };
  const reads = ['get', 'exists', 'keys', 'ping'];
  const primary = new Proxy<SharedState>(shared, {
    get(target, name: keyof SharedState) {
      const method = target[name] as (...args: unknown[]) => Promise<unknown>;
      return (...args: unknown[]) => {
        fault.asked++;
        const fails = fault.isAway || (fault.isReadOnly && !reads.includes(name));
        return fails ? Promise.reject(new SharedStateUnavailable('away')) : method(...args);
      };
    },
  });
  const state = withFallback(primary, { onFailure, runtime, probeEveryMs: 250 });
  let recoveries = 0;
  state.onRecovered(() => recoveries++);
  return { runtime, shared, fault, state, recoveries: () => recoveries };
}

describe('degrade', () => {
  test('passes everything through while all is well', async () => {
    const { state, shared } = setUp('degrade');
    await state.set('k', value, TTL_MS);
    expect(await shared.get('k')).toEqual(value);
    expect(state.isDegraded()).toBe(false);
  });

  test('answers from the node after the first failure, without asking again', async () => {
    const { state, fault } = setUp('degrade');
    fault.isAway = true;
    expect(await state.increment('n', 1, TTL_MS)).toBe(1);
    expect(state.isDegraded()).toBe(true);
    const asked = fault.asked;
    for (let i = 0; i < 100; i++) await state.increment('n', 1, TTL_MS);
    expect(await state.increment('n', 1, TTL_MS)).toBe(102);
    expect(fault.asked - asked).toBeLessThanOrEqual(1); // the probe
  });

  test('returns when the probe is answered, hands over what it wrote, and tells', async () => {
    const { state, fault, shared, runtime, recoveries } = setUp('degrade');
    await shared.set('both', Buffer.from('of another node'), TTL_MS);
    fault.isAway = true;
    await state.set('mine', value, TTL_MS);
    await state.set('both', value, TTL_MS);
    await runtime.clock.advance(1_000);
    expect(recoveries()).toBe(0);
    fault.isAway = false;
    await runtime.clock.advance(250);
    expect(recoveries()).toBe(1);
    expect(state.isDegraded()).toBe(false);
    expect(await shared.get('mine')).toEqual(value);
    expect((await shared.get('both'))?.toString()).toBe('of another node');
    expect([...shared.entries()].find(({ key }) => key === 'mine')?.ttlMs).toBe(TTL_MS - 1_250);
  });

  test('stays on the node while the state can be read but not written', async () => {
    const { state, fault, runtime, recoveries } = setUp('degrade');
    fault.isReadOnly = true;
    await state.set('k', value, TTL_MS);
    await runtime.clock.advance(5_000);
    expect(state.isDegraded()).toBe(true);
    expect(await state.get('k')).toEqual(value);
    fault.isReadOnly = false;
    await runtime.clock.advance(250);
    expect(recoveries()).toBe(1);
  });

  test('begins each outage with an empty memory', async () => {
    const { state, fault, runtime, shared } = setUp('degrade');
    fault.isAway = true;
    await state.set('k', value, TTL_MS);
    fault.isAway = false;
    await runtime.clock.advance(250);
    await shared.delete('k');
    fault.isAway = true;
    expect(await state.get('k')).toBeUndefined();
  });

  test('compares with what the caller has read when the node never saw the key', async () => {
    const { state, fault } = setUp('degrade');
    await state.set('k', value, TTL_MS);
    fault.isAway = true;
    const next = Buffer.from('next');
    expect(await state.compareAndSet('k', value, next, TTL_MS)).toBe(true);
    expect(await state.compareAndSet('k', value, next, TTL_MS)).toBe(false);
    expect(await state.compareAndSet('k', next, undefined, TTL_MS)).toBe(true);
    expect(await state.compareAndSet('new', undefined, next, TTL_MS)).toBe(true);
    expect(await state.compareAndSet('new', undefined, next, TTL_MS)).toBe(false);
  });

  test('does not take a mistake for an outage', async () => {
    const { state } = setUp('degrade');
    await expect(state.set('k', value, NaN)).rejects.toThrow('a time to live of NaN ms');
    expect(state.isDegraded()).toBe(false);
  });

  test('shows in the metrics', async () => {
    const { state, fault, runtime } = setUp('degrade');
    expect(await runtime.metrics.text()).toContain('evergate_state_degraded 0');
    fault.isAway = true;
    await state.get('k');
    await state.get('k');
    const text = await runtime.metrics.text();
    expect(text).toContain('evergate_state_degraded 1');
    expect(text).toContain('evergate_state_degraded_operations_total 2');
  });

  test('does not probe any more once disposed of', async () => {
    const { state, fault, runtime } = setUp('degrade');
    fault.isAway = true;
    await state.get('k');
    state[Symbol.dispose]();
    await runtime.clock.advance(250);
    const asked = fault.asked;
    await runtime.clock.advance(10_000);
    expect(fault.asked).toBe(asked);
  });
});

test('reject passes every error on, asks each time, and tells when the state is back', async () => {
  const { state, fault, runtime, recoveries } = setUp('reject');
  fault.isAway = true;
  await expect(state.get('k')).rejects.toThrow('away');
  await expect(state.set('k', value, TTL_MS)).rejects.toThrow('away');
  expect(state.isDegraded()).toBe(false);
  fault.isAway = false;
  await state.set('k', value, TTL_MS);
  await runtime.clock.advance(250);
  expect(recoveries()).toBe(1);
});
