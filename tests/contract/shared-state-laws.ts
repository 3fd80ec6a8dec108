// What every implementation of the shared state promises, written once. shared-state.test.ts holds
// memory, the port, Redis, Sentinel and Cluster to it.

import fc from 'fast-check';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SharedStateUnavailable } from '../../src/domain/shared-state.ts';
import type { SharedState } from '../../src/domain/shared-state.ts';

type ConnectedState = SharedState & AsyncDisposable;

export type Backend = AsyncDisposable & {
  /** A connection of its own, as another node would have; the prefix names the cluster of nodes. */
  connect(keyPrefix: string): Promise<ConnectedState>;
};

const LONG_MS = 60_000;
const SHORT_MS = 60;

const bytes = (text: string) => Buffer.from(text);
let clusters = 0;
/** Each test is a cluster of its own, so that none sees what another has left. */
const freshPrefix = () => `test-${process.pid}-${++clusters}:`;

export function describeLaws(name: string, start: () => Promise<Backend>): void {
  describe.each([name])('%s', () => {
    let backend: Backend;
    beforeAll(async () => {
      backend = await start();
    });
    afterAll(async () => {
      await backend[Symbol.asyncDispose]();
    });

    /** Two nodes of one cluster. */
    async function withTwoNodes(
      body: (first: SharedState, second: SharedState) => Promise<void>,
    ): Promise<void> {
      const prefix = freshPrefix();
      await using first = await backend.connect(prefix);
      await using second = await backend.connect(prefix);
      await body(first, second);
    }

    const withNode = (body: (state: SharedState) => Promise<void>) => withTwoNodes(body);

    const allBytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    test.each([
      ['text', bytes('hello')],
      ['an empty value', Buffer.alloc(0)],
      ['every byte', allBytes],
      ['16 KB', Buffer.alloc(16 * 1024, allBytes)],
      ['bytes that are no UTF-8', Buffer.from([0xff, 0xfe, 0xc0, 0x0d, 0x0a, 0x00])],
    ])('%s is read back as it was written, by both nodes', (_, value) =>
      withTwoNodes(async (first, second) => {
        await first.set('k', value, LONG_MS);
        expect(await first.get('k')).toEqual(value);
        expect(await second.get('k')).toEqual(value);
        expect(await second.setIfAbsent('k', bytes('other'), LONG_MS)).toEqual(value);
        expect(await second.compareAndSet('k', value, bytes('next'), LONG_MS)).toBe(true);
        expect(await first.get('k')).toEqual(bytes('next'));
      }),
    );

    test('what is not there is undefined, does not exist and cannot be deleted', () =>
      withNode(async (state) => {
        expect(await state.get('k')).toBeUndefined();
        expect(await state.exists('k')).toBe(false);
        expect(await state.delete('k')).toBe(false);
        expect(await state.keys('', 10)).toEqual([]);
      }));

    test('one node creates, the other reads, updates and deletes', () =>
      withTwoNodes(async (first, second) => {
        await first.set('k', bytes('1'), LONG_MS);
        expect(await second.exists('k')).toBe(true);
        await second.set('k', bytes('2'), LONG_MS);
        expect(await first.get('k')).toEqual(bytes('2'));
        expect(await second.delete('k')).toBe(true);
        expect(await first.get('k')).toBeUndefined();
        expect(await first.exists('k')).toBe(false);
      }));

    test('two clusters with their own prefixes do not see each other', async () => {
      await using one = await backend.connect(freshPrefix());
      await using other = await backend.connect(freshPrefix());
      await one.set('k', bytes('one'), LONG_MS);
      expect(await other.get('k')).toBeUndefined();
      expect(await other.delete('k')).toBe(false);
      expect(await other.keys('', 10)).toEqual([]);
      expect(await other.increment('n', 1, LONG_MS)).toBe(1);
      expect(await one.increment('n', 1, LONG_MS)).toBe(1);
      expect(await one.get('k')).toEqual(bytes('one'));
    });

    test('the caller may write into its bytes as soon as the call has returned', () =>
      withNode(async (state) => {
        const value = bytes('right');
        const stored = state.set('a', value, LONG_MS);
        const storedAlso = state.setIfAbsent('b', value, LONG_MS);
        value.fill('x');
        await Promise.all([stored, storedAlso]);
        expect(await state.get('a')).toEqual(bytes('right'));
        expect(await state.get('b')).toEqual(bytes('right'));
      }));

    test.each<[string, (state: SharedState) => Promise<unknown>]>([
      ['set', (state) => state.set('k', bytes('v'), SHORT_MS)],
      ['setIfAbsent', (state) => state.setIfAbsent('k', bytes('v'), SHORT_MS)],
      ['increment', (state) => state.increment('k', 1, SHORT_MS)],
      [
        'compareAndSet of an absent key',
        (state) => state.compareAndSet('k', undefined, bytes('v'), SHORT_MS),
      ],
      [
        'compareAndSet of a present key',
        async (state) => {
          await state.set('k', bytes('u'), LONG_MS);
          await state.compareAndSet('k', bytes('u'), bytes('v'), SHORT_MS);
        },
      ],
    ])('what %s wrote ends after its time to live', (_, write) =>
      withNode(async (state) => {
        await write(state);
        expect(await state.exists('k')).toBe(true);
        await until(async () => !(await state.exists('k')));
        expect(await state.get('k')).toBeUndefined();
        expect(await state.keys('', 10)).toEqual([]);
        expect(await state.delete('k')).toBe(false);
        expect(await state.setIfAbsent('k', bytes('again'), LONG_MS)).toBeUndefined();
      }),
    );

    test('writing again gives a new time to live', () =>
      withNode(async (state) => {
        await state.set('kept', bytes('v'), SHORT_MS);
        await state.set('kept', bytes('v'), LONG_MS);
        await state.set('ended', bytes('v'), SHORT_MS);
        await until(async () => !(await state.exists('ended')));
        await sleep(SHORT_MS);
        expect(await state.exists('kept')).toBe(true);
      }));

    test('of 50 concurrent setIfAbsent from two nodes exactly one wins, and the others get its value', () =>
      withTwoNodes(async (first, second) => {
        const answers = await Promise.all(
          Array.from({ length: 50 }, (_, caller) =>
            (caller % 2 === 0 ? first : second).setIfAbsent(
              'k',
              bytes(`caller ${caller}`),
              LONG_MS,
            ),
          ),
        );
        const winners = answers.flatMap((answer, caller) => (answer === undefined ? [caller] : []));
        expect(winners).toHaveLength(1);
        const value = bytes(`caller ${winners[0]}`);
        expect(answers.filter((answer) => answer?.equals(value))).toHaveLength(49);
        expect(await first.get('k')).toEqual(value);
      }));

    test('200 concurrent increments from two nodes give 200 different sums', () =>
      withTwoNodes(async (first, second) => {
        const sums = await Promise.all(
          Array.from({ length: 200 }, (_, caller) =>
            (caller % 2 === 0 ? first : second).increment('n', 1, LONG_MS),
          ),
        );
        expect(sums.sort((a, b) => a - b)).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
      }));

    test('the time to live of a counter counts from its first increment', () =>
      withNode(async (state) => {
        const ttlMs = 300;
        await state.increment('n', 1, ttlMs);
        const began = performance.now();
        let sum = 1;
        // Increments go on all the time; if they extended the time to live, it would never start anew.
        await until(async () => {
          const next = await state.increment('n', 1, ttlMs);
          const hasBegunAnew = next < sum;
          sum = next;
          return hasBegunAnew;
        });
        expect(performance.now() - began).toBeGreaterThan(ttlMs * 0.8);
        await until(async () => !(await state.exists('n')));
      }));

    test('a counter goes down too, and is read in decimal', () =>
      withNode(async (state) => {
        expect(await state.increment('n', 5, LONG_MS)).toBe(5);
        expect(await state.increment('n', -7, LONG_MS)).toBe(-2);
        expect(await state.get('n')).toEqual(bytes('-2'));
        await state.set('n', bytes('41'), LONG_MS);
        expect(await state.increment('n', 1, LONG_MS)).toBe(42);
        expect(await state.compareAndSet('n', bytes('42'), bytes('1'), LONG_MS)).toBe(true);
        expect(await state.increment('n', 1, LONG_MS)).toBe(2);
      }));

    test('what is no number cannot be incremented, and stays', () =>
      withNode(async (state) => {
        await state.set('k', bytes('abc'), LONG_MS);
        await expect(state.increment('k', 1, LONG_MS)).rejects.toThrow(SharedStateUnavailable);
        expect(await state.get('k')).toEqual(bytes('abc'));
      }));

    test('compareAndSet creates, replaces and deletes, if the value is the expected one', () =>
      withNode(async (state) => {
        const empty = Buffer.alloc(0);
        const steps: [Buffer | undefined, Buffer | undefined, boolean, Buffer | undefined][] = [
          [bytes('a'), bytes('b'), false, undefined],
          [bytes('a'), undefined, false, undefined],
          [undefined, undefined, true, undefined],
          [undefined, bytes('a'), true, bytes('a')],
          [undefined, bytes('b'), false, bytes('a')],
          [undefined, undefined, false, bytes('a')],
          [bytes('A'), bytes('b'), false, bytes('a')],
          [empty, bytes('b'), false, bytes('a')],
          [bytes('a'), empty, true, empty],
          [undefined, bytes('c'), false, empty],
          [empty, allBytes, true, allBytes],
          [allBytes.subarray(0, 255), bytes('d'), false, allBytes],
          [allBytes, undefined, true, undefined],
        ];
        for (const [expected, next, answer, after] of steps) {
          expect(await state.compareAndSet('k', expected, next, LONG_MS)).toBe(answer);
          expect(await state.get('k')).toEqual(after);
        }
      }));

    test('racing compareAndSet loses no update', () =>
      withTwoNodes(async (first, second) => {
        await first.set('n', bytes('0'), LONG_MS);
        const addOne = async (state: SharedState) => {
          for (;;) {
            const present = await state.get('n');
            const next = bytes(String(Number(present) + 1));
            if (await state.compareAndSet('n', present, next, LONG_MS)) return;
          }
        };
        await Promise.all(
          Array.from({ length: 40 }, (_, caller) => addOne(caller % 2 === 0 ? first : second)),
        );
        expect(await second.get('n')).toEqual(bytes('40'));
      }));

    test('keys gives what begins with the prefix, at most the limit', () =>
      withNode(async (state) => {
        const names = Array.from({ length: 30 }, (_, i) => `seat:${i}`);
        await Promise.all(names.map((name) => state.set(name, bytes('v'), LONG_MS)));
        await state.set('seats', bytes('v'), LONG_MS);
        expect((await state.keys('seat:', 100)).sort()).toEqual(names.sort());
        const some = await state.keys('seat:', 7);
        expect(new Set(some).size).toBe(7);
        expect(names).toEqual(expect.arrayContaining(some));
        expect(await state.keys('', 100)).toHaveLength(31);
        expect(await state.keys('nothing', 100)).toEqual([]);
      }));

    test.each(['a*', 'a?', 'a[b', 'a]b', 'a\\', '[^a]', '{a}', 'ä'])(
      'the prefix %s means these characters and no pattern',
      (prefix) =>
        withNode(async (state) => {
          await state.set(`${prefix}1`, bytes('v'), LONG_MS);
          await state.set('ab1', bytes('v'), LONG_MS);
          expect(await state.keys(prefix, 10)).toEqual([`${prefix}1`]);
          expect(await state.get(`${prefix}1`)).toEqual(bytes('v'));
        }),
    );

    test('1000 concurrent operations all get their own answers', () =>
      withNode(async (state) => {
        const answers = await Promise.all(
          Array.from({ length: 500 }, async (_, i) => {
            const [, value] = await Promise.all([
              state.set(`k${i}`, bytes(`v${i}`), LONG_MS),
              state.get(`k${i}`),
            ]);
            return value?.toString();
          }),
        );
        // Both were sent in one turn, in this order, to the same key: the set comes first.
        expect(answers).toEqual(Array.from({ length: 500 }, (_, i) => `v${i}`));
      }));

    test('ping tells the round trip', () =>
      withNode(async (state) => {
        expect(await state.ping()).toBeGreaterThanOrEqual(0);
      }));

    test('any sequence of operations answers as a map would', async () => {
      await using state = await backend.connect(freshPrefix());
      await fc.assert(
        fc.asyncProperty(fc.array(anyStep, { maxLength: 12 }), async (steps) => {
          await Promise.all([state.delete('a'), state.delete('b')]);
          const map = new Map<string, string>();
          for (const step of steps) {
            expect(await doStep(state, step)).toEqual(doStepOnMap(map, step));
            expect((await state.get(step.key))?.toString()).toEqual(map.get(step.key));
          }
        }),
        { numRuns: 40 },
      );
    });
  });
}

