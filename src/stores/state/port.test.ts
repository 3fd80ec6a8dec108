// The promises that all implementations share are tested in tests/contract/; this is what travels, and
// what happens when nobody answers.

import { expect, test } from 'vitest';
import { manualRuntime } from '../../../tests/contract/shared-state-clock.ts';
import { SharedStateUnavailable } from '../../domain/shared-state.ts';
import type { SharedState } from '../../domain/shared-state.ts';
import { createMemoryState } from './memory.ts';
import { connectStateThroughPort, serveState } from './port.ts';
import type { Channel } from './port.ts';

const value = Buffer.from('v');

/** Two ends of a channel that counts its messages and can be cut. */
function createChannel() {
  const listeners: { ours: (message: unknown) => void; theirs: (message: unknown) => void } = {
    ours: () => undefined,
    theirs: () => undefined,
  };
  const link = { messages: 0, isCut: false, isClosed: false };
  const end = (mine: 'ours' | 'theirs', other: 'ours' | 'theirs'): Channel => ({
    send: (message) => {
      if (link.isClosed) throw new Error('channel closed');
      link.messages++;
      const copy: unknown = structuredClone(message);
      if (!link.isCut) setImmediate(() => listeners[other](copy));
    },
    onMessage: (listener) => {
      listeners[mine] = listener;
    },
  });
  return { link, ours: end('ours', 'theirs'), theirs: end('theirs', 'ours') };
}

function setUp() {
  const runtime = manualRuntime();
  const { link, ours, theirs } = createChannel();
  const memory = createMemoryState({ clock: runtime.clock });
  serveState(memory, theirs);
  const state = connectStateThroughPort(ours, runtime, { commandTimeoutMs: 200 });
  return { runtime, link, state, memory, ours, theirs };
}

test('all operations of a turn travel in one message, and so do the answers', async () => {
  const { link, state } = setUp();
  const sums = await Promise.all(
    Array.from({ length: 100 }, () => state.increment('n', 1, 60_000)),
  );
  expect(sums.at(-1)).toBe(100);
  expect(link.messages).toBe(2);
});

test('when nobody answers, calls reject at the time-out, and a late answer does no harm', async () => {
  const { runtime, link, state } = setUp();
  link.isCut = true;
  const failure = state.get('k').catch((error: unknown) => error);
  await runtime.clock.advance(200);
  expect(await failure).toBeInstanceOf(SharedStateUnavailable);
  link.isCut = false;
  expect(await state.exists('k')).toBe(false);
  expect(await runtime.metrics.text()).toContain('evergate_state_errors_total{operation="get"} 1');
});

test('on a closed channel calls reject', async () => {
  const { link, state } = setUp();
  link.isClosed = true;
  await expect(state.set('k', value, 1_000)).rejects.toThrow('the shared state failed at set');
});

test('an error on the other side comes across with its reason', async () => {
  const runtime = manualRuntime();
  const { ours, theirs } = createChannel();
  const failing = {
    get: () =>
      Promise.reject(new SharedStateUnavailable('failed', { cause: new Error('not connected') })),
  } as unknown as SharedState;
  serveState(failing, theirs);
  const state = connectStateThroughPort(ours, runtime, { commandTimeoutMs: 200 });
  const failure: unknown = await state.get('k').catch((error: unknown) => error);
  expect(failure).toMatchObject({ cause: { message: 'failed: not connected' } });
});

test('other messages on the same channel are left alone', async () => {
  const { state, ours, theirs } = setUp();
  theirs.send({ stop: true });
  ours.send('hello');
  ours.send(null);
  await state.set('k', value, 60_000);
  expect(await state.get('k')).toEqual(value);
});
