// EAP conversations that any node can go on with (promise 4). RFC 3579 §2, RFC 3748 §4.
//
// A conversation is one record in the shared state (record.ts). Its State attribute is new in every
// round, and names the node that gave the last answer. A round is settled by one compare-and-set that
// stores the answer together with what follows from it, before the answer is sent: whichever node is
// killed in between, a retransmission finds either the old round or the whole new one. Whoever comes
// second sends what was stored. A router that turns to its other server often puts the device's answer
// into a new packet: that gets an answer of its own, around the same EAP packet.
//
// A round that two nodes work out at once comes out the same (MethodInput.random): even where the
// compare-and-set cannot reach everybody, no key of a TLS connection meets one counter with two texts.

import { hash } from 'node:crypto';
import type { RejectReason } from '../../../domain/access.ts';
import type { Credential } from '../../../domain/subscriber.ts';
import {
  continueConversation,
  mppeKeysOf,
  startConversation,
} from '../../../protocols/eap/conversation.ts';
import type {
  ConversationInput,
  ConversationOutcome,
  ConversationState,
} from '../../../protocols/eap/conversation.ts';
import { RANDOM_BYTES } from '../../../protocols/eap/method.ts';
import type {
  EapFailureReason,
  EapMethod,
  Evidence,
  MethodState,
} from '../../../protocols/eap/method.ts';
import { encodeEapFailure } from '../../../protocols/eap/packet.ts';
import { holdsNativeConnection } from '../../../protocols/tls/engine.ts';
import {
  AttributeType,
  PacketCode,
  concatAttribute,
  findInteger,
  findValue,
  parsePacket,
} from '../../../protocols/radius/packet.ts';
import type { Packet } from '../../../protocols/radius/packet.ts';
import type { Runtime } from '../../../runtime/runtime.ts';
import type { CredentialCache } from '../credential-cache.ts';
import { fingerprint } from '../fingerprint.ts';
import { countConversations } from './conversation-count.ts';
import { STATE_RANDOM_BYTES, encodeState, readState } from './conversation-owner.ts';
import type { ConversationStateName } from './conversation-owner.ts';
import type { ConversationStore, Held } from './conversation-store.ts';
import type { EvidenceFinder } from './evidence.ts';
import { afterRound, settledOutcome, withGiven } from './record.ts';
import type { ConversationRecord, Ending, Given, SettledOutcome, SettledRound } from './record.ts';

export type EapStep =
  | { kind: 'discard' }
  /** Answered before, by this node or another. */
  | { kind: 'repeat'; answer: Buffer }
  /** Answered by the node whose conversation it is. */
  | { kind: 'forwarded'; answer: Buffer }
  /** We know nothing of this conversation: only a Reject lets the subscriber start anew. */
  | { kind: 'lost'; eap: Buffer }
  /** Nor can we: who may know is out of reach, and perhaps not for another node, or when the router asks again. */
  | { kind: 'away' }
  | ({ kind: 'challenge'; eap: Buffer; state: Buffer } & Settling)
  | ({
      kind: 'failure';
      eap: Buffer;
      method: string;
      reason: RejectReason;
      detail?: string;
      /** Who it was about, where that is known: the packet may say `anonymous`. */
      username?: string;
    } & Settling)
  | ({
      kind: 'success';
      eap: Buffer;
      /** In place of `eap` when the plan says no. */
      failureEap: Buffer;
      method: string;
      username: string;
      credential: Credential;
      keys?: { recvKey: Buffer; sendKey: Buffer };
      /** For routers that ask for EAP-Key-Name. RFC 4072 §4.1.4. */
      sessionId?: Buffer;
    } & Settling);

type Settling = {
  /** Stores the answer for the cluster, and says what to do. */
  settle(answer: Buffer): Promise<Settled>;
};

export type Settled =
  | { kind: 'send'; answer: Buffer }
  /** Another packet has settled this round meanwhile: take the step again, from what was stored. */
  | { kind: 'again' }
  | { kind: 'silent' };

export type EapLogins = {
  /** `isForwarded`: by another node, which believes that the conversation is ours. */
  step(packet: Packet, source: EapSource, isForwarded?: boolean): Promise<EapStep>;
};

