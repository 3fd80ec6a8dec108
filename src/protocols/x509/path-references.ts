// What a TLS ticket remembers of a validated path, and whether it would still count. A resumption shows
// no certificate, so revocation, expiry and a change of trust must be asked for again.
// RFC 5216 §2.1.2, RFC 9190 §5.7.

import type { Certificate } from './certificate.ts';
import { hashOfName } from './name.ts';
import type { PathProblem } from './path-problem.ts';
import { isFresh } from './revocation.ts';
import { indexOf } from './trust.ts';
import type { ClientTrust } from './trust.ts';

/** Plain JSON, small enough for a ticket. */
export type PathReference = {
  /** SHA-256 of the certificate, hexadecimal. */
  readonly certificate: string;
  /** SHA-256 of its issuer's name, hexadecimal. */
  readonly issuer: string;
  readonly serial: string;
  readonly notAfterMs: number;
};

export function pathReferencesOf(path: readonly Certificate[]): PathReference[] {
  // An authority is the same object at each login, and the hash of its name is made already.
  return path.map(({ fingerprint, issuer, serial, notAfterMs }, position) => ({
    certificate: fingerprint,
    issuer: hashOfName(path[position + 1]?.subject ?? issuer),
    serial,
    notAfterMs,
  }));
}

/**
 * Undefined: the path still counts. Revocation lists are taken at their word, without their signature,
 * for the issuers' certificates may not be at hand: too strict at worst, which costs a full handshake.
 */
export function recheckReferences(
  references: readonly PathReference[],
  trust: ClientTrust,
  nowMs: number,
): PathProblem | undefined {
  const anchor = references.at(-1);
  const isTrusted = trust.anchors.some(({ fingerprint }) => fingerprint === anchor?.certificate);
  if (anchor === undefined || !isTrusted) return 'unknown-ca';
  if (references.some(({ notAfterMs }) => nowMs > notAfterMs)) return 'expired';
  if (trust.revocation === 'none') return undefined;

  const index = indexOf(trust);
  for (const { issuer, serial } of references.slice(0, -1)) {
    const lists = index.crlsOfHash(issuer);
    if (lists.some((crl) => crl.revoked.has(serial))) return 'revoked';
    if (trust.revocation === 'required' && !lists.some((crl) => isFresh(crl, nowMs))) {
      return 'revocation-unknown';
    }
  }
  return undefined;
}
