// The shared state of the simulated cluster: one memory that all nodes reach over a network. A call
// takes effect when it arrives there, not when its answer comes back, and may do so although the
// caller saw nothing but a time-out.

import { SharedStateUnavailable } from '../../src/domain/shared-state.ts';
import type { SharedState } from '../../src/domain/shared-state.ts';
import { createMemoryState } from '../../src/stores/state/memory.ts';
import type { Chance } from './chance.ts';
import type { Life } from './life.ts';
import { lifeClock } from './life.ts';
import type { Scheduler } from './scheduler.ts';

/**
 * `away`: nothing arrives. `deaf`: calls arrive and take effect, their answers are lost. `slow`: some
 * answers come after the time-out.
 */
type StateMode = 'up' | 'slow' | 'away' | 'deaf';

/** How to break it on purpose. `not-atomic`: what should be one step is a read and, later, a write. */
export type StateFlaw = 'none' | 'not-atomic';

export type SimulatedState = {
  mode: StateMode;
  /** Of which nodes the link is cut. */
  readonly cutOff: Set<string>;
  readonly flaw: StateFlaw;
  /** Restarted without its memory. Nodes notice that their connections broke. */
  restartEmpty(): void;
  /** A replica takes over that has not seen the last so many writes. Nodes notice as above. */
  failOver(lostWrites: number): Promise<void>;
  /** When a node last got no answer, and when something was last forgotten; -Infinity: never. */
  readonly silentAtMs: number;
  readonly forgotAtMs: number;
  /** Since when the others can learn where this node is; Infinity: they cannot. */
  announcedAtMs(node: string): number;
  /** Called when something is asked. True: it never arrives, as when its node dies at this moment. */
  onCall: ((node: string, operation: keyof SharedState, key: string) => boolean) | undefined;
  /** Called when something has taken effect and its answer is still on its way. */
  onEffect: ((node: string, operation: keyof SharedState, key: string) => void) | undefined;
  connect(node: string, life: Life): SharedState;
  onReconnected(life: Life, listener: () => void): void;
};

const COMMAND_TIMEOUT_MS = 200;
const NOTICED_AFTER_MS = 50;
/** What a failover can lose at most. */
const MAX_LOST_WRITES = 200;
const ANNOUNCEMENT = 'radius_peer:';
const RESTORED_TTL_MS = 60_000;

export function createSimulatedState(
  scheduler: Scheduler,
  chance: Chance,
  flaw: StateFlaw = 'none',
): SimulatedState {
  const neverDies: Life = {
    isAlive: true,
    run: (action) => action(),
    await: (promise) => promise,
    pause: () => undefined,
    end: () => undefined,
  };
  const clock = lifeClock(scheduler, neverDies, { offsetMs: 0 });
  const newMemory = () => {
    const memory = withReplica(createMemoryState({ clock }));
    return flaw === 'none'
      ? memory
      : { ...withoutAtomicity(memory, scheduler, chance), failOver: memory.failOver };
  };
  let memory = newMemory();
  let silentAtMs = -Infinity;
  let forgotAtMs = -Infinity;
  const announced = new Map<string, number>();
  const listeners: { life: Life; listener: () => void }[] = [];

  async function call<T>(
    node: string,
    operation: keyof SharedState,
    key: string,
    effect: (state: SharedState) => Promise<T>,
  ): Promise<T> {
    const isAway = simulated.mode === 'away' || simulated.cutOff.has(node);
    if (isAway || simulated.onCall?.(node, operation, key) === true) {
      return timeOut(operation, COMMAND_TIMEOUT_MS);
    }
    const isSlow = simulated.mode === 'slow' && chance.happens(0.3);
    const thereMs = chance.between(0, 2) + (isSlow ? chance.between(50, 300) : 0);
    const backMs = chance.between(0, 2) + (isSlow ? chance.between(50, 300) : 0);
    await scheduler.sleep(thereMs);
    const result = await effect(memory);
    if (key.startsWith(ANNOUNCEMENT) && operation === 'set' && !announced.has(node)) {
      announced.set(node, scheduler.nowMs);
    }
    simulated.onEffect?.(node, operation, key);
    if (simulated.mode === 'deaf' || thereMs + backMs > COMMAND_TIMEOUT_MS) {
      return timeOut(operation, Math.max(0, COMMAND_TIMEOUT_MS - thereMs));
    }
    await scheduler.sleep(backMs);
    return result;
  }

  async function timeOut(operation: string, afterMs: number): Promise<never> {
    await scheduler.sleep(afterMs);
    silentAtMs = scheduler.nowMs;
    throw new SharedStateUnavailable(`no answer to ${operation}`);
  }

  function noticed() {
    forgotAtMs = scheduler.nowMs;
    announced.clear();
    for (const { life, listener } of listeners) {
      scheduler.at(NOTICED_AFTER_MS, () => life.run(listener));
    }
  }

  const simulated: SimulatedState = {
    mode: 'up',
    cutOff: new Set(),
    flaw,
    onCall: undefined,
    onEffect: undefined,
    restartEmpty() {
      memory = newMemory();
      noticed();
    },
    async failOver(lostWrites) {
      await memory.failOver(lostWrites);
      noticed();
    },
    get silentAtMs() {
      return silentAtMs;
    },
    get forgotAtMs() {
      return forgotAtMs;
    },
    announcedAtMs: (node) => announced.get(node) ?? Infinity,
    onReconnected: (life, listener) => void listeners.push({ life, listener }),

    connect(node, life) {
      announced.delete(node);
      const ask = <T>(
        operation: keyof SharedState,
        key: string,
        effect: (state: SharedState) => Promise<T>,
      ) => life.await(call(node, operation, key, effect));
      return {
        get: (key) => ask('get', key, (state) => state.get(key)),
        set: (key, value, ttlMs) => ask('set', key, (state) => state.set(key, value, ttlMs)),
        delete: (key) => ask('delete', key, (state) => state.delete(key)),
        exists: (key) => ask('exists', key, (state) => state.exists(key)),
        keys: (prefix, limit) => ask('keys', prefix, (state) => state.keys(prefix, limit)),
        setIfAbsent: (key, value, ttlMs) =>
          ask('setIfAbsent', key, (state) => state.setIfAbsent(key, value, ttlMs)),
        increment: (key, by, ttlMs) =>
          ask('increment', key, (state) => state.increment(key, by, ttlMs)),
        compareAndSet: (key, expected, next, ttlMs) =>
          ask('compareAndSet', key, (state) => state.compareAndSet(key, expected, next, ttlMs)),
        ping: () => ask('ping', '', (state) => state.ping()),
      };
    },
  };
  return simulated;
}

