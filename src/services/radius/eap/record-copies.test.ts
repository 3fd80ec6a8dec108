import { beforeEach, expect, test } from 'vitest';
import { virtualRuntime } from '../../../../tests/simulation/virtual-runtime.ts';
import type { VirtualRuntime } from '../../../../tests/simulation/virtual-runtime.ts';
import { pathTo } from '../../../runtime/udp/path.ts';
import type { RecordPart } from './peer-datagram.ts';
import type { Peer } from './peer-registry.ts';
import { createRecordCopies } from './record-copies.ts';

const ID = '0011223344556677';
const record = Buffer.from(Array.from({ length: 9_001 }, (_, i) => i & 0xff));

let runtime: VirtualRuntime;
beforeEach(() => {
  runtime = virtualRuntime();
});

function peer(owner: number, name: string): Peer {
  const host = `10.0.0.${owner}`;
  return { owner, name, host, port: 1814, startedAtMs: 0, path: pathTo(host, 1814) };
}

function copiesTo(
  peers: readonly Peer[],
  copy: (peer: Peer, part: RecordPart) => Promise<boolean>,
) {
  return createRecordCopies({ ownName: 'a/0', peers: () => peers, copy, clock: runtime.clock });
}

test('a record longer than a datagram arrives whole, whatever the order of its parts', async () => {
  const parts: RecordPart[] = [];
  const sender = copiesTo([peer(2, 'b/0')], (_peer, part) => {
    parts.push(part);
    return Promise.resolve(true);
  });
  await sender.send(ID, 3, record);
  expect(parts).toHaveLength(3);

  const receiver = copiesTo([], () => Promise.resolve(false));
  const [first, second, third] = parts.toReversed().map((part) => receiver.receive(part));
  expect([first, second]).toEqual([undefined, undefined]);
  expect(third).toEqual({ id: ID, round: 3, sealed: record });
});

test('two other nodes get it, not two workers of one, and none of our own', async () => {
  const asked: string[] = [];
  const peers = ['a/1', 'b/0', 'b/1', 'c/0', 'd/0'].map((name, i) => peer(i + 2, name));
  const copies = copiesTo(peers, ({ name }) => {
    asked.push(name.slice(0, 1));
    return Promise.resolve(true);
  });
  await copies.send(ID, 1, Buffer.from('short'));
  expect(new Set(asked).size).toBe(2);
  expect(asked).toHaveLength(2);
  expect(asked).not.toContain('a');
});

test('one that has it is enough, and nobody waits for a dead one', async () => {
  const never = new Promise<boolean>(() => undefined);
  const copies = copiesTo([peer(2, 'b/0'), peer(3, 'c/0')], ({ owner }) =>
    owner === 2 ? never : Promise.resolve(true),
  );
  await expect(copies.send(ID, 1, record)).resolves.toBeUndefined();
});

test('without other nodes, or when none takes it, the login goes on', async () => {
  await expect(
    copiesTo([], () => Promise.resolve(true)).send(ID, 1, record),
  ).resolves.toBeUndefined();
  const refusing = copiesTo([peer(2, 'b/0')], () => Promise.resolve(false));
  await expect(refusing.send(ID, 1, record)).resolves.toBeUndefined();
});

test('parts whose others never come are forgotten', async () => {
  const receiver = copiesTo([], () => Promise.resolve(false));
  const part = (number: number): RecordPart => {
    return { id: ID, round: 1, part: number, parts: 2, bytes: Buffer.of(number) };
  };
  receiver.receive(part(0));
  await runtime.scheduler.run(3_000);
  expect(receiver.receive(part(1))).toBeUndefined();
  expect(receiver.receive(part(0))).toEqual({ id: ID, round: 1, sealed: Buffer.of(0, 1) });
});
