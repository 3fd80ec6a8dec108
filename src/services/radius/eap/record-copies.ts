// Copies of conversations, for the time when the shared state is away: a round is then written to this
// node's memory alone, and the node may die before the next. So two other nodes get a copy before the
// answer leaves. Who takes over from it comes to the same answers as its owner would have.

import { createHash } from 'node:crypto';
import type { Clock } from '../../../runtime/clock.ts';
import { MAX_PART_BYTES } from './peer-datagram.ts';
import type { RecordPart } from './peer-datagram.ts';
import type { Peer } from './peer-registry.ts';

export type RecordCopies = {
  /** Resolves when one other node has it, or when none takes it. Never rejects. */
  send(id: string, round: number, sealed: Buffer): Promise<void>;
  /** A part of another node's copy; the whole record when it was the last part that was missing. */
  receive(part: RecordPart): { id: string; round: number; sealed: Buffer } | undefined;
};

const COPIES = 2;
/** A record of a login by TLS has two; a chain of large certificates a few more. */
const MAX_PARTS = 32;
/** Incomplete ones: their parts arrive within milliseconds, or never. */
const MAX_INCOMPLETE = 1_000;
const INCOMPLETE_MS = 2_000;

export function createRecordCopies(options: {
  /** `node/worker`: workers of one node die together. */
  ownName: string;
  peers: () => readonly Peer[];
  copy: (peer: Peer, part: RecordPart) => Promise<boolean>;
  clock: Clock;
}): RecordCopies {
  const { ownName, peers, copy, clock } = options;
  const incomplete = new Map<string, { parts: (Buffer | undefined)[]; untilMs: number }>();

  async function sendTo(peer: Peer, parts: readonly RecordPart[]): Promise<void> {
    const taken = await Promise.all(parts.map((part) => copy(peer, part)));
    if (taken.includes(false)) throw new Error('the peer did not take the copy');
  }

  return {
    async send(id, round, sealed) {
      const parts = cut(id, round, sealed);
      if (parts.length > MAX_PARTS) return;
      const chosen = chooseKeepers(id, ownName, peers());
      await Promise.any(chosen.map((peer) => sendTo(peer, parts))).catch(() => undefined);
    },

    receive({ id, round, part, parts, bytes }) {
      if (parts > MAX_PARTS) return undefined;
      const nowMs = clock.monotonicMs();
      for (const [oldest, { untilMs }] of incomplete) {
        if (untilMs > nowMs && incomplete.size < MAX_INCOMPLETE) break;
        incomplete.delete(oldest);
      }
      const name = `${id} ${round} ${parts}`;
      const known = incomplete.get(name) ?? {
        parts: Array.from<Buffer | undefined>({ length: parts }),
        untilMs: nowMs + INCOMPLETE_MS,
      };
      known.parts[part] = bytes;
      const whole = known.parts.filter((each) => each !== undefined);
      if (whole.length < parts) {
        incomplete.set(name, known);
        return undefined;
      }
      incomplete.delete(name);
      return { id, round, sealed: Buffer.concat(whole) };
    },
  };
}

function cut(id: string, round: number, sealed: Buffer): RecordPart[] {
  const parts = Math.ceil(sealed.length / MAX_PART_BYTES);
  return Array.from({ length: parts }, (_, part) => ({
    id,
    round,
    part,
    parts,
    bytes: sealed.subarray(part * MAX_PART_BYTES, (part + 1) * MAX_PART_BYTES),
  }));
}

/** The same two for all rounds of a conversation while they live, others for another one. */
function chooseKeepers(id: string, ownName: string, peers: readonly Peer[]): Peer[] {
  const ranked = peers
    .filter(({ name }) => nodeOf(name) !== nodeOf(ownName))
    .map((peer) => ({ peer, rank: rankOf(id, peer.owner) }))
    .toSorted((a, b) => a.rank - b.rank);
  const byNode = new Map<string, Peer>();
  for (const { peer } of ranked) {
    const node = nodeOf(peer.name);
    if (!byNode.has(node)) byNode.set(node, peer);
    if (byNode.size === COPIES) break;
  }
  return [...byNode.values()];
}

function nodeOf(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf('/'))) || name;
}

function rankOf(id: string, owner: number): number {
  return createHash('sha256').update(`${id} ${owner}`).digest().readUInt32BE();
}
