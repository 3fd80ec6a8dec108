// EAP-MSCHAPv2, draft-kamath-pppext-eap-mschapv2 §2: challenge, response, our proof, its consent.
// The computation is mschap/mschapv2.ts. Alone on a wire, or inside PEAP, TTLS or TEAP.

import { msChapFailure, verifyMsChapV2 } from '../mschap/mschapv2.ts';
import type { EapMethod, MethodInput, MethodStep } from './method.ts';
import { EapType } from './packet.ts';

export const MsChapOpCode = { Challenge: 1, Response: 2, Success: 3, Failure: 4 } as const;
export const CHALLENGE_BYTES = 16;
/** Peer challenge, eight zeros, NT-Response, flags. */
export const RESPONSE_BYTES = 49;
const SERVER_NAME = Buffer.from('evergate');

type Challenged = { stage: 'challenge'; challenge: string; ident: number };
type Proven = { stage: 'success'; username: string; msk: string };
type MsChapState = Challenged | Proven | { stage: 'failure' };

export const eapMsChapV2: EapMethod = {
  name: 'mschapv2',
  type: EapType.MsChapV2,

  start({ identifier, random }) {
    const challenge = random.subarray(0, CHALLENGE_BYTES);
    const body = Buffer.concat([Buffer.of(CHALLENGE_BYTES), challenge, SERVER_NAME]);
    return {
      data: encodeMsChap(MsChapOpCode.Challenge, identifier, body),
      state: { stage: 'challenge', challenge: challenge.toString('hex'), ident: identifier },
    };
  },

  step(state, input) {
    const known = state as MsChapState;
    switch (known.stage) {
      case 'challenge':
        return afterChallenge(known, input);
      case 'success':
        return afterSuccess(known, input);
      case 'failure':
        return afterFailure(input);
    }
  },
};

/** OpCode, identifier, the length of all this, body. */
export function encodeMsChap(opCode: number, ident: number, body: Uint8Array): Buffer {
  const header = Buffer.of(opCode, ident, 0, 0);
  header.writeUInt16BE(header.length + body.length, 2);
  return Buffer.concat([header, body]);
}

function afterChallenge(
  { challenge, ident }: Challenged,
  { response, evidence, identity, random }: MethodInput,
) {
  const answer = parseResponse(response.data, ident);
  if (answer === undefined) return discard('malformed');
  // The name inside is the one that the response was computed with. Some peers leave it empty.
  const username = answer.name === '' ? identity : answer.name;
  if (evidence.kind !== 'password') return { kind: 'needs-password', username } as const;

  const result = verifyMsChapV2({
    username,
    // A subscriber that does not exist costs the same work as a wrong password.
    password: evidence.password ?? NO_PASSWORD,
    authenticatorChallenge: Buffer.from(challenge, 'hex'),
    peerChallenge: answer.peerChallenge,
    ntResponse: answer.ntResponse,
    ident,
  });
  if (result.kind === 'mismatch' || evidence.password === null) {
    const failure = msChapFailure(random.subarray(0, CHALLENGE_BYTES));
    return {
      kind: 'continue',
      data: encodeMsChap(MsChapOpCode.Failure, ident, Buffer.from(failure)),
      state: { stage: 'failure' },
    } as const;
  }
  return {
    kind: 'continue',
    data: encodeMsChap(MsChapOpCode.Success, ident, Buffer.from(`${result.success} M=OK`)),
    state: {
      stage: 'success',
      username,
      msk: Buffer.concat([result.recvKey, result.sendKey]).toString('hex'),
    },
  } as const;
}

/** The peer has checked our proof: it says so with one byte, or Failure when it does not believe us. */
function afterSuccess({ username, msk }: Proven, { response }: MethodInput): MethodStep {
  switch (response.data[0] ?? 0) {
    case MsChapOpCode.Success:
      return {
        kind: 'success',
        username,
        msk: Buffer.from(msk, 'hex'),
      };
    case MsChapOpCode.Failure:
      return { kind: 'failure', reason: 'refused-by-peer' };
    default:
      return discard('malformed');
  }
}

function afterFailure({ response }: MethodInput): MethodStep {
  return response.data[0] === MsChapOpCode.Failure
    ? { kind: 'failure', reason: 'wrong-password' }
    : discard('malformed');
}

function parseResponse(data: Buffer, ident: number) {
  const headerBytes = 5; // op code, identifier, length, value size
  if (data.length < headerBytes + RESPONSE_BYTES) return undefined;
  const isResponse =
    data[0] === MsChapOpCode.Response && data[1] === ident && data[4] === RESPONSE_BYTES;
  const length = data.readUInt16BE(2);
  if (!isResponse || length < headerBytes + RESPONSE_BYTES || length > data.length) {
    return undefined;
  }
  return {
    peerChallenge: data.subarray(headerBytes, headerBytes + 16),
    ntResponse: data.subarray(headerBytes + 24, headerBytes + 48),
    name: data.toString('utf8', headerBytes + RESPONSE_BYTES, length),
  };
}

function discard(reason: 'malformed') {
  return { kind: 'discard', reason } as const;
}

const NO_PASSWORD = Buffer.alloc(0);
