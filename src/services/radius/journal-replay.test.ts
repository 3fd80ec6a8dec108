import { expect, test } from 'vitest';
import type { AccountingFact } from '../../domain/accounting.ts';
import { accountingRequest } from '../../../tests/simulation/packets.ts';
import { virtualRuntime } from '../../../tests/simulation/virtual-runtime.ts';
import { encodeJournalEntry } from './journal-entry.ts';
import { startJournalReplay } from './journal-replay.ts';

const router = {
  id: '01890a5d-ac96-774b-bcce-b302099a8057',
  siteId: '01890a5d-ac96-774b-bcce-b302099a8058',
};

function entry(acctSessionId: string): Buffer {
  const packet = accountingRequest((writer) => {
    writer.integer(40, 1);
    writer.text(44, acctSessionId);
  });
  return encodeJournalEntry(packet, router, 1_000);
}

function replay(payloads: Buffer[], recordsTaken = () => 0) {
  const runtime = virtualRuntime();
  const world = {
    runtime,
    isAway: false,
    writeTakesMs: 0,
    written: [] as string[],
    setAside: [] as string[],
    checkpoint: 0,
  };
  const replaying = startJournalReplay({
    runtime,
    recordsTaken,
    journal: {
      get pendingRecords() {
        return payloads.length - world.checkpoint;
      },
      takeBatch(limit) {
        const from = world.checkpoint;
        const batch = payloads.slice(from, from + limit);
        if (batch.length === 0) return Promise.resolve(undefined);
        const commit = () => {
          world.checkpoint = from + batch.length;
          return Promise.resolve();
        };
        return Promise.resolve({ payloads: batch, commit });
      },
      setAside: (_payload, reason) => {
        world.setAside.push(reason);
        return Promise.resolve();
      },
    },
    async write(facts: AccountingFact[]) {
      if (world.isAway) throw new Error('away');
      if (world.writeTakesMs > 0) await runtime.clock.sleep(world.writeTakesMs);
      world.written.push(
        ...facts.map((fact) => (fact.kind === 'router-restart' ? '' : fact.acctSessionId)),
      );
    },
  });
  return Object.assign(world, { replaying });
}

test('what is in the journal is written in order, and the checkpoint follows', async () => {
  const world = replay(['a', 'b', 'c'].map(entry));
  await world.runtime.scheduler.run(1_000);
  expect(world).toMatchObject({ written: ['a', 'b', 'c'], checkpoint: 3 });
});

test('while the database is away nothing is lost and the checkpoint stays', async () => {
  const payloads = ['a', 'b'].map(entry);
  const world = replay(payloads);
  world.isAway = true;
  await world.runtime.scheduler.run(60_000);
  expect(world).toMatchObject({ written: [], checkpoint: 0 });
  payloads.push(entry('c'));
  world.isAway = false;
  await world.runtime.scheduler.run(6_000);
  expect(world).toMatchObject({ written: ['a', 'b', 'c'], checkpoint: 3 });
});

test('what cannot be read is set aside and holds nobody up', async () => {
  const world = replay([entry('a'), Buffer.from('torn'), entry('b')]);
  await world.runtime.scheduler.run(1_000);
  expect(world).toMatchObject({
    written: ['a', 'b'],
    setAside: ['unknown journal entry version'],
    checkpoint: 3,
  });
});

test('while many records come the replay leaves room for them, and goes on when it is quiet', async () => {
  let taken = 0;
  let isBusy = true;
  const payloads = Array.from({ length: 6_000 }, (_, i) => entry(String(i)));
  const world = replay(payloads, () => (isBusy ? (taken += 5_000) : taken));
  world.writeTakesMs = 100;
  await world.runtime.scheduler.run(350);
  expect(world.written).toHaveLength(2_000);
  isBusy = false;
  await world.runtime.scheduler.run(1_000);
  expect(world.written).toHaveLength(6_000);
});

test('it ends when it is told to, also while it waits', async () => {
  const world = replay([]);
  await world.runtime.scheduler.run(100);
  const ended = Promise.resolve(world.replaying[Symbol.asyncDispose]());
  await expect(world.runtime.scheduler.until(ended, 1_000)).resolves.toBeUndefined();
});
