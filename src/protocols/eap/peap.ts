// PEAPv0: an EAP conversation inside TLS, as Windows does it. draft-kamath-pppext-peapv0, MS-PEAP; keys
// under TLS 1.3 RFC 9427 §2.1. Inner packets travel without their EAP header, all but the last exchange:
// there each side says in a Result TLV whether it considers the login a success, inside, where nobody
// can forge it. What the Crypto-Binding TLV beside it proves is peap-binding.ts.

import type { Ticket, TlsEngine } from '../tls/engine.ts';
import { continueInner, startInner } from './inner-conversation.ts';
import type { InnerConversation, InnerOutcome } from './inner-conversation.ts';
import type { InnerInput, InnerProtocol, InnerStep } from './inner-protocol.ts';
import type { EapFailureReason, EapMethod, MethodState } from './method.ts';
import { EapType, encodeEapResponse } from './packet.ts';
import { bindingKeys, bindingMac, boundMsk, isBound } from './peap-binding.ts';
import type { BindingKeys } from './peap-binding.ts';
import { BindingSubType, encodeResultRequest, parseResultResponse } from './peap-tlv.ts';
import { tlsKeys } from './tls-keys.ts';
import { createTlsMethod } from './tls-transport.ts';

export type PeapOptions = {
  engine: TlsEngine;
  /** The best first. */
  innerMethods: readonly EapMethod[];
};

type PeapState =
  | { readonly stage?: undefined }
  /** TLS 1.2: our Finished is on its way, and the client acknowledges it. */
  | { readonly stage: 'finished' }
  | { readonly stage: 'inner'; readonly inner: InnerConversation }
  | {
      readonly stage: 'success';
      readonly username: string;
      /** Present when we have asked for proof of the binding; the client may leave it out. */
      readonly binding?: { intermediateKey: string; macKey: string };
    }
  | { readonly stage: 'failure'; readonly reason: EapFailureReason; readonly detail?: string };

export function createPeap({ engine, innerMethods }: PeapOptions): EapMethod {
  const inner: InnerProtocol = {
    acceptsTicket: () => true,

    async step(methodState, input) {
      const state = methodState as PeapState;
      switch (state.stage) {
        case undefined:
          return open(input);
        case 'finished':
          // A record here answers a request that this state has not sent: it is too old (tls-transport.ts).
          if (input.data.length > 0) return refuse('tls-failed', 'data before anybody asked');
          return afterInner(startInner(input.data, innerMethods, input), input);
        case 'inner':
          // Without any key one can send an empty packet. Nothing is encrypted in answer to it.
          if (input.data.length === 0)
            return refuse('tls-failed', 'nothing where an answer was due');
          return afterInner(
            await continueInner(inStep(state.inner, input), withHeader(input), innerMethods, input),
            input,
          );
        case 'success':
          return afterSuccess(state, input);
        case 'failure': {
          const { stage: _, ...failure } = state;
          return { kind: 'failure', ...failure }; // whatever the client says to it
        }
      }
    },
  };

  async function open(input: InnerInput): Promise<InnerStep> {
    const { data, facts, hasUnsentFlight } = input;
    if (facts.resumed !== undefined) return offerSuccess(facts.resumed.identity, input);
    // Some clients tell their name together with their Finished, before anybody asked.
    if (data.length > 0) {
      return afterInner(startInner(withHeader(input), innerMethods, input), input);
    }
    // The client acknowledges our Finished first, and some insist on it.
    if (hasUnsentFlight) return { kind: 'send', data, state: stateOf({ stage: 'finished' }) };
    return afterInner(startInner(data, innerMethods, input), input);
  }

  const method = {
    name: 'peap',
    type: EapType.Peap,
    version: 0,
    terms: { purpose: 'peap', clientCertificate: 'none' },
  } as const;
  return createTlsMethod(method, engine, inner);
}

