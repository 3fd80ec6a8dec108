// A failure can be shown again only if a world depends on its seed and on nothing else.

import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { createTlsWorld } from './eap-tls.ts';
import { LOGIN_METHODS } from './router.ts';
import { heal, makeTrouble } from './trouble.ts';
import { createWorld, passwordOf, subscriber } from './world.ts';

/** A digest of everything that was sent in a busy minute. */
async function trafficOf(seed: number): Promise<string> {
  const world = createWorld(seed, { nodes: 2 });
  const { scheduler, chance, nodes } = world;
  for (const node of nodes) node.start();
  world.database.putCredential(subscriber('alice'));
  const router = await world.addRouter({ spreads: true });
  const traffic = createHash('sha256');
  world.network.witness(({ from, to, bytes }) => {
    traffic.update(`${scheduler.nowMs} ${from} ${to} `).update(bytes);
  });

  const story = async () => {
    const visits = Array.from({ length: 15 }, async () => {
      await scheduler.sleep(chance.between(0, 60_000));
      const method = chance.pick(LOGIN_METHODS);
      const login = { username: 'alice', password: passwordOf('alice'), method, device: 'phone' };
      const outcome = await router.login(login);
      if (outcome.kind !== 'accepted') return;
      const session = router.books.begin({ ...login, class: outcome.class });
      await session.report('start');
      await session.report('stop');
    });
    const everything = { crashes: true, pauses: true, database: true, state: true, links: true };
    await makeTrouble(world, everything, 60_000);
    await heal(world);
    await Promise.all(visits);
  };
  await scheduler.until(story(), 600_000);
  return traffic.digest('hex');
}

test('the same seed makes the same world, to the byte and the millisecond', async () => {
  for (const seed of [1, 2, 3]) expect(await trafficOf(seed)).toBe(await trafficOf(seed));
});

/** The same of devices that log in over TLS. */
async function tlsTrafficOf(seed: number): Promise<string> {
  const world = await createTlsWorld(seed, { failover: 'new-identity', isAnsweredOnce: true });
  const traffic = createHash('sha256');
  world.network.witness(({ from, to, bytes }) => {
    traffic.update(`${world.scheduler.nowMs} ${from} ${to} `).update(bytes);
  });
  const logins = Array.from({ length: 15 }, async () => {
    await world.scheduler.sleep(world.chance.between(0, 20_000));
    await world.logIn();
  });
  const trouble = makeTrouble(world, { crashes: true, pauses: true, links: true }, 20_000);
  await world.scheduler.until(Promise.all([trouble.then(() => heal(world)), ...logins]), 600_000);
  return traffic.digest('hex');
}

test('the same seed makes the same TLS, keys included', async () => {
  for (const seed of [1, 2, 3]) expect(await tlsTrafficOf(seed)).toBe(await tlsTrafficOf(seed));
});

test('another seed makes another world', async () => {
  expect(await trafficOf(1)).not.toBe(await trafficOf(2));
});
