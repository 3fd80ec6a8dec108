import { beforeEach, describe, expect, test } from 'vitest';
import type { SharedState } from '../../../domain/shared-state.ts';
import type { Credential } from '../../../domain/subscriber.ts';
import type { EapMethod } from '../../../protocols/eap/method.ts';
import { eapMd5 } from '../../../protocols/eap/md5.ts';
import { eapMsChapV2 } from '../../../protocols/eap/mschapv2.ts';
import { EapType } from '../../../protocols/eap/packet.ts';
import { answerEap, eapIdentity } from '../../../protocols/eap/peer.ts';
import type { EapPeer, EapPeerMemory } from '../../../protocols/eap/peer.ts';
import {
  AttributeType,
  PacketCode,
  findText,
  parsePacket,
} from '../../../protocols/radius/packet.ts';
import type { Packet } from '../../../protocols/radius/packet.ts';
import { createMemoryState } from '../../../stores/state/memory.ts';
import { pathFrom, request } from '../../../../tests/simulation/packets.ts';
import { virtualRuntime } from '../../../../tests/simulation/virtual-runtime.ts';
import type { VirtualRuntime } from '../../../../tests/simulation/virtual-runtime.ts';
import { subscriber } from '../../../../tests/simulation/world.ts';
import type { CredentialCache } from '../credential-cache.ts';
import { encodeState } from './conversation-owner.ts';
import { createConversationStore } from './conversation-store.ts';
import { createEvidenceFinder } from './evidence.ts';
import type { Seal } from './record.ts';
import { createEapLogins } from './logins.ts';
import type { EapLogins, EapSource, EapStep, Forwarded } from './logins.ts';

const source: EapSource = { path: pathFrom('10.1.0.1'), router: 'r1', isProtected: false };
const stateOfNobody = encodeState({ random: Buffer.alloc(16, 5), kind: 'shared', owner: 1 });
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

type NodeOptions = {
  isStateAway?: () => boolean;
  onStateRecovered?: (listener: () => void) => void;
  sendCopy?: (id: string, round: number, sealed: Buffer) => Promise<void>;
  forward?: (owner: number) => Forwarded | Promise<Forwarded>;
  methods?: readonly EapMethod[];
};

let lastOwner = 0;

function createNode(state: SharedState, options: NodeOptions = {}) {
  const known = new Map<string, Credential>([['alice', subscriber('alice')]]);
  const credentials: Pick<CredentialCache, 'find'> = {
    find: (username) => Promise.resolve(known.get(username) ?? null),
  };
  const box: Seal = { seal: (plaintext) => plaintext, open: (sealed) => sealed };
  const forward = options.forward ?? (() => ({ kind: 'unreachable' }));
  const conversations = createConversationStore({
    state,
    box,
    clock: runtime.clock,
    isStateAway: options.isStateAway ?? (() => false),
    onStateRecovered: options.onStateRecovered ?? (() => undefined),
    canStateBeAway: true,
    sendCopy: options.sendCopy ?? (() => Promise.resolve()),
  });
  const logins = createEapLogins({
    conversations,
    evidence: createEvidenceFinder({ credentials, state, box }),
    credentials,
    methods: options.methods ?? [eapMsChapV2, eapMd5],
    maxPacketBytes: 1_200,
    owners: { own: ++lastOwner, forward: (owner) => Promise.resolve(forward(owner)) },
    runtime,
  });
  return { ...logins, keepCopy: conversations.keepCopy };
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
async function settled(node: EapLogins, packet: Packet, answer: string, isForwarded = false) {
  for (;;) {
    const step = await node.step(packet, source, isForwarded);
    if (!('settle' in step)) {
      return { step, sent: 'answer' in step ? wordIn(step.answer) : undefined };
    }
    const outcome = await step.settle(answerOf(step, answer));
    if (outcome.kind === 'again') continue;
    return { step, sent: outcome.kind === 'send' ? wordIn(outcome.answer) : undefined };
  }
}

/** A RADIUS packet around the step's EAP packet, as the real one would be, with a word to know it by. */
function answerOf(step: EapStep & { eap: Buffer }, word: string): Buffer {
  return request((writer) => {
    writer.eapMessage(step.eap);
    writer.text(AttributeType.UserName, word);
  }).bytes;
}

function wordIn(answer: Buffer): string | undefined {
  const packet = parsePacket(answer);
  return packet.kind === 'malformed' ? undefined : findText(packet, AttributeType.UserName);
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
    expect(again.sent).toBe('from one');
  });

  test('while both nodes work on it has one answer, which both send', async () => {
    const packet = packetOf(await challengeAnswered());
    const both = await Promise.all([settled(one, packet, 'from one'), settled(two, packet, 'two')]);
    expect(both.map(({ sent }) => sent)).toEqual(['from one', 'from one']);
  });

  test('after its node died before the round was settled is a first one at the other node', async () => {
    const dying = createNode({
      ...memory,
      compareAndSet: () => Promise.reject(new Error('the node is dead')),
    });
    const second = await challengeAnswered();
    const packet = packetOf(second);
    await expect(settled(dying, packet, 'never sent')).rejects.toThrow('the node is dead');

    const proof = await settled(two, packet, 'proof');
    expect(proof.sent).toBe('proof');
    const third = reply(proof.step, second.peerMemory);
    expect((await two.step(packetOf(third), source)).kind).toBe('success');
  });

  test('after its node died when the round was settled gets the answer that was never sent', async () => {
    const dying = createNode({
      ...memory,
      async compareAndSet(...change) {
        await memory.compareAndSet(...change);
        throw new Error('the node is dead');
      },
    });
    const packet = packetOf(await challengeAnswered());
    await expect(settled(dying, packet, 'never sent')).rejects.toThrow('the node is dead');
    expect((await settled(two, packet, 'another')).sent).toBe('never sent');
  });
});

