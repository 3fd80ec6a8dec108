// Promise 3: an acknowledged accounting record is never lost and never counted twice, in whatever order,
// however often and wherever it arrives. Everything goes wrong for minutes; then it heals, and the
// database must say of every session exactly what its router says.

import { expect, test } from 'vitest';
import { total } from '../../src/domain/session.ts';
import type { DatabaseFlaw } from './database.ts';
import type { JournalFlaw } from './journal.ts';
import type { RouterHabits } from './router.ts';
import { complaintsFrom } from './seeds.ts';
import { heal, makeTrouble } from './trouble.ts';
import type { Troubles } from './trouble.ts';
import { createWorld, subscriber } from './world.ts';
import type { RouterWithBooks, World, WorldOptions } from './world.ts';

const TROUBLE_MS = 240_000;
const SESSIONS_PER_ROUTER = 5;
const EVERYTHING: Troubles = {
  crashes: true,
  stops: true,
  pauses: true,
  database: true,
  state: true,
  links: true,
  clockJumpsMs: 2_000,
};

const TIMEKEEPERS: readonly Partial<RouterHabits>[] = [
  { echoesClass: true },
  { failover: 'new-identity', spreads: true },
  { tellsTime: 'delay-time', failover: 'new-identity' },
];

/** Comes online, reports every minute or so, goes away; nobody waits for acknowledgements. */
async function useTheNetwork(world: World, router: RouterWithBooks, name: string): Promise<void> {
  const { scheduler } = world;
  const { chance } = router;
  await scheduler.sleep(chance.between(0, 60_000));
  const device = chance.happens(0.7)
    ? `02-00-00-00-00-${chance.bytes(1).toString('hex')}`
    : undefined;
  const echoed = chance.happens(0.5) ? chance.bytes(12) : undefined;
  const session = router.books.begin({ username: name, device, class: echoed });
  const reports = [session.report('start')];
  for (let interim = chance.between(0, 3); interim > 0; interim--) {
    await scheduler.sleep(chance.between(60_000, 70_000));
    if (session.isStopped) break;
    use(session, chance.between(0, 3e9), chance.between(0, 6e9));
    reports.push(session.report('interim'));
  }
  await scheduler.sleep(chance.between(5_000, 20_000));
  if (!session.isStopped) {
    use(session, chance.between(0, 1e6), chance.between(0, 1e6));
    reports.push(session.report('stop'));
  }
  await Promise.all(reports);
}

function use(
  session: { inputOctets: number; outputOctets: number },
  input: number,
  output: number,
) {
  session.inputOctets += input;
  session.outputOctets += output;
}

async function accountInTrouble(
  seed: number,
  troubles: Troubles,
  options: {
    node?: WorldOptions['node'];
    flaws?: { database?: DatabaseFlaw; journal?: JournalFlaw };
    routers?: readonly Partial<RouterHabits>[];
  } = {},
): Promise<readonly string[]> {
  const { node = {}, flaws = {}, routers: habits = TIMEKEEPERS } = options;
  const world = createWorld(seed, { nodes: 3, node, flaws });
  const { scheduler, chance, nodes, database } = world;
  for (const each of nodes) each.start();
  database.putCredential(subscriber('somebody'));
  const routers = await Promise.all(habits.map((each) => world.addRouter(each)));
  await scheduler.run(1_000);

  const story = async () => {
    const trouble = makeTrouble(world, troubles, TROUBLE_MS);
    const visits = routers.flatMap((router) =>
      Array.from({ length: SESSIONS_PER_ROUTER }, () => useTheNetwork(world, router, 'somebody')),
    );
    const mischief = repeatOldThings(world, routers);
    const restarts = chance.happens(0.5) ? restartLater(world, chance.pick(routers)) : undefined;
    await trouble;
    await heal(world);
    await Promise.all([...visits, mischief, restarts]);
    await journalsAreEmpty(world);
  };
  await scheduler.until(story(), 3_600_000);
  for (const router of routers) compareWithDatabase(world, router);
  return world.complaints;
}

async function repeatOldThings(world: World, routers: readonly RouterWithBooks[]): Promise<void> {
  for (let i = 0; i < 60; i++) {
    await world.scheduler.sleep(world.chance.between(500, 8_000));
    world.chance.pick(routers).books.repeatSomethingOld();
  }
}

async function restartLater(world: World, router: RouterWithBooks): Promise<void> {
  await world.scheduler.sleep(world.chance.between(30_000, 120_000));
  await router.books.restart();
}

async function journalsAreEmpty(world: World): Promise<void> {
  const isWaiting = () => world.nodes.some(({ disk }) => disk.checkpoint < disk.synced.length);
  while (isWaiting()) await world.scheduler.sleep(500);
}

function compareWithDatabase(world: World, router: RouterWithBooks) {
  const stored = [...world.database.sessions.values()].filter(
    ({ routerId }) => routerId === router.id,
  );
  for (const session of router.books.sessions) {
    const rows = stored.filter(({ acctSessionId }) => acctSessionId === session.acctSessionId);
    const [row] = rows;
    const name = `session ${session.acctSessionId} of ${router.address} (${router.habits.tellsTime})`;
    if (row === undefined || rows.length > 1) {
      world.complain(`${name} is there ${rows.length} times`);
      continue;
    }
    const counted = [total(row.inputOctets), total(row.outputOctets)];
    const { inputOctets, outputOctets } = session.acknowledged;
    if (counted[0] !== inputOctets || counted[1] !== outputOctets) {
      world.complain(
        `${name} counts ${counted.join('/')}, acknowledged are ${inputOctets}/${outputOctets}`,
      );
    }
    if (session.acknowledged.isStopped && row.stoppedAtMs === undefined) {
      world.complain(`${name} has stopped, and the database does not know`);
    }
  }
}

test('the database says what the routers say, after everything went wrong', async () => {
  expect(await complaintsFrom(150, (seed) => accountInTrouble(seed, EVERYTHING))).toEqual([]);
});

test('also of routers that never say when something happened, as long as nothing is away for long', async () => {
  expect(
    await complaintsFrom(60, (seed) =>
      accountInTrouble(
        seed,
        { pauses: true, state: true, links: true },
        { routers: [{ tellsTime: 'not-at-all' }, { tellsTime: 'not-at-all', spreads: true }] },
      ),
    ),
  ).toEqual([]);
});

test('also where the journal comes first', async () => {
  expect(
    await complaintsFrom(40, (seed) =>
      accountInTrouble(seed, EVERYTHING, { node: { accountingDurability: 'journal' } }),
    ),
  ).toEqual([]);
});

test('an acknowledgement before the commit would be noticed', async () => {
  expect(
    await complaintsFrom(10, (seed) =>
      accountInTrouble(
        seed,
        { crashes: true, links: true },
        { flaws: { database: 'acknowledges-early' } },
      ),
    ),
  ).toContainEqual(expect.stringMatching(/acknowledged are|is there 0 times|does not know/));
});

test('an acknowledgement before the journal is on the disk would be noticed', async () => {
  const journalFirst = { node: { accountingDurability: 'journal' } } as const;
  expect(
    await complaintsFrom(20, (seed) =>
      accountInTrouble(
        seed,
        { crashes: true, database: true },
        { ...journalFirst, flaws: { journal: 'acknowledges-early' } },
      ),
    ),
  ).toContainEqual(expect.stringMatching(/acknowledged are|is there 0 times|does not know/));
});
