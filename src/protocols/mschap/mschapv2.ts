// MS-CHAPv2: client and server prove to each other that they know the password. RFC 2759; inside
// RADIUS RFC 2548 §2.3. The same computation serves EAP-MSCHAPv2 (eap/mschapv2.ts).

import { createHash, timingSafeEqual } from 'node:crypto';
import { md4 } from './md4.ts';
import { mppeKeys } from './mppe.ts';
import { challengeResponse, ntHash } from './nt-response.ts';

export type MsChapV2Proof = {
  /** The name in the MS-CHAP message or User-Name; a `DOMAIN\` before it does not count. */
  username: string;
  authenticatorChallenge: Uint8Array;
  peerChallenge: Uint8Array;
  ntResponse: Uint8Array;
};

export type MsChapV2Result =
  | {
      kind: 'ok';
      /** `S=` and 40 hexadecimal digits: our proof to the client. */
      success: string;
      /** The value of MS-CHAP2-Success: the identifier, then `success`. */
      successAttribute: Buffer;
      sendKey: Buffer;
      recvKey: Buffer;
    }
  | { kind: 'mismatch' };

/** `password` is UTF-8. `ident` is the first byte of MS-CHAP2-Response. */
export function verifyMsChapV2(
  proof: MsChapV2Proof & { password: Uint8Array; ident: number },
): MsChapV2Result {
  const hash = ntHash(proof.password);
  const hashOfChallenges = challengeHash(proof);
  const expected = challengeResponse(hashOfChallenges, hash);
  if (proof.ntResponse.length !== expected.length) return { kind: 'mismatch' };
  if (!timingSafeEqual(expected, proof.ntResponse)) return { kind: 'mismatch' };

  const hashOfNtHash = md4(hash);
  const success = authenticatorResponse(hashOfNtHash, expected, hashOfChallenges);
  return {
    kind: 'ok',
    success,
    successAttribute: Buffer.concat([Buffer.of(proof.ident), Buffer.from(success)]),
    ...mppeKeys(hashOfNtHash, expected),
  };
}

export type MsChapV2ClientResponse = {
  ntResponse: Buffer;
  /** What the server must answer; a client that does not compare it talks to anybody. */
  expectedSuccess: string;
  /** The value of MS-CHAP2-Response. */
  responseAttribute: Buffer;
  /** The server's keys: a client sends with `recvKey`. */
  sendKey: Buffer;
  recvKey: Buffer;
};

/** The client's side: `peerChallenge` is 16 random bytes. */
export function createMsChapV2Response(input: {
  username: string;
  password: Uint8Array;
  authenticatorChallenge: Uint8Array;
  peerChallenge: Uint8Array;
  ident: number;
}): MsChapV2ClientResponse {
  const hash = ntHash(input.password);
  const hashOfNtHash = md4(hash);
  const hashOfChallenges = challengeHash(input);
  const ntResponse = challengeResponse(hashOfChallenges, hash);
  return {
    ntResponse,
    expectedSuccess: authenticatorResponse(hashOfNtHash, ntResponse, hashOfChallenges),
    responseAttribute: Buffer.concat([
      Buffer.of(input.ident, 0),
      input.peerChallenge,
      Buffer.alloc(8),
      ntResponse,
    ]),
    ...mppeKeys(hashOfNtHash, ntResponse),
  };
}

/** MS-CHAP2-Response taken apart; undefined when it has not its 50 bytes. RFC 2548 §2.3.2. */
export function parseMsChap2Response(
  value: Buffer,
): { ident: number; peerChallenge: Buffer; ntResponse: Buffer } | undefined {
  if (value.length !== 50) return undefined;
  return {
    ident: value.readUInt8(0),
    peerChallenge: value.subarray(2, 18),
    ntResponse: value.subarray(26, 50),
  };
}

/** The text of a refusal: 691 is a wrong password, and `R=0` asks the client not to try again. */
export function msChapFailure(challenge: Uint8Array, message = 'Authentication failed'): string {
  const hex = Buffer.from(challenge).toString('hex').toUpperCase();
  return `E=691 R=0 C=${hex} V=3 M=${message}`;
}

/** The value of MS-CHAP-Error. RFC 2548 §2.1.5. */
export function msChapErrorAttribute(ident: number, failure: string): Buffer {
  return Buffer.concat([Buffer.of(ident), Buffer.from(failure)]);
}

/** Eight bytes that stand for both challenges and the name. RFC 2759 §8.2. */
export function challengeHash(
  input: Pick<MsChapV2Proof, 'username' | 'authenticatorChallenge' | 'peerChallenge'>,
): Buffer {
  return createHash('sha1')
    .update(input.peerChallenge)
    .update(input.authenticatorChallenge)
    .update(withoutDomain(input.username))
    .digest()
    .subarray(0, 8);
}

/** RFC 2759 §8.7. */
function authenticatorResponse(
  hashOfNtHash: Uint8Array,
  ntResponse: Uint8Array,
  hashOfChallenges: Uint8Array,
): string {
  const proof = createHash('sha1')
    .update(hashOfNtHash)
    .update(ntResponse)
    .update('Magic server to client signing constant')
    .digest();
  const digest = createHash('sha1')
    .update(proof)
    .update(hashOfChallenges)
    .update('Pad to make it do more than one iteration')
    .digest('hex');
  return `S=${digest.toUpperCase()}`;
}

/** Clients show `DOMAIN\alice` and compute with `alice`. */
function withoutDomain(username: string): string {
  return username.slice(username.indexOf('\\') + 1);
}