async function afterInner(outcome: InnerOutcome, input: InnerInput): Promise<InnerStep> {
  switch (outcome.kind) {
    case 'challenge':
      return {
        kind: 'send',
        data: outcome.eap.subarray(EAP_HEADER_BYTES),
        state: stateOf({ stage: 'inner', inner: outcome.inner }),
      };
    case 'need':
      return { ...outcome.need, state: stateOf({ stage: 'inner', inner: outcome.inner }) };
    case 'success': {
      const { username, policy, msk } = outcome;
      return offerSuccess(username, input, {
        innerKey: msk,
        ticket: { identity: username, policy },
      });
    }
    case 'failure': {
      const { reason, detail } = outcome;
      const state = {
        stage: 'failure',
        reason,
        ...(detail === undefined ? {} : { detail }),
      } as const;
      const data = encodeResultRequest(input.nextIdentifier, { isSuccess: false });
      return { kind: 'send', data, state: stateOf(state) };
    }
  }
}

/** A resumed login (`earned` is undefined) has proven itself already, and gets no other ticket. */
async function offerSuccess(
  username: string,
  input: InnerInput,
  earned?: { innerKey: Buffer | undefined; ticket: Ticket },
): Promise<InnerStep> {
  // A method without keys, such as GTC, has nothing to bind.
  const isBindable = earned === undefined || earned.innerKey !== undefined;
  const keys = isBindable ? bindingKeys((await keysOf(input)).msk, earned?.innerKey) : undefined;
  const request = { subType: BindingSubType.Request, nonce: input.random };
  const data = encodeResultRequest(input.nextIdentifier, {
    isSuccess: true,
    ...(keys && { binding: { ...request, mac: bindingMac(keys.macKey, request) } }),
  });
  const state = {
    stage: 'success',
    username,
    ...(keys && { binding: toText(keys) }),
  } as const;
  return {
    kind: 'send',
    data,
    state: stateOf(state),
    ...(earned === undefined ? {} : { ticket: earned.ticket }),
  };
}

async function afterSuccess(
  { username, binding }: PeapState & { stage: 'success' },
  input: InnerInput,
): Promise<InnerStep> {
  const result = parseResultResponse(input.data);
  if (result === undefined) return refuse('tls-failed', 'no Result TLV where one was due');
  if (!result.isSuccess)
    return refuse('refused-by-peer', 'the client says failure in its Result TLV');
  const keys = await keysOf(input);
  // The binding is optional: a client that does not know it leaves it out. One that answers must be right.
  if (binding === undefined || result.binding === undefined) {
    return { kind: 'success', username, ...keys };
  }
  const expected = {
    intermediateKey: Buffer.from(binding.intermediateKey, 'hex'),
    macKey: Buffer.from(binding.macKey, 'hex'),
  };
  const isAnswer =
    result.binding.subType === BindingSubType.Response && isBound(expected.macKey, result.binding);
  if (!isAnswer) return refuse('tls-failed', 'the login inside does not belong to this tunnel');
  return { kind: 'success', username, ...keys, msk: boundMsk(expected) };
}

function keysOf(input: InnerInput) {
  return tlsKeys(EapType.Peap, 'client EAP encryption', input);
}

/** The inner packet has no header: it is that of the packet around it. */
function withHeader({ data, identifier }: InnerInput): Buffer {
  return encodeEapResponse(identifier, data[0] ?? 0, data.subarray(1));
}

function inStep(inner: InnerConversation, { identifier }: InnerInput): InnerConversation {
  return { ...inner, conversation: { ...inner.conversation, outstanding: identifier } };
}

function toText({ intermediateKey, macKey }: BindingKeys) {
  return {
    intermediateKey: intermediateKey.toString('hex'),
    macKey: macKey.toString('hex'),
  };
}

function stateOf(state: PeapState): MethodState {
  return state as unknown as MethodState;
}

function refuse(reason: EapFailureReason, detail: string): InnerStep {
  return { kind: 'failure', reason, detail };
}

const EAP_HEADER_BYTES = 4;
