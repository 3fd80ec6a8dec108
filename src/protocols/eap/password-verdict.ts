// Whether a password that the subscriber sent as it is was the right one: in EAP-GTC, and in the
// tunnels of TTLS and TEAP.

import { createHash, timingSafeEqual } from 'node:crypto';
import type { Evidence } from './method.ts';

export type PasswordVerdict = { isRight: boolean; policy: string };

/** Undefined: nobody has looked yet; ask with `needs-password`. */
export function judgePassword(given: Buffer, evidence: Evidence): PasswordVerdict | undefined {
  switch (evidence.kind) {
    case 'verdict':
      return evidence;
    case 'password': {
      const { password, policy } = evidence;
      return { isRight: password !== null && isSame(password, given), policy };
    }
    default:
      return undefined;
  }
}

/** Digests have one length, so neither the content nor the length of the password shows in the time. */
function isSame(a: Uint8Array, b: Uint8Array): boolean {
  const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest();
  return timingSafeEqual(digest(a), digest(b));
}
