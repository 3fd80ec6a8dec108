import { afterEach, beforeEach, expect, test } from 'vitest';
import { createChance } from '../../../../tests/simulation/chance.ts';
import { beginLife, lifeClock } from '../../../../tests/simulation/life.ts';
import type { Life } from '../../../../tests/simulation/life.ts';
import { GOOD_LINK, createNetwork } from '../../../../tests/simulation/network.ts';
import type { Sent, SimulatedNetwork } from '../../../../tests/simulation/network.ts';
import { pathFrom, request } from '../../../../tests/simulation/packets.ts';
import { createScheduler } from '../../../../tests/simulation/scheduler.ts';
import type { Scheduler } from '../../../../tests/simulation/scheduler.ts';
import { silentLog } from '../../../runtime/log.ts';
import { createMetrics } from '../../../runtime/metrics.ts';
import type { Metrics } from '../../../runtime/metrics.ts';
import { pathTo } from '../../../runtime/udp/path.ts';
import { createSecretBox } from '../../../stores/secret-box.ts';
import { encodeDatagram } from './peer-datagram.ts';
import type { Envelope, ForwardedRequest } from './peer-datagram.ts';
import { createPeerLink } from './peer-link.ts';
import type { ForwardOutcome, PeerLink } from './peer-link.ts';
import type { Peer } from './peer-registry.ts';

const PORT = 1645;
const CLUSTER_KEY = Buffer.alloc(32, 7);
const answer = Buffer.from('an answer that is long enough');
const asked: ForwardedRequest = {
  packet: request((writer) => writer.text(1, 'alice')).bytes,
  path: pathFrom('10.1.0.1', 40_001),
  port: 'auth',
};

type Node = {
  link: PeerLink;
  peer: Peer;
  life: Life;
  metrics: Metrics;
  wall: { offsetMs: number };
};

let scheduler: Scheduler;
let network: SimulatedNetwork;
let sent: Sent[];
let handled: ForwardedRequest[];
let one: Node;
let two: Node;

beforeEach(async () => {
  scheduler = createScheduler();
  network = createNetwork(scheduler, createChance(1));
  sent = [];
  network.witness((datagram) => sent.push(datagram));
  handled = [];
  one = await startNode(1);
  two = await startNode(2);
});

afterEach(async () => {
  await one.link[Symbol.asyncDispose]();
  await two.link[Symbol.asyncDispose]();
});

async function startNode(
  number: number,
  options: {
    handle?: (request: ForwardedRequest) => Promise<Buffer | undefined>;
    key?: Buffer;
    owner?: number;
  } = {},
): Promise<Node> {
  const host = `10.0.0.${number}`;
  const life = beginLife(scheduler);
  const wall = { offsetMs: 0 };
  const metrics = createMetrics({ processMetrics: false });
  const owner = options.owner ?? number;
  const link = await createPeerLink({
    runtime: {
      clock: lifeClock(scheduler, life, wall),
      random: createChance(number),
      network: network.at(host, life),
      log: silentLog(),
      metrics,
    },
    box: createSecretBox([options.key ?? CLUSTER_KEY]),
    owner,
    host,
    port: PORT,
    handle:
      options.handle ??
      ((forwarded) => {
        handled.push(forwarded);
        return Promise.resolve(answer);
      }),
  });
  const peer = { owner, name: host, host, port: PORT, startedAtMs: 0, path: pathTo(host, PORT) };
  return { link, peer, life, metrics, wall };
}

/** In place of the second node. */
async function restartTwo(options: Parameters<typeof startNode>[1]) {
  await two.link[Symbol.asyncDispose]();
  two = await startNode(2, options);
}

function forward(from = one, to: Peer = two.peer, what = asked): Promise<ForwardOutcome> {
  return scheduler.until(from.link.forward(to, what), 5_000);
}

async function counted(node: Node): Promise<string[]> {
  const lines = (await node.metrics.text()).split('\n');
  return lines
    .filter((line) => /^radius_(eap_forwarded|peer_link)/.test(line) && !line.endsWith(' 0'))
    .map((line) => line.replace(/^\w+\{\w+="([\w-]+)"\} (\d+)$/, '$1 $2'));
}

