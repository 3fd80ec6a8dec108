// Promise 10: bad input never crashes, never gets an answer, and changes nothing for those who behave.

import { expect, test } from 'vitest';
import { PacketCode } from '../../src/protocols/radius/packet.ts';
import type { Chance } from './chance.ts';
import type { Sent } from './network.ts';
import { LOGIN_METHODS } from './router.ts';
import { complaintsFrom } from './seeds.ts';
import { createWorld, passwordOf, subscriber } from './world.ts';

const GARBAGE = 400;

/** One way in which `good`, a signed request, becomes something that no router of ours sent. */
function spoil(good: Buffer, chance: Chance): Buffer {
  const bytes = Buffer.from(good);
  switch (chance.between(0, 6)) {
    case 0: {
      const at = chance.between(0, bytes.length - 1);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << chance.between(0, 7));
      return bytes;
    }
    case 1:
      return bytes.subarray(0, chance.between(0, bytes.length - 1));
    case 2:
      return chance.bytes(chance.between(0, 5_000));
    case 3:
      bytes[0] = chance.pick([0, 2, 3, 5, 11, 13, 40, 43, 255]);
      return bytes;
    case 4: {
      // Another attribute at the end, with a length that suits the packet.
      const longer = Buffer.concat([bytes, Buffer.of(chance.between(1, 255), 4, 1, 1)]);
      longer.writeUInt16BE(longer.length, 2);
      return longer;
    }
    case 5:
      bytes.writeUInt16BE(chance.between(0, 0xffff), 2);
      return bytes;
    default:
      chance.bytes(16).copy(bytes, 4); // another authenticator
      return bytes;
  }
}

async function sufferGarbage(seed: number): Promise<readonly string[]> {
  const node = { requireMessageAuthenticator: 'yes', rejectDelayMs: 0 } as const;
  const world = createWorld(seed, { nodes: 1, node });
  const { scheduler, chance, network, database } = world;
  const server = '10.0.0.1';
  for (const each of world.nodes) each.start();
  database.putCredential(subscriber('alice'));
  const router = await world.addRouter({ servers: [server] });
  await scheduler.run(1_000);

  const logIn = async () => {
    for (const method of LOGIN_METHODS) {
      const login = { username: 'alice', password: passwordOf('alice'), method, device: undefined };
      const { kind } = await router.login(login);
      if (kind !== 'accepted') world.complain(`${method} was ${kind}`);
    }
    await router.books.begin({ username: 'alice', device: 'd', class: undefined }).report('start');
  };
  await scheduler.until(logIn(), 60_000);

  // From other ports of the router and from strangers: whatever is answered now is a mistake.
  const good = router.asking.sent;
  const garbagePorts = new Set<number>();
  network.witness((sent) => {
    if (sent.from !== server || !garbagePorts.has(sent.toPort)) return;
    world.complain(`garbage was answered with code ${sent.bytes[0]}`);
  });
  for (let i = 0; i < GARBAGE; i++) {
    const { bytes, port } = chance.pick(good);
    const spoiled = spoil(bytes, chance);
    if (isPadded(spoiled, bytes)) continue;
    const fromPort = 1_000 + i;
    garbagePorts.add(fromPort);
    const from = chance.happens(0.8) ? router.address : '203.0.113.9';
    const toPort = chance.happens(0.9) ? port : 1812 + 1813 - port;
    const sent: Sent = { from, fromPort, to: server, toPort, bytes: spoiled };
    scheduler.at(chance.between(0, 1_000), () => network.inject(sent));
  }
  await scheduler.run(5_000);
  await scheduler.until(logIn(), 60_000);
  const sessions = database.sessions.size;
  if (sessions !== 2) world.complain(`there are ${sessions} sessions instead of 2`);
  return world.complaints;
}

/** A good packet with padding behind it is still that packet. RFC 2865 §3. */
function isPadded(spoiled: Buffer, good: Buffer): boolean {
  return spoiled.subarray(0, good.length).equals(good) && spoiled[0] !== PacketCode.StatusServer;
}

test('garbage gets no answer, and those who behave are served as before', async () => {
  expect(await complaintsFrom(60, sufferGarbage)).toEqual([]);
});
