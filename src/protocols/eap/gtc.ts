// EAP-GTC: the subscriber sends the password as it is. RFC 3748 §5.6. Only inside a TLS tunnel, or on
// a wire you trust; its merit is that the password may be stored as a hash.

import { timingSafeEqual, createHash } from 'node:crypto';
import type { EapMethod } from './method.ts';
import { EapType } from './packet.ts';

export const eapGtc: EapMethod = {
  name: 'gtc',
  type: EapType.Gtc,

  start() {
    return { data: Buffer.from('Password: '), state: {} };
  },

  step(_state, { response, identity, evidence }) {
    if (evidence.kind === 'not-yet') {
      return { kind: 'needs-password', username: identity, given: response.data };
    }
    const isRight =
      evidence.kind === 'verdict'
        ? evidence.isRight
        : evidence.password !== null && equalTexts(evidence.password, response.data);
    return isRight
      ? { kind: 'success', username: identity }
      : { kind: 'failure', reason: 'wrong-password' };
  },
};

/** Digests have one length, so neither the content nor the length of the password shows in the time. */
function equalTexts(a: Uint8Array, b: Uint8Array): boolean {
  const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest();
  return timingSafeEqual(digest(a), digest(b));
}
