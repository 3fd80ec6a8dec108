import { beforeEach, describe, expect, test } from 'vitest';
import { createMemoryState } from '../../stores/state/memory.ts';
import { virtualRuntime } from '../../../tests/simulation/virtual-runtime.ts';
import type { Scheduler } from '../../../tests/simulation/scheduler.ts';
import { createSeats } from './seats.ts';
import type { Seats } from './seats.ts';

const phone = { identity: 'phone', isAnonymous: false };
const tablet = { identity: 'tablet', isAnonymous: false };
const somebody = { identity: 'r1', isAnonymous: true };
const start = (sessionKey: string) => ({ sessionKey, isStart: true });
const interim = (sessionKey: string) => ({ sessionKey, isStart: false });

let seats: Seats;
let scheduler: Scheduler;

beforeEach(() => {
  const runtime = virtualRuntime();
  scheduler = runtime.scheduler;
  seats = createSeats(createMemoryState({ clock: runtime.clock }));
});

test('of two devices that log in at once, one gets the last seat', async () => {
  const both = [phone, tablet].map((device) => seats.reserve('alice', device, 1));
  expect((await Promise.all(both)).toSorted()).toEqual([false, true]);
});

test('a device that logs in again keeps its seat', async () => {
  expect(await seats.reserve('alice', phone, 1)).toBe(true);
  expect(await seats.reserve('alice', phone, 1)).toBe(true);
  await seats.hold('alice', phone, start('s1'), 1);
  expect(await seats.reserve('alice', phone, 1)).toBe(true);
  expect(await seats.reserve('alice', tablet, 1)).toBe(false);
});

test('everybody has seats of their own', async () => {
  await seats.reserve('alice', phone, 1);
  expect(await seats.reserve('bob', tablet, 1)).toBe(true);
});

describe('a seat lives', () => {
  test('for two minutes until the Accounting-Start', async () => {
    await seats.reserve('alice', phone, 1);
    await scheduler.run(119_000);
    expect(await seats.reserve('alice', tablet, 1)).toBe(false);
    await scheduler.run(1_000);
    expect(await seats.reserve('alice', tablet, 1)).toBe(true);
  });

  test('for half an hour after each report', async () => {
    await seats.reserve('alice', phone, 1);
    await seats.hold('alice', phone, start('s1'), 1);
    await scheduler.run(1_200_000);
    await seats.hold('alice', phone, interim('s1'), 1);
    await scheduler.run(1_200_000);
    expect(await seats.reserve('alice', tablet, 1)).toBe(false);
    await scheduler.run(600_000);
    expect(await seats.reserve('alice', tablet, 1)).toBe(true);
  });

  test('no shorter when its device logs in again', async () => {
    await seats.hold('alice', phone, start('s1'), 1);
    await seats.reserve('alice', phone, 1);
    await scheduler.run(1_000_000);
    expect(await seats.reserve('alice', tablet, 1)).toBe(false);
  });

  test('until the Stop', async () => {
    await seats.reserve('alice', phone, 1);
    await seats.hold('alice', phone, start('s1'), 1);
    await seats.release('alice', 's1', 1);
    expect(await seats.reserve('alice', tablet, 1)).toBe(true);
  });
});

describe('a phone that roams keeps its seat', () => {
  beforeEach(async () => {
    await seats.reserve('alice', phone, 1);
    await seats.hold('alice', phone, start('old'), 1);
    await seats.reserve('alice', phone, 1); // at the new router
  });

  test.each([
    ['Start before Stop', ['start new', 'stop old']],
    ['Stop before Start', ['stop old', 'start new']],
    ['an old interim in between', ['start new', 'interim old', 'stop old']],
    ['the old Start again', ['start new', 'start old', 'stop old']],
  ])('%s', async (_name, events) => {
    for (const event of events) {
      const [kind, session = ''] = event.split(' ');
      if (kind === 'stop') await seats.release('alice', session, 1);
      else if (kind === 'start') await seats.hold('alice', phone, start(session), 1);
      else await seats.hold('alice', phone, interim(session), 1);
      expect([event, await seats.reserve('alice', tablet, 1)]).toEqual([event, false]);
    }
    await seats.release('alice', 'new', 1);
    expect(await seats.reserve('alice', tablet, 1)).toBe(true);
  });
});

describe('a session that is over takes no seat', () => {
  beforeEach(async () => {
    await seats.reserve('alice', phone, 1);
    await seats.hold('alice', phone, start('s1'), 1);
    await seats.release('alice', 's1', 1);
  });

  test.each([
    ['an interim that comes after the Stop', interim],
    ['the Start again', start],
  ])('by %s', async (_name, report) => {
    await seats.hold('alice', phone, report('s1'), 1);
    expect(await seats.reserve('alice', tablet, 1)).toBe(true);
  });
});

test('a Stop that another node works on at the same time is the last word', async () => {
  await seats.reserve('alice', phone, 1);
  await Promise.all([seats.hold('alice', phone, start('s1'), 1), seats.release('alice', 's1', 1)]);
  expect(await seats.reserve('alice', tablet, 1)).toBe(true);
});

test('a device that authenticates again and again is still online', async () => {
  await seats.reserve('alice', phone, 1);
  await seats.hold('alice', phone, start('s1'), 1);
  for (let times = 0; times < 6; times++) await seats.reserve('alice', phone, 1);
  await scheduler.run(600_000);
  expect(await seats.reserve('alice', tablet, 1)).toBe(false);
});

test('a Stop that is repeated takes nothing from the next login', async () => {
  await seats.hold('alice', phone, start('s1'), 1);
  await seats.release('alice', 's1', 1);
  await seats.reserve('alice', phone, 1);
  await seats.release('alice', 's1', 1);
  expect(await seats.reserve('alice', tablet, 1)).toBe(false);
});

describe('an anonymous device', () => {
  test('becomes its session, and the next one needs a seat of its own', async () => {
    expect(await seats.reserve('alice', somebody, 1)).toBe(true);
    await seats.hold('alice', somebody, start('s1'), 1);
    expect(await seats.reserve('alice', somebody, 1)).toBe(false);
    expect(await seats.reserve('alice', somebody, 2)).toBe(true);
  });

  test('gives back the seat of its own session', async () => {
    for (const session of ['s1', 's2']) {
      await seats.reserve('alice', somebody, 2);
      await seats.hold('alice', somebody, start(session), 2);
    }
    await seats.release('alice', 's1', 2);
    expect(await seats.reserve('alice', phone, 2)).toBe(true);
    expect(await seats.reserve('alice', tablet, 2)).toBe(false);
  });
});

test('who is online in an over-full plan stays, and takes the next free seat', async () => {
  await seats.reserve('alice', phone, 1);
  await seats.hold('alice', tablet, interim('t'), 1); // it was let in while the plan had two seats
  expect(await seats.reserve('alice', phone, 1)).toBe(true);
  await scheduler.run(120_000);
  await seats.hold('alice', tablet, interim('t'), 1);
  expect(await seats.reserve('alice', phone, 1)).toBe(false);
});

test('reports of one device at several nodes at once lose nothing', async () => {
  await seats.reserve('alice', phone, 1);
  await Promise.all([
    seats.hold('alice', phone, start('s1'), 1),
    seats.hold('alice', phone, start('s2'), 1),
    seats.hold('alice', phone, interim('s1'), 1),
  ]);
  await seats.release('alice', 's1', 1);
  expect(await seats.reserve('alice', tablet, 1)).toBe(false);
  await seats.release('alice', 's2', 1);
  expect(await seats.reserve('alice', tablet, 1)).toBe(true);
});