function datagramsFrom(host: string): Sent[] {
  return sent.filter(({ from }) => from === host);
}

function inject(datagram: Sent | undefined, changes: Partial<Sent> = {}) {
  if (datagram === undefined) throw new Error('there was no such datagram');
  network.inject({ ...datagram, ...changes });
}

test('the owner answers as if the router had asked it, and the answer comes back', async () => {
  expect(await forward()).toEqual({ kind: 'answer', answer });
  expect(handled).toHaveLength(1);
  const [{ packet, path, port } = asked] = handled;
  expect(packet).toEqual(asked.packet);
  expect(path.subarray(0, 18)).toEqual(asked.path.subarray(0, 18));
  expect(path.subarray(18)).toEqual(Buffer.alloc(22));
  expect(port).toBe('auth');
  expect(sent).toHaveLength(2);
  expect(await counted(one)).toEqual(['answered 1']);
  expect(await counted(two)).toEqual([]);
});

test('the port that was asked comes along', async () => {
  await forward(one, two.peer, { ...asked, port: 'acct' });
  expect(handled[0]?.port).toBe('acct');
});

test('neither the packet nor the answer can be read on the way', async () => {
  await forward();
  for (const { bytes } of sent) {
    expect(bytes.includes(asked.packet.subarray(0, 20))).toBe(false);
    expect(bytes.includes(answer)).toBe(false);
  }
});

test('what the owner leaves unanswered is known to be so at once', async () => {
  await restartTwo({ handle: () => Promise.resolve(undefined) });
  expect(await forward()).toEqual({ kind: 'silent' });
  expect(scheduler.nowMs).toBeLessThan(100);
  expect(await counted(one)).toEqual(['silent 1']);
});

test('an owner that fails is silent', async () => {
  await restartTwo({ handle: () => Promise.reject(new Error('no')) });
  expect(await forward()).toEqual({ kind: 'silent' });
});

test('a dead owner is asked twice and given up after 600 ms', async () => {
  two.life.end();
  expect(await forward()).toEqual({ kind: 'unreachable', reason: 'timeout' });
  expect(scheduler.nowMs).toBe(600);
  expect(sent).toHaveLength(2);
  expect(await counted(one)).toEqual(['timeout 1']);
});

test('an owner that nobody knows is not waited for', async () => {
  const outcome = await one.link.forward(undefined, asked);
  expect(outcome).toEqual({ kind: 'unreachable', reason: 'unknown-peer' });
  expect(sent).toEqual([]);
  expect(await counted(one)).toEqual(['unknown-peer 1']);
});

test('a lost request is sent again', async () => {
  network.link('10.0.0.1', '10.0.0.2', { isCut: true });
  scheduler.at(200, () => network.link('10.0.0.1', '10.0.0.2', { isCut: false }));
  expect(await forward()).toEqual({ kind: 'answer', answer });
  expect(handled).toHaveLength(1);
});

test('when the answer is lost, the retransmission gets it again and nothing is done twice', async () => {
  const cutAnswers = (arrived: Sent) => {
    const isCut = arrived.from === '10.0.0.1' && scheduler.nowMs < 100;
    network.link('10.0.0.1', '10.0.0.2', { isCut });
  };
  network.witnessArrivals(cutAnswers);
  scheduler.at(200, () => network.link('10.0.0.1', '10.0.0.2', { isCut: false }));
  expect(await forward()).toEqual({ kind: 'answer', answer });
  expect(scheduler.nowMs).toBeGreaterThanOrEqual(300);
  expect(handled).toHaveLength(1);
  const [first, second] = datagramsFrom('10.0.0.2');
  expect(second?.bytes).toEqual(first?.bytes);
});

test('an owner that takes its time says so, and is waited for', async () => {
  let calls = 0;
  await restartTwo({
    handle: async () => {
      calls++;
      await scheduler.sleep(800);
      return answer;
    },
  });
  expect(await forward()).toEqual({ kind: 'answer', answer });
  expect(calls).toBe(1);
  expect(datagramsFrom('10.0.0.2')).toHaveLength(2); // that it is busy, and the answer
  expect(await counted(two)).toEqual(['in-progress 1']);
});

