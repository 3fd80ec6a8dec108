// What happens while the shared state is away: `state.on_failure`.
//
// degrade  The node goes on with a memory of its own. Limits and duplicates are then per node, and what
//          the node writes meanwhile is handed over when the shared state is back.
// reject   Errors reach the caller.
//
// The first failure opens a circuit: a dead store must not cost every packet its command time-out. From
// then on a probe in the background, and nobody else, waits for it; its first success closes the circuit.

import type { Runtime } from '../../runtime/runtime.ts';
import { SharedStateUnavailable } from '../../domain/shared-state.ts';
import type { SharedState } from '../../domain/shared-state.ts';
import { createMemoryState } from './memory.ts';
import type { MemoryState } from './memory.ts';

const ON_FAILURE = ['degrade', 'reject'] as const;
export type OnFailure = (typeof ON_FAILURE)[number];

export type FallbackState = SharedState &
  Disposable & {
    /** True while the node answers from its own memory. */
    isDegraded(): boolean;
    /** Calls each time the shared state is back: seats and the like may be missing in it. */
    onRecovered(listener: () => void): Disposable;
  };

export type FallbackOptions = {
  onFailure: OnFailure;
  runtime: Pick<Runtime, 'clock' | 'log' | 'metrics'>;
  probeEveryMs?: number;
};

const PROBE_EVERY_MS = 250;
const PROBE_KEY = 'state-probe';
const PROBE_TTL_MS = 1_000;
/** A hand-over must not take long: what is in this memory lives for seconds or minutes. */
const MAX_HANDED_OVER = 10_000;
const HANDED_OVER_AT_ONCE = 200;

export function withFallback(primary: SharedState, options: FallbackOptions): FallbackState {
  const { clock, log, metrics } = options.runtime;
  const { onFailure, probeEveryMs = PROBE_EVERY_MS } = options;
  const degradedGauge = metrics
    .gauge('evergate_state_degraded', '1 while this node answers from its own memory')
    .labels({});
  const degradedOperations = metrics
    .counter(
      'evergate_state_degraded_operations_total',
      'Operations that this node answered from its own memory, the shared state being away',
    )
    .labels({});
  degradedGauge.set(0);

  const listeners = new Set<() => void>();
  const stopped = new AbortController();
  let isAway = false;
  /** Only while the shared state is away: each outage begins with an empty memory. */
  let local: MemoryState | undefined;

  function noteFailure(error: SharedStateUnavailable) {
    if (isAway || stopped.signal.aborted) return;
    isAway = true;
    if (onFailure === 'degrade') {
      local = createMemoryState({ clock });
      degradedGauge.set(1);
    }
    log.warn('the shared state failed', { onFailure, error });
    void probeUntilBack();
  }

  async function probeUntilBack() {
    const awaySinceMs = clock.monotonicMs();
    while (!(await isBack())) {
      if (stopped.signal.aborted) return;
      await clock.sleep(probeEveryMs, stopped.signal);
    }
    const left = local;
    const handedOver = left === undefined ? 0 : await handOver(left, primary);
    isAway = false;
    local = undefined;
    degradedGauge.set(0);
    const awayMs = Math.round(clock.monotonicMs() - awaySinceMs);
    log.info('the shared state is back', { awayMs, handedOver });
    for (const listener of listeners) listener();
    // What was written during the first round.
    if (left !== undefined) await handOver(left, primary);
  }

  /** A store that can be read but not written, such as a replica, is not back. */
  async function isBack(): Promise<boolean> {
    try {
      await primary.ping();
      await primary.set(PROBE_KEY, new Uint8Array(0), PROBE_TTL_MS);
      return true;
    } catch {
      return false;
    }
  }

  async function call<Result>(
    operation: (state: SharedState) => Promise<Result>,
    degraded: (memory: MemoryState) => Promise<Result> = operation,
  ): Promise<Result> {
    if (local === undefined) {
      try {
        return await operation(primary);
      } catch (error) {
        if (!(error instanceof SharedStateUnavailable)) throw error;
        noteFailure(error);
        // Undefined also if it has come back in the meantime: then the error is the honest answer.
        if (local === undefined) throw error;
      }
    }
    degradedOperations.add();
    return await degraded(local);
  }

  return {
    get: (key) => call((state) => state.get(key)),
    set: (key, value, ttlMs) => call((state) => state.set(key, value, ttlMs)),
    delete: (key) => call((state) => state.delete(key)),
    exists: (key) => call((state) => state.exists(key)),
    keys: (prefix, limit) => call((state) => state.keys(prefix, limit)),
    setIfAbsent: (key, value, ttlMs) => call((state) => state.setIfAbsent(key, value, ttlMs)),
    increment: (key, by, ttlMs) => call((state) => state.increment(key, by, ttlMs)),
    compareAndSet: (key, expected, next, ttlMs) =>
      call(
        (state) => state.compareAndSet(key, expected, next, ttlMs),
        async (memory) => {
          // The caller read it before the shared state went away: this node's memory never saw it, and
          // what the caller knows is the best there is. So a conversation goes on, on its node.
          if (expected !== undefined) await memory.setIfAbsent(key, expected, ttlMs);
          return await memory.compareAndSet(key, expected, next, ttlMs);
        },
      ),
    ping: () => primary.ping(),
    isDegraded: () => local !== undefined,
    onRecovered: (listener) => {
      listeners.add(listener);
      return { [Symbol.dispose]: () => void listeners.delete(listener) };
    },
    [Symbol.dispose]: () => stopped.abort(),
  };
}

/** Never overwrites: what another node has written is as good. Resolves with the number of entries tried. */
async function handOver(from: MemoryState, to: SharedState): Promise<number> {
  let count = 0;
  let batch: Promise<unknown>[] = [];
  for (const { key, value, ttlMs } of from.entries()) {
    if (count >= MAX_HANDED_OVER) break;
    count++;
    // A failure here is the next outage's first: the next operation will see it.
    batch.push(to.setIfAbsent(key, value, ttlMs).catch(() => undefined));
    if (batch.length < HANDED_OVER_AT_ONCE) continue;
    await Promise.all(batch);
    batch = [];
  }
  await Promise.all(batch);
  return count;
}
