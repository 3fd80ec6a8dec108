// Where conversations are between two packets: in the shared state, and for a while in the memory of the
// node that wrote them last. Normally that memory is not looked at, for another node may have gone on.
// It counts when the shared state is away, or was until a moment ago: then the node that gave the last
// answer is the one that knows what it was, and what the shared state holds may be a round old. Rounds of
// that time are copied to other nodes, in case this one dies (record-copies.ts).

import type { SharedState } from '../../../domain/shared-state.ts';
import type { Clock } from '../../../runtime/clock.ts';
import { keyOf, openRecord, sealRecord } from './record.ts';
import type { ConversationRecord, Seal } from './record.ts';

export type Held = {
  /** What the shared state holds, undefined if nothing; a replacement must meet just that. */
  raw: Buffer | undefined;
  record: ConversationRecord;
  /** False: from this node's memory, so that another node may be at the same round. */
  isShared: boolean;
};

export type ConversationStore = {
  find(id: string): Promise<Held | undefined>;
  /**
   * What this node itself remembers, for a round that `find` does not know. It counts whatever the shared
   * state holds: a State names the round that its device has seen.
   */
  findOwn(id: string): Promise<Held | undefined>;
  /** False: there is a conversation of that id. */
  insert(id: string, record: ConversationRecord): Promise<boolean>;
  /** False, and nothing changed: another node or packet was faster. */
  replace(id: string, held: Held, next: ConversationRecord): Promise<boolean>;
  /** True while only conversations in this node's memory can be found. */
  isStateAway(): boolean;
  /** True then and a little longer: other nodes may not have noticed yet that it is back. */
  isStateInDoubt(): boolean;
  /** True then and longer still: what the shared state holds may be older than what we remember. */
  mayBeBehind(): boolean;
  /** A copy of another node's, for the time when neither it nor the shared state is there. */
  keepCopy(id: string, round: number, sealed: Buffer): void;
};

/** Someone may have to find their password first. */
const WAITING_MS = 300_000;
/** How long the last answer of a finished conversation may be asked for. */
const ENDED_MS = 30_000;
/** Own conversations remembered at most, in number and in bytes; the oldest go first. */
const MAX_OWN = 20_000;
const MAX_OWN_BYTES = 96 * 1024 * 1024;
const OWN_MS = 60_000;
/** How long after an outage the shared state may hold an older round than we do. */
const BEHIND_MS = 60_000;
/** How long after it a conversation may still be known to another node alone. */
const DOUBT_MS = 10_000;
const WRITTEN_BACK_AT_ONCE = 50;

