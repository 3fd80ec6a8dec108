import { beforeEach, expect, test } from 'vitest';
import { virtualRuntime } from '../../../../tests/simulation/virtual-runtime.ts';
import type { VirtualRuntime } from '../../../../tests/simulation/virtual-runtime.ts';
import { SharedStateUnavailable } from '../../../domain/shared-state.ts';
import type { SharedState } from '../../../domain/shared-state.ts';
import { silentLog } from '../../../runtime/log.ts';
import { createSecretBox } from '../../../stores/secret-box.ts';
import { createMemoryState } from '../../../stores/state/memory.ts';
import { ownerText } from './conversation-owner.ts';
import { startPeerRegistry } from './peer-registry.ts';
import type { PeerRegistry } from './peer-registry.ts';

const box = createSecretBox([Buffer.alloc(32, 7)]);

let runtime: VirtualRuntime;
let state: SharedState;
let lines: string[];
let recover: () => void;
/** `degraded`: each worker has a memory of its own; `failing`: errors reach the registry. */
let trouble: 'none' | 'degraded' | 'failing';

beforeEach(() => {
  runtime = virtualRuntime();
  state = createMemoryState({ clock: runtime.clock });
  lines = [];
  trouble = 'none';
  listeners.clear();
  recover = () => {
    trouble = 'none';
    for (const listener of listeners) listener();
  };
});

const listeners = new Set<() => void>();

/** What one worker has of the shared state. */
function connect(): SharedState {
  const own = createMemoryState({ clock: runtime.clock });
  const pick = () => {
    if (trouble === 'failing') throw new SharedStateUnavailable('away');
    return trouble === 'degraded' ? own : state;
  };
  return {
    ...state,
    get: async (key) => pick().get(key),
    set: async (key, value, ttlMs) => pick().set(key, value, ttlMs),
    delete: async (key) => pick().delete(key),
    keys: async (prefix, limit) => pick().keys(prefix, limit),
  };
}

function start(
  owner: number,
  changes: { port?: number; name?: string; state?: SharedState } = {},
): PeerRegistry {
  const log = {
    ...silentLog(),
    warn: (text: string) => lines.push(text),
    info: (text: string) => lines.push(text),
  };
  return startPeerRegistry({
    state: changes.state ?? connect(),
    box,
    runtime: { clock: runtime.clock, log },
    self: {
      owner,
      name: changes.name ?? `node/${owner}`,
      host: '10.0.0.1',
      port: changes.port ?? 1000 + owner,
    },
    isStateAway: () => trouble === 'degraded',
    onStateRecovered: (listener) => listeners.add(listener),
  });
}

const pass = (ms: number) => runtime.scheduler.run(ms);

test('workers find each other within one refresh, and not themselves', async () => {
  const one = start(1);
  await pass(100);
  const two = start(2);
  await pass(100);
  expect(two.find(1)).toMatchObject({ owner: 1, name: 'node/1', host: '10.0.0.1', port: 1001 });
  expect(one.find(2)).toBeUndefined();
  await pass(10_000);
  expect(one.find(2)?.port).toBe(1002);
  expect([one.size, two.size]).toEqual([1, 1]);
  expect(one.find(1)).toBeUndefined();
  expect(lines).toEqual([]);
});

test('one that has just begun is found when somebody asks for it', async () => {
  const one = start(1);
  await pass(100);
  start(2);
  await pass(100);
  expect(one.find(2)).toBeUndefined();
  expect((await one.lookUp(2))?.port).toBe(1002);
  expect(one.find(2)?.port).toBe(1002);
});

test('nobody finds itself, a stranger, or anybody new while the shared state is away', async () => {
  const one = start(1);
  await pass(100);
  start(2);
  await pass(100);
  expect(await one.lookUp(1)).toBeUndefined();
  expect(await one.lookUp(9)).toBeUndefined();
  trouble = 'failing';
  expect(await one.lookUp(2)).toBeUndefined();
  expect(await one.lookUp(9)).toBeUndefined();
});

test('who stops in good order is announced no more', async () => {
  const one = start(1);
  await pass(100);
  expect(await state.keys('radius_peer:', 10)).toEqual([`radius_peer:${ownerText(1)}`]);
  await one[Symbol.asyncDispose]();
  expect(await state.keys('radius_peer:', 10)).toEqual([]);
  await pass(30_000);
  expect(await state.keys('radius_peer:', 10)).toEqual([]);
});

test('who stops while the shared state is slow is announced no more either', async () => {
  const connected = connect();
  const slow: SharedState = {
    ...connected,
    async set(key, value, ttlMs) {
      await runtime.scheduler.sleep(100);
      await connected.set(key, value, ttlMs);
    },
  };
  const one = start(1, { state: slow });
  await runtime.scheduler.until(Promise.resolve(one[Symbol.asyncDispose]()), 1_000);
  await pass(1_000);
  expect(await state.keys('radius_peer:', 10)).toEqual([]);
});

test('who dies is announced for 30 s and remembered for ten minutes', async () => {
  const one = start(1);
  const two = start(2);
  await pass(15_000);
  await two[Symbol.asyncDispose]();
  await pass(590_000);
  expect(one.find(2)).toBeDefined();
  await pass(30_000);
  expect(one.find(2)).toBeUndefined();
});