test('on a bad network many requests at once all come to one answer each', async () => {
  network.setDefault({ ...GOOD_LINK, loss: 0.1, duplication: 0.3, toDelayMs: 50 });
  const seen = new Map<number, number>();
  await restartTwo({
    handle: ({ packet }) => {
      const identifier = packet.readUInt8(1);
      seen.set(identifier, (seen.get(identifier) ?? 0) + 1);
      return Promise.resolve(Buffer.alloc(20, identifier));
    },
  });
  const outcomes = Array.from({ length: 200 }, (_, identifier) => {
    const { bytes: packet } = request(() => undefined, { identifier });
    return one.link.forward(two.peer, { ...asked, packet });
  });
  const all = await scheduler.until(Promise.all(outcomes), 5_000);
  const wrong = all.filter(
    (outcome, identifier) =>
      outcome.kind === 'answer' && !outcome.answer.equals(Buffer.alloc(20, identifier)),
  );
  expect(wrong).toEqual([]);
  expect(all.filter(({ kind }) => kind === 'answer').length).toBeGreaterThan(180);
  expect([...seen.values()].every((times) => times === 1)).toBe(true);
});

test('the longest packets fit, but for a request that is too long for a datagram', async () => {
  const long = Buffer.alloc(4_096, 9);
  await restartTwo({ handle: () => Promise.resolve(long) });
  const longest = { ...asked, packet: Buffer.alloc(4_087) };
  expect(await forward(one, two.peer, longest)).toEqual({ kind: 'answer', answer: long });
  const outcome = await forward(one, two.peer, { ...asked, packet: Buffer.alloc(4_088) });
  expect(outcome).toEqual({ kind: 'unreachable', reason: 'refused' });
});

test('no more than 1,024 requests are under way', async () => {
  two.life.end();
  const outcomes = Array.from({ length: 1_025 }, () => one.link.forward(two.peer, asked));
  expect(await outcomes.at(-1)).toEqual({ kind: 'unreachable', reason: 'refused' });
  await scheduler.run(1_000);
  expect(await outcomes[0]).toEqual({ kind: 'unreachable', reason: 'timeout' });
  expect(await counted(one)).toEqual(['timeout 1024', 'refused 1']);
});

test('more than 1,024 requests at once are not taken, but their retransmissions may be', async () => {
  await restartTwo({
    handle: async ({ packet }) => {
      handled.push({ ...asked, packet });
      await scheduler.sleep(100);
      return answer;
    },
  });
  const three = await startNode(3);
  const packet = (identifier: number, last: number) =>
    request(() => undefined, { identifier, authenticator: Buffer.alloc(16, last) }).bytes;
  const outcomes = [one, three].flatMap((node, last) =>
    Array.from({ length: 600 }, (_, i) => {
      const authenticator = last * 3 + Math.floor(i / 256);
      return node.link.forward(two.peer, { ...asked, packet: packet(i % 256, authenticator) });
    }),
  );
  await scheduler.run(50);
  expect(handled).toHaveLength(1_024);
  const all = await scheduler.until(Promise.all(outcomes), 5_000);
  expect(all.every(({ kind }) => kind === 'answer')).toBe(true);
  expect(await counted(two)).toEqual([`overload ${1_200 - 1_024}`]);
});

test.each([
  ['nothing', () => Buffer.alloc(0), 'malformed'],
  ['bytes of no sense', () => Buffer.alloc(100, 1), 'malformed'],
  ['a cut envelope', (bytes: Buffer) => bytes.subarray(0, 21), 'malformed'],
  ['an unknown direction', (bytes: Buffer) => changed(bytes, 0), 'malformed'],
  ['a cut box', (bytes: Buffer) => bytes.subarray(0, -1), 'forged'],
  ['a longer box', (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc(1)]), 'forged'],
  ['another sender', (bytes: Buffer) => changed(bytes, 1), 'forged'],
  ['another receiver', (bytes: Buffer) => changed(bytes, 5), 'another-receiver'],
  ['another number', (bytes: Buffer) => changed(bytes, 14), 'forged'],
  ['another time', (bytes: Buffer) => changed(bytes, 20), 'forged'],
  ['another nonce', (bytes: Buffer) => changed(bytes, 30), 'forged'],
  ['another packet', (bytes: Buffer) => changed(bytes, 60), 'forged'],
])('%s gets no answer and is counted', async (_, forge, reason) => {
  network.link('10.0.0.1', '10.0.0.2', { isCut: true });
  await forward();
  network.link('10.0.0.1', '10.0.0.2', { isCut: false });
  const [genuine] = datagramsFrom('10.0.0.1');
  inject(genuine, { bytes: forge(genuine?.bytes ?? Buffer.alloc(0)) });
  await scheduler.run(100);
  expect(handled).toEqual([]);
  expect(datagramsFrom('10.0.0.2')).toEqual([]);
  expect(await counted(two)).toEqual([`${reason} 1`]);
});