type Step =
  | { kind: 'set' | 'setIfAbsent'; key: string; value: string }
  | { kind: 'delete'; key: string }
  | { kind: 'compareAndSet'; key: string; expected: string | undefined; next: string | undefined }
  | { kind: 'increment'; key: string; by: number };

const anyKey = fc.constantFrom('a', 'b');
const anyValue = fc.constantFrom('', '1', '2', '\u0000x');
const anyOrNone = fc.option(anyValue, { nil: undefined });
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constantFrom('set', 'setIfAbsent'), key: anyKey, value: anyValue }),
  fc.record({ kind: fc.constant('delete'), key: anyKey }),
  fc.record({
    kind: fc.constant('compareAndSet'),
    key: anyKey,
    expected: anyOrNone,
    next: anyOrNone,
  }),
  fc.record({ kind: fc.constant('increment'), key: anyKey, by: fc.integer({ min: -9, max: 9 }) }),
);

const NO_NUMBER = 'no number';

async function doStep(state: SharedState, step: Step): Promise<unknown> {
  const toBytes = (text: string | undefined) => (text === undefined ? undefined : bytes(text));
  switch (step.kind) {
    case 'set':
      return await state.set(step.key, bytes(step.value), LONG_MS);
    case 'setIfAbsent':
      return (await state.setIfAbsent(step.key, bytes(step.value), LONG_MS))?.toString();
    case 'delete':
      return await state.delete(step.key);
    case 'compareAndSet':
      return await state.compareAndSet(
        step.key,
        toBytes(step.expected),
        toBytes(step.next),
        LONG_MS,
      );
    case 'increment':
      return await state.increment(step.key, step.by, LONG_MS).catch(() => NO_NUMBER);
    default:
      return step satisfies never;
  }
}

function doStepOnMap(map: Map<string, string>, step: Step): unknown {
  const present = map.get(step.key);
  switch (step.kind) {
    case 'set':
      map.set(step.key, step.value);
      return undefined;
    case 'setIfAbsent':
      if (present === undefined) map.set(step.key, step.value);
      return present;
    case 'delete':
      return map.delete(step.key);
    case 'compareAndSet':
      if (present !== step.expected) return false;
      if (step.next === undefined) map.delete(step.key);
      else map.set(step.key, step.next);
      return true;
    case 'increment': {
      if (present !== undefined && !/^-?\d+$/.test(present)) return NO_NUMBER;
      const sum = Number(present ?? 0) + step.by;
      map.set(step.key, String(sum));
      return sum;
    }
    default:
      return step satisfies never;
  }
}

/** Waits for a condition; the test's own time-out is the limit. */
export async function until(isTrue: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await isTrue())) await sleep(10);
}
