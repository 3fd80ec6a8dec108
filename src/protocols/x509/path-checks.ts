// What is asked of each certificate of a path, one question at a time. RFC 5280 §6.1.3, §6.1.4. The order
// of the questions, and revocation, belong to path-validation.ts.

import type { Certificate } from './certificate.ts';
import { MAX_NAME_CHARACTERS, describeName } from './name.ts';
import { forbiddenName } from './name-constraints.ts';
import { Oid } from './object-identifiers.ts';
import { MAX_DEPTH } from './path-building.ts';
import type { Path } from './path-building.ts';
import { invalid } from './path-problem.ts';
import type { InvalidPath } from './path-problem.ts';
import { describeKey, isStrongEnough } from './public-key.ts';
import type { SignatureChecks } from './signature-checks.ts';

export type Usage = 'client' | 'server';

/** What needs nobody else. RFC 5280 §6.1.3 (a) (2), §6.1.4 (o), §6.1.5 (f). */
export function checkItself(certificate: Certificate, nowMs: number): InvalidPath | undefined {
  const { version, keyKind, unknownCritical, notBeforeMs, notAfterMs } = certificate;
  const bad = (problem: InvalidPath['problem'], what: string) =>
    invalid(problem, `${nameOf(certificate)} ${what}`);
  if (version !== 3) return bad('malformed', `is of version ${version}, not 3`);
  const [extension] = unknownCritical;
  if (extension !== undefined) {
    return bad('unsupported-extension', `has the critical extension ${extension}`);
  }
  if (keyKind.kind === 'unsupported') {
    return bad('unsupported-algorithm', `has a key of ${keyKind.algorithm}`);
  }
  if (!isStrongEnough(keyKind)) return bad('weak', `has ${describeKey(keyKind)}`);
  if (nowMs < notBeforeMs) return bad('not-yet-valid', `is valid from ${dayOf(notBeforeMs)}`);
  if (nowMs > notAfterMs) return bad('expired', `was valid until ${dayOf(notAfterMs)}`);
  return undefined;
}

/** RFC 5280 §6.1.3 (a) (1). The anchor's own signature is nobody's business. */
export function checkSignature(
  certificate: Certificate,
  issuer: Certificate,
  signatures: SignatureChecks,
): InvalidPath | undefined {
  const { signatureAlgorithm: algorithm } = certificate;
  if (algorithm.kind === 'weak' || algorithm.kind === 'unsupported') {
    const problem = algorithm.kind === 'weak' ? 'weak' : 'unsupported-algorithm';
    return invalid(problem, `${nameOf(certificate)} is signed by ${algorithm.name}`);
  }
  if (signatures.isSignedBy(certificate, issuer)) return undefined;
  return invalid('bad-signature', `${nameOf(certificate)} is not signed by ${nameOf(issuer)}`);
}

/** What may those above it name? RFC 5280 §6.1.3 (b), (c). */
export function checkNames(path: Path, position: number): InvalidPath | undefined {
  const certificate = path[position];
  if (certificate === undefined) return undefined;
  // A self-issued authority, as when it changes its key, has its own name, which nobody else limits.
  if (position > 0 && isSelfIssued(certificate)) return undefined;
  for (const authority of path.slice(position + 1)) {
    const limits = authority.nameConstraints;
    const name = limits && forbiddenName(certificate, limits);
    if (name !== undefined) {
      return invalid('forbidden-name', `${nameOf(authority)} may not give out the ${name}`);
    }
  }
  return undefined;
}

/** May it issue? RFC 5280 §6.1.4 (k), (l), (m), (n); its purposes limit those below it. */
export function checkAuthority(
  path: Path,
  position: number,
  usage: Usage,
): InvalidPath | undefined {
  const authority = path[position];
  if (authority === undefined) return undefined;
  const { basicConstraints, keyUsage } = authority;
  if (basicConstraints?.ca !== true) {
    return invalid('not-an-authority', `${nameOf(authority)} is no authority`);
  }
  if (keyUsage?.has('keyCertSign') === false) {
    return invalid('not-an-authority', `${nameOf(authority)} may not sign certificates`);
  }
  // Between it and the leaf. Those that an authority issues to itself do not count. RFC 5280 §4.2.1.9
  const below = path.slice(1, position).filter((one) => !isSelfIssued(one)).length;
  if (below > (basicConstraints.pathLength ?? MAX_DEPTH)) {
    const what = `allows no ${below} authorities below it`;
    return invalid('not-an-authority', `${nameOf(authority)} ${what}`);
  }
  return checkPurpose(authority, usage);
}

/** RFC 5280 §4.2.1.3, §4.2.1.12; RFC 5216 §5.3. */
export function checkLeaf(leaf: Certificate, usage: Usage): InvalidPath | undefined {
  if (leaf.keyUsage?.has('digitalSignature') === false) {
    return invalid('wrong-usage', `${nameOf(leaf)} may not sign a handshake`);
  }
  return checkPurpose(leaf, usage);
}

function checkPurpose(certificate: Certificate, usage: Usage): InvalidPath | undefined {
  const { extendedKeyUsage } = certificate;
  const wanted = usage === 'client' ? Oid.clientAuth : Oid.serverAuth;
  if (extendedKeyUsage === undefined) return undefined;
  if (extendedKeyUsage.includes(wanted)) return undefined;
  if (extendedKeyUsage.includes(Oid.anyExtendedKeyUsage)) return undefined;
  return invalid('wrong-usage', `${nameOf(certificate)} is not for a ${usage}`);
}

function isSelfIssued({ issuer, subject }: Certificate): boolean {
  return issuer.key === subject.key;
}

export function nameOf({ subject }: Certificate): string {
  return describeName(subject, MAX_NAME_CHARACTERS);
}

export function dayOf(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 10);
}
