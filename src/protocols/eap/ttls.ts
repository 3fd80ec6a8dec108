// EAP-TTLSv0: a password inside TLS, as PAP, CHAP, MS-CHAPv2 or an EAP method. RFC 5281; under TLS 1.3
// RFC 9427 §2.1, §3. MS-CHAP version 1 is not supported: its keys are those of a broken cipher, and
// every client that knows it knows version 2.

import { timingSafeEqual } from 'node:crypto';
import { parseMsChap2Response, verifyMsChapV2 } from '../mschap/mschapv2.ts';
import { verifyChap } from '../radius/password.ts';
import type { TlsEngine } from '../tls/engine.ts';
import { continueInner, startInner } from './inner-conversation.ts';
import type { InnerConversation, InnerOutcome } from './inner-conversation.ts';
import type { InnerInput, InnerProtocol, InnerStep } from './inner-protocol.ts';
import type { EapMethod, MethodState } from './method.ts';
import { EapType } from './packet.ts';
import { judgePassword } from './password-verdict.ts';
import { tlsKeys } from './tls-keys.ts';
import { createTlsMethod } from './tls-transport.ts';
import { encodeAvps, parseAvps } from './ttls-avp.ts';
import type { Avp } from './ttls-avp.ts';

export type TtlsOptions = {
  engine: TlsEngine;
  /** The best first, for clients that speak EAP inside. Offered none, they are refused. */
  innerMethods: readonly EapMethod[];
};

type TtlsState = { readonly inner?: InnerConversation };

export function createTtls({ engine, innerMethods }: TtlsOptions): EapMethod {
  const inner: InnerProtocol = {
    acceptsTicket: () => true,

    async step(state, input) {
      const { resumed } = input.facts;
      if (resumed !== undefined) return granted(resumed.identity, input);
      // Under TLS 1.2 the client speaks when it has our Finished, under 1.3 when it has any answer.
      if (input.data.length === 0) {
        if (!input.hasJustOpened) return refuse('the client says nothing inside');
        return { kind: 'send', data: Buffer.alloc(0), state: {} };
      }
      const avps = parseAvps(input.data);
      if (avps === undefined) return refuse('AVPs that are cut off');
      const unknown = avps.find((avp) => avp.isMandatory && !isKnown(avp));
      if (unknown !== undefined) {
        return refuse(`AVP ${unknown.code} of vendor ${unknown.vendor}, which is not understood`);
      }
      return afterAvps(state, avps, input);
    },
  };

  async function afterAvps(
    { inner: conversation }: TtlsState,
    avps: readonly Avp[],
    input: InnerInput,
  ): Promise<InnerStep> {
    const eap = joined(avps, Code.EapMessage);
    if (conversation !== undefined) {
      if (eap === undefined) return refuse('no EAP-Message where one was due');
      return afterEap(await continueInner(conversation, eap, innerMethods, input), input);
    }
    if (eap !== undefined) return afterEap(startInner(eap, innerMethods, input), input);

    const username = find(avps, Code.UserName)?.toString('utf8');
    if (username === undefined) return refuse('no User-Name inside');
    const password = find(avps, Code.UserPassword);
    if (password !== undefined) return pap(username, password, input);
    const chap = find(avps, Code.ChapPassword);
    if (chap !== undefined) return viaChap(username, chap, avps, input);
    const msChapV2 = find(avps, Code.MsChap2Response, MICROSOFT);
    if (msChapV2 !== undefined) return viaMsChapV2(username, msChapV2, avps, input);
    return {
      kind: 'failure',
      reason: 'no-common-method',
      detail: 'no password that we understand inside: PAP, CHAP, MS-CHAPv2 and EAP are',
    };
  }

  const method = {
    name: 'ttls',
    type: EapType.Ttls,
    version: 0,
    terms: { purpose: 'ttls', clientCertificate: 'none' },
  } as const;
  return createTlsMethod(method, engine, inner);
}

const MICROSOFT = 311;
const Code = {
  UserName: 1,
  UserPassword: 2,
  ChapPassword: 3,
  ChapChallenge: 60,
  EapMessage: 79,
  MsChapResponse: 1,
  MsChapChallenge: 11,
  MsChap2Response: 25,
  MsChap2Success: 26,
} as const;

function isKnown({ code, vendor }: Avp): boolean {
  const known: readonly number[] =
    vendor === 0
      ? [Code.UserName, Code.UserPassword, Code.ChapPassword, Code.ChapChallenge, Code.EapMessage]
      : [Code.MsChapResponse, Code.MsChapChallenge, Code.MsChap2Response];
  return (vendor === 0 || vendor === MICROSOFT) && known.includes(code);
}

/** RFC 5281 §11.2.5. Clients hide the password's length behind NULs. */
async function pap(username: string, padded: Buffer, input: InnerInput): Promise<InnerStep> {
  let end = padded.length;
  while (end > 0 && padded[end - 1] === 0) end--;
  const given = padded.subarray(0, end);
  const verdict = judgePassword(given, input.evidence);
  if (verdict === undefined) return { kind: 'needs-password', username, given };
  return verdict.isRight ? earned(username, verdict.policy, input) : WRONG_PASSWORD;
}

