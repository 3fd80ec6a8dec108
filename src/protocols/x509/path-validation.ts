// Whether a certificate was issued, through whatever authorities, by one that is trusted. RFC 5280 §6.1.
// The private key's proof belongs to TLS and comes after this: until then the leaf's key is a stranger's.

import { createHash } from 'node:crypto';
import { parseCertificate } from './certificate.ts';
import type { Certificate } from './certificate.ts';
import { describeName } from './name.ts';
import { forbiddenName } from './name-constraints.ts';
import { Oid } from './object-identifiers.ts';
import { MAX_DEPTH, pathsToAnchor } from './path-building.ts';
import type { Path } from './path-building.ts';
import type { PathProblem } from './path-problem.ts';
import { describeKey, isStrongEnough } from './public-key.ts';
import { revocationOf } from './revocation-check.ts';
import { verifySignature } from './signature.ts';
import { indexOf } from './trust.ts';
import type { ClientTrust, TrustIndex } from './trust.ts';

export { alertOf } from './path-problem.ts';
export type { ClientTrust } from './trust.ts';

export type PathOptions = { nowMs: number; usage: 'client' | 'server' };

export type ValidatedPath =
  /** The leaf first, the anchor last. */
  { kind: 'valid'; path: readonly [Certificate, ...Certificate[]] } | InvalidPath;

type InvalidPath = {
  kind: 'invalid';
  problem: PathProblem;
  /** For our log. It says what the client sent, which need not be true. */
  detail: string;
};

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

  const checks = { trust, index, ...options };
  let found: InvalidPath | undefined;
  for (const path of pathsToAnchor(leaf, sent, index)) {
    const outcome = validateOne(path, checks);
    if (outcome.kind === 'valid') return outcome;
    found ??= outcome; // the best path says best what is wrong
  }
  return found ?? unknownAuthority(leaf, options);
}

type Checks = PathOptions & { trust: ClientTrust; index: TrustIndex };

/** A copy: what is remembered must not hold on to the packet that it came in. */
function parseOrKnown(der: Buffer, index: TrustIndex): Certificate | undefined {
  const fingerprint = createHash('sha256').update(der).digest('hex');
  return index.known(fingerprint) ?? parseCertificate(Buffer.from(der));
}

/** From the anchor down: a key is only used after somebody we trust has vouched for it. */
function validateOne(path: Path, checks: Checks): ValidatedPath {
  for (let position = path.length - 1; position >= 0; position -= 1) {
    const certificate = path[position];
    if (certificate === undefined) continue;
    const found =
      checkItself(certificate, checks) ??
      (position === path.length - 1 ? undefined : checkIssued(path, position, checks)) ??
      (position === 0 ? checkLeaf(certificate, checks) : checkAuthority(path, position, checks));
    if (found !== undefined) return found;
  }
  return { kind: 'valid', path };
}

/** What needs nobody else. RFC 5280 §6.1.3 (a) (2), §6.1.4 (o), §6.1.5 (f). */
function checkItself(certificate: Certificate, { nowMs }: Checks): InvalidPath | undefined {
  const { version, keyKind, unknownCritical } = certificate;
  const name = nameOf(certificate);
  if (version !== 3) return invalid('malformed', `${name} is of version ${version}, not 3`);
  const [extension] = unknownCritical;
  if (extension !== undefined) {
    return invalid('unsupported-extension', `${name} has the critical extension ${extension}`);
  }
  if (keyKind.kind === 'unsupported') {
    return invalid('unsupported-algorithm', `${name} has a key of ${keyKind.algorithm}`);
  }
  if (!isStrongEnough(keyKind)) return invalid('weak', `${name} has ${describeKey(keyKind)}`);
  if (nowMs < certificate.notBeforeMs) {
    return invalid('not-yet-valid', `${name} is valid from ${day(certificate.notBeforeMs)}`);
  }
  if (nowMs > certificate.notAfterMs) {
    return invalid('expired', `${name} was valid until ${day(certificate.notAfterMs)}`);
  }
  return undefined;
}

