// The shared, short-lived state of a cluster: EAP conversations, stored answers, rate limits, seats.
// One small interface; memory, Valkey/Redis, Sentinel and Cluster keep it (src/stores/state/), and
// tests/contract/ holds all of them to it. Everything in it can be rebuilt: truth is in PostgreSQL.

/**
 * A store that is away, slow or wrong rejects with `SharedStateUnavailable` within the configured
 * command time-out; it never hangs. Every write carries its time to live in the same atomic step.
 * Keys are given without the cluster's prefix; the implementation adds it.
 */
export type SharedState = {
  get(key: string): Promise<Buffer | undefined>;
  set(key: string, value: Uint8Array, ttlMs: number): Promise<void>;
  /** True if the key was there. */
  delete(key: string): Promise<boolean>;
  exists(key: string): Promise<boolean>;
  /** At most `limit` keys that begin with `prefix`, in no particular order; a scan, never for the hot path. */
  keys(prefix: string, limit: number): Promise<string[]>;
  /** Undefined if the value was stored, else the value that was there already. */
  setIfAbsent(key: string, value: Uint8Array, ttlMs: number): Promise<Buffer | undefined>;
  /** Adds and returns the sum. The time to live counts from the first increment and is not extended. */
  increment(key: string, by: number, ttlMs: number): Promise<number>;
  /**
   * Replaces `expected` (undefined: the key must be absent) by `next` (undefined: delete the key).
   * False, and nothing changed, if the present value is another.
   */
  compareAndSet(
    key: string,
    expected: Uint8Array | undefined,
    next: Uint8Array | undefined,
    ttlMs: number,
  ): Promise<boolean>;
  /** Resolves with the round trip in milliseconds. */
  ping(): Promise<number>;
};

/** The shared state could not answer in time, or answered with an error. `cause` has the reason. */
export class SharedStateUnavailable extends Error {
  override name = 'SharedStateUnavailable';
}
