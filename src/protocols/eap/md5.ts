// EAP-MD5-Challenge: CHAP inside EAP. RFC 3748 §5.4. It proves nothing about the server and gives no
// keys, so it is for wires, not for Wi-Fi.

import { verifyChap } from '../radius/password.ts';
import type { EapMethod } from './method.ts';
import { EapType } from './packet.ts';

const CHALLENGE_BYTES = 16;
const DIGEST_BYTES = 16;

type Md5State = { challenge: string; identifier: number };

export const eapMd5: EapMethod = {
  name: 'md5',
  type: EapType.Md5Challenge,

  start({ identifier, random }) {
    const challenge = random.subarray(0, CHALLENGE_BYTES);
    return {
      data: Buffer.concat([Buffer.of(CHALLENGE_BYTES), challenge]),
      state: { challenge: challenge.toString('hex'), identifier } satisfies Md5State,
    };
  },

  step(state, { response, identity, evidence }) {
    const { data } = response;
    if (data.length < 1 + DIGEST_BYTES || data[0] !== DIGEST_BYTES) {
      return { kind: 'discard', reason: 'malformed' };
    }
    if (evidence.kind !== 'password') return { kind: 'needs-password', username: identity };

    const { challenge, identifier } = state as Md5State;
    const identifierAndDigest = Buffer.concat([
      Buffer.of(identifier),
      data.subarray(1, 1 + DIGEST_BYTES),
    ]);
    // A subscriber that does not exist costs the same work as a wrong password.
    const isRight = verifyChap(
      identifierAndDigest,
      Buffer.from(challenge, 'hex'),
      evidence.password ?? NO_PASSWORD,
    );
    return isRight && evidence.password !== null
      ? { kind: 'success', username: identity }
      : { kind: 'failure', reason: 'wrong-password' };
  },
};

const NO_PASSWORD = Buffer.alloc(0);
