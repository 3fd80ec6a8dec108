// The State attribute: which conversation a request goes on with, and who has it. RFC 2865 §5.24 lets
// the server put in what it likes; routers bring it back unread. Here it is 16 random bytes, the kind,
// and the owner: the worker that gave it out. Where conversations lie is not told here.

import assert from 'node:assert';
import { createHash } from 'node:crypto';

export type ConversationStateName = {
  /** `STATE_RANDOM_BYTES`, hard to guess. */
  random: Buffer;
  kind: ConversationKind;
  /** As `ownerOf` gives it. */
  owner: number;
};

type ConversationKind =
  /** In the shared state: any worker goes on with it. */
  | 'shared'
  /** In its owner's memory: what reaches another worker is forwarded (peer-link.ts). */
  | 'local-only';

export const STATE_RANDOM_BYTES = 16;

// 0–15 random, 16 the kind, 17–20 the owner.
const KIND = STATE_RANDOM_BYTES;
const OWNER = KIND + 1;
const STATE_BYTES = OWNER + 4;

const KIND_BYTES = { shared: 1, 'local-only': 2 } as const;

/**
 * Names one life of one worker: started again, it is another owner, because the conversations of its
 * former life are gone. `lifeId`: 16 bytes of chance or more.
 */
export function ownerOf(lifeId: Buffer): number {
  return createHash('sha256')
    .update('evergate radius worker')
    .update(lifeId)
    .digest()
    .readUInt32BE();
}

/** As it is written in keys and for people: eight hexadecimal digits. */
export function ownerText(owner: number): string {
  return owner.toString(16).padStart(8, '0');
}

export function isOwner(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) < 2 ** 32;
}

export function encodeState({ random, kind, owner }: ConversationStateName): Buffer {
  assert(random.length === STATE_RANDOM_BYTES && isOwner(owner), 'a State has all its parts');
  const state = Buffer.allocUnsafe(STATE_BYTES);
  random.copy(state);
  state[KIND] = KIND_BYTES[kind];
  state.writeUInt32BE(owner, OWNER);
  return state;
}

/** Undefined: not one of ours. Whether it names a conversation that there is, nobody can see in it. */
export function readState(state: Buffer): ConversationStateName | undefined {
  if (state.length !== STATE_BYTES) return undefined;
  const kind = kindOf(state.readUInt8(KIND));
  if (kind === undefined) return undefined;
  return { random: state.subarray(0, KIND), kind, owner: state.readUInt32BE(OWNER) };
}

function kindOf(byte: number): ConversationKind | undefined {
  if (byte === KIND_BYTES.shared) return 'shared';
  return byte === KIND_BYTES['local-only'] ? 'local-only' : undefined;
}
