// How many Access-Requests an address may send per minute, counted for the whole cluster.
//
// The count is in the shared state, so spreading over nodes gains nothing. A node takes permits from
// it in small blocks and hands them out from memory; what it has not used when the minute ends is
// lost, so the limit can be missed from below (by 1 % per node at most) and never from above.

import type { Clock } from '../../runtime/clock.ts';
import type { SharedState } from '../../domain/shared-state.ts';

export type RateLimit = {
  /** True if one more request may pass. Answers at once while the node holds permits. */
  take(address: string): boolean | Promise<boolean>;
  sweep(): void;
};

const WINDOW_MS = 60_000;
/** Addresses counted at once; a router may be a whole network, and whoever forges has all of it. */
const MAX_WINDOWS = 100_000;

type Window = {
  minute: number;
  permits: number;
  isSpent: boolean;
  refill: Promise<void> | undefined;
};

/** `perMinute` 0 is unlimited. When the shared state rejects, so does `take`. */
export function createRateLimit(options: {
  perMinute: number;
  state: SharedState;
  clock: Clock;
}): RateLimit {
  const { perMinute, state, clock } = options;
  const block = Math.max(1, Math.floor(perMinute / 100));
  const windows = new Map<string, Window>();

  async function refill(address: string, window: Window): Promise<void> {
    const key = `rate:${address}:${String(window.minute)}`;
    // The window may be read a little late on another node's clock: two windows of life are enough.
    const taken = await state.increment(key, block, 2 * WINDOW_MS);
    const granted = Math.min(block, perMinute - (taken - block));
    if (granted > 0) window.permits += granted;
    else window.isSpent = true;
  }

  async function takeAfterRefill(address: string, window: Window): Promise<boolean> {
    while (window.permits === 0 && !window.isSpent) {
      window.refill ??= refill(address, window).finally(() => {
        window.refill = undefined;
      });
      await window.refill;
    }
    if (window.permits === 0) return false;
    window.permits--;
    return true;
  }

  return {
    take(address) {
      if (perMinute === 0) return true;
      const minute = Math.floor(clock.nowMs() / WINDOW_MS);
      let window = windows.get(address);
      if (window === undefined || window.minute !== minute) {
        if (windows.size >= MAX_WINDOWS) dropOldest(windows);
        window = { minute, permits: 0, isSpent: false, refill: undefined };
        windows.set(address, window);
      }
      if (window.permits > 0) {
        window.permits--;
        return true;
      }
      if (window.isSpent) return false;
      return takeAfterRefill(address, window);
    },

    sweep() {
      const minute = Math.floor(clock.nowMs() / WINDOW_MS);
      for (const [address, window] of windows) {
        if (window.minute < minute) windows.delete(address);
      }
    },
  };
}

/** Its permits are lost, not its count: that is in the shared state. */
function dropOldest(windows: Map<string, Window>) {
  const oldest = windows.keys().next();
  if (oldest.done !== true) windows.delete(oldest.value);
}
