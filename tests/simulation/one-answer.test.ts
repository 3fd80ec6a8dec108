// Promise 2: a retransmission, to the same or to another node, gets the first answer again. The wire's
// witness compares all answers; here routers and networks repeat requests as badly as they can, and
// nodes die between deciding and sending.

import { expect, test } from 'vitest';
import { LOGIN_METHODS } from './router.ts';
import { complaintsFrom } from './seeds.ts';
import type { StateFlaw } from './shared-state.ts';
import { heal, makeTrouble, repeatRequestsElsewhere } from './trouble.ts';
import { createWorld, passwordOf, subscriber } from './world.ts';
import type { World } from './world.ts';

const SUBSCRIBERS = 8;
const LOGINS = 40;
const VOUCHERS = 4;

/** A crash when the answer is stored and has not left: the worst moment there is. */
function crashBetweenDecidingAndSending(world: World) {
  const { state, chance, scheduler, nodes } = world;
  state.onEffect = (name, operation) => {
    if (operation !== 'compareAndSet' && operation !== 'setIfAbsent') return;
    if (!chance.happens(0.05)) return;
    const node = nodes.find((each) => each.name === name);
    scheduler.at(0, () => node?.crash());
    scheduler.at(3_000, () => {
      if (node?.isUp === false) node.start();
    });
  };
}

async function repeatedRequests(
  seed: number,
  options: { crashes: boolean; state?: StateFlaw } = { crashes: true },
): Promise<readonly string[]> {
  const flaws = options.state === undefined ? {} : { state: options.state };
  const world = createWorld(seed, { nodes: 3, flaws });
  const { scheduler, chance, nodes, database, witness } = world;
  for (const node of nodes) node.start();
  const names = Array.from({ length: SUBSCRIBERS }, (_, i) => `s${i}`);
  for (const name of names) database.putCredential(subscriber(name));
  const vouchers = Array.from({ length: VOUCHERS }, (_, i) => `v${i}`);
  for (const code of vouchers) database.putCredential(subscriber(code, { kind: 'voucher' }));
  const routers = await Promise.all([
    world.addRouter(),
    world.addRouter({ failover: 'new-identity' }),
    world.addRouter({ spreads: true }),
  ]);
  world.network.setDefault({
    loss: 0.05,
    duplication: 0.2,
    fromDelayMs: 1,
    toDelayMs: 20,
    isCut: false,
  });
  await scheduler.run(1_000);
  repeatRequestsElsewhere(world, 0.5);
  if (options.crashes) crashBetweenDecidingAndSending(world);
  const activations = watchActivations(world, vouchers);

  const story = async () => {
    const trouble = makeTrouble(world, { pauses: true }, 20_000);
    const logins = Array.from({ length: LOGINS }, async () => {
      await scheduler.sleep(chance.between(0, 20_000));
      const username = chance.pick([...names, ...vouchers]);
      const password = chance.happens(0.2) ? 'wrong' : passwordOf(username);
      const method = chance.pick(LOGIN_METHODS);
      await chance.pick(routers).login({ username, password, method, device: undefined });
    });
    await Promise.all([trouble, ...logins]);
    world.state.onEffect = undefined;
    await heal(world);
  };
  await scheduler.until(story(), 300_000);
  expect(witness.answersRepeated, 'nothing was repeated in this world').toBeGreaterThan(3);
  activations.check();
  return world.complaints;
}

/** A voucher is activated once, whatever repeats: the date that was set first stays. */
function watchActivations(world: World, vouchers: readonly string[]) {
  const first = new Map<string, number>();
  const look = () => {
    for (const code of vouchers) {
      const atMs = world.database.credentials.get(code)?.activatedAtMs;
      const before = first.get(code);
      if (before === undefined && atMs !== undefined) first.set(code, atMs);
      if (before !== undefined && atMs !== before) world.complain(`${code} was activated twice`);
    }
  };
  world.network.witness(look);
  return { check: look };
}

test('a retransmission gets the first answer, from whichever node', async () => {
  expect(await complaintsFrom(80, (seed) => repeatedRequests(seed, { crashes: false }))).toEqual(
    [],
  );
});

test('also when nodes die between deciding and sending', async () => {
  expect(await complaintsFrom(120, (seed) => repeatedRequests(seed))).toEqual([]);
});

test('a shared state without atomic steps would be noticed', async () => {
  expect(
    await complaintsFrom(10, (seed) =>
      repeatedRequests(seed, { crashes: false, state: 'not-atomic' }),
    ),
  ).toContainEqual(expect.stringMatching(/two answers to one request/));
});