/** Who asks: the way of the packet, and the id of its router. */
export type EapSource = {
  path: Buffer;
  router: string;
  /** Over TLS: the router is known by its certificate, not by where it is. */
  isProtected: boolean;
};

/** The other nodes, for conversations that only one of them knows. */
export type Owners = {
  /** What this node is called in the State attributes that it gives out. */
  readonly own: number;
  /** `silent`: the owner has no answer. `unreachable`: there is no such node, or it does not answer in time. */
  forward(owner: number, packet: Packet, source: EapSource): Promise<Forwarded>;
};
export type Forwarded =
  | { kind: 'answer'; answer: Buffer }
  | { kind: 'silent' }
  | { kind: 'unreachable'; reason?: string };

export type EapLoginsOptions = {
  conversations: ConversationStore;
  evidence: EvidenceFinder;
  credentials: Pick<CredentialCache, 'find'>;
  /** The best first. */
  methods: readonly EapMethod[];
  /** EAP packets are not longer, whatever the router says its link carries. */
  maxPacketBytes: number;
  owners: Owners;
  runtime: Runtime;
};

/** A device's answer in one packet, and the conversation that it belongs to. */
type Turn = { id: string; held: Held; eap: Buffer; eapDigest: string; request: string };

type FoundSubscriber = { username: string; credential?: Credential | null };

/** A packet that goes on with a conversation, in the round that the token names. */
type Asked = { id: string; token: string; eap: Buffer; packet: Packet; source: EapSource };

/** Packets that may bring the same answer of the device: it repeats itself, to two servers each time. */
const MAX_GIVEN = 8;
/**
 * From the identity to the end, with a person who looks for a password. What is judged by the clock of a
 * conversation, such as certificates, is judged by the one of its beginning.
 */
const MAX_AGE_MS = 600_000;
/** A method asks for a session, the owner of a ticket and a password; then it knows. */
const MAX_NEEDS = 8;
/**
 * For the owner of a round that is copied here: long enough for a lost datagram. The router waits 2 s in all,
 * and a rejection takes one of them on purpose.
 */
const PATIENCE_WITH_COPY_MS = 400;
/** Together the random part of the State: the conversation's name, and the round's. */
const ID_BYTES = 8;
const TOKEN_BYTES = STATE_RANDOM_BYTES - ID_BYTES;