describe('the same answer of the device in a new packet', () => {
  test('settles the round again: the router has turned to its other server', async () => {
    const second = await challengeAnswered();
    const lost = packetOf(second);
    await settled(one, lost, 'lost on the way');
    const anew = packetOf(second);
    const proof = await settled(two, anew, 'the second answer');
    expect(proof.sent).toBe('the second answer');
    // Each packet keeps its own answer.
    expect((await settled(two, lost, 'x')).sent).toBe('lost on the way');
    expect((await settled(one, anew, 'x')).sent).toBe('the second answer');
    const third = reply(proof.step, second.peerMemory);
    expect((await settled(one, packetOf(third), 'accept')).step.kind).toBe('success');
  });

  test('has its own answer when two nodes work on the two packets at once', async () => {
    const second = await challengeAnswered();
    const both = await Promise.all([
      settled(one, packetOf(second), 'from one'),
      settled(two, packetOf(second), 'from two'),
    ]);
    expect(both.map(({ sent }) => sent)).toEqual(['from one', 'from two']);
  });

  test('is not taken for ever', async () => {
    const second = await challengeAnswered();
    const kinds: string[] = [];
    for (let i = 0; i < 10; i++) kinds.push((await settled(one, packetOf(second), '')).step.kind);
    expect(kinds.slice(0, 8)).toEqual(Array.from({ length: 8 }, () => 'challenge'));
    expect(kinds.slice(8)).toEqual(['discard', 'discard']);
  });
});

test('a packet of a round that is over comes too late: no answer, and no harm', async () => {
  const second = await challengeAnswered();
  const late = packetOf(second);
  const proof = await settled(two, late, 'proof');
  const third = packetOf(reply(proof.step, second.peerMemory));
  expect((await settled(one, third, 'accept')).sent).toBe('accept');
  expect((await two.step(late, source)).kind).toBe('discard');
  expect((await settled(two, third, 'x')).sent).toBe('accept');
});

test('another answer to a State that has been used is discarded', async () => {
  const second = await challengeAnswered();
  await settled(one, packetOf(second), 'proof');
  const forged = Buffer.from(second.eap);
  forged.writeUInt8(forged.readUInt8(30) ^ 1, 30);
  const packet = packetOf({ ...second, eap: forged });
  expect(await two.step(packet, source)).toEqual({ kind: 'discard' });
});

test('a broken answer is discarded, and the right one may still come', async () => {
  const second = await challengeAnswered();
  const broken = packetOf({ ...second, eap: second.eap.subarray(0, 20) });
  expect((await one.step(broken, source)).kind).toBe('discard');
  expect((await settled(one, packetOf(second), 'proof')).step.kind).toBe('challenge');
});

