// Certificate revocation lists. RFC 5280 §5, §6.3. A list is parsed once, with all its entries, and asked
// often. Whole lists only: deltas and indirect lists are refused, never half understood.

import type { Certificate } from './certificate.ts';
import { readSerial } from './certificate.ts';
import {
  DerError,
  Tag,
  derReader,
  inside,
  onlyValue,
  readBoolean,
  readBytesOfBitString,
  readSmallNumber,
  readTime,
  readUnsigned,
} from './der.ts';
import type { DerReader, DerValue } from './der.ts';
import { readAuthorityKeyId, readDistributionPointName, readExtensionList } from './extensions.ts';
import { readName } from './name.ts';
import type { DistinguishedName } from './name.ts';
import { Oid } from './object-identifiers.ts';
import { blocksFromPem } from './pem.ts';
import { readSignatureAlgorithm, verifySignature } from './signature.ts';
import type { Signed } from './signature.ts';

export type Crl = Signed & {
  readonly der: Buffer;
  readonly issuer: DistinguishedName;
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
  /** By serial number, as `Certificate` writes it. */
  readonly revoked: ReadonlyMap<string, RevokedEntry>;
  readonly authorityKeyId?: Buffer;
  /** Hexadecimal. */
  readonly number?: string;
  readonly scope: CrlScope;
};

/** `reason`: CRLReason, RFC 5280 §5.3.1. */
type RevokedEntry = { readonly atMs: number; readonly reason?: number };

/** Which certificates of its issuer it speaks of. RFC 5280 §5.2.5. */
type CrlScope = {
  readonly of: 'all' | 'end-entities' | 'authorities' | 'attributes';
  /** The part that it is, when the whole is in parts. Empty: it is the whole. */
  readonly distributionPoints: readonly string[];
};

export type ParsedCrl =
  | { readonly kind: 'crl'; readonly crl: Crl }
  | { readonly kind: 'refused'; readonly detail: string };

/** DER, or the first list of a PEM text. Never throws. */
export function parseCrl(bytes: Buffer): ParsedCrl {
  const [parsed] = bytes.includes('-----BEGIN') ? crlsFromPem(bytes.toString('latin1')) : [];
  return parsed ?? parseDerCrl(bytes);
}

/** Every revocation list of a PEM text, in its order. */
export function crlsFromPem(text: string): ParsedCrl[] {
  return blocksFromPem(text, 'X509 CRL').map(parseDerCrl);
}

/**
 * Whether `issuer` has signed it, and may. RFC 5280 §6.3.3 (f), (g). `undefined`: nothing is wrong with it.
 * Whether it is still fresh is another question: `isFresh`.
 */
export function crlProblem(crl: Crl, issuer: Certificate): string | undefined {
  if (!isNamedAfter(crl, issuer)) return 'it is from another authority';
  if (issuer.keyUsage?.has('cRLSign') === false)
    return 'its authority may not sign revocation lists';
  const key = issuer.publicKey;
  if (key === undefined || !verifySignature(crl, key)) return 'its signature is wrong';
  return undefined;
}

/** RFC 5280 §6.3.3 (a): a newer one must not be due. */
export function isFresh({ thisUpdateMs, nextUpdateMs }: Crl, nowMs: number): boolean {
  return thisUpdateMs <= nowMs + CLOCK_SKEW_MS && nowMs < nextUpdateMs;
}

/** A list is often used at once, on a machine whose clock is a little behind. */
const CLOCK_SKEW_MS = 5 * 60_000;

/** Says the list that it is of this issuer? Two authorities may have one name and differ in their keys. */
export function isNamedAfter(
  { issuer, authorityKeyId }: Crl,
  { subject, subjectKeyId }: Certificate,
): boolean {
  if (issuer.key !== subject.key) return false;
  return !authorityKeyId || !subjectKeyId || authorityKeyId.equals(subjectKeyId);
}

/** Does it speak of this certificate of its issuer? RFC 5280 §6.3.3 (b). */
export function covers({ scope }: Crl, certificate: Certificate): boolean {
  const { of, distributionPoints } = scope;
  if (of === 'attributes') return false;
  const isAuthority = certificate.basicConstraints?.ca === true;
  if (of !== 'all' && (of === 'authorities') !== isAuthority) return false;
  if (distributionPoints.length === 0) return true;
  return certificate.crlDistributionPoints.some((point) => distributionPoints.includes(point));
}

/** A list of a kind that we must not use, though it is well formed. */
class RefusedCrl extends DerError {
  override name = 'RefusedCrl';
}

function parseDerCrl(der: Buffer): ParsedCrl {
  try {
    return { kind: 'crl', crl: readCrl(onlyValue(der)) };
  } catch (error) {
    if (error instanceof RefusedCrl) return { kind: 'refused', detail: error.message };
    if (!(error instanceof DerError)) throw error;
    return { kind: 'refused', detail: 'it is not a revocation list as RFC 5280 describes it' };
  }
}

