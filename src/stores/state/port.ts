// The shared state over a message channel, so that the worker processes of one machine share the memory
// of their parent. A channel is a MessagePort, or a child process with `serialization: 'advanced'`.
//
// All operations of one turn of the event loop travel in one message, and so do their answers.

import type { Runtime } from '../../runtime/runtime.ts';
import { describeError } from '../../runtime/log.ts';
import { SharedStateUnavailable } from '../../domain/shared-state.ts';
import type { SharedState } from '../../domain/shared-state.ts';
import { createStateMetrics } from './state-metrics.ts';
import type { Operation } from './state-metrics.ts';

export type Channel = {
  send(message: unknown): void;
  onMessage(listener: (message: unknown) => void): void;
};

type Call = { id: number; operation: Operation; args: unknown[] };
type Answer = { id: number; value?: unknown; error?: string };
/** The calls that travel together and share a deadline. */
type Turn = { calls: Call[]; waiting: number; deadline: Disposable | undefined };
type Waiting = { resolve: (value: unknown) => void; reject: (error: Error) => void; turn: Turn };
/** Named, because other things may use the same channel. */
type Request = { sharedStateCalls: Call[] };
type Response = { sharedStateAnswers: Answer[] };

/** Answers the calls that come through the channel, for as long as it lives. */
export function serveState(state: SharedState, channel: Channel): void {
  async function answerAll(calls: Call[]) {
    const answers = await Promise.all(calls.map((call) => answer(state, call)));
    try {
      channel.send({ sharedStateAnswers: answers } satisfies Response);
    } catch {
      // The process that asked has ended: nobody waits for the answers.
    }
  }
  channel.onMessage((message) => {
    if (isRequest(message)) void answerAll(message.sharedStateCalls);
  });
}

export function connectStateThroughPort(
  channel: Channel,
  runtime: Pick<Runtime, 'clock' | 'metrics'>,
  timeouts: { commandTimeoutMs: number },
): SharedState {
  const { clock } = runtime;
  const metrics = createStateMetrics(runtime.metrics);
  const waiting = new Map<number, Waiting>();
  let lastId = 0;
  let turn: Turn | undefined;

  channel.onMessage((message) => {
    if (!isResponse(message)) return;
    for (const { id, value, error } of message.sharedStateAnswers) {
      settle(id, (call) =>
        error === undefined ? call.resolve(value) : call.reject(new Error(error)),
      );
    }
  });

  function settle(id: number, how: (call: Waiting) => void) {
    const call = waiting.get(id);
    if (call === undefined) return; // it came too late
    waiting.delete(id);
    how(call);
    call.turn.waiting--;
    if (call.turn.waiting === 0) call.turn.deadline?.[Symbol.dispose]();
  }

  function failAll(calls: Call[], error: Error) {
    for (const { id } of calls) settle(id, (call) => call.reject(error));
  }

  function openTurn(): Turn {
    const opened: Turn = { calls: [], waiting: 0, deadline: undefined };
    clock.soon(() => {
      turn = undefined;
      const { calls } = opened;
      const late = new Error(`no answer within ${timeouts.commandTimeoutMs} ms`);
      opened.deadline = clock.after(timeouts.commandTimeoutMs, () => failAll(calls, late));
      try {
        channel.send({ sharedStateCalls: calls } satisfies Request);
      } catch (cause) {
        failAll(calls, new Error('the channel is closed', { cause }));
      }
    });
    return opened;
  }

  async function call(operation: Operation, ...args: unknown[]): Promise<unknown> {
    const startedAtMs = clock.monotonicMs();
    const id = ++lastId;
    const mine = (turn ??= openTurn());
    mine.calls.push({ id, operation, args: args.map(toMessage) });
    mine.waiting++;
    try {
      return await new Promise((resolve, reject) => {
        waiting.set(id, { resolve, reject, turn: mine });
      });
    } catch (cause) {
      metrics.errors[operation].add();
      throw new SharedStateUnavailable(`the shared state failed at ${operation}`, { cause });
    } finally {
      metrics.latencySeconds[operation].observe((clock.monotonicMs() - startedAtMs) / 1000);
    }
  }

  return {
    get: async (key) => toBuffer(await call('get', key)),
    set: async (key, value, ttlMs) => void (await call('set', key, value, ttlMs)),
    delete: async (key) => (await call('delete', key)) as boolean,
    exists: async (key) => (await call('exists', key)) as boolean,
    keys: async (prefix, limit) => (await call('keys', prefix, limit)) as string[],
    setIfAbsent: async (key, value, ttlMs) =>
      toBuffer(await call('setIfAbsent', key, value, ttlMs)),
    increment: async (key, by, ttlMs) => (await call('increment', key, by, ttlMs)) as number,
    compareAndSet: async (key, expected, next, ttlMs) =>
      (await call('compareAndSet', key, expected, next, ttlMs)) as boolean,
    async ping() {
      const startedAtMs = clock.monotonicMs();
      await call('ping');
      return clock.monotonicMs() - startedAtMs;
    },
  };
}

async function answer(state: SharedState, { id, operation, args }: Call): Promise<Answer> {
  try {
    const method = state[operation] as (...values: unknown[]) => Promise<unknown>;
    return { id, value: toMessage(await method(...args)) };
  } catch (error) {
    return { id, error: describeError(error) };
  }
}

/** Of a Buffer, structured clone would copy the whole pool that it is a slice of. */
function toMessage(value: unknown): unknown {
  return value instanceof Uint8Array ? new Uint8Array(value) : value;
}

function toBuffer(value: unknown): Buffer | undefined {
  if (!(value instanceof Uint8Array)) return undefined;
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}

function isRequest(message: unknown): message is Request {
  return typeof message === 'object' && message !== null && 'sharedStateCalls' in message;
}

function isResponse(message: unknown): message is Response {
  return typeof message === 'object' && message !== null && 'sharedStateAnswers' in message;
}
