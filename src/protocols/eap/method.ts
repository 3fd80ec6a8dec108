// What an EAP method is to a conversation: a state machine without memory of its own. Its state is
// plain data that any node can store and any node can go on from. To add a method, write one of these
// and offer it; conversation.ts does not change.

import type { EapPacket } from './packet.ts';

/** Survives JSON. Bytes are kept as hexadecimal text. */
export type MethodState = Readonly<Record<string, string | number | boolean>>;

export type EapMethod = {
  readonly name: string;
  readonly type: number;
  /** The first request, when the subscriber has given an identity and this method was chosen. */
  start(input: MethodStart): { data: Buffer; state: MethodState };
  /** An answer of this method's type that carries the outstanding identifier. */
  step(state: MethodState, input: MethodInput): MethodStep;
};

type MethodStart = {
  /** The identifier that the request will carry. */
  identifier: number;
  identity: string;
  /** `RANDOM_BYTES` fresh random bytes. */
  random: Buffer;
};

export type MethodInput = {
  response: EapPacket;
  /** The identifier of the next request, should there be one. */
  nextIdentifier: number;
  identity: string;
  random: Buffer;
  evidence: Evidence;
};

/**
 * What the caller has found out about the subscriber. `password` is null when there is no such
 * subscriber or it may not log in: the method then refuses it as it would a wrong password.
 */
export type Evidence =
  | { kind: 'not-yet' }
  | { kind: 'password'; password: Buffer | null }
  /** In answer to a `needs-password` that came with the password that the subscriber gave. */
  | { kind: 'verdict'; isRight: boolean };

export type MethodStep =
  /** Another request. `state` says where the method now is. */
  | { kind: 'continue'; data: Buffer; state: MethodState }
  /** Nothing happened yet: ask again with the same state and response, and the evidence. */
  | { kind: 'needs-password'; username: string; given?: Buffer }
  /** `msk`: its first half is the Recv-Key, the second the Send-Key, as the server sees them. */
  | { kind: 'success'; username: string; msk?: Buffer }
  | { kind: 'failure'; reason: EapFailureReason }
  | { kind: 'discard'; reason: EapDiscardReason };

export type EapFailureReason =
  | 'wrong-password'
  | 'no-common-method'
  /** The subscriber gave up, for example because our proof of the password was wrong. */
  | 'refused-by-peer';

export type EapDiscardReason =
  | 'not-a-response'
  | 'malformed'
  | 'unexpected-identifier'
  | 'unexpected-type';

/** As much chance as any one step of a method may use. */
export const RANDOM_BYTES = 32;
