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
  /** Called when something has taken effect and its answer is still on its way. */
  onEffect: ((node: string, operation: keyof SharedState, key: string) => void) | undefined;
  connect(node: string, life: Life): SharedState;
  onReconnected(life: Life, listener: () => void): void;
};

const COMMAND_TIMEOUT_MS = 200;
const NOTICED_AFTER_MS = 50;

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
    const memory = createMemoryState({ clock });
    return flaw === 'none' ? memory : withoutAtomicity(memory, scheduler, chance);
  };
  let memory: SharedState = newMemory();
  const listeners: { life: Life; listener: () => void }[] = [];

  async function call<T>(
    node: string,
    operation: keyof SharedState,
    key: string,
    effect: (state: SharedState) => Promise<T>,
  ): Promise<T> {
    const arrives = simulated.mode !== 'away' && !simulated.cutOff.has(node);
    if (!arrives) return timeOut(operation, COMMAND_TIMEOUT_MS);
    const isSlow = simulated.mode === 'slow' && chance.happens(0.3);
    const thereMs = chance.between(0, 2) + (isSlow ? chance.between(50, 300) : 0);
    const backMs = chance.between(0, 2) + (isSlow ? chance.between(50, 300) : 0);
    await scheduler.sleep(thereMs);
    const result = await effect(memory);
    simulated.onEffect?.(node, operation, key);
    if (simulated.mode === 'deaf' || thereMs + backMs > COMMAND_TIMEOUT_MS) {
      return timeOut(operation, Math.max(0, COMMAND_TIMEOUT_MS - thereMs));
    }
    await scheduler.sleep(backMs);
    return result;
  }

  async function timeOut(operation: string, afterMs: number): Promise<never> {
    await scheduler.sleep(afterMs);
    throw new SharedStateUnavailable(`no answer to ${operation}`);
  }

  const simulated: SimulatedState = {
    mode: 'up',
    cutOff: new Set(),
    flaw,
    onEffect: undefined,
    restartEmpty() {
      memory = newMemory();
      for (const { life, listener } of listeners) {
        scheduler.at(NOTICED_AFTER_MS, () => life.run(listener));
      }
    },
    onReconnected: (life, listener) => void listeners.push({ life, listener }),

    connect(node, life) {
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
