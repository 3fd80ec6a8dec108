// Who the other radius workers of the cluster are and where their peer links listen. Each announces
// itself in the shared state and learns the others from there, while that is well, so that all know
// each other when it is away: then conversations lie in their owners' memories, and the links are
// needed most. What the links carry is peer-link.ts.

import type { SharedState } from '../../../domain/shared-state.ts';
import type { Runtime } from '../../../runtime/runtime.ts';
import { pathTo } from '../../../runtime/udp/path.ts';
import { isOwner, ownerText } from './conversation-owner.ts';
import type { Seal } from './record.ts';

export type Peer = {
  readonly owner: number;
  /** Of the node and its worker, for people. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly startedAtMs: number;
  /** `host` and `port` as sockets want them. */
  readonly path: Buffer;
};

export type PeerRegistry = AsyncDisposable & {
  /** Answers from memory. */
  find(owner: number): Peer | undefined;
  /** And looks one up that began since the last refresh. Never rejects. */
  lookUp(owner: number): Promise<Peer | undefined>;
  /** All that are known, in no particular order. */
  all(): Peer[];
  readonly size: number;
};

export type PeerRegistryOptions = {
  state: SharedState;
  box: Seal;
  runtime: Pick<Runtime, 'clock' | 'log'>;
  self: { owner: number; name: string; host: string; port: number };
  /** True while `state` is only this worker's own memory. */
  isStateAway: () => boolean;
  /** Calls when the shared state is back. */
  onStateRecovered: (listener: () => void) => unknown;
};

type Known = { peer: Peer; unseenMs: number };

const PREFIX = 'radius_peer:';
const TTL_MS = 30_000;
const REFRESH_MS = 10_000;
/** Holds the worker that began last. No announcement, and so not of their prefix. */
const NEWEST_KEY = 'radius_newest_peer';
/** The shared state may go away soon after a node began, and then it is too late to get to know it. */
const LOOK_FOR_NEW_MS = 1_000;
const MAX_PEERS = 1_000;
const READ_AT_ONCE = 100;
/** Counted only while the shared state is well: without it nobody can be seen. */
const FORGOTTEN_AFTER_MS = 600_000;

