// EAP conversations that any node can go on with (promise 4). RFC 3579 §2, RFC 3748 §4.
//
// A conversation lies sealed in the shared state under the State attribute that its next request
// carried, and every round has a new one. A round is settled by one compare-and-set that stores the
// answer together with what follows from it, before the answer is sent: whichever node is killed in
// between, a retransmission finds either the old round or the whole new one. Whoever comes second
// sends the stored answer. A router that turns to its other server often puts the device's answer
// into a new packet: that settles the same round once more, with an answer of its own.

import { createHash } from 'node:crypto';
import type { RejectReason } from '../../domain/access.ts';
import type { SharedState } from '../../domain/shared-state.ts';
import type { Credential } from '../../domain/subscriber.ts';
import {
  continueConversation,
  mppeKeysOf,
  startConversation,
} from '../../protocols/eap/conversation.ts';
import type { ConversationOutcome, ConversationState } from '../../protocols/eap/conversation.ts';
import { RANDOM_BYTES } from '../../protocols/eap/method.ts';
import type { EapMethod, Evidence } from '../../protocols/eap/method.ts';
import { encodeEapFailure } from '../../protocols/eap/packet.ts';
import { AttributeType, concatAttribute, findValue } from '../../protocols/radius/packet.ts';
import type { Packet } from '../../protocols/radius/packet.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { CredentialCache } from './credential-cache.ts';
import { fingerprint } from './fingerprint.ts';
import { isSamePassword } from './login.ts';

export type EapStep =
  | { kind: 'discard' }
  /** Answered before, by this node or another. */
  | { kind: 'repeat'; answer: Buffer }
  /** We know nothing of this conversation: only a Reject lets the subscriber start anew. */
  | { kind: 'lost'; eap: Buffer }
  | ({ kind: 'challenge'; eap: Buffer; state: Buffer } & Settling)
  | ({ kind: 'failure'; eap: Buffer; method: string; reason: RejectReason } & Settling)
  | ({
      kind: 'success';
      eap: Buffer;
      /** In place of `eap` when the plan says no. */
      failureEap: Buffer;
      method: string;
      username: string;
      credential: Credential;
      keys?: { recvKey: Buffer; sendKey: Buffer };
    } & Settling);

type Settling = {
  /** Stores the answer for the cluster and gives the one to send; undefined: send nothing. */
  settle(answer: Buffer): Promise<Buffer | undefined>;
};

export type EapLogins = {
  step(packet: Packet, path: Buffer): Promise<EapStep>;
};

export type Seal = {
  seal(plaintext: Buffer, context: string): Buffer;
  open(box: Buffer, context: string): Buffer;
};

/** A waiting round, or a settled one that a retransmission may still ask for. Plain JSON. */
type Round = {
  conversation: ConversationState;
  /** `eap`: the digest of the device's answer, the only one that this round takes. */
  settled?: { eap: string; given: Given[] };
};
type Given = { request: string; answer: string; next?: Next };
type Next = { state: string; conversation: ConversationState };

type Loaded = { raw: Buffer; round: Round };

/** Someone may have to find their password first. */
const CONVERSATION_MS = 300_000;
const SETTLED_MS = 30_000;
const STATE_BYTES = 16;
/** Packets that may bring the same answer of the device: it repeats itself, to two servers each time. */
const MAX_GIVEN = 8;
const NO_SUCH_SUBSCRIBER: Evidence = { kind: 'password', password: null };

