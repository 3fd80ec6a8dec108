// Radius workers that forward to each other, over real sockets: they learn of each other from a real
// Redis and go on without it.

import { expect, test } from 'vitest';
import { systemRandom } from '../../src/runtime/random.ts';
import { systemNetwork } from '../../src/runtime/udp/network.ts';
import { pathTo, sourceAddress, sourcePort } from '../../src/runtime/udp/path.ts';
import { ownerOf } from '../../src/services/radius/eap/conversation-owner.ts';
import type { ForwardedRequest } from '../../src/services/radius/eap/peer-datagram.ts';
import { createPeerLink } from '../../src/services/radius/eap/peer-link.ts';
import type { ForwardOutcome } from '../../src/services/radius/eap/peer-link.ts';
import { startPeerRegistry } from '../../src/services/radius/eap/peer-registry.ts';
import { createSecretBox } from '../../src/stores/secret-box.ts';
import { openSharedState } from '../../src/stores/state/open.ts';
import { startRedis } from '../servers/redis.ts';
import { redisConfig, testRuntime } from './shared-state-runtime.ts';

const HOST = '127.0.0.1';
const box = createSecretBox([Buffer.alloc(32, 7)]);
const asked: ForwardedRequest = {
  packet: Buffer.alloc(1_500, 1),
  path: pathTo('192.0.2.9', 40_001),
  port: 'auth',
};
/** Two refreshes. */
const FOUND_WITHIN = { timeout: 25_000, interval: 100 };

function linkRuntime(engine: 'auto' | 'batched' | 'dgram' = 'auto') {
  return { ...testRuntime(), random: systemRandom(), network: systemNetwork({ engine }) };
}

type Worker = AsyncDisposable & {
  owner: number;
  port: number;
  isDegraded(): boolean;
  /** What the owner answered, or what became of it. */
  ask(owner: number): Promise<string>;
};

async function startWorker(name: string, stateUrl: string): Promise<Worker> {
  await using opened = new AsyncDisposableStack();
  const runtime = linkRuntime();
  const owner = ownerOf(runtime.random.bytes(16));
  const config = { ...redisConfig(stateUrl), onFailure: 'degrade' as const };
  const shared = opened.use(await openSharedState(config, runtime));
  const link = opened.use(
    await createPeerLink({
      runtime,
      box,
      owner,
      host: HOST,
      port: 0,
      handle: ({ path }) =>
        Promise.resolve(Buffer.from(`${name} to ${sourceAddress(path)}:${sourcePort(path)}`)),
    }),
  );
  const registry = opened.use(
    startPeerRegistry({
      state: shared.state,
      box,
      runtime,
      self: { owner, name, host: HOST, port: link.port },
      isStateAway: shared.isDegraded,
      onStateRecovered: shared.onRecovered,
    }),
  );
  const closing = opened.move();
  return {
    owner,
    port: link.port,
    isDegraded: shared.isDegraded,
    ask: async (of) => read(await link.forward(await registry.lookUp(of), asked)),
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
}

function read(outcome: ForwardOutcome): string {
  if (outcome.kind === 'unreachable') return outcome.reason;
  return outcome.kind === 'answer' ? outcome.answer.toString() : outcome.kind;
}

test('workers find each other through Redis, and go on forwarding while it is away', async () => {
  await using redis = await startRedis();
  await using one = await startWorker('one', redis.url);
  await using two = await startWorker('two', redis.url);
  await expect.poll(() => two.ask(one.owner), FOUND_WITHIN).toBe('one to 192.0.2.9:40001');
  await expect.poll(() => one.ask(two.owner), FOUND_WITHIN).toBe('two to 192.0.2.9:40001');

  await redis.kill();
  const areAlone = async () => {
    await Promise.all([one.ask(0), two.ask(0)]); // each asks the shared state for a stranger
    return one.isDegraded() && two.isDegraded();
  };
  await expect.poll(areAlone, FOUND_WITHIN).toBe(true);
  expect(await two.ask(one.owner)).toBe('one to 192.0.2.9:40001');
  expect(await one.ask(two.owner)).toBe('two to 192.0.2.9:40001');

  // Nobody can know a worker that began during the outage.
  const late = await startWorker('late', redis.url);
  expect(await one.ask(late.owner)).toBe('unknown-peer');

  await redis.start(); // empty
  await expect.poll(() => one.ask(late.owner), FOUND_WITHIN).toBe('late to 192.0.2.9:40001');
  await expect.poll(() => late.ask(two.owner), FOUND_WITHIN).toBe('two to 192.0.2.9:40001');
  expect((await announced()).length).toBe(3);

  await late[Symbol.asyncDispose]();
  expect((await announced()).length).toBe(2);
  expect(await one.ask(late.owner)).toBe('timeout');

  async function announced(): Promise<string[]> {
    const keys = await redis.cli('keys', '*radius_peer:*');
    return keys.split('\n').filter((key) => key !== '');
  }
});

test('what lies in Redis about a worker cannot be read there', async () => {
  await using redis = await startRedis();
  await using worker = await startWorker('one', redis.url);
  const keys = () => redis.cli('keys', '*radius_peer:*');
  await expect.poll(keys, FOUND_WITHIN).toContain('radius_peer:');
  const sealed = await redis.cli('get', await keys());
  expect(sealed).not.toContain(HOST);
  expect(sealed).not.toContain(String(worker.port));
  expect(Number(await redis.cli('pttl', await keys()))).toBeGreaterThan(10_000);
});

test.each([
  ['batched', 'dgram'],
  ['dgram', 'batched'],
] as const)('%s to %s: the longest request and the longest answer arrive whole', async (a, b) => {
  const longest = { ...asked, packet: Buffer.alloc(4_087, 5) };
  const answer = Buffer.alloc(4_096, 6);
  const received: Buffer[] = [];
  const handle = ({ packet }: ForwardedRequest) => {
    received.push(packet);
    return Promise.resolve(answer);
  };
  const options = { box, host: HOST, port: 0, handle };
  await using from = await createPeerLink({ ...options, runtime: linkRuntime(a), owner: 1 });
  await using to = await createPeerLink({ ...options, runtime: linkRuntime(b), owner: 2 });
  const path = pathTo(HOST, to.port);
  const peer = { owner: 2, name: 'to', host: HOST, port: to.port, startedAtMs: 0, path };
  expect(await from.forward(peer, longest)).toEqual({ kind: 'answer', answer });
  expect(received).toEqual([longest.packet]);
});
