import { beforeEach, describe, expect, test } from 'vitest';
import type { AccountingFact } from '../../domain/accounting.ts';
import { virtualRuntime } from '../../../tests/simulation/virtual-runtime.ts';
import type { VirtualRuntime } from '../../../tests/simulation/virtual-runtime.ts';
import { AccountingOverload, createAccountingSink } from './accounting-sink.ts';
import type { AccountingSink } from './accounting-sink.ts';

const SLOW_AFTER_MS = 250;

let runtime: VirtualRuntime;
let commitMs: number;
let condition: 'up' | 'away' | 'hung';
/** Groups in the order in which they were committed. */
let commits: string[][];
let journal: string[];
let isDiskFull: boolean;

beforeEach(() => {
  runtime = virtualRuntime();
  commitMs = 10;
  condition = 'up';
  commits = [];
  journal = [];
  isDiskFull = false;
});

function createSink(durability: 'database' | 'journal' = 'database'): AccountingSink {
  return createAccountingSink({
    durability,
    slowAfterMs: SLOW_AFTER_MS,
    runtime,
    async write(facts) {
      if (condition === 'away') throw new Error('away');
      if (condition === 'hung') await runtime.clock.sleep(1e9);
      await runtime.clock.sleep(commitMs);
      commits.push(facts.map(({ routerId }) => routerId));
    },
    async append(payload) {
      await runtime.clock.sleep(3);
      if (isDiskFull) throw new Error('the disk is full');
      journal.push(payload.toString());
    },
  });
}

/** A record is known here by its name alone. */
function entry(name: string) {
  const fact: AccountingFact = {
    kind: 'router-restart',
    routerId: name,
    nasIdentifier: undefined,
    nasIpAddress: undefined,
    occurredAtMs: 0,
    receivedAtMs: 0,
  };
  return { fact, encode: () => Buffer.from(name) };
}

function store(sink: AccountingSink, ...names: string[]): Promise<unknown> {
  return runtime.scheduler.until(Promise.all(names.map((name) => sink.store(entry(name)))), 5_000);
}

test('a record is stored when it is committed, not before', async () => {
  let isStored = false;
  const stored = createSink().store(entry('a'));
  void stored.then(() => {
    isStored = true;
  });
  await runtime.scheduler.run(9);
  expect([isStored, commits]).toEqual([false, []]);
  await runtime.scheduler.run(1);
  expect([isStored, commits]).toEqual([true, [['a']]]);
});

test('what arrives in one turn shares a commit, and what arrives meanwhile the next', async () => {
  const sink = createSink();
  const first = store(sink, 'a', 'b');
  await runtime.scheduler.run(1);
  const second = store(sink, 'c');
  await runtime.scheduler.run(1);
  const third = Promise.all(['d', 'e'].map((name) => sink.store(entry(name))));
  await runtime.scheduler.until(Promise.all([first, second, third]), 1_000);
  expect(commits).toEqual([['a', 'b'], ['c'], ['d', 'e']]);
});

test('a flood is committed in groups of 256', async () => {
  const names = Array.from({ length: 600 }, (_, i) => String(i));
  await store(createSink(), ...names);
  expect(commits.map((group) => group.length)).toEqual([256, 256, 88]);
  expect(commits.flat()).toEqual(names);
});

describe('a database that does not take it', () => {
  test('when it is away, the journal does', async () => {
    condition = 'away';
    await store(createSink(), 'a', 'b');
    expect(journal).toEqual(['a', 'b']);
  });

  test.each(['slow', 'hung'] as const)('when it is %s, the journal does in time', async (how) => {
    if (how === 'slow') commitMs = 400;
    else condition = 'hung';
    const beganAtMs = runtime.clock.monotonicMs();
    await store(createSink(), 'a');
    expect(runtime.clock.monotonicMs() - beganAtMs).toBe(SLOW_AFTER_MS + 3);
    expect(journal).toEqual(['a']);
  });

  test('the next records do not wait for it at all', async () => {
    condition = 'hung';
    const sink = createSink();
    await store(sink, 'a');
    const beganAtMs = runtime.clock.monotonicMs();
    await store(sink, 'b', 'c');
    expect(runtime.clock.monotonicMs() - beganAtMs).toBe(3);
    expect(journal).toEqual(['a', 'b', 'c']);
  });

  test('one record a second finds out whether it is back, and then all go there', async () => {
    condition = 'away';
    const sink = createSink();
    await store(sink, 'a');
    condition = 'up';
    await store(sink, 'b');
    expect(journal).toEqual(['a', 'b']);
    await runtime.scheduler.run(1_000);
    await store(sink, 'c', 'd');
    expect([journal, commits]).toEqual([['a', 'b', 'd'], [['c']]]);
    await store(sink, 'e', 'f');
    expect(commits).toEqual([['c'], ['e', 'f']]);
  });

  test('and a disk that does not either: the record is not stored', async () => {
    condition = 'away';
    isDiskFull = true;
    await expect(store(createSink(), 'a')).rejects.toThrow('the disk is full');
  });
});

test('that no record can be stored is known until one can, or nobody has tried for a minute', async () => {
  const sink = createSink();
  condition = 'away';
  isDiskFull = true;
  await expect(store(sink, 'a')).rejects.toThrow('the disk is full');
  expect(sink.whyFailing()).toBe('the disk is full');
  isDiskFull = false;
  await store(sink, 'b');
  expect(sink.whyFailing()).toBeUndefined();
  isDiskFull = true;
  await expect(store(sink, 'c')).rejects.toThrow('the disk is full');
  await runtime.scheduler.run(60_000);
  expect(sink.whyFailing()).toBeUndefined();
});

test('where the journal comes first, the database is not asked', async () => {
  await store(createSink('journal'), 'a');
  expect([journal, commits]).toEqual([['a'], []]);
});

test('beyond 50,000 waiting records the next one is refused, the others are not', async () => {
  commitMs = 1;
  const sink = createSink();
  const accepted = Array.from({ length: 50_000 }, (_, i) => sink.store(entry(String(i))));
  await expect(sink.store(entry('one too many'))).rejects.toThrow(AccountingOverload);
  await runtime.scheduler.until(Promise.all(accepted), 60_000);
  expect(commits.flat()).toHaveLength(50_000);
});

test('closing waits for what is under way', async () => {
  const sink = createSink();
  const stored = sink.store(entry('a'));
  await runtime.scheduler.run(1);
  await runtime.scheduler.until(Promise.resolve(sink[Symbol.asyncDispose]()), 1_000);
  expect(commits).toEqual([['a']]);
  await stored;
});