/** RFC 5281 §11.2.2. */
async function viaChap(
  username: string,
  identifierAndDigest: Buffer,
  avps: readonly Avp[],
  input: InnerInput,
): Promise<InnerStep> {
  const { evidence } = input;
  const implicit = await implicitChallenge(input);
  const challenge = find(avps, Code.ChapChallenge);
  if (!isImplicit(implicit, challenge, identifierAndDigest[0])) return STALE_CHALLENGE;
  if (evidence.kind !== 'password') return { kind: 'needs-password', username };
  const { password, policy } = evidence;
  const isRight = verifyChap(
    identifierAndDigest,
    implicit.subarray(0, CHALLENGE_BYTES),
    password ?? NO_PASSWORD,
  );
  return isRight && password !== null ? earned(username, policy, input) : WRONG_PASSWORD;
}

/** RFC 5281 §11.2.4. The client checks our proof and acknowledges it with an empty packet. */
async function viaMsChapV2(
  username: string,
  value: Buffer,
  avps: readonly Avp[],
  input: InnerInput,
): Promise<InnerStep> {
  const { evidence } = input;
  const response = parseMsChap2Response(value);
  if (response === undefined) return refuse('an MS-CHAP2-Response that is cut off');
  const implicit = await implicitChallenge(input);
  const challenge = find(avps, Code.MsChapChallenge, MICROSOFT);
  if (!isImplicit(implicit, challenge, response.ident)) return STALE_CHALLENGE;
  if (evidence.kind !== 'password') return { kind: 'needs-password', username };
  const result = verifyMsChapV2({
    ...response,
    username,
    password: evidence.password ?? NO_PASSWORD,
    authenticatorChallenge: implicit.subarray(0, CHALLENGE_BYTES),
  });
  if (result.kind === 'mismatch' || evidence.password === null) return WRONG_PASSWORD;
  const proof = {
    code: Code.MsChap2Success,
    vendor: MICROSOFT,
    isMandatory: true,
    data: result.successAttribute,
  };
  return earned(username, evidence.policy, input, encodeAvps([proof]));
}

/** RFC 5281 §11.2.1. Inside there is no EAP-Success: the one outside says it. */
async function afterEap(outcome: InnerOutcome, input: InnerInput): Promise<InnerStep> {
  switch (outcome.kind) {
    case 'challenge': {
      const message = { code: Code.EapMessage, vendor: 0, isMandatory: true, data: outcome.eap };
      return { kind: 'send', data: encodeAvps([message]), state: stateOf(outcome.inner) };
    }
    case 'need':
      return { ...outcome.need, state: stateOf(outcome.inner) };
    case 'success':
      return earned(outcome.username, outcome.policy, input);
    case 'failure': {
      const { reason, detail } = outcome;
      return { kind: 'failure', reason, ...(detail === undefined ? {} : { detail }) };
    }
  }
}

/** What the challenge would be, had we sent one: bound to this very connection. RFC 5281 §11.1. */
async function implicitChallenge({ facts, exportKey }: InnerInput): Promise<Buffer> {
  const context = facts.version === '1.3' ? [Buffer.alloc(0)] : [];
  return exportKey('ttls challenge', CHALLENGE_BYTES + 1, ...context);
}

function isImplicit(implicit: Buffer, challenge: Buffer | undefined, ident: number | undefined) {
  const expected = implicit.subarray(0, CHALLENGE_BYTES);
  return (
    challenge?.length === CHALLENGE_BYTES &&
    timingSafeEqual(challenge, expected) &&
    ident === implicit[CHALLENGE_BYTES]
  );
}

/**
 * A login by password, which may be repeated by ticket. Under TLS 1.3 the ticket must travel with
 * something that we say, and only MS-CHAPv2 has us say something last: hostap takes a ticket alone for
 * the beginning of phase 2 and sends its password once more. The others get none and log in in full.
 */
async function earned(username: string, policy: string, input: InnerInput, last?: Buffer) {
  const hasTicket = input.facts.version !== '1.3' || last !== undefined;
  return {
    ...(await granted(username, input)),
    ...(hasTicket ? { ticket: { identity: username, policy } } : {}),
    ...(last === undefined ? {} : { data: last }),
  };
}

async function granted(username: string, input: InnerInput) {
  const keys = await tlsKeys(EapType.Ttls, 'ttls keying material', input);
  return { kind: 'success', username, ...keys } as const;
}

function find(avps: readonly Avp[], code: number, vendor = 0): Buffer | undefined {
  return avps.find((avp) => avp.code === code && avp.vendor === vendor)?.data;
}

/** An EAP packet may be spread over several AVPs, as over several RADIUS attributes. */
function joined(avps: readonly Avp[], code: number): Buffer | undefined {
  const parts = avps.filter((avp) => avp.code === code && avp.vendor === 0);
  return parts.length === 0 ? undefined : Buffer.concat(parts.map(({ data }) => data));
}

function stateOf(inner: InnerConversation): MethodState {
  return { inner } satisfies TtlsState;
}

function refuse(detail: string): InnerStep {
  return { kind: 'failure', reason: 'tls-failed', detail };
}

const CHALLENGE_BYTES = 16;
const NO_PASSWORD = Buffer.alloc(0);
const WRONG_PASSWORD = { kind: 'failure', reason: 'wrong-password' } as const;
const STALE_CHALLENGE: InnerStep = {
  kind: 'failure',
  reason: 'wrong-password',
  detail: 'a challenge that is not of this connection',
};
