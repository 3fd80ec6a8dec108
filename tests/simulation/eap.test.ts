// Promise 4: EAP conversations without TLS continue on any node. Every packet goes to a node of its own,
// and nodes die in the middle: of the conversation, and of a round.

import { expect, test } from 'vitest';
import { complaintsFrom } from './seeds.ts';
import { crashInTheMiddleOfRounds, makeTrouble } from './trouble.ts';
import { createWorld, passwordOf, subscriber } from './world.ts';

const CONVERSATIONS = 25;

async function converse(
  seed: number,
  failover: 'same-bytes' | 'new-identity',
): Promise<readonly string[]> {
  const world = createWorld(seed, { nodes: 3 });
  const { scheduler, chance, nodes } = world;
  for (const node of nodes) node.start();
  world.database.putCredential(subscriber('alice'));
  const router = await world.addRouter({
    failover,
    spreads: true,
    servers: nodes.map(({ address }) => address),
  });
  await scheduler.run(1_000);
  const counted = crashInTheMiddleOfRounds(world, { after: 0.15 });

  const converseOnce = async () => {
    await scheduler.sleep(chance.between(0, 30_000));
    const isRight = chance.happens(0.8);
    const outcome = await router.login({
      username: 'alice',
      password: isRight ? passwordOf('alice') : 'wrong',
      method: chance.pick(['eap-md5', 'eap-mschapv2'] as const),
      device: undefined,
    });
    const expected = isRight ? 'accepted' : 'rejected';
    if (outcome.kind === expected) return;
    const why = outcome.kind === 'absurd' ? outcome.what : outcome.kind;
    world.complain(`a conversation that should be ${expected} was not: ${why}`);
  };
  const conversations = Array.from({ length: CONVERSATIONS }, converseOnce);
  const trouble = makeTrouble(world, { pauses: true }, 30_000);
  await scheduler.until(Promise.all([trouble, ...conversations]), 300_000);
  expect(counted.crashes, 'no node died in this world').toBeGreaterThan(0);
  return world.complaints;
}

test.each(['same-bytes', 'new-identity'] as const)(
  'a conversation ends as it should although each round meets another node, and nodes die (%s)',
  async (failover) => {
    expect(await complaintsFrom(100, (seed) => converse(seed, failover))).toEqual([]);
  },
);