/** What its issuer says. RFC 5280 §6.1.3 (a) (1), (3), (b), (c). */
function checkIssued(path: Path, position: number, checks: Checks): InvalidPath | undefined {
  const certificate = path[position];
  const issuer = path[position + 1];
  if (certificate === undefined || issuer === undefined) return undefined;
  const { signatureAlgorithm: algorithm } = certificate; // an anchor's is nobody's business
  if (algorithm.kind === 'weak' || algorithm.kind === 'unsupported') {
    const problem = algorithm.kind === 'weak' ? 'weak' : 'unsupported-algorithm';
    return invalid(problem, `${nameOf(certificate)} is signed by ${algorithm.name}`);
  }
  const isLeaf = position === 0;
  const key = issuer.publicKey;
  const isGenuine = isLeaf
    ? key !== undefined && verifySignature(certificate, key)
    : checks.index.isIssuedBy(certificate, issuer);
  if (!isGenuine) {
    return invalid('bad-signature', `${nameOf(certificate)} is not signed by ${nameOf(issuer)}`);
  }

  const revocation = revocationOf(certificate, issuer, checks);
  if (revocation !== undefined) return invalid(revocation.problem, revocation.detail);

  // A self-issued authority, as when it changes its key, has its own name, which nobody else limits.
  if (!isLeaf && isSelfIssued(certificate)) return undefined;
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
function checkAuthority(path: Path, position: number, checks: Checks): InvalidPath | undefined {
  const authority = path[position];
  if (authority === undefined) return undefined;
  const name = nameOf(authority);
  const { basicConstraints, keyUsage } = authority;
  if (basicConstraints?.ca !== true) return invalid('not-an-authority', `${name} is no authority`);
  if (keyUsage?.has('keyCertSign') === false) {
    return invalid('not-an-authority', `${name} may not sign certificates`);
  }
  // Between it and the leaf. Those that an authority issues to itself do not count. RFC 5280 §4.2.1.9
  const below = path.slice(1, position).filter((one) => !isSelfIssued(one)).length;
  if (below > (basicConstraints.pathLength ?? MAX_DEPTH)) {
    return invalid('not-an-authority', `${name} allows no ${below} authorities below it`);
  }
  return checkPurpose(authority, checks);
}

/** RFC 5280 §4.2.1.3, §4.2.1.12; RFC 5216 §5.3. */
function checkLeaf(leaf: Certificate, checks: Checks): InvalidPath | undefined {
  if (leaf.keyUsage?.has('digitalSignature') === false) {
    return invalid('wrong-usage', `${nameOf(leaf)} may not sign a handshake`);
  }
  return checkPurpose(leaf, checks);
}

function checkPurpose(certificate: Certificate, { usage }: PathOptions): InvalidPath | undefined {
  const { extendedKeyUsage } = certificate;
  const wanted = usage === 'client' ? Oid.clientAuth : Oid.serverAuth;
  if (extendedKeyUsage === undefined) return undefined;
  if (extendedKeyUsage.includes(wanted)) return undefined;
  if (extendedKeyUsage.includes(Oid.anyExtendedKeyUsage)) return undefined;
  return invalid('wrong-usage', `${nameOf(certificate)} is not for a ${usage}`);
}

/** Nobody that we trust has its issuer's name. That it is useless anyway is the better news. */
function unknownAuthority(leaf: Certificate, { nowMs }: PathOptions): InvalidPath {
  const expired = nowMs > leaf.notAfterMs ? `, and expired on ${day(leaf.notAfterMs)}` : '';
  return invalid(
    'unknown-ca',
    `${nameOf(leaf)} is issued by ${describeName(leaf.issuer)}, which leads to no trusted authority${expired}`,
  );
}

function isSelfIssued({ issuer, subject }: Certificate): boolean {
  return issuer.key === subject.key;
}

/** What a client sends goes into logs: not too much of it. */
function nameOf({ subject }: Certificate): string {
  return describeName(subject).slice(0, 200);
}

function day(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 10);
}

function invalid(problem: PathProblem, detail: string): InvalidPath {
  return { kind: 'invalid', problem, detail };
}
