// An X.509 certificate as plain facts. RFC 5280 §4.1. Whether they are worth anything is decided by
// path-validation.ts; here only what cannot be read at all is refused.

import { createPublicKey, hash } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type { ClientIdentity } from '../tls/engine.ts';
import {
  DerError,
  Tag,
  inside,
  parseDer,
  readBytesOfBitString,
  readSmallNumber,
  readTime,
  readUnsigned,
} from './der.ts';
import type { DerReader, DerValue } from './der.ts';
import { readExtensions } from './extensions.ts';
import type { Extensions } from './extensions.ts';
import { commonNameOf, readName } from './name.ts';
import type { DistinguishedName } from './name.ts';
import { blocksFromPem, toPem } from './pem.ts';
import { keyIdOf, readPublicKeyKind } from './public-key.ts';
import type { PublicKeyKind } from './public-key.ts';
import { readSignatureAlgorithm } from './signature.ts';
import type { Signed } from './signature.ts';

export type Certificate = Signed &
  Extensions & {
    readonly der: Buffer;
    /** SHA-256 of it, hexadecimal. */
    readonly fingerprint: string;
    readonly version: 1 | 2 | 3;
    /** Hexadecimal, lower case, without leading zeros. */
    readonly serial: string;
    readonly issuer: DistinguishedName;
    readonly subject: DistinguishedName;
    readonly notBeforeMs: number;
    readonly notAfterMs: number;
    readonly keyKind: PublicKeyKind;
    /** SubjectPublicKeyInfo. */
    readonly publicKeyDer: Buffer;
    /** What names the key when the certificate itself does not. Made when it is asked for. */
    readonly publicKeyId: Buffer;
    /** Imported once, when it is first asked for. Undefined: no key that OpenSSL could use. */
    readonly publicKey: KeyObject | undefined;
  };

/** Far more than any certificate has, and little enough to read in no time. */
const MAX_CERTIFICATE_BYTES = 65_536;

/** Undefined: not a certificate, or one that RFC 5280 does not allow. Never throws. */
export function parseCertificate(der: Buffer): Certificate | undefined {
  return parseFingerprinted(der, fingerprintOf(der));
}

/** The same, for who has had to know its fingerprint before. */
export function parseFingerprinted(der: Buffer, fingerprint: string): Certificate | undefined {
  if (der.length > MAX_CERTIFICATE_BYTES) return undefined;
  return parseDer(der, (value) => readCertificate(value, fingerprint));
}

/** SHA-256, hexadecimal. */
export function fingerprintOf(der: Buffer): string {
  return hash('sha256', der);
}

/** Every certificate of a PEM text, in its order. Undefined: one of them cannot be read. */
export function certificatesFromPem(text: string): Certificate[] | undefined {
  const certificates = blocksFromPem(text, 'CERTIFICATE').map(parseCertificate);
  return certificates.every((certificate) => certificate !== undefined) ? certificates : undefined;
}

/** Who it says it was issued to. Only of a certificate that has been found valid. */
export function clientIdentityOf(certificate: Certificate): ClientIdentity {
  const { fingerprint, subject, subjectAltName } = certificate;
  const commonName = commonNameOf(subject);
  return {
    certificate: fingerprint,
    ...(commonName === undefined ? {} : { commonName }),
    emails: subjectAltName.emails,
    dnsNames: subjectAltName.dnsNames,
    principalNames: subjectAltName.principalNames,
  };
}

function readCertificate(value: DerValue, fingerprint: string): Certificate {
  const outer = inside(value);
  const tbs = outer.next(Tag.sequence);
  const algorithm = outer.next(Tag.sequence);
  const signature = readBytesOfBitString(outer.next(Tag.bitString));
  outer.end();

  const reader = inside(tbs);
  const version = readVersion(reader);
  const serial = readSerial(reader.next(Tag.integer));
  // RFC 5280 §4.1.2.3: said twice, once under the signature, and the same both times.
  const innerAlgorithm = reader.next(Tag.sequence);
  if (!innerAlgorithm.encoded.equals(algorithm.encoded)) throw new DerError('two algorithms');
  const issuer = readName(reader.next(Tag.sequence));
  if (issuer.parts.length === 0) throw new DerError('no issuer'); // RFC 5280 §4.1.2.4
  const validity = inside(reader.next(Tag.sequence));
  const notBeforeMs = readTime(validity.any());
  const notAfterMs = readTime(validity.any());
  validity.end();
  const subject = readName(reader.next(Tag.sequence));
  const publicKey = reader.next(Tag.sequence);
  const publicKeyDer = publicKey.encoded;
  const keyKind = readPublicKeyKind(publicKey);
  reader.optional(Tag.context(1)); // issuerUniqueID and subjectUniqueID: nobody uses them
  reader.optional(Tag.context(2));
  const extensions = reader.optional(Tag.contextConstructed(3));
  reader.end();
  if (extensions !== undefined && version !== 3) throw new DerError('extensions before version 3');

  let imported: { key: KeyObject | undefined } | undefined;
  return {
    ...readExtensions(extensions),
    der: value.encoded,
    fingerprint,
    version,
    serial,
    issuer,
    subject,
    notBeforeMs,
    notAfterMs,
    tbs: tbs.encoded,
    signatureAlgorithm: readSignatureAlgorithm(algorithm),
    signature,
    keyKind,
    publicKeyDer,
    get publicKeyId() {
      return keyIdOf(publicKeyDer);
    },
    get publicKey() {
      imported ??= { key: importKey(publicKeyDer) };
      return imported.key;
    },
  };
}

function readVersion(reader: DerReader): 1 | 2 | 3 {
  const explicit = reader.optional(Tag.contextConstructed(0));
  if (explicit === undefined) return 1;
  const inner = inside(explicit, explicit.tag);
  const version = readSmallNumber(inner.next(Tag.integer));
  inner.end();
  if (version === 1) return 2;
  if (version === 2) return 3;
  throw new DerError('no such version');
}

/** RFC 5280 §4.1.2.2: up to 20 bytes; a few more are borne. */
const MAX_SERIAL_BYTES = 32;

export function readSerial(value: DerValue): string {
  const bytes = readUnsigned(value);
  if (bytes.length > MAX_SERIAL_BYTES) throw new DerError('an absurd serial number');
  return bytes.toString('hex');
}

/** As PEM: Node takes two to three times as long for DER, which it wants inside of an object. */
function importKey(der: Buffer): KeyObject | undefined {
  try {
    return createPublicKey(toPem(der, 'PUBLIC KEY'));
  } catch {
    return undefined;
  }
}
