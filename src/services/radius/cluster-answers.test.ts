import { beforeEach, expect, test } from 'vitest';
import { createMemoryState } from '../../stores/state/memory.ts';
import { pathFrom, request } from '../../../tests/simulation/packets.ts';
import { virtualRuntime } from '../../../tests/simulation/virtual-runtime.ts';
import type { Scheduler } from '../../../tests/simulation/scheduler.ts';
import { createClusterAnswers } from './cluster-answers.ts';
import type { Claim, ClusterAnswers } from './cluster-answers.ts';

const packet = request((writer) => writer.text(1, 'alice'));
const path = pathFrom('10.1.0.1');
const first = Buffer.from('the first answer');
const second = Buffer.from('another answer');

let scheduler: Scheduler;
let one: ClusterAnswers;
let two: ClusterAnswers;

beforeEach(() => {
  const runtime = virtualRuntime();
  scheduler = runtime.scheduler;
  const state = createMemoryState({ clock: runtime.clock });
  one = createClusterAnswers(state, 'one', 30_000);
  two = createClusterAnswers(state, 'two', 30_000);
});

async function claimed(by: ClusterAnswers): Promise<Extract<Claim, { kind: 'ours' }>> {
  const claim = await by.claim(path, packet);
  if (claim.kind !== 'ours') throw new Error(`the claim is ${claim.kind}`);
  return claim;
}

test('while one node works on a request the other waits, then has its answer', async () => {
  const claim = await claimed(one);
  expect(await two.claim(path, packet)).toEqual({ kind: 'in-progress' });
  expect(await one.keep(claim, first)).toEqual(first);
  expect(await two.claim(path, packet)).toEqual({ kind: 'answered', answer: first });
});

test('another port, identifier or authenticator is another request', async () => {
  await claimed(one);
  expect(await two.claim(pathFrom('10.1.0.1', 40_001), packet)).toMatchObject({ kind: 'ours' });
  const other = request((writer) => writer.text(1, 'alice'), { identifier: 2 });
  expect(await two.claim(path, other)).toMatchObject({ kind: 'ours' });
  const anew = request((writer) => writer.text(1, 'alice'), { authenticator: Buffer.alloc(16) });
  expect(await two.claim(path, anew)).toMatchObject({ kind: 'ours' });
});

test('when a node dies at work, the retransmission after two seconds is worked on', async () => {
  await claimed(one);
  await scheduler.run(2_000);
  const claim = await claimed(two);
  expect(await two.keep(claim, second)).toEqual(second);
});

test('a node that was away and comes back sends what the other has answered', async () => {
  const early = await claimed(one);
  await scheduler.run(2_000);
  await two.keep(await claimed(two), second);
  expect(await one.keep(early, first)).toEqual(second);
});

test('a node that comes back while the other works sends nothing: the other will', async () => {
  const early = await claimed(one);
  await scheduler.run(2_000);
  const late = await claimed(two);
  expect(await one.keep(early, first)).toBeUndefined();
  expect(await two.keep(late, second)).toEqual(second);
});

test('a node whose claim ran out unnoticed keeps its answer', async () => {
  const early = await claimed(one);
  await scheduler.run(2_000);
  expect(await one.keep(early, first)).toEqual(first);
  expect(await two.claim(path, packet)).toEqual({ kind: 'answered', answer: first });
});
