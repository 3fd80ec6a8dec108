// Promise 5: rate limits and seats hold for the whole cluster while the shared state lives, however the
// requests are spread and whatever the interleaving.

import { expect, test } from 'vitest';
import type { RouterSession } from './accounting.ts';
import { complaintsFrom } from './seeds.ts';
import type { StateFlaw } from './shared-state.ts';
import { makeTrouble } from './trouble.ts';
import { createWorld, passwordOf, planOfDevices, subscriber } from './world.ts';
import type { RouterWithBooks, World } from './world.ts';

type Options = { state?: StateFlaw };

function flawsOf(options: Options) {
  return options.state === undefined ? {} : { state: options.state };
}

const PER_MINUTE = 30;

/** More logins than allowed arrive at all nodes at once, in the middle of a minute. */
async function burst(seed: number, options: Options = {}): Promise<readonly string[]> {
  const node = { rateLimitPerMinute: PER_MINUTE };
  const world = createWorld(seed, { nodes: 3, node, flaws: flawsOf(options) });
  const { scheduler, chance, nodes } = world;
  for (const each of nodes) each.start();
  world.database.putCredential(subscriber('alice'));
  const router = await world.addRouter({
    servers: nodes.map(({ address }) => address),
    spreads: true,
  });
  await scheduler.run(10_000);

  const answered = new Set<string>();
  world.network.witness(({ fromPort, toPort, bytes }) => {
    if (fromPort === 1812) answered.add(`${toPort} ${bytes.toString('hex', 1, 20)}`);
  });
  const logins = Array.from({ length: 3 * PER_MINUTE }, async () => {
    await scheduler.sleep(chance.between(0, 3_000));
    const password = passwordOf('alice');
    await router.login({ username: 'alice', password, method: 'pap', device: undefined });
  });
  await scheduler.until(Promise.all(logins), 40_000);
  if (answered.size > PER_MINUTE) world.complain(`${answered.size} of ${PER_MINUTE} passed`);
  if (answered.size < PER_MINUTE - nodes.length) world.complain(`only ${answered.size} passed`);
  return world.complaints;
}

/** Who is online now, by subscriber; the count of devices must never exceed the plan. */
function watchSeats(world: World, devices: number) {
  const online = new Map<string, Map<string, number>>();
  let most = 0;
  return {
    comes(username: string, device: string) {
      const of = online.get(username) ?? new Map<string, number>();
      online.set(username, of);
      of.set(device, (of.get(device) ?? 0) + 1);
      most = Math.max(most, of.size);
      if (of.size > devices) {
        world.complain(
          `${username} is online with ${[...of.keys()].join(', ')}: ${devices} allowed`,
        );
      }
    },
    goes(username: string, device: string) {
      const of = online.get(username);
      const left = (of?.get(device) ?? 0) - 1;
      if (left > 0) of?.set(device, left);
      else of?.delete(device);
    },
    get most() {
      return most;
    },
  };
}

/** Devices that come, roam to another router and go, more of them than there are seats. */
async function raceForSeats(seed: number, options: Options = {}): Promise<readonly string[]> {
  const world = createWorld(seed, { nodes: 3, flaws: flawsOf(options) });
  const { scheduler, chance, nodes, database } = world;
  for (const node of nodes) node.start();
  const devices = chance.between(1, 3);
  const names = ['alice', 'bob'];
  for (const name of names)
    database.putCredential(subscriber(name, { plan: planOfDevices(devices) }));
  const routers = await Promise.all([
    world.addRouter({ spreads: true }),
    world.addRouter({ failover: 'new-identity' }),
    world.addRouter({ spreads: true, tellsTime: 'delay-time' }),
  ]);
  await scheduler.run(1_000);
  const seats = watchSeats(world, devices);

  async function comeOnline(router: RouterWithBooks, username: string, device: string) {
    const method = chance.pick(['pap', 'eap-md5'] as const);
    const outcome = await router.login({
      username,
      password: passwordOf(username),
      method,
      device,
    });
    if (outcome.kind !== 'accepted') return undefined;
    seats.comes(username, device);
    const session = router.books.begin({ username, device, class: outcome.class });
    await scheduler.sleep(chance.between(0, 500));
    void session.report('start');
    return session;
  }

  async function goOffline(session: RouterSession) {
    seats.goes(session.username, session.device ?? '');
    await session.report('stop');
  }

  async function visit(username: string, device: string): Promise<void> {
    for (let visits = chance.between(1, 3); visits > 0; visits--) {
      // Many at the very same moment, as when a class ends.
      await scheduler.sleep(chance.happens(0.3) ? 0 : chance.between(0, 20_000));
      const session = await comeOnline(chance.pick(routers), username, device);
      if (session === undefined) continue;
      await scheduler.sleep(chance.between(1_000, 15_000));
      if (chance.happens(0.4)) {
        // Roaming: the new router hears of the device before the old one has missed it.
        const next = await comeOnline(chance.pick(routers), username, device);
        await scheduler.sleep(chance.between(0, 3_000));
        await goOffline(session);
        await scheduler.sleep(chance.between(1_000, 15_000));
        if (next !== undefined) await goOffline(next);
      } else await goOffline(session);
    }
  }

  const visits = names.flatMap((name) =>
    Array.from({ length: devices + 3 }, (_, i) => visit(name, `02-00-00-00-00-0${i}`)),
  );
  const trouble = makeTrouble(world, { pauses: true, crashes: true }, 60_000);
  await scheduler.until(Promise.all([trouble, ...visits]), 600_000);
  expect(seats.most, 'nobody came online in this world').toBeGreaterThan(0);
  return world.complaints;
}

test('a rate limit is never exceeded and nearly reached, over three nodes', async () => {
  expect(await complaintsFrom(80, (seed) => burst(seed))).toEqual([]);
});

test('no more devices are online than the plan has seats', async () => {
  expect(await complaintsFrom(150, (seed) => raceForSeats(seed))).toEqual([]);
});

test('limits over a shared state without atomic steps would be seen to fail', async () => {
  expect(await complaintsFrom(10, (seed) => burst(seed, { state: 'not-atomic' }))).toContainEqual(
    expect.stringMatching(/passed/),
  );
  expect(
    await complaintsFrom(20, (seed) => raceForSeats(seed, { state: 'not-atomic' })),
  ).toContainEqual(expect.stringMatching(/allowed/));
});