export function createEapLogins(options: {
  state: SharedState;
  credentials: CredentialCache;
  methods: readonly EapMethod[];
  box: Seal;
  runtime: Runtime;
}): EapLogins {
  const { state, credentials, methods, box, runtime } = options;
  const active = countActive(runtime);

  async function load(stateHex: string): Promise<Loaded | undefined> {
    const raw = await state.get(keyOf(stateHex));
    if (raw === undefined) return undefined;
    try {
      const round = JSON.parse(box.open(raw, keyOf(stateHex)).toString()) as Round;
      return { raw, round };
    } catch {
      return undefined; // sealed under a key that is gone: as good as lost
    }
  }

  function seal(stateHex: string, round: Round): Buffer {
    return box.seal(Buffer.from(JSON.stringify(round)), keyOf(stateHex));
  }

  async function storeNext(next: Next | undefined): Promise<void> {
    if (next === undefined) return;
    const round: Round = { conversation: next.conversation };
    await state.setIfAbsent(keyOf(next.state), seal(next.state, round), CONVERSATION_MS);
  }

  /** The outcome, with the password looked up if the method asks for one. */
  async function proceed(
    advance: (evidence: Evidence | undefined) => ConversationOutcome,
  ): Promise<{ outcome: ConversationOutcome; credential: Credential | null }> {
    const first = advance(undefined);
    if (first.kind !== 'needs-password') return { outcome: first, credential: null };
    const credential = await credentials.find(first.username);
    if (credential === null && first.given === undefined) {
      return { outcome: advance(NO_SUCH_SUBSCRIBER), credential };
    }
    const expected = credential?.password ?? null;
    const evidence: Evidence =
      first.given === undefined
        ? { kind: 'password', password: expected }
        : { kind: 'verdict', isRight: expected !== null && isSamePassword(first.given, expected) };
    return { outcome: advance(evidence), credential };
  }

  async function toStep(
    outcome: ConversationOutcome,
    credential: Credential | null,
    method: string,
    settleWith: (answer: Buffer, next: Next | undefined) => Promise<Buffer | undefined>,
  ): Promise<EapStep> {
    switch (outcome.kind) {
      case 'discard':
      case 'needs-password': // asked for again after the evidence: the method makes no sense
        return { kind: 'discard' };
      case 'challenge': {
        const stateBytes = runtime.random.bytes(STATE_BYTES);
        const next = { state: stateBytes.toString('hex'), conversation: outcome.state };
        active.began(next.state);
        return {
          kind: 'challenge',
          eap: outcome.eap,
          state: stateBytes,
          settle: (answer) => settleWith(answer, next),
        };
      }
      case 'failure':
        return {
          kind: 'failure',
          eap: outcome.eap,
          method,
          reason: outcome.reason === 'wrong-password' ? 'wrong-password' : 'method-refused',
          settle: (answer) => settleWith(answer, undefined),
        };
      case 'success': {
        const holder = credential ?? (await credentials.find(outcome.username));
        const settle = (answer: Buffer) => settleWith(answer, undefined);
        const failureEap = encodeEapFailure(outcome.eap.readUInt8(1));
        if (holder === null) {
          return { kind: 'failure', eap: failureEap, method, reason: 'unknown-subscriber', settle };
        }
        return {
          kind: 'success',
          eap: outcome.eap,
          failureEap,
          method,
          username: outcome.username,
          credential: holder,
          ...(outcome.msk === undefined ? {} : { keys: mppeKeysOf(outcome.msk) }),
          settle,
        };
      }
    }
  }

  async function begin(eap: Buffer): Promise<EapStep> {
    const input = { offered: methods, random: runtime.random.bytes(RANDOM_BYTES) };
    const outcome = startConversation(eap, input);
    return toStep(outcome, null, 'eap', async (answer, next) => {
      await storeNext(next);
      return answer;
    });
  }

  async function goOn(stateHex: string, eap: Buffer, request: string): Promise<EapStep> {
    const loaded = await load(stateHex);
    if (loaded === undefined) {
      return { kind: 'lost', eap: encodeEapFailure(eap.length > 1 ? eap.readUInt8(1) : 0) };
    }
    const { conversation, settled } = loaded.round;
    const eapDigest = createHash('sha256').update(eap).digest('base64url');
    const given = settled?.given.find((each) => each.request === request);
    if (given !== undefined) return { kind: 'repeat', answer: await repeat(given) };
    // Another answer to a State that has been used: an attack, or a very confused router.
    if (settled !== undefined && settled.eap !== eapDigest) return { kind: 'discard' };
    if (settled !== undefined && settled.given.length >= MAX_GIVEN) return { kind: 'discard' };

    const random = runtime.random.bytes(RANDOM_BYTES);
    const { outcome, credential } = await proceed((evidence) =>
      continueConversation(conversation, eap, {
        offered: methods,
        random,
        ...(evidence === undefined ? {} : { evidence }),
      }),
    );

    return toStep(outcome, credential, methodName(conversation), async (answer, next) => {
      const mine: Given = {
        request,
        answer: answer.toString('base64'),
        ...(next === undefined ? {} : { next }),
      };
      let present: Loaded | undefined = loaded;
      while (present !== undefined) {
        const before: Round['settled'] = present.round.settled ?? { eap: eapDigest, given: [] };
        const first = before.given.find((each) => each.request === request);
        if (first !== undefined) return repeat(first);
        if (before.eap !== eapDigest || before.given.length >= MAX_GIVEN) return undefined;
        const after = { conversation, settled: { eap: eapDigest, given: [...before.given, mine] } };
        const sealed = seal(stateHex, after);
        if (await state.compareAndSet(keyOf(stateHex), present.raw, sealed, SETTLED_MS)) {
          active.ended(stateHex);
          await storeNext(next);
          return answer;
        }
        present = await load(stateHex); // another node was faster, with this packet or another
      }
      return undefined;
    });
  }

  async function repeat(given: Given): Promise<Buffer> {
    await storeNext(given.next); // the node that settled this may have died before it stored it
    return Buffer.from(given.answer, 'base64');
  }

  function methodName(conversation: ConversationState): string {
    if (conversation.stage === 'identity') return 'eap';
    const method = methods.find(({ type }) => type === conversation.type);
    return method === undefined ? 'eap' : `eap-${method.name}`;
  }

  return {
    step(packet, path) {
      const eap = concatAttribute(packet, AttributeType.EapMessage) ?? Buffer.alloc(0);
      const stateAttribute = findValue(packet, AttributeType.State);
      if (stateAttribute === undefined) return begin(eap);
      return goOn(stateAttribute.toString('hex'), eap, fingerprint(packet, path));
    },
  };
}

function keyOf(stateHex: string): string {
  return `eap_session:${stateHex}`;
}

/** Conversations that this node has begun a round of and not seen the end of. */
function countActive(runtime: Runtime) {
  const expiresAtMs = new Map<string, number>();
  runtime.metrics.measured(
    'radius_sessions_active',
    'Sessions open now, by type.',
    () => {
      const nowMs = runtime.clock.monotonicMs();
      for (const [stateHex, expiry] of expiresAtMs) {
        if (expiry <= nowMs) expiresAtMs.delete(stateHex);
      }
      return expiresAtMs.size;
    },
    { type: 'eap' },
  );
  return {
    began(stateHex: string) {
      // Bounded by the scrape that sweeps it; a flood without scrapes is cut off here.
      if (expiresAtMs.size < 100_000) {
        expiresAtMs.set(stateHex, runtime.clock.monotonicMs() + CONVERSATION_MS);
      }
    },
    ended(stateHex: string) {
      expiresAtMs.delete(stateHex);
    },
  };
}