test('every changed byte of a request or an answer is noticed', async () => {
  network.link('10.0.0.1', '10.0.0.2', { isCut: true });
  await forward();
  network.link('10.0.0.1', '10.0.0.2', { isCut: false });
  const [genuine] = datagramsFrom('10.0.0.1');
  const { length } = genuine?.bytes ?? { length: 0 };
  for (let at = 0; at < length; at++) {
    inject(genuine, { bytes: changed(genuine?.bytes ?? Buffer.alloc(0), at) });
  }
  await scheduler.run(100);
  expect(handled).toEqual([]);
  expect(datagramsFrom('10.0.0.2')).toEqual([]);
});

function changed(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt8(copy.readUInt8(at) ^ 0x40, at);
  return copy;
}

test('a node of another cluster gets no answer', async () => {
  await restartTwo({ key: Buffer.alloc(32, 8) });
  expect(await forward()).toEqual({ kind: 'unreachable', reason: 'timeout' });
  expect(await counted(two)).toEqual(['forged 2']);
});

test('a node that was started again is another owner', async () => {
  const former = two.peer;
  await restartTwo({ owner: 22 });
  expect(await forward(one, former)).toEqual({ kind: 'unreachable', reason: 'timeout' });
  expect(await counted(two)).toEqual(['another-receiver 2']);
});

test('a request that comes again later does nothing', async () => {
  await forward();
  await scheduler.run(3_000);
  const [genuine] = datagramsFrom('10.0.0.1');
  inject(genuine);
  inject(genuine, { from: '10.6.6.6' });
  await scheduler.run(100);
  expect(handled).toHaveLength(1);
  expect(datagramsFrom('10.0.0.2')).toHaveLength(1);
  expect(await counted(two)).toEqual(['replayed 2']);
});

test('a request that comes again at once gets few answers, and nobody else gets any', async () => {
  await forward();
  const [genuine] = datagramsFrom('10.0.0.1');
  for (let i = 0; i < 10; i++) {
    inject(genuine);
    inject(genuine, { from: '10.6.6.6' });
  }
  await scheduler.run(100);
  expect(handled).toHaveLength(1);
  const answers = datagramsFrom('10.0.0.2');
  expect(answers).toHaveLength(1 + 3);
  expect(answers.every(({ to }) => to === '10.0.0.1')).toBe(true);
  expect(await counted(two)).toEqual(['replayed 17']);
});

test('an answer that nobody waits for any more is discarded', async () => {
  await forward();
  inject(datagramsFrom('10.0.0.2')[0]);
  await scheduler.run(100);
  expect(await counted(one)).toEqual(['answered 1', 'unexpected 1']);
});

test('an answer to one request is no answer to another', async () => {
  await forward();
  const [former] = datagramsFrom('10.0.0.2');
  two.life.end();
  const going = one.link.forward(two.peer, asked);
  const bytes = Buffer.from(former?.bytes ?? []);
  bytes.writeUIntBE(2, 9, 6); // the number of the request that waits
  inject(former, { bytes });
  const outcome = await scheduler.until(going, 5_000);
  expect(outcome).toEqual({ kind: 'unreachable', reason: 'timeout' });
});