test.each([
  ['degraded', 0],
  ['failing', 2], // one of each worker
] as const)(
  'while the shared state is away (%s) nobody is forgotten, and the two workers write %i lines',
  async (kind, said) => {
    const one = start(1);
    start(2);
    await pass(15_000);
    trouble = kind;
    await pass(24 * 3_600_000);
    expect(one.find(2)).toBeDefined();
    expect(lines).toHaveLength(said);
    recover();
    await pass(100);
    expect(one.find(2)).toBeDefined();
    expect(lines).toHaveLength(2 * said); // and that it is over
  },
);

test('when the shared state is back and empty, all are announced again at once', async () => {
  start(1);
  const two = start(2);
  await pass(15_000);
  trouble = 'failing';
  await pass(60_000);
  state = createMemoryState({ clock: runtime.clock });
  recover();
  await pass(100);
  expect(await state.keys('radius_peer:', 10)).toHaveLength(2);
  expect(two.find(1)).toBeDefined();
});

test('one that was started during the outage is found after it', async () => {
  const one = start(1);
  trouble = 'degraded';
  await pass(15_000);
  const two = start(2);
  await pass(15_000);
  expect(one.find(2)).toBeUndefined();
  recover();
  await pass(10_100);
  expect(one.find(2)).toBeDefined();
  expect(two.find(1)).toBeDefined();
});

test('whoever has the address now ends the former life of it', async () => {
  const one = start(1);
  start(2, { port: 2_000 });
  await pass(15_000);
  expect(one.find(2)).toBeDefined();
  start(3, { port: 2_000 });
  await pass(10_000);
  expect(one.find(3)).toBeDefined();
  expect(one.find(2)).toBeUndefined();
});

test('whoever has the name now ends the former life of it, whatever port it has', async () => {
  const one = start(1);
  start(2, { name: 'two/0' });
  await pass(15_000);
  expect(one.find(2)).toBeDefined();
  start(3, { name: 'two/0' });
  await pass(10_000);
  expect(one.all().map(({ owner }) => owner)).toEqual([3]);
});

test('somebody new is known soon, so that the shared state may go away', async () => {
  const one = start(1);
  await pass(15_000);
  start(2);
  await pass(1_500);
  expect(one.find(2)).toBeDefined();
});

test('who began while the shared state was away is known soon after', async () => {
  const one = start(1);
  await pass(15_000);
  trouble = 'degraded';
  start(2);
  await pass(1_500);
  expect(one.find(2)).toBeUndefined();
  recover();
  await pass(1_500);
  expect(one.find(2)).toBeDefined();
});

test('what is there before us at our own address is our former life', async () => {
  start(1, { port: 2_000 });
  await pass(1_000);
  const again = start(2, { port: 2_000 });
  await pass(100);
  expect(again.size).toBe(0);
});

test.each([
  ['bytes of no sense', Buffer.from('{"owner":9}')],
  ['a box of another key', createSecretBox([Buffer.alloc(32, 8)]).seal(announcement({}), keyOf(9))],
  ['a box of another row', box.seal(announcement({}), keyOf(8))],
  ['no JSON', box.seal(Buffer.from('{'), keyOf(9))],
  ['null', box.seal(Buffer.from('null'), keyOf(9))],
  ['another owner', box.seal(announcement({ owner: 8 }), keyOf(9))],
  ['no address', box.seal(announcement({ host: 'node.example' }), keyOf(9))],
  ['port 0', box.seal(announcement({ port: 0 }), keyOf(9))],
  ['a port of text', box.seal(announcement({ port: '1' }), keyOf(9))],
  ['no start', box.seal(announcement({ startedAtMs: null }), keyOf(9))],
])('%s is not believed, and the others are found all the same', async (_, sealed) => {
  start(2);
  await state.set(keyOf(9), sealed, 60_000);
  await pass(100);
  const one = start(1);
  await pass(100);
  expect(one.find(2)).toBeDefined();
  expect(one.size).toBe(1);
});

function announcement(changes: Record<string, unknown>): Buffer {
  const given = {
    owner: 9,
    name: 'nine',
    host: '10.0.0.9',
    port: 1009,
    startedAtMs: 0,
    ...changes,
  };
  return Buffer.from(JSON.stringify(given));
}

function keyOf(owner: number): string {
  return `radius_peer:${ownerText(owner)}`;
}

test('no more than 1,000 are remembered, and the longest unseen goes first', async () => {
  const announceAll = async (first: number, count: number, ttlMs: number) => {
    for (let owner = first; owner < first + count; owner++) {
      const host = `10.9.${owner >> 8}.${owner & 255}`;
      const sealed = box.seal(announcement({ owner, host }), keyOf(owner));
      await state.set(keyOf(owner), sealed, ttlMs);
    }
  };
  await announceAll(1_000, 1, 5_000);
  const one = start(1);
  await pass(1_000);
  expect(one.find(1_000)).toBeDefined();
  await announceAll(2_000, 999, 3_600_000);
  await pass(20_000);
  expect(one.size).toBe(1_000);
  await announceAll(3_000, 1, 3_600_000);
  await pass(20_000);
  expect(one.size).toBe(1_000);
  expect(one.find(1_000)).toBeUndefined();
  expect(one.find(3_000)).toBeDefined();
});
