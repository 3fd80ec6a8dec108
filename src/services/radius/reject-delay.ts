// A wrong password is answered a little late, so that guessing is slow. RFC 2865 advises nothing;
// everybody who was guessed at does it. The wait is outside the request: nothing is held but bytes.

import type { Runtime } from '../../runtime/runtime.ts';

/** Rejects waiting at once; beyond this they leave without delay rather than fill the memory. */
const MAX_WAITING = 50_000;
/** Up to this share of the delay is added at random, so that the time tells nothing. */
const JITTER = 0.1;

export type RejectDelay = { wait(): Promise<void> | undefined };

export function createRejectDelay(delayMs: number, runtime: Runtime): RejectDelay {
  let waiting = 0;
  return {
    wait() {
      if (delayMs === 0 || waiting >= MAX_WAITING) return undefined;
      waiting++;
      return new Promise((resolve) => {
        runtime.clock.after(delayMs * (1 + JITTER * runtime.random.fraction()), () => {
          waiting--;
          resolve();
        });
      });
    },
  };
}
