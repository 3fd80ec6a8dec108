// A clock that stands still until the test moves it, and a runtime around it.

import { createMetrics } from '../../src/runtime/metrics.ts';
import { silentLog } from '../../src/runtime/log.ts';
import type { Clock } from '../../src/runtime/clock.ts';

export type ManualClock = Clock & {
  /** Moves time on and calls what became due, in order; promises get their turns in between. */
  advance(byMs: number): Promise<void>;
};

export function manualClock(): ManualClock {
  let nowMs = 1_000;
  const timers = new Set<{ atMs: number; action: () => void }>();
  const after = (delayMs: number, action: () => void): Disposable => {
    const timer = { atMs: nowMs + delayMs, action };
    timers.add(timer);
    return { [Symbol.dispose]: () => void timers.delete(timer) };
  };
  const every = (periodMs: number, action: () => void): Disposable => {
    let next = after(periodMs, again);
    function again() {
      next = after(periodMs, again);
      action();
    }
    return { [Symbol.dispose]: () => next[Symbol.dispose]() };
  };
  return {
    nowMs: () => nowMs,
    monotonicMs: () => nowMs,
    after,
    every,
    sleep: (delayMs, signal) =>
      new Promise((resolve) => {
        const timer = after(delayMs, resolve);
        signal?.addEventListener('abort', () => {
          timer[Symbol.dispose]();
          resolve();
        });
      }),
    soon: (action) => {
      setImmediate(action);
    },
    async advance(byMs) {
      const untilMs = nowMs + byMs;
      for (;;) {
        await everythingSettled();
        const [next] = [...timers].sort((a, b) => a.atMs - b.atMs);
        if (next === undefined || next.atMs > untilMs) break;
        timers.delete(next);
        nowMs = next.atMs;
        next.action();
      }
      nowMs = untilMs;
      await everythingSettled();
    },
  };
}

export function manualRuntime() {
  return {
    clock: manualClock(),
    log: silentLog(),
    metrics: createMetrics({ processMetrics: false }),
  };
}

async function everythingSettled(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}
