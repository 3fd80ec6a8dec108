// Promise 1: a valid login is answered inside the router's first time-out while one node lives and
// either the database or a credential cached on that node has it.

import { expect, test } from 'vitest';
import { TIMEOUT_MS } from './exchange.ts';
import { LOGIN_METHODS } from './router.ts';
import type { LoginMethod } from './router.ts';
import { complaintsFrom } from './seeds.ts';
import { makeTrouble } from './trouble.ts';
import type { Troubles } from './trouble.ts';
import type { SimulatedNode } from './node.ts';
import { createWorld, passwordOf, subscriber } from './world.ts';
import type { RouterWithBooks, World } from './world.ts';

const SUBSCRIBERS = 12;
const LOGINS = 40;

async function logIn(
  world: World,
  router: RouterWithBooks,
  name: string,
  methods: readonly LoginMethod[],
): Promise<void> {
  const method = world.chance.pick(methods);
  const login = { username: name, password: passwordOf(name), method, device: undefined };
  const outcome = await router.login(login);
  const what = `${name} by ${method} through ${router.address}`;
  if (outcome.kind === 'absurd') world.complain(`${what}: ${outcome.what}`);
  if (outcome.kind === 'rejected') world.complain(`${what}: rejected`);
}

/** Whatever reaches this node is answered, by it or another, before its router grows impatient. */
function expectPromptAnswers(world: World, survivor: SimulatedNode) {
  world.network.witnessArrivals((arrived) => {
    if (arrived.to !== survivor.address || arrived.toPort !== 1812) return;
    world.scheduler.at(TIMEOUT_MS, () => {
      if (world.witness.isAnswered(arrived)) return;
      world.complain(`a login from ${arrived.from} got no answer for ${TIMEOUT_MS} ms`);
    });
  });
}

/** Everybody logs in again and again, while one node of two and the stores suffer. */
async function loginsInTrouble(
  seed: number,
  troubles: Troubles,
  failover: 'same-bytes' | 'new-identity',
  methods: readonly LoginMethod[] = LOGIN_METHODS,
): Promise<readonly string[]> {
  const world = createWorld(seed, { nodes: 2 });
  const { scheduler, chance, nodes } = world;
  const [survivor] = nodes;
  if (survivor === undefined) throw new Error('a world without nodes');
  for (const node of nodes) node.start();
  const names = Array.from({ length: SUBSCRIBERS }, (_, i) => `s${i}`);
  for (const name of names) world.database.putCredential(subscriber(name));
  const routers = await Promise.all([
    world.addRouter({ failover }),
    world.addRouter({ failover, servers: [survivor.address] }),
    world.addRouter({ failover, spreads: true, signs: false }),
  ]);
  await scheduler.run(1_000);
  expectPromptAnswers(world, survivor);

  const story = async () => {
    const [, onlySurvivor] = routers;
    await Promise.all(names.map((name) => logIn(world, onlySurvivor, name, methods))); // cached from now on
    const trouble = makeTrouble(world, { ...troubles, spared: [survivor] }, 60_000);
    const logins = Array.from({ length: LOGINS }, async () => {
      await scheduler.sleep(chance.between(0, 60_000));
      await logIn(world, chance.pick(routers), chance.pick(names), methods);
    });
    await Promise.all([trouble, ...logins]);
  };
  await scheduler.until(story(), 300_000);
  return world.complaints;
}

test.each(['same-bytes', 'new-identity'] as const)(
  'a login succeeds while a node crashes and is paused (%s)',
  async (failover) => {
    expect(
      await complaintsFrom(60, (seed) =>
        loginsInTrouble(seed, { crashes: true, pauses: true }, failover),
      ),
    ).toEqual([]);
  },
);

test('a login succeeds while a node is upgraded again and again', async () => {
  expect(
    await complaintsFrom(60, (seed) => loginsInTrouble(seed, { stops: true }, 'same-bytes')),
  ).toEqual([]);
});

test('a login succeeds while the database is away, slow or frozen', async () => {
  expect(
    await complaintsFrom(60, (seed) =>
      loginsInTrouble(seed, { database: true, crashes: true }, 'same-bytes'),
    ),
  ).toEqual([]);
});

test('a login with a password succeeds whatever the shared state does', async () => {
  expect(
    await complaintsFrom(60, (seed) =>
      loginsInTrouble(seed, { state: true, crashes: true }, 'same-bytes', [
        'pap',
        'chap',
        'mschapv2',
      ]),
    ),
  ).toEqual([]);
});

test('a login succeeds while the links to the other node are bad or cut', async () => {
  expect(
    await complaintsFrom(60, (seed) => loginsInTrouble(seed, { links: true }, 'same-bytes')),
  ).toEqual([]);
});
