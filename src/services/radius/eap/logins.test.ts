import { beforeEach, describe, expect, test } from 'vitest';
import type { SharedState } from '../../domain/shared-state.ts';
import type { Credential } from '../../domain/subscriber.ts';
import { eapMd5 } from '../../protocols/eap/md5.ts';
import { eapMsChapV2 } from '../../protocols/eap/mschapv2.ts';
import { EapType } from '../../protocols/eap/packet.ts';
import { answerEap, eapIdentity } from '../../protocols/eap/peer.ts';
import type { EapPeer, EapPeerMemory } from '../../protocols/eap/peer.ts';
import { AttributeType } from '../../protocols/radius/packet.ts';
import type { Packet } from '../../protocols/radius/packet.ts';
import { createMemoryState } from '../../stores/state/memory.ts';
import { pathFrom, request } from '../../../tests/simulation/packets.ts';
import { virtualRuntime } from '../../../tests/simulation/virtual-runtime.ts';
import type { VirtualRuntime } from '../../../tests/simulation/virtual-runtime.ts';
import { subscriber } from '../../../tests/simulation/world.ts';
import type { CredentialCache } from './credential-cache.ts';
import { createEapLogins } from './eap.ts';
import type { EapLogins, EapStep } from './eap.ts';

const path = pathFrom('10.1.0.1');
const alice: EapPeer = {
  username: 'alice',
  password: Buffer.from('pw-alice'),
  accepts: [EapType.MsChapV2],
};

let runtime: VirtualRuntime;
let memory: SharedState;
let one: EapLogins;
let two: EapLogins;

beforeEach(() => {
  runtime = virtualRuntime();
  memory = createMemoryState({ clock: runtime.clock });
  one = createNode(memory);
  two = createNode(memory);
});

function createNode(state: SharedState): EapLogins {
  const known = new Map<string, Credential>([['alice', subscriber('alice')]]);
  const credentials: Pick<CredentialCache, 'find'> = {
    find: (username) => Promise.resolve(known.get(username) ?? null),
  };
  return createEapLogins({
    state,
    credentials: credentials as CredentialCache,
    methods: [eapMsChapV2, eapMd5],
    box: { seal: (plaintext) => plaintext, open: (box) => box },
    runtime,
  });
}

/** What the router puts into a packet: the device's answer, and the State it was given. */
type Turn = { eap: Buffer; state: Buffer | undefined };

let lastIdentifier = 0;

/** A new packet each time, also with the same content. */
function packetOf({ eap, state }: Turn): Packet {
  lastIdentifier = (lastIdentifier + 1) % 256;
  return request(
    (writer) => {
      writer.eapMessage(eap);
      if (state !== undefined) writer.bytes(AttributeType.State, state);
    },
    { identifier: lastIdentifier, authenticator: runtime.random.bytes(16) },
  );
}

const firstTurn: Turn = { eap: eapIdentity('alice', 1), state: undefined };

/** The step of a node, settled with an answer that tells which it was. */
async function settled(node: EapLogins, packet: Packet, answer: string) {
  const step = await node.step(packet, path);
  const bytes = 'settle' in step ? await step.settle(Buffer.from(answer)) : undefined;
  return { step, sent: step.kind === 'repeat' ? step.answer : bytes };
}

function reply(step: EapStep, peerMemory: EapPeerMemory): Turn & { peerMemory: EapPeerMemory } {
  if (step.kind !== 'challenge') throw new Error(`a challenge should come, not ${step.kind}`);
  const answer = answerEap(alice, peerMemory, step.eap, Buffer.alloc(16, 7));
  if (answer.kind !== 'response') throw new Error(`the device says ${answer.kind}`);
  return { eap: answer.eap, state: step.state, peerMemory: answer.memory };
}

/** The device's answer to the first challenge, which node one has sent. */
async function challengeAnswered() {
  const { step } = await settled(one, packetOf(firstTurn), 'challenge');
  return reply(step, undefined);
}

test('a conversation goes on at the other node, round by round', async () => {
  const second = await challengeAnswered();
  const proof = await settled(two, packetOf(second), 'proof');
  const third = reply(proof.step, second.peerMemory);
  const { step } = await settled(one, packetOf(third), 'accept');
  expect(step).toMatchObject({ kind: 'success', username: 'alice', method: 'eap-mschapv2' });
});

