// One incarnation of a node: from its start to its crash. After a crash nothing that it had begun has
// any effect: timers do not fire, packets do not leave, stores do not answer. A paused node (SIGSTOP,
// a virtual machine that is being moved) does all of it, later.

import type { Clock } from '../../src/runtime/clock.ts';
import type { Scheduler } from './scheduler.ts';

/** Friday, 20 November 2026, noon UTC. */
export const WORLD_BEGAN_AT_MS = Date.UTC(2026, 10, 20, 12);

export type Life = {
  readonly isAlive: boolean;
  /** Runs it now, when the pause is over, or never. */
  run(action: () => void): void;
  /** The promise's outcome as this node comes to see it, or nothing for ever. */
  await<T>(promise: Promise<T>): Promise<T>;
  pause(durationMs: number): void;
  end(): void;
};

export function beginLife(scheduler: Scheduler): Life {
  let isAlive = true;
  let pausedUntilMs = 0;

  const life: Life = {
    get isAlive() {
      return isAlive;
    },
    run(action) {
      if (!isAlive) return;
      const waitMs = pausedUntilMs - scheduler.nowMs;
      if (waitMs <= 0) action();
      else scheduler.at(waitMs, () => life.run(action));
    },
    await: (promise) =>
      new Promise((resolve, reject) => {
        promise.then(
          (value) => life.run(() => resolve(value)),
          (error: unknown) => life.run(() => reject(error)),
        );
      }),
    pause(durationMs) {
      pausedUntilMs = Math.max(pausedUntilMs, scheduler.nowMs + durationMs);
    },
    end() {
      isAlive = false;
    },
  };
  return life;
}

/** `wall.offsetMs`: how wrong the node's idea of the date is; it may change at any time. */
export function lifeClock(scheduler: Scheduler, life: Life, wall: { offsetMs: number }): Clock {
  // Like a machine's: it counts from the boot, and a restarted process does not see it begin anew.
  const bootedAtMs = -5_000;
  const after = (delayMs: number, action: () => void) =>
    scheduler.at(delayMs, () => life.run(action));

  return {
    nowMs: () => WORLD_BEGAN_AT_MS + scheduler.nowMs + wall.offsetMs,
    monotonicMs: () => scheduler.nowMs - bootedAtMs,
    after,
    every(periodMs, action) {
      let isStopped = false;
      const repeat = () => {
        if (isStopped || !life.isAlive) return;
        action();
        after(periodMs, repeat);
      };
      after(periodMs, repeat);
      return {
        [Symbol.dispose]() {
          isStopped = true;
        },
      };
    },
    sleep: (delayMs, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted === true) return resolve();
        const timer = after(delayMs, resolve);
        signal?.addEventListener('abort', () => {
          timer[Symbol.dispose]();
          resolve();
        });
      }),
    soon: (action) => void after(0, action),
  };
}
