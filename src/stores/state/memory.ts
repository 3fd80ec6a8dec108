// The shared state of one process, in its own memory: the embedded default, and what each node falls
// back on while the real one is away (degrade.ts). Atomic because nothing here waits.
//
// Buffers that `get` and `setIfAbsent` return are the stored ones: read them, never write into them.
// Operations are counted in the latency histogram as 0 s, without asking the clock: they take less
// than a microsecond, far below the smallest bucket.

import type { Clock } from '../../runtime/clock.ts';
import type { Metrics } from '../../runtime/metrics.ts';
import { SharedStateUnavailable } from '../../domain/shared-state.ts';
import type { SharedState } from '../../domain/shared-state.ts';
import { createStateMetrics } from './state-metrics.ts';
import { wholeTtlMs } from './time-to-live.ts';

export type MemoryState = SharedState & {
  /** Entries held, those included that have expired and were not come across yet. */
  size(): number;
  /** What is alive, so that it can be handed over to another store. */
  entries(): Generator<{ key: string; value: Buffer; ttlMs: number }>;
};

export type MemoryStateOptions = {
  clock: Clock;
  metrics?: Metrics;
  /** When full, the entry of a sample of 16 that would expire first makes room: see `evictOne`. */
  maxEntries?: number;
};

/** A counter stays a number until somebody reads it as bytes. */
type Entry = { value: Buffer | number; expiresAtMs: number };

/** About 200 MB of conversations and answers. */
const DEFAULT_MAX_ENTRIES = 500_000;
/** More than one, so that what has expired leaves faster than what is new arrives. */
const SWEPT_PER_NEW_ENTRY = 2;
const EVICTION_SAMPLE = 16;

// Answers that are always the same need no new promise.
const DONE: Promise<undefined> = Promise.resolve(undefined);
const TRUE = Promise.resolve(true);
const FALSE = Promise.resolve(false);
const ZERO_MS = Promise.resolve(0);

export function createMemoryState(options: MemoryStateOptions): MemoryState {
  const { clock, maxEntries = DEFAULT_MAX_ENTRIES } = options;
  const latency = options.metrics && createStateMetrics(options.metrics).latencySeconds;
  const evictions = options.metrics
    ?.counter(
      'evergate_state_evictions_total',
      'Entries that left the full memory before their time',
    )
    .labels({});
  const entries = new Map<string, Entry>();
  let sweep = entries.entries();

  function live(key: string): Entry | undefined {
    const entry = entries.get(key);
    if (entry === undefined) return undefined;
    if (entry.expiresAtMs > clock.monotonicMs()) return entry;
    entries.delete(key);
    return undefined;
  }

  function store(key: string, value: Buffer | number, ttlMs: number) {
    const nowMs = clock.monotonicMs();
    const expiresAtMs = nowMs + wholeTtlMs(ttlMs);
    const present = entries.get(key);
    if (present !== undefined) {
      present.value = value;
      present.expiresAtMs = expiresAtMs;
      return;
    }
    sweepSome(nowMs);
    if (entries.size >= maxEntries) evictOne();
    entries.set(key, { value, expiresAtMs });
  }

  /** Goes round and round through all entries, a few steps at each new one. */
  function nextInSweep(): [string, Entry] | undefined {
    let step = sweep.next();
    if (step.done === true) {
      sweep = entries.entries();
      step = sweep.next();
    }
    return step.done === true ? undefined : step.value;
  }

  function sweepSome(nowMs: number) {
    for (let step = 0; step < SWEPT_PER_NEW_ENTRY; step++) {
      const found = nextInSweep();
      if (found === undefined) return;
      if (found[1].expiresAtMs <= nowMs) entries.delete(found[0]);
    }
  }

  /** A flood of new keys mostly evicts its own short-lived ones, and seats outlive it. */
  function evictOne() {
    let soonest: [string, Entry] | undefined;
    for (let sampled = 0; sampled < EVICTION_SAMPLE; sampled++) {
      const found = nextInSweep();
      if (found === undefined) break;
      if (soonest === undefined || found[1].expiresAtMs < soonest[1].expiresAtMs) soonest = found;
    }
    if (soonest === undefined) return;
    entries.delete(soonest[0]);
    evictions?.add();
  }

  return {
    get(key) {
      latency?.get.observe(0);
      const entry = live(key);
      return entry === undefined ? DONE : Promise.resolve(bytesOf(entry));
    },

    set(key, value, ttlMs) {
      latency?.set.observe(0);
      store(key, Buffer.from(value), ttlMs);
      return DONE;
    },

    delete(key) {
      latency?.delete.observe(0);
      const wasThere = live(key) !== undefined;
      if (wasThere) entries.delete(key);
      return wasThere ? TRUE : FALSE;
    },

    exists(key) {
      latency?.exists.observe(0);
      return live(key) === undefined ? FALSE : TRUE;
    },

    keys(prefix, limit) {
      latency?.keys.observe(0);
      const nowMs = clock.monotonicMs();
      const found: string[] = [];
      for (const [key, entry] of entries) {
        if (found.length >= limit) break;
        if (entry.expiresAtMs > nowMs && key.startsWith(prefix)) found.push(key);
      }
      return Promise.resolve(found);
    },

    setIfAbsent(key, value, ttlMs) {
      latency?.setIfAbsent.observe(0);
      const present = live(key);
      if (present !== undefined) return Promise.resolve(bytesOf(present));
      store(key, Buffer.from(value), ttlMs);
      return DONE;
    },

    increment(key, by, ttlMs) {
      latency?.increment.observe(0);
      const present = live(key);
      if (present === undefined) {
        store(key, by, ttlMs);
        return Promise.resolve(by);
      }
      const count = countOf(present);
      if (count === undefined) {
        return Promise.reject(new SharedStateUnavailable(`${key} does not hold a whole number`));
      }
      present.value = count + by;
      return Promise.resolve(count + by);
    },

    compareAndSet(key, expected, next, ttlMs) {
      latency?.compareAndSet.observe(0);
      const present = live(key);
      if (expected === undefined ? present !== undefined : !holds(present, expected)) return FALSE;
      if (next === undefined) entries.delete(key);
      else store(key, Buffer.from(next), ttlMs);
      return TRUE;
    },

    ping() {
      latency?.ping.observe(0);
      return ZERO_MS;
    },

    size: () => entries.size,

    *entries() {
      for (const [key, entry] of entries) {
        const ttlMs = entry.expiresAtMs - clock.monotonicMs();
        if (ttlMs > 0) yield { key, value: bytesOf(entry), ttlMs };
      }
    },
  };
}

/** As Redis shows a counter: in decimal. */
function bytesOf(entry: Entry): Buffer {
  return typeof entry.value === 'number' ? Buffer.from(String(entry.value)) : entry.value;
}

function holds(entry: Entry | undefined, expected: Uint8Array): boolean {
  return entry !== undefined && bytesOf(entry).equals(expected);
}

function countOf(entry: Entry): number | undefined {
  if (typeof entry.value === 'number') return entry.value;
  const text = entry.value.toString('latin1');
  return /^-?\d{1,15}$/.test(text) ? Number(text) : undefined;
}