export function createConversationStore(options: {
  state: SharedState;
  box: Seal;
  clock: Clock;
  /** True while this node answers from its own memory. */
  isStateAway: () => boolean;
  /** False where it is in this process: then nothing needs to be remembered besides. */
  canStateBeAway: boolean;
  onStateRecovered: (listener: () => void) => void;
  /** Gives a copy to other nodes; resolves when one has it, or none takes it. */
  sendCopy: (id: string, round: number, sealed: Buffer) => Promise<void>;
}): ConversationStore {
  const { state, box, clock, isStateAway, canStateBeAway } = options;
  const own = createOwnMemory(clock);
  let recoveredAtMs = -Infinity;
  options.onStateRecovered(() => {
    // Its connection is back first; what is written now would still go to this node's own memory.
    if (isStateAway()) return;
    recoveredAtMs = clock.monotonicMs();
    void writeBack();
  });

  function recoveredLessThan(agoMs: number): boolean {
    return isStateAway() || clock.monotonicMs() < recoveredAtMs + agoMs;
  }

  /** What went on without the shared state: any node can go on with it again. */
  async function writeBack(): Promise<void> {
    const left = own.takeUnshared();
    for (let first = 0; first < left.length; first += WRITTEN_BACK_AT_ONCE) {
      const some = left.slice(first, first + WRITTEN_BACK_AT_ONCE);
      // A failure is the next outage's first, and that will end with another writing back.
      await Promise.all(some.map((entry) => writeBackOne(entry).catch(() => undefined)));
    }
  }

  async function writeBackOne({ id, round, sealed }: OwnEntry & { id: string }): Promise<void> {
    const raw = await state.get(keyOf(id));
    const shared = raw === undefined ? undefined : openRecord(box, id, raw);
    if (shared !== undefined && shared.round >= round) return;
    await state.compareAndSet(keyOf(id), raw, sealed, WAITING_MS);
  }

  async function remember(id: string, round: number, sealed: Buffer) {
    if (!canStateBeAway) return;
    const isUnshared = isStateAway();
    own.set(id, { round, sealed, isUnshared });
    if (isUnshared) await options.sendCopy(id, round, sealed);
  }

  function openOwn(id: string): ConversationRecord | undefined {
    const sealed = own.get(id);
    return sealed === undefined ? undefined : openRecord(box, id, sealed);
  }

  return {
    isStateAway,
    mayBeBehind: () => recoveredLessThan(BEHIND_MS),
    isStateInDoubt: () => recoveredLessThan(DOUBT_MS),
    keepCopy(id, round, sealed) {
      // Where both have taken the same round, each keeps its own: a device goes on with either.
      if (round > own.roundOf(id)) own.set(id, { round, sealed, isUnshared: true });
    },

    async find(id) {
      const raw = await state.get(keyOf(id));
      const shared = raw === undefined ? undefined : openRecord(box, id, raw);
      if (recoveredLessThan(BEHIND_MS)) {
        const mine = openOwn(id);
        if (mine !== undefined && mine.round > (shared?.round ?? -1)) {
          return { raw, record: mine, isShared: false };
        }
      }
      return shared === undefined ? undefined : { raw, record: shared, isShared: !isStateAway() };
    },

    async findOwn(id) {
      const record = openOwn(id);
      if (record === undefined) return undefined;
      return { raw: await state.get(keyOf(id)), record, isShared: false };
    },

    async insert(id, record) {
      const sealed = sealRecord(box, id, record);
      const present = await state.setIfAbsent(keyOf(id), sealed, WAITING_MS);
      if (present !== undefined) return false;
      await remember(id, record.round, sealed);
      return true;
    },

    async replace(id, held, next) {
      const sealed = sealRecord(box, id, next);
      const ttlMs = next.conversation === null ? ENDED_MS : WAITING_MS;
      if (!(await state.compareAndSet(keyOf(id), held.raw, sealed, ttlMs))) return false;
      await remember(id, next.round, sealed);
      return true;
    },
  };
}

/** As sealed bytes: the shared state's client has made them anyway. */
type OwnEntry = {
  round: number;
  sealed: Buffer;
  /** Written while the shared state was away. */
  isUnshared: boolean;
};

function createOwnMemory(clock: Clock) {
  const entries = new Map<string, OwnEntry & { atMs: number }>();
  let bytes = 0;

  function remove(id: string) {
    bytes -= entries.get(id)?.sealed.length ?? 0;
    entries.delete(id);
  }

  return {
    get: (id: string) => entries.get(id)?.sealed,
    roundOf: (id: string) => entries.get(id)?.round ?? -1,
    /** An older round than the one that is known changes nothing: copies may overtake each other. */
    set(id: string, entry: OwnEntry) {
      if (entry.round < (entries.get(id)?.round ?? 0)) return;
      const nowMs = clock.monotonicMs();
      remove(id);
      entries.set(id, { ...entry, atMs: nowMs });
      bytes += entry.sealed.length;
      for (const [oldest, { atMs }] of entries) {
        const isTooMuch = entries.size > MAX_OWN || bytes > MAX_OWN_BYTES;
        if (!isTooMuch && nowMs - atMs <= OWN_MS) return;
        remove(oldest);
      }
    },
    takeUnshared() {
      const unshared = [...entries].filter(([, { isUnshared }]) => isUnshared);
      for (const [, entry] of unshared) entry.isUnshared = false;
      return unshared.map(([id, entry]) => ({ id, ...entry }));
    },
  };
}