test('only the peer that was asked can answer, and only what it was asked', async () => {
  two.life.end();
  const going = one.link.forward(two.peer, asked);
  const number = 1;
  const atMs = datagramsFrom('10.0.0.1')[0]?.bytes.readUIntBE(15, 6) ?? 0;
  const box = createSecretBox([CLUSTER_KEY]);
  const right: Envelope = { direction: 'answer', from: 2, to: 1, number, atMs };
  const addressed = { from: '10.0.0.2', fromPort: PORT, to: '10.0.0.1', toPort: PORT };
  for (const wrong of [{ from: 3 }, { number: 2 }, { atMs: atMs + 1 }]) {
    network.inject({ ...addressed, bytes: encodeDatagram({ ...right, ...wrong }, answer, box) });
  }
  await scheduler.run(100);
  expect(await counted(one)).toEqual(['unexpected 3']);
  network.inject({ ...addressed, bytes: encodeDatagram(right, answer, box) });
  expect(await scheduler.until(going, 100)).toEqual({ kind: 'answer', answer });
});

test('a request is no answer, and none to another worker', async () => {
  const three = await startNode(3);
  network.link('10.0.0.1', '10.0.0.2', { isCut: true });
  const going = [one.link.forward(two.peer, asked), two.link.forward(one.peer, asked)];
  await scheduler.run(0);
  const bytes = Buffer.from(datagramsFrom('10.0.0.1')[0]?.bytes ?? []);
  bytes.writeUInt8(0x12, 0); // both have number 1 and the same time
  network.link('10.0.0.1', '10.0.0.2', { isCut: false });
  inject(datagramsFrom('10.0.0.1')[0], { bytes });
  const turned = Buffer.from(datagramsFrom('10.0.0.1')[0]?.bytes ?? []);
  turned.writeUInt32BE(3, 5);
  inject(datagramsFrom('10.0.0.1')[0], { bytes: turned, to: '10.0.0.3' });
  await scheduler.run(100);
  expect(await counted(two)).toEqual(['forged 1']);
  expect(await counted(three)).toEqual(['forged 1']);
  expect(handled).toEqual([]);
  await scheduler.until(Promise.all(going), 5_000);
});

test('a request sent back to its sender is not taken for an answer', async () => {
  two.life.end();
  const going = one.link.forward(two.peer, asked);
  const [genuine] = datagramsFrom('10.0.0.1');
  inject(genuine, { from: '10.0.0.2', to: '10.0.0.1' });
  const outcome = await scheduler.until(going, 5_000);
  expect(outcome).toEqual({ kind: 'unreachable', reason: 'timeout' });
  expect(handled).toEqual([]);
  expect(await counted(one)).toEqual(['timeout 1', 'another-receiver 1']);
});

test.each([-59_000, 59_000])('clocks may be %i ms apart', async (offsetMs) => {
  two.wall.offsetMs = offsetMs;
  expect(await forward()).toEqual({ kind: 'answer', answer });
});

test.each([-61_000, 61_000])('clocks that are %i ms apart are too far', async (offsetMs) => {
  two.wall.offsetMs = offsetMs;
  expect(await forward()).toEqual({ kind: 'unreachable', reason: 'timeout' });
  expect(await counted(two)).toEqual(['stale 2']);
});

test('what was forwarded is not forwarded again, whatever the owner believes', async () => {
  const outcomes: ForwardOutcome[] = [];
  const three = await startNode(3);
  await restartTwo({
    handle: async (forwarded) => {
      outcomes.push(await two.link.forward(one.peer, forwarded));
      outcomes.push(
        await two.link.forward(three.peer, { ...asked, path: pathFrom('10.1.0.1', 40_001) }),
      );
      return answer;
    },
  });
  expect(await forward()).toEqual({ kind: 'answer', answer });
  const refused = { kind: 'unreachable', reason: 'refused' };
  expect(outcomes).toEqual([refused, refused]);
  expect(handled).toEqual([]);
  // It is over: the same router may ask the same again, and then it has been forwarded by nobody.
  expect(await forward(two, three.peer)).toEqual({ kind: 'answer', answer });
});

test('closing gives up what is under way', async () => {
  two.life.end();
  const going = one.link.forward(two.peer, asked);
  await one.link[Symbol.asyncDispose]();
  const refused = { kind: 'unreachable', reason: 'refused' };
  expect(await going).toEqual(refused);
  expect(await one.link.forward(two.peer, asked)).toEqual(refused);
});