/** Announces and learns at once, in the background. Close it before the link, so that nobody forwards to it. */
export function startPeerRegistry(options: PeerRegistryOptions): PeerRegistry {
  const { state, box, isStateAway } = options;
  const { clock, log } = options.runtime;
  const self = toPeer({ ...options.self, startedAtMs: Math.floor(clock.nowMs()) });
  const ownKey = keyOf(self.owner);
  const peers = new Map<number, Known>();
  let lastWellAtMs: number | undefined;
  let isFailing = false;
  let isStopped = false;
  /** Whether the others have been told that we are new. */
  let isIntroduced = false;
  let newest = ownerText(self.owner);
  let refreshing: Promise<void> | undefined;
  let isWantedAgain = false;

  async function refreshOnce(): Promise<void> {
    try {
      const wasAway = isStateAway();
      const { path: _, ...announcement } = self;
      const sealed = box.seal(Buffer.from(JSON.stringify(announcement)), ownKey);
      await state.set(ownKey, sealed, TTL_MS);
      const found = await readAnnouncements();
      const isWell = !wasAway && !isStateAway();
      learn(found, isWell);
      if (isWell && !isIntroduced) {
        await state.set(NEWEST_KEY, Buffer.from(ownerText(self.owner)), TTL_MS);
        isIntroduced = true;
      }
      if (isWell && isFailing) log.info('the other radius workers can be looked up again');
      if (isWell) isFailing = false;
    } catch (error) {
      lastWellAtMs = undefined;
      if (!isFailing) log.warn('the other radius workers cannot be looked up', { error });
      isFailing = true;
    }
  }

  async function readAnnouncements(): Promise<Peer[]> {
    const keys = await state.keys(PREFIX, MAX_PEERS + 1); // one of them is our own
    const found: Peer[] = [];
    for (let first = 0; first < keys.length; first += READ_AT_ONCE) {
      const some = keys.slice(first, first + READ_AT_ONCE);
      const read = await Promise.all(
        some.map(async (key) => readAnnouncement(await state.get(key), key, box)),
      );
      found.push(...read.filter((peer) => peer !== undefined));
    }
    return found.filter(({ owner }) => owner !== self.owner);
  }

  function learn(found: Peer[], isWell: boolean) {
    const nowMs = clock.monotonicMs();
    const wellForMs = isWell ? nowMs - (lastWellAtMs ?? nowMs) : 0;
    lastWellAtMs = isWell ? nowMs : undefined;
    for (const [owner, known] of peers) {
      known.unseenMs += wellForMs;
      if (known.unseenMs > FORGOTTEN_AFTER_MS) peers.delete(owner);
    }
    for (const peer of found) remember(peer);
    forgetFormerLives();
  }

  function remember(peer: Peer) {
    if (!peers.has(peer.owner) && peers.size >= MAX_PEERS) forgetLongestUnseen();
    if (peers.has(peer.owner) || peers.size < MAX_PEERS) {
      peers.set(peer.owner, { peer, unseenMs: 0 });
    }
  }

  async function lookUp(owner: number): Promise<Peer | undefined> {
    const key = keyOf(owner);
    const sealed = await state.get(key).catch(() => undefined); // the refresh says that it is away
    const peer = readAnnouncement(sealed, key, box);
    if (peer === undefined || owner === self.owner) return undefined;
    remember(peer);
    forgetFormerLives();
    return peers.get(owner)?.peer;
  }

  function forgetLongestUnseen() {
    let longest: Known | undefined;
    for (const known of peers.values()) {
      if (known.unseenMs > (longest?.unseenMs ?? 0)) longest = known;
    }
    if (longest !== undefined) peers.delete(longest.peer.owner);
  }

  /** Who was here before has ended, and waiting for it would be in vain. */
  function forgetFormerLives() {
    const latest = new Map<string, Peer>();
    for (const peer of [self, ...Array.from(peers.values(), (known) => known.peer)]) {
      for (const place of placesOf(peer)) {
        const other = latest.get(place);
        if (other === undefined || other.startedAtMs < peer.startedAtMs) latest.set(place, peer);
      }
    }
    for (const { peer } of peers.values()) {
      const isLatest = placesOf(peer).every((place) => latest.get(place)?.owner === peer.owner);
      if (!isLatest) peers.delete(peer.owner);
    }
  }

  async function refreshAsWanted(): Promise<void> {
    do {
      isWantedAgain = false;
      await refreshOnce();
    } while (isWantedAgain && !isStopped);
    refreshing = undefined;
  }

  function refresh() {
    if (isStopped) return;
    isWantedAgain = true;
    refreshing ??= refreshAsWanted();
  }

  /** Looking through all announcements is dear: somebody new is worth it at once. */
  async function lookForNew(): Promise<void> {
    const found = (await state.get(NEWEST_KEY).catch(() => undefined))?.toString();
    if (found === undefined || found === newest) return;
    newest = found;
    refresh();
  }

  refresh();
  const timers = new DisposableStack();
  timers.use(clock.every(REFRESH_MS, refresh));
  timers.use(clock.every(LOOK_FOR_NEW_MS, () => void lookForNew()));
  options.onStateRecovered(refresh);

  return {
    find: (owner) => peers.get(owner)?.peer,
    lookUp: async (owner) => peers.get(owner)?.peer ?? (await lookUp(owner)),
    all: () => Array.from(peers.values(), ({ peer }) => peer),
    get size() {
      return peers.size;
    },
    async [Symbol.asyncDispose]() {
      isStopped = true;
      timers.dispose();
      await refreshing; // it could announce us once more
      await state.delete(ownKey).catch(() => false); // away: the announcement runs out by itself
    },
  };
}

/** Undefined: sealed under a key that is gone, or written by a version that we do not understand. */
function readAnnouncement(sealed: Buffer | undefined, key: string, box: Seal): Peer | undefined {
  if (sealed === undefined) return undefined;
  try {
    const said = JSON.parse(box.open(sealed, key).toString()) as Partial<Record<string, unknown>>;
    const { owner, name, host, port, startedAtMs } = said;
    if (!isOwner(owner) || key !== keyOf(owner) || !isPort(port)) return undefined;
    if (typeof name !== 'string' || typeof host !== 'string') return undefined;
    if (typeof startedAtMs !== 'number') return undefined;
    return toPeer({ owner, name, host, port, startedAtMs });
  } catch {
    return undefined;
  }
}

function toPeer(told: Omit<Peer, 'path'>): Peer {
  return { ...told, path: pathTo(told.host, told.port) };
}

function isPort(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) > 0 && Number(value) < 65_536;
}

function keyOf(owner: number): string {
  return PREFIX + ownerText(owner);
}

/** An address has one worker, and a worker of that name is on a host once: its port may be another one. */
function placesOf({ host, port, name }: Peer): string[] {
  return [`port ${port} at ${host}`, `${name} at ${host}`];
}