describe('a conversation nobody knows is lost', () => {
  test('because the State is not ours', async () => {
    const packet = packetOf({ eap: Buffer.of(2, 9, 0, 5, 26), state: Buffer.from('whose?') });
    expect(await one.step(packet, source)).toEqual({ kind: 'lost', eap: Buffer.of(4, 9, 0, 4) });
  });

  test('because the device took more than five minutes', async () => {
    const second = await challengeAnswered();
    await runtime.scheduler.run(300_001);
    expect((await one.step(packetOf(second), source)).kind).toBe('lost');
  });

  test('because it has gone on for ten minutes, however quick each answer is', async () => {
    const second = await challengeAnswered();
    const kinds: string[] = [];
    for (let minute = 1; minute <= 10; minute++) {
      await runtime.scheduler.run(60_001);
      const step = await one.step(packetOf(second), source);
      await keepWaiting(step);
      kinds.push(step.kind);
    }
    expect(kinds.slice(0, 8)).toEqual(Array.from({ length: 8 }, () => 'challenge'));
    expect(kinds.at(-1)).toBe('lost');
  });

  /** The round is settled by one more packet, so that the record lives on. */
  async function keepWaiting(step: EapStep): Promise<void> {
    if (step.kind === 'challenge') await step.settle(answerOf(step, 'again'));
  }

  test('because what is stored cannot be opened', async () => {
    const second = await challengeAnswered();
    const key = `eap_session:${second.state?.toString('hex', 0, 8)}`;
    expect(await memory.exists(key)).toBe(true);
    await memory.set(key, Buffer.from('sealed with a key that is gone'), 1_000);
    expect((await one.step(packetOf(second), source)).kind).toBe('lost');
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

describe('a conversation that is not in the shared state', () => {
  const answerOfOwner: Forwarded = { kind: 'answer', answer: Buffer.from('of the owner') };

  test('is asked of the node that gave the last answer, and of nobody else', async () => {
    const asked: number[] = [];
    const forward = (owner: number): Forwarded => {
      asked.push(owner);
      return answerOfOwner;
    };
    const lonely = createNode(createMemoryState({ clock: runtime.clock }), { forward });
    const packet = packetOf(await challengeAnswered());
    expect(await lonely.step(packet, source)).toEqual({ ...answerOfOwner, kind: 'forwarded' });
    expect(asked).toHaveLength(1);
    // What was forwarded is not forwarded again: two nodes that do not know it would do so for ever.
    expect((await lonely.step(packet, source, true)).kind).toBe('lost');
    expect(asked).toHaveLength(1);
  });

  test('is lost when that node cannot be reached, and silent when it says nothing', async () => {
    const packet = packetOf(await challengeAnswered());
    const empty = createMemoryState({ clock: runtime.clock });
    expect((await createNode(empty).step(packet, source)).kind).toBe('lost');
    const silent = createNode(empty, { forward: () => ({ kind: 'silent' }) });
    expect((await silent.step(packet, source)).kind).toBe('discard');
  });
});

describe('while the shared state is away', () => {
  /** A node that had the shared state until now, and has an empty memory of its own instead. */
  function outage(options: NodeOptions = {}) {
    let isAway = false;
    /** Called for the connection as well, which is back before the state is. */
    let recovered = () => {};
    const own = createMemoryState({ clock: runtime.clock });
    const at = () => (isAway ? own : memory);
    const state: SharedState = {
      ...memory,
      get: (key) => at().get(key),
      setIfAbsent: (...args) => at().setIfAbsent(...args),
      compareAndSet: (...args) => at().compareAndSet(...args),
    };
    const node = createNode(state, {
      ...options,
      isStateAway: () => isAway,
      onStateRecovered: (listener) => {
        recovered = listener;
      },
    });
    return {
      node,
      begin: () => void (isAway = true),
      end() {
        recovered();
        isAway = false;
        recovered();
      },
    };
  }

  test('a conversation goes on at the node that gave the last answer', async () => {
    const { node, begin } = outage();
    const second = reply((await settled(node, packetOf(firstTurn), 'challenge')).step, undefined);
    begin();
    const proof = await settled(node, packetOf(second), 'proof');
    const third = reply(proof.step, second.peerMemory);
    expect((await settled(node, packetOf(third), 'accept')).step.kind).toBe('success');
  });

  test('another node takes over when the owner is out of reach, from a copy', async () => {
    const heir = outage();
    heir.begin();
    const owner = outage({
      sendCopy: (...copy) => Promise.resolve(heir.node.keepCopy(...copy)),
    });
    owner.begin();
    const second = reply((await settled(owner.node, packetOf(firstTurn), 'c')).step, undefined);
    const proof = await settled(owner.node, packetOf(second), 'proof');
    const third = packetOf(reply(proof.step, second.peerMemory));
    expect((await settled(heir.node, third, 'accept')).step.kind).toBe('success');
    expect((await settled(heir.node, third, 'x')).sent).toBe('accept');
  });

  test('and does not wait for it until the router has lost patience', async () => {
    const heir = outage({ forward: () => new Promise<never>(() => undefined) });
    heir.begin();
    const owner = outage({
      sendCopy: (...copy) => Promise.resolve(heir.node.keepCopy(...copy)),
    });
    owner.begin();
    const second = reply((await settled(owner.node, packetOf(firstTurn), 'c')).step, undefined);
    const taking = settled(heir.node, packetOf(second), 'proof');
    await runtime.scheduler.run(500);
    expect((await taking).step.kind).toBe('challenge');
  });

  test('a copy does not take the place of the same round here: a device goes on with either', async () => {
    const here = outage();
    here.begin();
    const second = reply((await settled(here.node, packetOf(firstTurn), 'c')).step, undefined);
    const copies: Parameters<typeof here.node.keepCopy>[] = [];
    const there = outage({ sendCopy: (...copy) => Promise.resolve(void copies.push(copy)) });
    there.begin();
    const packet = packetOf(second);
    const proof = await settled(here.node, packet, 'proof');
    const third = reply(proof.step, second.peerMemory);
    // The other node has the round before, and takes the same answer of the device.
    const before = await settled(there.node, packetOf(firstTurn), 'c');
    await settled(there.node, packetOf(reply(before.step, undefined)), 'proof');
    const id = String(third.state?.toString('hex', 0, 8));
    for (const [, round, sealed] of copies) here.node.keepCopy(id, round, sealed);
    expect((await settled(here.node, packetOf(third), 'accept')).step.kind).toBe('success');
  });

  test('and not while the owner answers', async () => {
    const answerOfOwner: Forwarded = { kind: 'answer', answer: Buffer.from('of the owner') };
    const heir = outage({ forward: () => answerOfOwner });
    heir.begin();
    const owner = outage({
      sendCopy: (...copy) => Promise.resolve(heir.node.keepCopy(...copy)),
    });
    owner.begin();
    const second = reply((await settled(owner.node, packetOf(firstTurn), 'c')).step, undefined);
    expect((await heir.node.step(packetOf(second), source)).kind).toBe('forwarded');
  });

  test('one that nobody here knows gets no answer: the shared state may have it', async () => {
    const second = await challengeAnswered();
    const { node, begin, end } = outage();
    begin();
    expect((await node.step(packetOf(second), source)).kind).toBe('away');
    end();
    expect((await settled(node, packetOf(second), 'proof')).step.kind).toBe('challenge');
  });

  test('and afterwards, although the shared state has an older round', async () => {
    const { node, begin, end } = outage();
    const second = reply((await settled(node, packetOf(firstTurn), 'challenge')).step, undefined);
    begin();
    const proof = await settled(node, packetOf(second), 'proof');
    end();
    const third = reply(proof.step, second.peerMemory);
    expect((await settled(node, packetOf(third), 'accept')).step.kind).toBe('success');
  });

  test('what went on meanwhile is written back, so that any node can go on again', async () => {
    const { node, begin, end } = outage();
    const second = reply((await settled(node, packetOf(firstTurn), 'challenge')).step, undefined);
    begin();
    const proof = await settled(node, packetOf(second), 'proof');
    end();
    await runtime.scheduler.run(10);
    const third = reply(proof.step, second.peerMemory);
    expect((await settled(two, packetOf(third), 'accept')).step.kind).toBe('success');
  });

  test('for a while after it an unknown conversation gets no answer: another node may have it', async () => {
    const { node, begin, end } = outage();
    begin();
    end();
    const unknown = packetOf({ eap: Buffer.of(2, 9, 0, 5, 26), state: stateOfNobody });
    expect((await node.step(unknown, source)).kind).toBe('away');
    await runtime.scheduler.run(10_001);
    expect((await node.step(unknown, source)).kind).toBe('lost');
  });

  test('a round that must not be worked out twice waits for the shared state', async () => {
    const unique: EapMethod = { ...eapMsChapV2, mustNotRepeat: () => true };
    const { node, begin, end } = outage({ methods: [unique] });
    const second = reply((await settled(node, packetOf(firstTurn), 'challenge')).step, undefined);
    begin();
    expect((await node.step(packetOf(second), source)).kind).toBe('away');
    end();
    expect((await node.step(packetOf(second), source)).kind).toBe('away');
    await runtime.scheduler.run(10_001);
    expect((await settled(node, packetOf(second), 'proof')).step.kind).toBe('challenge');
  });
});

describe('a round that two nodes work out', () => {
  test('comes out the same: the same random numbers, the same clock', async () => {
    const drawn: string[] = [];
    const drawing: EapMethod = {
      ...eapMsChapV2,
      step(state, input) {
        drawn.push(`${input.random.toString('hex')} ${input.nowMs}`);
        return eapMsChapV2.step(state, input);
      },
    };
    const nodes = [
      createNode(memory, { methods: [drawing] }),
      createNode(memory, { methods: [drawing] }),
    ];
    const second = await challengeAnswered();
    await runtime.scheduler.run(1_234);
    for (const node of nodes) await node.step(packetOf(second), source);
    expect(drawn).not.toEqual([]);
    expect(new Set(drawn).size).toBe(1);
  });

  test('draws other numbers for another answer of the device', async () => {
    const drawn = new Set<string>();
    const drawing: EapMethod = {
      ...eapMsChapV2,
      step(_state, input) {
        drawn.add(input.random.toString('hex'));
        drawn.add(input.fresh.toString('hex'));
        return { kind: 'discard', reason: 'malformed' };
      },
    };
    const node = createNode(memory, { methods: [drawing] });
    const second = await challengeAnswered();
    for (let i = 0; i < 3; i++) {
      const eap = Buffer.from(second.eap);
      eap.writeUInt8(i, 20);
      await node.step(packetOf({ ...second, eap }), source);
    }
    expect(drawn.size).toBe(6);
  });
});

test('a conversation that only one process can go on with is never looked for here', async () => {
  const bound: EapMethod = {
    ...eapMsChapV2,
    start(input) {
      const { data, state } = eapMsChapV2.start(input);
      return { data, state: { ...state, tunnel: { connection: { engine: 'native', id: 'x' } } } };
    },
  };
  const owner = createNode(memory, { methods: [bound] });
  const other = createNode(memory, {
    methods: [bound],
    forward: () => ({ kind: 'answer', answer: Buffer.from('of the owner') }),
  });
  const second = reply((await settled(owner, packetOf(firstTurn), 'challenge')).step, undefined);
  expect((await other.step(packetOf(second), source)).kind).toBe('forwarded');
  expect((await owner.step(packetOf(second), source)).kind).toBe('challenge');
});

test.each([
  { mtu: undefined, expected: 1_200 },
  { mtu: 1_400, expected: 1_200 },
  { mtu: 600, expected: 596 },
  { mtu: 10, expected: 128 },
])(
  'a link that carries $mtu bytes gets EAP packets of at most $expected',
  async ({ mtu, expected }) => {
    const asked: number[] = [];
    const asking: EapMethod = {
      ...eapMsChapV2,
      step(_state, { maxPacketBytes }) {
        asked.push(maxPacketBytes);
        return { kind: 'discard', reason: 'malformed' };
      },
    };
    const second = await challengeAnswered();
    const packet = request((writer) => {
      writer.eapMessage(second.eap);
      if (second.state !== undefined) writer.bytes(AttributeType.State, second.state);
      if (mtu !== undefined) writer.integer(12, mtu);
    });
    await createNode(memory, { methods: [asking] }).step(packet, source);
    expect(asked).toEqual([expected]);
  },
);

test('another router has no business with a conversation, and does not get its keys', async () => {
  const second = await challengeAnswered();
  const elsewhere: EapSource = { path: pathFrom('10.1.0.2'), router: 'r2', isProtected: false };
  expect(await two.step(packetOf(second), elsewhere)).toEqual({ kind: 'discard' });
  const last = packetOf(second);
  await settled(one, last, 'proof');
  expect(await two.step(last, elsewhere)).toEqual({ kind: 'discard' });
});

test('a TLS session is remembered when the login was granted, and only then', async () => {
  const session = {
    id: 'ab'.repeat(16),
    value: Buffer.from('secret of the session'),
    lifetimeMs: 9_000,
  };
  const granting: EapMethod = {
    ...eapMsChapV2,
    step: () => ({ kind: 'success', username: 'alice', session }),
  };
  const node = createNode(memory, { methods: [granting] });
  for (const [code, isThere] of [
    [PacketCode.AccessReject, false],
    [PacketCode.AccessAccept, true],
  ] as const) {
    const step = await node.step(packetOf(await challengeAnswered()), source);
    if (!('settle' in step)) throw new Error(step.kind);
    await step.settle(Buffer.of(code));
    expect(await memory.exists(`tls_session:${session.id}`)).toBe(isThere);
  }
});