/** Remembers what was there before each of the latest writes. Only those that change something count. */
function withReplica(
  state: SharedState,
): SharedState & { failOver(lostWrites: number): Promise<void> } {
  const writes: { key: string; before: Buffer | undefined }[] = [];

  async function write<T>(
    key: string,
    effect: () => Promise<T>,
    hasChanged: (result: T) => boolean,
  ): Promise<T> {
    const before = await state.get(key);
    const result = await effect();
    if (!hasChanged(result)) return result;
    writes.push({ key, before });
    if (writes.length > MAX_LOST_WRITES) writes.shift();
    return result;
  }

  return {
    ...state,
    set: (key, value, ttlMs) =>
      write(
        key,
        () => state.set(key, value, ttlMs),
        () => true,
      ),
    delete: (key) => write(key, () => state.delete(key), Boolean),
    setIfAbsent: (key, value, ttlMs) =>
      write(
        key,
        () => state.setIfAbsent(key, value, ttlMs),
        (present) => present === undefined,
      ),
    increment: (key, by, ttlMs) =>
      write(
        key,
        () => state.increment(key, by, ttlMs),
        () => true,
      ),
    compareAndSet: (key, expected, next, ttlMs) =>
      write(key, () => state.compareAndSet(key, expected, next, ttlMs), Boolean),

    async failOver(lostWrites) {
      for (const { key, before } of writes.splice(-lostWrites).toReversed()) {
        if (before === undefined) await state.delete(key);
        else await state.set(key, before, RESTORED_TTL_MS);
      }
    },
  };
}

/** What a careless implementation over GET and SET would do. */
function withoutAtomicity(state: SharedState, scheduler: Scheduler, chance: Chance): SharedState {
  const meanwhile = () => scheduler.sleep(chance.between(0, 4));
  return {
    ...state,
    async setIfAbsent(key, value, ttlMs) {
      const present = await state.get(key);
      if (present !== undefined) return present;
      await meanwhile();
      await state.set(key, value, ttlMs);
      return undefined;
    },
    async increment(key, by, ttlMs) {
      const present = Number((await state.get(key)) ?? 0);
      await meanwhile();
      await state.set(key, Buffer.from(String(present + by)), ttlMs);
      return present + by;
    },
    async compareAndSet(key, expected, next, ttlMs) {
      const present = await state.get(key);
      const isSame = expected === undefined ? present === undefined : present?.equals(expected);
      if (isSame !== true) return false;
      await meanwhile();
      if (next === undefined) await state.delete(key);
      else await state.set(key, next, ttlMs);
      return true;
    },
  };
}
