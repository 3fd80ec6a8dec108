// Where conversations are between two packets: in the shared state, and for a while in the memory of the
// node that wrote them last. Normally that memory is not looked at, for another node may have gone on.
// It counts when the shared state is away, or was until a moment ago: then the node that gave the last
// answer is the one that knows what it was, and what the shared state holds may be a round old. Rounds of
// that time are copied to other nodes, in case this one dies (record-copies.ts).

import type { SharedState } from '../../../domain/shared-state.ts';
import type { Clock } from '../../../runtime/clock.ts';
import { keyOf, openRecord, sealRecord } from './record.ts';
import type { ConversationRecord, Seal } from './record.ts';

/** `raw`: what the shared state holds, undefined if nothing; a replacement must meet just that. */
export type Held = { raw: Buffer | undefined; record: ConversationRecord };

export type ConversationStore = {
  find(id: string): Promise<Held | undefined>;
  /** False: there is a conversation of that id. */
  insert(id: string, record: ConversationRecord): Promise<boolean>;
  /** False, and nothing changed: another node or packet was faster. */
  replace(id: string, held: Held, next: ConversationRecord): Promise<boolean>;
  /** True while only conversations in this node's memory can be found. */
  isStateAway(): boolean;
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
const DOUBT_MS = 60_000;

export function createConversationStore(options: {
  state: SharedState;
  box: Seal;
  clock: Clock;
  /** True while this node answers from its own memory. */
  isStateAway: () => boolean;
  onStateRecovered: (listener: () => void) => void;
  /** Gives a copy to other nodes; resolves when one has it, or none takes it. */
  sendCopy: (id: string, round: number, sealed: Buffer) => Promise<void>;
}): ConversationStore {
  const { state, box, clock, isStateAway } = options;
  const own = createOwnMemory(clock);
  let doubtUntilMs = 0;
  options.onStateRecovered(() => {
    doubtUntilMs = clock.monotonicMs() + DOUBT_MS;
  });

  function mayBeBehind(): boolean {
    return isStateAway() || clock.monotonicMs() < doubtUntilMs;
  }

  async function remember(id: string, round: number, sealed: Buffer) {
    own.set(id, round, sealed);
    if (isStateAway()) await options.sendCopy(id, round, sealed);
  }

  return {
    isStateAway,
    keepCopy: (id, round, sealed) => own.set(id, round, sealed),

    async find(id) {
      const raw = await state.get(keyOf(id));
      const shared = raw === undefined ? undefined : openRecord(box, id, raw);
      if (mayBeBehind()) {
        const sealed = own.get(id);
        const mine = sealed === undefined ? undefined : openRecord(box, id, sealed);
        if (mine !== undefined && mine.round > (shared?.round ?? -1)) return { raw, record: mine };
      }
      return shared === undefined ? undefined : { raw, record: shared };
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
function createOwnMemory(clock: Clock) {
  const entries = new Map<string, { round: number; sealed: Buffer; atMs: number }>();
  let bytes = 0;

  function remove(id: string) {
    bytes -= entries.get(id)?.sealed.length ?? 0;
    entries.delete(id);
  }

  return {
    get: (id: string) => entries.get(id)?.sealed,
    /** An older round than the one that is known changes nothing: copies may overtake each other. */
    set(id: string, round: number, sealed: Buffer) {
      if (round < (entries.get(id)?.round ?? 0)) return;
      const nowMs = clock.monotonicMs();
      remove(id);
      entries.set(id, { round, sealed, atMs: nowMs });
      bytes += sealed.length;
      for (const [oldest, { atMs }] of entries) {
        const isTooMuch = entries.size > MAX_OWN || bytes > MAX_OWN_BYTES;
        if (!isTooMuch && nowMs - atMs <= OWN_MS) return;
        remove(oldest);
      }
    },
  };
}
