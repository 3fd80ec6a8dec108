// Whether a certificate was issued, through whatever authorities, by one that is trusted. RFC 5280 §6.1.
// The private key's proof belongs to TLS and comes after this: until then the leaf's key is a stranger's.

import { fingerprintOf, parseFingerprinted } from './certificate.ts';
import type { Certificate } from './certificate.ts';
import { MAX_NAME_CHARACTERS, describeName } from './name.ts';
import { pathsToAnchor } from './path-building.ts';
import type { Path } from './path-building.ts';
import {
  checkAuthority,
  checkItself,
  checkLeaf,
  checkNames,
  checkSignature,
  dayOf,
  nameOf,
} from './path-checks.ts';
import type { Usage } from './path-checks.ts';
import { invalid } from './path-problem.ts';
import type { InvalidPath } from './path-problem.ts';
import { revocationOf } from './revocation-check.ts';
import { createSignatureChecks } from './signature-checks.ts';
import type { SignatureChecks } from './signature-checks.ts';
import { indexOf } from './trust.ts';
import type { ClientTrust, TrustIndex } from './trust.ts';

export { alertOf } from './path-problem.ts';
export type { ClientTrust } from './trust.ts';

export type PathOptions = { nowMs: number; usage: Usage };

export type ValidatedPath =
  /** The leaf first, the anchor last. */
  { kind: 'valid'; path: readonly [Certificate, ...Certificate[]] } | InvalidPath;

/** No honest chain is longer. */
const MAX_CERTIFICATES = 16;

/**
 * `chain`: DER, the leaf first, as TLS has it (RFC 8446 §4.4.2); the rest in any order, perhaps with
 * some that lead nowhere, perhaps without those that `trust` has anyway.
 */
export function validatePath(
  chain: readonly Buffer[],
  trust: ClientTrust,
  options: PathOptions,
): ValidatedPath {
  const index = indexOf(trust);
  if (chain.length > MAX_CERTIFICATES) return invalid('malformed', `${chain.length} certificates`);
  const [leaf, ...rest] = chain.map((der) => parseOrKnown(der, index));
  if (leaf === undefined) return invalid('malformed', 'it cannot be read');
  const sent = rest.filter((certificate) => certificate !== undefined); // one we need may be missing

  const signatures = createSignatureChecks(leaf, index);
  const checks = { trust, index, signatures, ...options };
  let found: InvalidPath | undefined;
  for (const path of pathsToAnchor(leaf, sent, index)) {
    const outcome = validateOne(path, checks);
    if (outcome.kind === 'valid') return outcome;
    found ??= outcome; // the best path says best what is wrong
    if (signatures.areSpent()) break;
  }
  return found ?? unknownAuthority(leaf, options.nowMs);
}

type Checks = PathOptions & { trust: ClientTrust; index: TrustIndex; signatures: SignatureChecks };

/** A copy: what is remembered must not hold on to the packet that it came in. */
function parseOrKnown(der: Buffer, index: TrustIndex): Certificate | undefined {
  const fingerprint = fingerprintOf(der);
  return index.known(fingerprint) ?? parseFingerprinted(Buffer.from(der), fingerprint);
}

/** From the anchor down: a key is only used after somebody we trust has vouched for it. */
function validateOne(path: Path, checks: Checks): ValidatedPath {
  for (let position = path.length - 1; position >= 0; position -= 1) {
    const certificate = path[position];
    if (certificate === undefined) continue;
    const found =
      checkItself(certificate, checks.nowMs) ??
      checkIssued(path, position, checks) ??
      (position === 0
        ? checkLeaf(certificate, checks.usage)
        : checkAuthority(path, position, checks.usage));
    if (found !== undefined) return found;
  }
  return { kind: 'valid', path };
}

/** What its issuer says, of all but the anchor. RFC 5280 §6.1.3 (a) (1), (3), (b), (c). */
function checkIssued(path: Path, position: number, checks: Checks): InvalidPath | undefined {
  const certificate = path[position];
  const [issuer, ...above] = path.slice(position + 1);
  if (certificate === undefined || issuer === undefined) return undefined;
  return (
    checkSignature(certificate, issuer, checks.signatures) ??
    revocationOf(certificate, [issuer, ...above], checks) ??
    checkNames(path, position)
  );
}

/** Nobody that we trust has its issuer's name. That it is useless anyway is the better news. */
function unknownAuthority(leaf: Certificate, nowMs: number): InvalidPath {
  const issuer = describeName(leaf.issuer, MAX_NAME_CHARACTERS);
  const isExpired = nowMs > leaf.notAfterMs;
  const and = isExpired ? `, and expired on ${dayOf(leaf.notAfterMs)}` : '';
  const why = `which leads to no trusted authority${and}`;
  return invalid('unknown-ca', `${nameOf(leaf)} is issued by ${issuer}, ${why}`);
}
