// One EAP exchange from the first identity to Success or Failure, as a value: each answer of the peer
// gives the next request and the next state. RFC 3748 §2, §4.1, §5.3. Pure, so any node can go on.
// The RADIUS attributes State and EAP-Message, and who may log in, belong to services/radius/.

import { encodeIdentityRequest, identityOf } from './identity.ts';
import type {
  EapDiscardReason,
  EapFailureReason,
  EapMethod,
  Evidence,
  MethodNeed,
  MethodState,
  MethodStep,
} from './method.ts';
import { methodAfterNak } from './nak.ts';
import {
  EapCode,
  EapType,
  encodeEapFailure,
  encodeEapRequest,
  encodeEapSuccess,
  parseEap,
} from './packet.ts';
import type { EapPacket } from './packet.ts';

/** Plain data that survives JSON. It holds keys and challenges: encrypt what leaves the process. */
export type ConversationState =
  | { stage: 'identity'; outstanding: number }
  | {
      stage: 'method';
      /** The identifier of the request that waits for an answer. */
      outstanding: number;
      identity: string;
      type: number;
      state: MethodState;
      /** The types offered so far, so that Naks cannot go round in a circle. */
      tried: readonly number[];
      /** A Nak only counts before the method has heard an answer. */
      hasBegun: boolean;
    };

export type ConversationOutcome =
  | { kind: 'challenge'; eap: Buffer; state: ConversationState }
  | ConversationNeed
  | (Omit<Extract<MethodStep, { kind: 'success' }>, 'kind'> & { kind: 'success'; eap: Buffer })
  | { kind: 'failure'; eap: Buffer; reason: EapFailureReason; detail?: string }
  /** Answer nothing, keep the state: the right packet may still come. */
  | { kind: 'discard'; reason: EapDiscardReason };

/**
 * Find out about it, then call continueConversation again with the same packet, the evidence and this
 * `state`. Such a state is only for that call: it is never stored.
 */
export type ConversationNeed = DistributedOmit<MethodNeed, 'state'> & { state: ConversationState };
type DistributedOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

export type ConversationInput = {
  /** The methods we allow, the best first. */
  offered: readonly EapMethod[];
  /** `RANDOM_BYTES` each; method.ts says how they differ. */
  random: Buffer;
  fresh: Buffer;
  nowMs: number;
  /** How long an EAP packet may be on the way to this device. RFC 3579 §2.4, RFC 3748 §3.1. */
  maxPacketBytes: number;
  evidence?: Evidence;
};

/**
 * `eap` is what the peer sent first: its identity, or nothing at all (EAP-Start, RFC 3579 §2.1),
 * which asks us to ask for it.
 */
export function startConversation(eap: Buffer, input: ConversationInput): ConversationOutcome {
  if (eap.length === 0) {
    const outstanding = (input.random[0] ?? 0) & 0xff;
    return {
      kind: 'challenge',
      eap: encodeIdentityRequest(outstanding),
      state: { stage: 'identity', outstanding },
    };
  }
  const response = parseEap(eap);
  if (response.kind === 'malformed') return discard('malformed');
  if (response.code !== EapCode.Response) return discard('not-a-response');
  if (response.type !== EapType.Identity) return discard('unexpected-type');
  return afterIdentity(response, input);
}

export async function continueConversation(
  state: ConversationState,
  eap: Buffer,
  input: ConversationInput,
): Promise<ConversationOutcome> {
  const response = parseEap(eap);
  if (response.kind === 'malformed') return discard('malformed');
  if (response.code !== EapCode.Response) return discard('not-a-response');
  if (response.identifier !== state.outstanding) return discard('unexpected-identifier');

  if (state.stage === 'identity') {
    if (response.type !== EapType.Identity) return discard('unexpected-type');
    return afterIdentity(response, input);
  }

  if (response.type === EapType.Nak && !state.hasBegun) {
    const wanted = methodAfterNak(response, input.offered, state.tried);
    if (wanted === undefined) return failure(response, 'no-common-method');
    return startMethod(wanted, response, state.identity, state.tried, input);
  }
  if (response.type !== state.type) return discard('unexpected-type');
  const method = input.offered.find(({ type }) => type === state.type);
  // It was withdrawn in the middle, or another node offers what we do not: nobody here can go on with it.
  if (method === undefined) return failure(response, 'no-common-method');

  const nextIdentifier = following(response.identifier);
  const step = await method.step(state.state, {
    response,
    nextIdentifier,
    identity: state.identity,
    random: input.random,
    fresh: input.fresh,
    nowMs: input.nowMs,
    maxPacketBytes: input.maxPacketBytes,
    evidence: input.evidence ?? { kind: 'not-yet' },
  });
  return afterStep(step, state, method, response);
}

/** The keys for MS-MPPE-Recv-Key and MS-MPPE-Send-Key. RFC 2548 §2.4, RFC 3748 §7.10. */
export function mppeKeysOf(msk: Buffer): { recvKey: Buffer; sendKey: Buffer } {
  // Methods over TLS give 64 bytes, MS-CHAPv2 gives 32; either way both keys have one half.
  const half = Math.min(32, msk.length >>> 1);
  return { recvKey: msk.subarray(0, half), sendKey: msk.subarray(half, 2 * half) };
}

function afterIdentity(response: EapPacket, input: ConversationInput): ConversationOutcome {
  const [first] = input.offered;
  if (first === undefined) return failure(response, 'no-common-method');
  return startMethod(first, response, identityOf(response), [], input);
}

function startMethod(
  method: EapMethod,
  response: EapPacket,
  identity: string,
  tried: readonly number[],
  input: ConversationInput,
): ConversationOutcome {
  const outstanding = following(response.identifier);
  const { data, state } = method.start({
    identifier: outstanding,
    identity,
    random: input.random,
  });
  return {
    kind: 'challenge',
    eap: encodeEapRequest(outstanding, method.type, data),
    state: {
      stage: 'method',
      outstanding,
      identity,
      type: method.type,
      state,
      tried: [...tried, method.type],
      hasBegun: false,
    },
  };
}

function afterStep(
  step: MethodStep,
  before: ConversationState & { stage: 'method' },
  method: EapMethod,
  response: EapPacket,
): ConversationOutcome {
  if (step.kind === 'continue') {
    const outstanding = following(response.identifier);
    return {
      kind: 'challenge',
      eap: encodeEapRequest(outstanding, method.type, step.data),
      state: { ...before, outstanding, state: step.state, hasBegun: true },
    };
  }
  switch (step.kind) {
    case 'success':
      return { ...step, eap: encodeEapSuccess(response.identifier) };
    case 'failure':
      return failure(response, step.reason, step.detail);
    case 'discard':
      return step;
    default: {
      const { state = before.state, ...need } = step;
      return { ...need, state: { ...before, state } };
    }
  }
}

function failure(
  response: EapPacket,
  reason: EapFailureReason,
  detail?: string,
): ConversationOutcome {
  const said = detail === undefined ? {} : { detail };
  return { kind: 'failure', eap: encodeEapFailure(response.identifier), reason, ...said };
}

function discard(reason: EapDiscardReason): ConversationOutcome {
  return { kind: 'discard', reason };
}

function following(identifier: number): number {
  return (identifier + 1) & 0xff;
}
