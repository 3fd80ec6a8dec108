// MS-CHAP version 1, which old PPPoE clients still ask for. RFC 2433; inside RADIUS RFC 2548 §2.1.
// Only the NT response is accepted: the LAN Manager one gives the password away.

import { timingSafeEqual } from 'node:crypto';
import { md4 } from './md4.ts';
import { challengeResponse, ntHash } from './nt-response.ts';

export type MsChapV1Result =
  | {
      kind: 'ok';
      /** The plain value of MS-CHAP-MPPE-Keys, to be hidden like a User-Password. RFC 2548 §2.4.1. */
      mppeKeys: Buffer;
    }
  | { kind: 'mismatch' };

/** `response` is the value of MS-CHAP-Response: ident, flags, LM response, NT response. */
export function verifyMsChapV1(input: {
  password: Uint8Array;
  challenge: Uint8Array;
  response: Uint8Array;
}): MsChapV1Result {
  const { challenge, response } = input;
  const usesNtResponse = response[1] === 1;
  if (response.length !== 50 || challenge.length !== 8 || !usesNtResponse) {
    return { kind: 'mismatch' };
  }
  const hash = ntHash(input.password);
  const expected = challengeResponse(challenge, hash);
  if (!timingSafeEqual(expected, response.subarray(26))) return { kind: 'mismatch' };
  return { kind: 'ok', mppeKeys: Buffer.concat([Buffer.alloc(8), md4(hash), Buffer.alloc(8)]) };
}
