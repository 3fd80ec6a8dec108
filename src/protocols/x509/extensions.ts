// The extensions of a certificate that decide whether it may be used. RFC 5280 §4.2.

import {
  DerError,
  Tag,
  inside,
  onlyValue,
  readBoolean,
  readNamedBits,
  readObjectIdentifier,
  readSmallNumber,
  valuesIn,
} from './der.ts';
import type { DerValue } from './der.ts';
import { readNameConstraints } from './name-constraints.ts';
import type { NameConstraints } from './name-constraints.ts';
import { NO_NAMES, namesOf, readGeneralNames } from './name.ts';
import type { GeneralNames } from './name.ts';
import { Oid } from './object-identifiers.ts';

export type Extensions = {
  readonly basicConstraints?: { readonly ca: boolean; readonly pathLength?: number };
  /** Undefined: nothing is said, so all is allowed. */
  readonly keyUsage?: ReadonlySet<KeyUsage>;
  /** Object identifiers. Undefined: all is allowed. */
  readonly extendedKeyUsage?: readonly string[];
  readonly subjectAltName: GeneralNames;
  readonly subjectKeyId?: Buffer;
  readonly authorityKeyId?: Buffer;
  readonly nameConstraints?: NameConstraints;
  /** The addresses of its revocation lists, which name the part of a list that is in parts. */
  readonly crlDistributionPoints: readonly string[];
  /** Object identifiers. One is enough to refuse the certificate. */
  readonly unknownCritical: readonly string[];
};

/** In the order of their bits. RFC 5280 §4.2.1.3. */
export const KEY_USAGES = [
  'digitalSignature',
  'contentCommitment',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
] as const;

export type KeyUsage = (typeof KEY_USAGES)[number];

type Draft = { -readonly [K in keyof Extensions]: Extensions[K] };

/** `value`: [3] EXPLICIT Extensions. RFC 5280 §4.1. */
export function readExtensions(value: DerValue | undefined): Extensions {
  const unknownCritical: string[] = [];
  const draft: Draft = { subjectAltName: NO_NAMES, crlDistributionPoints: [], unknownCritical };
  for (const { identifier, isCritical, content } of readExtensionList(value)) {
    const read = READERS[identifier];
    if (read !== undefined) read(draft, onlyValue(content));
    else if (isCritical && !MEANINGLESS_HERE.has(identifier)) unknownCritical.push(identifier);
  }
  return draft;
}

/**
 * Policies decide nothing unless somebody demands one, which we never do: user-initial-policy-set is
 * any-policy and initial-explicit-policy is false, RFC 5280 §6.1.1. A certificate can demand one by
 * policyConstraints (§4.2.1.11), always critical, which is not in this list and so refused.
 */
const MEANINGLESS_HERE: ReadonlySet<string> = new Set([
  Oid.certificatePolicies,
  Oid.policyMappings,
  Oid.inhibitAnyPolicy,
]);

const READERS: Record<string, (draft: Draft, value: DerValue) => void> = {
  [Oid.basicConstraints]: (draft, value) => {
    draft.basicConstraints = readBasicConstraints(value);
  },
  [Oid.keyUsage]: (draft, value) => {
    draft.keyUsage = readKeyUsage(value);
  },
  [Oid.extendedKeyUsage]: (draft, value) => {
    draft.extendedKeyUsage = readKeyPurposes(value);
  },
  [Oid.subjectAltName]: (draft, value) => {
    draft.subjectAltName = readGeneralNames(value);
  },
  [Oid.subjectKeyIdentifier]: (draft, { tag, content }) => {
    if (tag !== Tag.octetString) throw new DerError('not a key identifier');
    draft.subjectKeyId = content;
  },
  [Oid.authorityKeyIdentifier]: (draft, value) => {
    const keyId = readAuthorityKeyId(value);
    if (keyId !== undefined) draft.authorityKeyId = keyId;
  },
  [Oid.nameConstraints]: (draft, value) => {
    draft.nameConstraints = readNameConstraints(value);
  },
  [Oid.crlDistributionPoints]: (draft, value) => {
    draft.crlDistributionPoints = valuesIn(value).flatMap(readDistributionPoint);
  },
};

/** Each extension once. RFC 5280 §4.2. */
export function readExtensionList(
  explicit: DerValue | undefined,
): { identifier: string; isCritical: boolean; content: Buffer }[] {
  if (explicit === undefined) return [];
  const seen = new Set<string>();
  return valuesIn(onlyValue(explicit.content)).map((extension) => {
    const reader = inside(extension);
    const identifier = readObjectIdentifier(reader.next(Tag.objectIdentifier));
    const critical = reader.optional(Tag.boolean);
    const { content } = reader.next(Tag.octetString);
    reader.end();
    if (seen.has(identifier)) throw new DerError('an extension twice');
    seen.add(identifier);
    return { identifier, isCritical: critical !== undefined && readBoolean(critical), content };
  });
}

/** RFC 5280 §4.2.1.9. `ca` false may be written out, though DER would leave it out. */
function readBasicConstraints(value: DerValue): { ca: boolean; pathLength?: number } {
  const reader = inside(value);
  const ca = reader.optional(Tag.boolean);
  const pathLength = reader.optional(Tag.integer);
  reader.end();
  const isAuthority = ca !== undefined && readBoolean(ca);
  if (pathLength === undefined) return { ca: isAuthority };
  if (!isAuthority) throw new DerError('a path length without an authority');
  return { ca: isAuthority, pathLength: readSmallNumber(pathLength) };
}

/** RFC 5280 §4.2.1.3: at least one. */
function readKeyUsage(value: DerValue): ReadonlySet<KeyUsage> {
  if (value.tag !== Tag.bitString) throw new DerError('not a key usage');
  const usages = readNamedBits(value).flatMap((bit) => KEY_USAGES[bit] ?? []);
  if (usages.length === 0) throw new DerError('a key without any usage');
  return new Set(usages);
}

/** RFC 5280 §4.2.1.12. */
function readKeyPurposes(value: DerValue): string[] {
  const purposes = valuesIn(value).map((purpose) => {
    if (purpose.tag !== Tag.objectIdentifier) throw new DerError('not a key purpose');
    return readObjectIdentifier(purpose);
  });
  if (purposes.length === 0) throw new DerError('a key without any purpose');
  return purposes;
}

/** RFC 5280 §4.2.1.1. Issuer and serial number, the other way to name a key, are not needed. */
export function readAuthorityKeyId(value: DerValue): Buffer | undefined {
  const reader = inside(value);
  const keyId = reader.optional(Tag.context(0));
  reader.optional(Tag.contextConstructed(1));
  reader.optional(Tag.context(2));
  reader.end();
  return keyId?.content;
}

/** The addresses in DistributionPoint. RFC 5280 §4.2.1.13. */
function readDistributionPoint(value: DerValue): readonly string[] {
  const name = inside(value).optional(Tag.contextConstructed(0));
  return name === undefined ? [] : readDistributionPointName(name);
}

/** DistributionPointName, as [0] holds it: fullName [0] or a relative name [1], which we do not read. */
export function readDistributionPointName(value: DerValue): readonly string[] {
  const fullName = inside(value, Tag.contextConstructed(0)).optional(Tag.contextConstructed(0));
  if (fullName === undefined) return [];
  return namesOf(valuesIn(fullName, Tag.contextConstructed(0))).uris;
}