describe('a packet that comes again', () => {
  test('to the other node gets the first answer', async () => {
    const packet = packetOf(await challengeAnswered());
    await settled(one, packet, 'from one');
    const again = await settled(two, packet, 'from two');
    expect(again.step.kind).toBe('repeat');
    expect(again.sent?.toString()).toBe('from one');
  });

  test('while both nodes work on it has one answer, which both send', async () => {
    const packet = packetOf(await challengeAnswered());
    const both = await Promise.all([settled(one, packet, 'from one'), settled(two, packet, 'two')]);
    expect(both.map(({ sent }) => sent?.toString())).toEqual(['from one', 'from one']);
  });

  test('after its node died between storing the answer and what follows from it', async () => {
    const dying = createNode({
      ...memory,
      setIfAbsent: () => Promise.reject(new Error('the node is dead')),
    });
    const second = await challengeAnswered();
    const packet = packetOf(second);
    const step = await dying.step(packet, path);
    if (step.kind !== 'challenge') throw new Error(step.kind);
    await expect(step.settle(Buffer.from('never sent'))).rejects.toThrow('the node is dead');

    const again = await settled(two, packet, 'another');
    expect(again.sent?.toString()).toBe('never sent');
    // The device has that answer, and what it says to it is understood.
    const third = reply(step, second.peerMemory);
    expect((await two.step(packetOf(third), path)).kind).toBe('success');
  });
});

describe('the same answer of the device in a new packet', () => {
  test('settles the round again: the router has turned to its other server', async () => {
    const second = await challengeAnswered();
    const lost = packetOf(second);
    await settled(one, lost, 'lost on the way');
    const anew = packetOf(second);
    const proof = await settled(two, anew, 'the second answer');
    expect(proof.sent?.toString()).toBe('the second answer');
    const third = reply(proof.step, second.peerMemory);
    expect((await settled(one, packetOf(third), 'accept')).step.kind).toBe('success');
    // Each packet keeps its own answer.
    expect((await settled(two, lost, 'x')).sent?.toString()).toBe('lost on the way');
    expect((await settled(one, anew, 'x')).sent?.toString()).toBe('the second answer');
  });

  test('has its own answer when two nodes work on the two packets at once', async () => {
    const second = await challengeAnswered();
    const both = await Promise.all([
      settled(one, packetOf(second), 'from one'),
      settled(two, packetOf(second), 'from two'),
    ]);
    expect(both.map(({ sent }) => sent?.toString())).toEqual(['from one', 'from two']);
  });

  test('is not taken for ever', async () => {
    const second = await challengeAnswered();
    const kinds: string[] = [];
    for (let i = 0; i < 10; i++) kinds.push((await settled(one, packetOf(second), '')).step.kind);
    expect(kinds.slice(0, 8)).toEqual(Array.from({ length: 8 }, () => 'challenge'));
    expect(kinds.slice(8)).toEqual(['discard', 'discard']);
  });
});

test('another answer to a State that has been used is discarded', async () => {
  const second = await challengeAnswered();
  await settled(one, packetOf(second), 'proof');
  const forged = Buffer.from(second.eap);
  forged.writeUInt8(forged.readUInt8(30) ^ 1, 30);
  const packet = packetOf({ ...second, eap: forged });
  expect(await two.step(packet, path)).toEqual({ kind: 'discard' });
});

test('a broken answer is discarded, and the right one may still come', async () => {
  const second = await challengeAnswered();
  const broken = packetOf({ ...second, eap: second.eap.subarray(0, 20) });
  expect((await one.step(broken, path)).kind).toBe('discard');
  expect((await settled(one, packetOf(second), 'proof')).step.kind).toBe('challenge');
});

describe('a conversation nobody knows is lost', () => {
  test('because the State is not ours', async () => {
    const packet = packetOf({ eap: Buffer.of(2, 9, 0, 5, 26), state: Buffer.from('whose?') });
    expect(await one.step(packet, path)).toEqual({ kind: 'lost', eap: Buffer.of(4, 9, 0, 4) });
  });

  test('because the device took more than five minutes', async () => {
    const second = await challengeAnswered();
    await runtime.scheduler.run(300_001);
    expect((await one.step(packetOf(second), path)).kind).toBe('lost');
  });

  test('because what is stored cannot be opened', async () => {
    const second = await challengeAnswered();
    const key = `eap_session:${second.state?.toString('hex')}`;
    await memory.set(key, Buffer.from('sealed with a key that is gone'), 1_000);
    expect((await one.step(packetOf(second), path)).kind).toBe('lost');
  });
});

test('a wrong password fails, and a name that does not exist looks the same', async () => {
  for (const username of ['alice', 'mallory']) {
    const peer = {
      ...alice,
      username,
      password: Buffer.from('wrong'),
      accepts: [EapType.Md5Challenge],
    };
    let turn: Turn = { eap: eapIdentity(username, 1), state: undefined };
    let step = (await settled(one, packetOf(turn), 'c')).step;
    while (step.kind === 'challenge') {
      const answer = answerEap(peer, undefined, step.eap, Buffer.alloc(16));
      if (answer.kind !== 'response') throw new Error(answer.kind);
      turn = { eap: answer.eap, state: step.state };
      step = (await settled(one, packetOf(turn), 'c')).step;
    }
    expect(step).toMatchObject({ kind: 'failure', reason: 'wrong-password', method: 'eap-md5' });
  }
});
