// An EAP conversation inside a TLS tunnel, as PEAP, TTLS and TEAP have one. It is a conversation like any
// other, with a bound on its rounds. How its packets are wrapped belongs to those methods.

import { continueConversation, startConversation } from './conversation.ts';
import type { ConversationNeed, ConversationOutcome, ConversationState } from './conversation.ts';
import type { InnerInput } from './inner-protocol.ts';
import type { EapFailureReason, EapMethod } from './method.ts';
import { encodeEapFailure } from './packet.ts';

/** Plain data. */
export type InnerConversation = {
  readonly conversation: ConversationState;
  readonly rounds: number;
  /** The policy under which the password was judged, once it was. */
  readonly policy?: string;
};

export type InnerOutcome =
  | { kind: 'challenge'; eap: Buffer; inner: InnerConversation }
  /** Pass it up with a state that keeps `inner`, and call `continueInner` with it and the evidence. */
  | { kind: 'need'; need: Need; inner: InnerConversation }
  /** `policy` goes into the ticket. */
  | { kind: 'success'; eap: Buffer; username: string; msk?: Buffer; policy: string }
  | { kind: 'failure'; eap: Buffer; reason: EapFailureReason; detail?: string };

type Need = DistributedOmit<ConversationNeed, 'state'>;
type DistributedOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

const MAX_ROUNDS = 50;
/** TLS record, EAP and TLV headers around an inner packet. */
const WRAPPING_BYTES = 100;

/** `eap`: the client's identity, or nothing: then the first challenge asks for it. */
export function startInner(
  eap: Buffer,
  offered: readonly EapMethod[],
  input: InnerInput,
): InnerOutcome {
  return toOutcome(startConversation(eap, conversationInput(offered, input)), { rounds: 0 }, eap);
}

export async function continueInner(
  inner: InnerConversation,
  eap: Buffer,
  offered: readonly EapMethod[],
  input: InnerInput,
): Promise<InnerOutcome> {
  const { evidence } = input;
  const before = {
    rounds: inner.rounds + 1,
    ...(inner.policy === undefined ? {} : { policy: inner.policy }),
    ...('policy' in evidence ? { policy: evidence.policy } : {}),
  };
  if (before.rounds > MAX_ROUNDS) {
    return refusal('tls-failed', `more than ${MAX_ROUNDS} rounds inside the tunnel`, eap);
  }
  const outcome = await continueConversation(
    inner.conversation,
    eap,
    conversationInput(offered, input),
  );
  return toOutcome(outcome, before, eap);
}

/** The name that a policy is looked up under is known by then, so a success without one cannot be. */
function toOutcome(
  outcome: ConversationOutcome,
  before: Omit<InnerConversation, 'conversation'>,
  eap: Buffer,
): InnerOutcome {
  switch (outcome.kind) {
    case 'challenge':
      return {
        kind: 'challenge',
        eap: outcome.eap,
        inner: { ...before, conversation: outcome.state },
      };
    case 'success': {
      const { policy } = before;
      if (policy === undefined) {
        return refusal('wrong-password', 'an inner method that asked for no proof', eap);
      }
      const { username, msk } = outcome;
      return { kind: 'success', eap: outcome.eap, username, policy, ...(msk && { msk }) };
    }
    case 'failure':
      return outcome;
    case 'discard':
      // What came through the tunnel is from the client itself, and the engine takes it only once.
      return refusal('tls-failed', `${outcome.reason} inside the tunnel`, eap);
    default: {
      const { state, ...need } = outcome;
      return { kind: 'need', need, inner: { ...before, conversation: state } };
    }
  }
}

function refusal(reason: EapFailureReason, detail: string, eap: Buffer): InnerOutcome {
  return { kind: 'failure', eap: encodeEapFailure(eap[1] ?? 0), reason, detail };
}

function conversationInput(offered: readonly EapMethod[], input: InnerInput) {
  return {
    offered,
    random: input.random,
    fresh: input.fresh,
    nowMs: input.nowMs,
    maxPacketBytes: input.maxPacketBytes - WRAPPING_BYTES,
    evidence: input.evidence,
  };
}