export function createEapLogins(options: EapLoginsOptions): EapLogins {
  const { conversations, evidence, credentials, owners, methods, runtime } = options;
  const active = countConversations(runtime);

  /** A conversation without a State is new. */
  function begin(eap: Buffer, packet: Packet, { router }: EapSource): EapStep {
    const seed = runtime.random.bytes(RANDOM_BYTES);
    const startedAtMs = runtime.clock.nowMs();
    const outcome = startConversation(eap, inputFor(packet, eap, seed, startedAtMs));
    if (outcome.kind === 'failure') {
      return failed(settledOutcome(outcome), 'eap', eap, undefined, (answer) =>
        Promise.resolve({ kind: 'send', answer }),
      );
    }
    if (outcome.kind !== 'challenge') return { kind: 'discard' };

    const id = runtime.random.bytes(ID_BYTES).toString('hex');
    const token = newToken();
    const record: ConversationRecord = {
      router,
      round: 0,
      token,
      conversation: outcome.state,
      seed: seed.toString('hex'),
      startedAtMs,
      over: [],
    };
    return challenge(outcome.eap, id, record, async (answer) => {
      if (!(await conversations.insert(id, record))) return { kind: 'silent' };
      active.goesOn(id);
      return { kind: 'send', answer };
    });
  }

  async function goOn(
    { random, kind, owner }: ConversationStateName,
    eap: Buffer,
    packet: Packet,
    source: EapSource,
    mayForward: boolean,
  ): Promise<EapStep> {
    const id = random.toString('hex', 0, ID_BYTES);
    const token = random.toString('hex', ID_BYTES);
    const isElsewhere = mayForward && owner !== owners.own;
    const isOnlyThere = isElsewhere && (kind === 'local-only' || conversations.isStateAway());

    const known = isOnlyThere ? undefined : await conversations.find(id);
    const step = known && (await takeFrom(known, { id, token, eap, packet, source }));
    if (step !== undefined) return step;
    if (!isElsewhere) {
      // After an outage the round may have been taken elsewhere as well. The device has seen our answer to it.
      const mine = conversations.mayBeBehind() ? await conversations.findOwn(id) : undefined;
      return (mine && (await takeFrom(mine, { id, token, eap, packet, source }))) ?? unknown(eap);
    }
    // Perhaps the shared state lost this round in a failover, or its owner could not reach it.
    const kept = kind === 'local-only' ? undefined : await conversations.findOwn(id);
    const forwarded = await askOwner(owner, packet, source, kept?.record.token === token);
    if (forwarded.kind === 'silent') return { kind: 'discard' };
    if (forwarded.kind === 'answer') return { kind: 'forwarded', answer: forwarded.answer };
    if (kind === 'local-only') return unknown(eap);
    // Should it be dead, a copy of the conversation may be here.
    const copy = await conversations.findOwn(id);
    const taken = copy && (await takeFrom(copy, { id, token, eap, packet, source }));
    // Or elsewhere: the router asks its other servers, and one of them may even reach the owner.
    return taken ?? (forwarded.reason === 'timeout' ? { kind: 'away' } : unknown(eap));
  }

  async function askOwner(
    owner: number,
    packet: Packet,
    source: EapSource,
    hasCopy: boolean,
  ): Promise<Forwarded> {
    const answered = owners.forward(owner, packet, source);
    if (!hasCopy) return answered;
    const { promise: isLate, resolve } = Promise.withResolvers<Forwarded>();
    const timer = runtime.clock.after(PATIENCE_WITH_COPY_MS, () =>
      resolve({ kind: 'unreachable', reason: 'timeout' }),
    );
    try {
      return await Promise.race([answered, isLate]);
    } finally {
      timer[Symbol.dispose]();
    }
  }

  /** Undefined: this record does not know the round that the token names. */
  async function takeFrom(
    held: Held,
    { token, packet, source, ...asked }: Asked,
  ): Promise<EapStep | undefined> {
    const { record } = held;
    const { last } = record;
    if (record.router !== source.router) return { kind: 'discard' };
    if (runtime.clock.nowMs() - record.startedAtMs > MAX_AGE_MS) return lost(asked.eap);
    const eapDigest = hash('sha256', asked.eap, 'base64url');
    const turn: Turn = { ...asked, held, eapDigest, request: fingerprint(packet, source.path) };
    if (last?.token === token) return takeAgain(last, turn);
    if (record.token === token && record.conversation !== null) {
      return takeFirst(record.conversation, turn, packet);
    }
    // A duplicate that was long on its way: the device has had the answer, and has gone on.
    return record.over.includes(token) ? { kind: 'discard' } : undefined;
  }

  /** The answer that the conversation waits for. */
  async function takeFirst(
    conversation: ConversationState,
    turn: Turn,
    packet: Packet,
  ): Promise<EapStep> {
    const { record, isShared } = turn.held;
    const isUnique = methodOf(conversation)?.mustNotRepeat?.(methodStateOf(conversation)) === true;
    // Another node may be at it as well, or was before a failover, and came to something else under the
    // same keys.
    if (isUnique && (!isShared || conversations.isStateInDoubt())) return unknown(turn.eap);
    const seed = Buffer.from(record.seed, 'hex');
    const input = inputFor(packet, turn.eap, seed, record.startedAtMs);
    const { outcome, found } = await workOut(conversation, turn.eap, input);
    if (!isEnding(outcome)) return { kind: 'discard' };

    const method = methodName(conversation);
    const nextToken = newToken();
    const asked = found?.username ?? record.asked;
    const about = asked === undefined ? {} : { asked };
    const round = { method, eap: turn.eapDigest, ending: outcome, nextToken, ...about };
    const settle = settling(turn, (given) => afterRound(record, round, given));
    if (outcome.kind === 'challenge') {
      const next = { token: nextToken, conversation: outcome.state };
      return challenge(outcome.eap, turn.id, next, settle);
    }
    const who = { asked, ...(found?.username === asked ? { credential: found?.credential } : {}) };
    return finished(settledOutcome(outcome), method, turn.eap, who, settle);
  }

  /** An answer that the conversation has had before. */
  async function takeAgain(last: SettledRound, turn: Turn): Promise<EapStep> {
    const before = last.given.find(({ request }) => request === turn.request);
    if (before !== undefined) {
      return { kind: 'repeat', answer: Buffer.from(before.answer, 'base64') };
    }
    // Another answer to a State that has been used: an attack, or a very confused router.
    if (last.eap !== turn.eapDigest || last.given.length >= MAX_GIVEN) return { kind: 'discard' };

    const { record } = turn.held;
    const settle = settling(turn, (given) => withGiven(record, last, given));
    if (last.outcome.kind !== 'challenge') {
      return finished(last.outcome, last.method, turn.eap, { asked: record.asked }, settle);
    }
    const request = requestIn(last.given[0]);
    if (request === undefined) return { kind: 'discard' };
    return challenge(request, turn.id, record, settle);
  }

  /** What follows from the device's answer, with everything looked up that the method asks for. */
  async function workOut(
    conversation: ConversationState,
    eap: Buffer,
    input: ConversationInput,
  ): Promise<{ outcome: ConversationOutcome; found?: FoundSubscriber }> {
    let state = conversation;
    let known: Evidence = { kind: 'not-yet' };
    let found: FoundSubscriber | undefined;
    for (let needs = 0; needs < MAX_NEEDS; needs++) {
      const outcome = await continueConversation(state, eap, { ...input, evidence: known });
      if (isEnding(outcome) || outcome.kind === 'discard') {
        return found === undefined ? { outcome } : { outcome, found };
      }
      const { evidence: answer, ...who } = await evidence.find(outcome);
      known = answer;
      if (outcome.kind !== 'needs-session') found = { username: outcome.username, ...who };
      ({ state } = outcome);
    }
    return { outcome: { kind: 'discard', reason: 'malformed' } };
  }

  function challenge(
    eap: Buffer,
    id: string,
    next: Pick<ConversationRecord, 'token' | 'conversation'>,
    settle: Settling['settle'],
  ): EapStep {
    const random = Buffer.from(id + next.token, 'hex');
    const kind = isOurs(next.conversation) ? 'local-only' : 'shared';
    return {
      kind: 'challenge',
      eap,
      state: encodeState({ random, kind, owner: owners.own }),
      settle,
    };
  }

  /** `who`: whom the method asked about, and what was found if that was just now. */
  async function finished(
    outcome: SettledOutcome,
    method: string,
    eap: Buffer,
    who: { asked: string | undefined; credential?: Credential | null | undefined },
    settle: Settling['settle'],
  ): Promise<EapStep> {
    if (outcome.kind !== 'success') return failed(outcome, method, eap, who.asked, settle);
    const { username, msk, sessionId } = outcome;
    const known = username === who.asked ? who.credential : undefined;
    const credential = known ?? (await credentials.find(username));
    const failureEap = encodeEapFailure(identifierOf(eap));
    if (credential === null) {
      return { kind: 'failure', eap: failureEap, method, reason: 'unknown-subscriber', settle };
    }
    return {
      kind: 'success',
      eap: Buffer.from(outcome.eap, 'base64'),
      failureEap,
      method,
      username,
      credential,
      ...(msk === undefined ? {} : { keys: mppeKeysOf(Buffer.from(msk, 'base64')) }),
      ...(sessionId === undefined ? {} : { sessionId: Buffer.from(sessionId, 'base64') }),
      settle,
    };
  }

  function settling(turn: Turn, after: (given: Given) => ConversationRecord): Settling['settle'] {
    const { id, held, request } = turn;
    return async (answer) => {
      const next = after({ request, answer: answer.toString('base64') });
      if (!(await conversations.replace(id, held, next))) return { kind: 'again' };
      if (next.conversation !== null) active.goesOn(id);
      else {
        active.ended(id);
        await rememberSession(next.last?.outcome, answer);
      }
      return { kind: 'send', answer };
    };
  }

  /** A login that was granted may be short the next time; without this it is long once more. */
  async function rememberSession(outcome: SettledOutcome | undefined, answer: Buffer) {
    if (outcome?.kind !== 'success' || outcome.session === undefined) return;
    if (answer[0] !== PacketCode.AccessAccept) return;
    const { id, value, lifetimeMs } = outcome.session;
    try {
      await evidence.remember({ id, value: Buffer.from(value, 'base64'), lifetimeMs });
    } catch (error) {
      runtime.log.debug('could not remember a TLS session', { error });
    }
  }

  function unknown(eap: Buffer): EapStep {
    return conversations.isStateInDoubt() ? { kind: 'away' } : lost(eap);
  }

  function inputFor(
    packet: Packet,
    eap: Buffer,
    seed: Buffer,
    startedAtMs: number,
  ): ConversationInput {
    return {
      offered: methods,
      // Of two digests, so that its length is fixed: nobody can continue it. A keyed hash costs 9 µs here.
      random: hash('sha256', Buffer.concat([seed, hash('sha256', eap, 'buffer')]), 'buffer'),
      fresh: runtime.random.bytes(RANDOM_BYTES),
      nowMs: startedAtMs,
      maxPacketBytes: packetBytesFor(packet, options.maxPacketBytes),
    };
  }

  function newToken(): string {
    return runtime.random.bytes(TOKEN_BYTES).toString('hex');
  }

  function methodOf(conversation: ConversationState): EapMethod | undefined {
    if (conversation.stage === 'identity') return undefined;
    return methods.find(({ type }) => type === conversation.type);
  }

  function methodName(conversation: ConversationState): string {
    const method = methodOf(conversation);
    return method === undefined ? 'eap' : `eap-${method.name}`;
  }

  return {
    async step(packet, source, isForwarded = false) {
      const eap = concatAttribute(packet, AttributeType.EapMessage) ?? Buffer.alloc(0);
      const state = findValue(packet, AttributeType.State);
      if (state === undefined) return begin(eap, packet, source);
      const name = readState(state);
      return name === undefined ? lost(eap) : goOn(name, eap, packet, source, !isForwarded);
    },
  };
}

