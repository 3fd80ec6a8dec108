// What an EAP method is to a conversation: a state machine without memory of its own. Its state is
// plain data that any node can store and any node can go on from. To add a method, write one of these
// and offer it; conversation.ts does not change.

import type { Json, Soon, TlsSession } from '../tls/engine.ts';
import type { EapPacket } from './packet.ts';

/** Survives JSON. Bytes are kept as text. */
export type MethodState = { readonly [key: string]: Json };

export type EapMethod = {
  readonly name: string;
  readonly type: number;
  /** The first request, when the subscriber has given an identity and this method was chosen. */
  start(input: MethodStart): { data: Buffer; state: MethodState };
  /** An answer of this method's type that carries the outstanding identifier. */
  step(state: MethodState, input: MethodInput): Soon<MethodStep>;
  /**
   * True when the answer to what comes next may take chance that nobody can repeat, under keys that exist
   * already: worked out twice it would be two texts under one key and number. Such a round is for
   * whoever can be sure to be the only one to answer it.
   */
  mustNotRepeat?(state: MethodState): boolean;
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
  /**
   * The same bytes whenever this answer is taken from this state: a node that works out a round that
   * another has worked out before comes to the same request, and no key meets one counter twice.
   */
  random: Buffer;
  /** For new keys: bytes that never come again, but inside a tunnel, where each try gets the same. */
  fresh: Buffer;
  /** Of the conversation: when it began. Whoever repeats a round sees the same clock. */
  nowMs: number;
  /** How long an EAP packet may be on the way to this device, header and all. */
  maxPacketBytes: number;
  evidence: Evidence;
};

/**
 * What the caller has found out, in answer to a `needs-…`. `password` is null, or `isKnown` false,
 * when there is no such subscriber: the method then refuses it as it would a wrong password.
 */
export type Evidence =
  | { kind: 'not-yet' }
  | { kind: 'password'; password: Buffer | null; policy: string }
  /** In answer to a `needs-password` that came with the password that the subscriber gave. */
  | { kind: 'verdict'; isRight: boolean; policy: string }
  | { kind: 'subscriber'; isKnown: boolean; policy: string }
  | { kind: 'session'; session: Buffer | null };

export type MethodStep =
  /** Another request. `state` says where the method now is. */
  | { kind: 'continue'; data: Buffer; state: MethodState }
  | MethodNeed
  /**
   * `msk`: its first half is the Recv-Key, the second the Send-Key, as the server sees them.
   * `sessionId`: the EAP Session-Id, for routers that ask for EAP-Key-Name. RFC 5247 §2.2.
   * `session`: to be remembered once the login has been granted, so that a later one is short.
   */
  | {
      kind: 'success';
      username: string;
      msk?: Buffer;
      sessionId?: Buffer;
      session?: TlsSession;
    }
  | { kind: 'failure'; reason: EapFailureReason; detail?: string }
  | { kind: 'discard'; reason: EapDiscardReason };

/**
 * The method cannot go on without knowing something: ask again with the same response and the evidence,
 * from `state` where there is one (what the response said has then been taken in), else as before.
 */
export type MethodNeed =
  | { kind: 'needs-password'; username: string; given?: Buffer; state?: MethodState }
  /** Is there such a subscriber, and under which policy? For logins by certificate or ticket. */
  | { kind: 'needs-subscriber'; username: string; state?: MethodState }
  /** What a `success` with a `session` of this id asked to remember. */
  | { kind: 'needs-session'; id: string; state?: MethodState };

export type EapFailureReason =
  | 'wrong-password'
  | 'no-common-method'
  /** The subscriber gave up, for example because our proof of the password was wrong. */
  | 'refused-by-peer'
  /** A TLS handshake that could not be completed; `detail` has the alert. */
  | 'tls-failed'
  /** The certificate of the client does not let it in; `detail` says why. */
  | 'certificate-refused'
  /** A valid certificate or ticket of somebody who is no subscriber. */
  | 'unknown-subscriber';

export type EapDiscardReason =
  | 'not-a-response'
  | 'malformed'
  | 'unexpected-identifier'
  | 'unexpected-type';

/** As much chance as any one step of a method may use. */
export const RANDOM_BYTES = 32;