/** CertificateList. RFC 5280 §5.1. */
function readCrl(value: DerValue): Crl {
  const outer = inside(value);
  const tbs = outer.next(Tag.sequence);
  const algorithm = outer.next(Tag.sequence);
  const signature = readBytesOfBitString(outer.next(Tag.bitString));
  outer.end();

  const reader = inside(tbs);
  const version = reader.optional(Tag.integer);
  if (version !== undefined && readSmallNumber(version) !== 1)
    throw new DerError('no such version');
  const innerAlgorithm = reader.next(Tag.sequence);
  if (!innerAlgorithm.encoded.equals(algorithm.encoded)) throw new DerError('two algorithms');
  const issuer = readName(reader.next(Tag.sequence));
  if (issuer.parts.length === 0) throw new DerError('no issuer');
  const thisUpdateMs = readTime(reader.any());
  const nextUpdateMs = readNextUpdate(reader);
  const revoked = readEntries(reader.optional(Tag.sequence));
  const extensions = reader.optional(Tag.contextConstructed(0));
  reader.end();

  return {
    ...readCrlExtensions(extensions),
    der: value.encoded,
    tbs: tbs.encoded,
    signatureAlgorithm: readSignatureAlgorithm(algorithm),
    signature,
    issuer,
    thisUpdateMs,
    nextUpdateMs,
    revoked,
  };
}

/** RFC 5280 §5.1.2.5: it must be there. A list that never ages would hide that no newer one comes. */
function readNextUpdate(reader: DerReader): number {
  const tag = reader.nextTag();
  if (tag === Tag.utcTime || tag === Tag.generalizedTime) return readTime(reader.any());
  throw new RefusedCrl('it does not say when the next one comes (nextUpdate)');
}

/** revokedCertificates. RFC 5280 §5.1.2.6. */
function readEntries(value: DerValue | undefined): ReadonlyMap<string, RevokedEntry> {
  const revoked = new Map<string, RevokedEntry>();
  if (value === undefined) return revoked;
  const entries = derReader(value.content);
  while (!entries.isAtEnd()) {
    const entry = inside(entries.next(Tag.sequence));
    const serial = readSerial(entry.next(Tag.integer));
    const atMs = readTime(entry.any());
    const reason = readReason(entry.optional(Tag.sequence));
    entry.end();
    revoked.set(serial, reason === undefined ? { atMs } : { atMs, reason });
  }
  return revoked;
}

/** crlEntryExtensions: a critical one that we do not know makes the list useless. RFC 5280 §5.3. */
function readReason(value: DerValue | undefined): number | undefined {
  if (value === undefined) return undefined;
  let reason: number | undefined;
  for (const { identifier, isCritical, content } of readExtensionList(asExplicit(value))) {
    if (identifier === Oid.crlReason) reason = readSmallNumber(onlyValue(content));
    else if (identifier === Oid.certificateIssuer) throw new RefusedCrl(INDIRECT);
    else if (isCritical) throw new RefusedCrl(`an entry has the critical extension ${identifier}`);
  }
  return reason;
}

/** The extensions of an entry have no tag around them. */
function asExplicit(value: DerValue): DerValue {
  return { tag: value.tag, content: value.encoded, encoded: value.encoded };
}

type CrlExtensions = { scope: CrlScope; authorityKeyId?: Buffer; number?: string };

const INDIRECT = 'it is indirect: it speaks of the certificates of several authorities';

/** crlExtensions. RFC 5280 §5.2. */
function readCrlExtensions(explicit: DerValue | undefined): CrlExtensions {
  const read: CrlExtensions = { scope: { of: 'all', distributionPoints: [] } };
  for (const { identifier, isCritical, content } of readExtensionList(explicit)) {
    const value = onlyValue(content);
    switch (identifier) {
      case Oid.authorityKeyIdentifier: {
        const keyId = readAuthorityKeyId(value);
        if (keyId !== undefined) read.authorityKeyId = keyId;
        break;
      }
      case Oid.crlNumber:
        read.number = readUnsigned(value).toString('hex');
        break;
      case Oid.issuingDistributionPoint:
        read.scope = readScope(value);
        break;
      case Oid.deltaCrlIndicator:
        throw new RefusedCrl('it is a delta: it only says what has changed since another list');
      default:
        if (isCritical) throw new RefusedCrl(`it has the critical extension ${identifier}`);
    }
  }
  return read;
}

/** IssuingDistributionPoint. RFC 5280 §5.2.5. */
function readScope(value: DerValue): CrlScope {
  const reader = inside(value);
  const point = reader.optional(Tag.contextConstructed(0));
  const [endEntities, authorities] = [readFlag(reader, 1), readFlag(reader, 2)];
  const someReasons = reader.optional(Tag.context(3));
  const [isIndirect, attributes] = [readFlag(reader, 4), readFlag(reader, 5)];
  reader.end();
  if (isIndirect) throw new RefusedCrl(INDIRECT);
  if (someReasons !== undefined) throw new RefusedCrl('it only speaks of some reasons to revoke');
  if ([endEntities, authorities, attributes].filter(Boolean).length > 1) {
    throw new DerError('at most one of them');
  }
  const distributionPoints = point === undefined ? [] : readDistributionPointName(point);
  if (point !== undefined && distributionPoints.length === 0) {
    throw new RefusedCrl('it is a part of a list, without an address that says which');
  }
  const of = endEntities
    ? 'end-entities'
    : authorities
      ? 'authorities'
      : attributes
        ? 'attributes'
        : 'all';
  return { of, distributionPoints };
}

/** [n] IMPLICIT BOOLEAN DEFAULT FALSE. */
function readFlag(reader: DerReader, number: number): boolean {
  const flag = reader.optional(Tag.context(number));
  return flag !== undefined && readBoolean(flag);
}