/** Whether only this process can go on with it. */
function isOurs(conversation: ConversationState | null): boolean {
  return conversation?.stage === 'method' && holdsNativeConnection(conversation.state);
}

function methodStateOf(conversation: ConversationState): MethodState {
  return conversation.stage === 'method' ? conversation.state : {};
}

function isEnding(outcome: ConversationOutcome): outcome is Ending {
  return outcome.kind === 'challenge' || outcome.kind === 'failure' || outcome.kind === 'success';
}

function failed(
  outcome: SettledOutcome,
  method: string,
  eap: Buffer,
  asked: string | undefined,
  settle: Settling['settle'],
): EapStep {
  const failure = outcome.kind === 'failure' ? outcome : undefined;
  return {
    kind: 'failure',
    eap: encodeEapFailure(identifierOf(eap)),
    method,
    reason: REASONS[failure?.reason ?? 'no-common-method'],
    ...(failure?.detail === undefined ? {} : { detail: failure.detail }),
    ...(asked === undefined ? {} : { username: asked }),
    settle,
  };
}

const REASONS: Record<EapFailureReason, RejectReason> = {
  'wrong-password': 'wrong-password',
  'unknown-subscriber': 'unknown-subscriber',
  'certificate-refused': 'certificate-refused',
  'tls-failed': 'tls-failed',
  'refused-by-peer': 'method-refused',
  'no-common-method': 'method-refused',
};

function lost(eap: Buffer): EapStep {
  return { kind: 'lost', eap: encodeEapFailure(identifierOf(eap)) };
}

/** The EAP packet that an answer of ours carries. */
function requestIn(given: Given | undefined): Buffer | undefined {
  const packet = parsePacket(Buffer.from(given?.answer ?? '', 'base64'));
  return packet.kind === 'malformed'
    ? undefined
    : concatAttribute(packet, AttributeType.EapMessage);
}

function identifierOf(eap: Buffer): number {
  return eap.length > 1 ? eap.readUInt8(1) : 0;
}

const FRAMED_MTU = 12;
/** The 4 bytes are of the EAPOL header that the router puts before the packet. */
const EAPOL_HEADER_BYTES = 4;
const SMALLEST_PACKET_BYTES = 128;

/** RFC 3579 §2.4: Framed-MTU is what the link between router and device carries. */
function packetBytesFor(packet: Packet, maxPacketBytes: number): number {
  const mtu = findInteger(packet, FRAMED_MTU);
  if (mtu === undefined) return maxPacketBytes;
  const fits = Math.max(SMALLEST_PACKET_BYTES, mtu - EAPOL_HEADER_BYTES);
  return Math.min(maxPacketBytes, fits);
}
