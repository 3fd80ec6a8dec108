// Every value of the shared state has an end; a time to live that is no number would make it immortal.

import assert from 'node:assert/strict';

/** Whole milliseconds, at least 1: what remains of a deadline that has just passed is kept for an instant. */
export function wholeTtlMs(ttlMs: number): number {
  assert(Number.isFinite(ttlMs), `a time to live of ${ttlMs} ms`);
  return ttlMs < 1 ? 1 : Math.ceil(ttlMs);
}
