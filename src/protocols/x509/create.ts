// A small private authority: makes certificates and revocation lists that RFC 5280 §4 and §5 allow and
// that phones, Windows and OpenSSL accept. For `evergate certificate create` and for tests.
// Serial numbers and times come as arguments; keys come from OpenSSL's own chance.

import { createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { certificatesFromPem, parseCertificate } from './certificate.ts';
import type { Certificate } from './certificate.ts';
import { Tag } from './der.ts';
import {
  writeBitString,
  writeExplicit,
  writeImplicit,
  writeNamedBits,
  writeNull,
  writeObjectIdentifier,
  writeOctetString,
  writeSequence,
  writeSet,
  writeTime,
  writeTrue,
  writeUnsigned,
  writeUtf8String,
} from './der-writer.ts';
import { KEY_USAGES } from './extensions.ts';
import type { KeyUsage } from './extensions.ts';
import { Oid } from './object-identifiers.ts';
import { toPem } from './pem.ts';
import { keyIdOf } from './public-key.ts';

export type Issued = {
  readonly certificate: Certificate;
  /** PEM. */
  readonly certificatePem: string;
  /** PEM, PKCS #8. */
  readonly privateKeyPem: string;
};

/** Who signs. */
export type Authority = { readonly certificate: Certificate; readonly privateKey: KeyObject };

export type KeyKind = 'ecdsa' | 'rsa';

type Terms = {
  /** 16 random bytes. RFC 5280 §4.1.2.2 wants at most 20, and more than zero. */
  serial: Buffer;
  notBeforeMs: number;
  notAfterMs: number;
  /** Default: ecdsa, which is P-256. rsa is 2048 bits. */
  keyKind?: KeyKind;
  /** The key of a certificate that is renewed. Default: a new one. */
  privateKey?: KeyObject;
};

export type AuthorityTerms = Terms & {
  commonName: string;
  /** Default: itself. */
  issuer?: Authority;
  /** How many authorities may follow. Default: none. */
  pathLength?: number;
  /** Under which its certificates must stay: DNS names, or mail addresses of a host. */
  permitted?: { dnsNames?: readonly string[]; emails?: readonly string[] };
};

export type CertificateTerms = Terms & {
  authority: Authority;
  usage: 'client' | 'server';
  commonName: string;
  dnsNames?: readonly string[];
  emails?: readonly string[];
  /** 4 or 16 bytes each. */
  ipAddresses?: readonly Buffer[];
  principalNames?: readonly string[];
};

export type RevocationListTerms = {
  authority: Authority;
  /** One more than the last. RFC 5280 §5.2.3. */
  number: number;
  thisUpdateMs: number;
  nextUpdateMs: number;
  /** `serial`: hexadecimal. `reason`: CRLReason, RFC 5280 §5.3.1. */
  revoked: readonly { serial: string; atMs: number; reason?: number }[];
};

export function createAuthority(terms: AuthorityTerms): Issued {
  const { commonName, issuer, pathLength = 0, permitted } = terms;
  return issue(terms, commonName, issuer, [
    extension(
      Oid.basicConstraints,
      'critical',
      writeSequence(writeTrue(), writeUnsigned(pathLength)),
    ),
    keyUsage('keyCertSign', 'cRLSign'),
    ...(permitted === undefined ? [] : [nameConstraints(permitted)]),
  ]);
}

export function issueCertificate(terms: CertificateTerms): Issued {
  const { authority, usage, commonName, keyKind } = terms;
  const names = subjectAltName(terms);
  const isRsaServer = usage === 'server' && keyKind === 'rsa'; // TLS 1.2 clients may use it so
  return issue(terms, commonName, authority, [
    extension(Oid.basicConstraints, 'critical', writeSequence()),
    isRsaServer ? keyUsage('digitalSignature', 'keyEncipherment') : keyUsage('digitalSignature'),
    extension(
      Oid.extendedKeyUsage,
      'ordinary',
      writeSequence(writeObjectIdentifier(usage === 'server' ? Oid.serverAuth : Oid.clientAuth)),
    ),
    ...(names.length === 0
      ? []
      : [extension(Oid.subjectAltName, 'ordinary', writeSequence(...names))]),
  ]);
}

/** PEM. RFC 5280 §5.1. */
export function createRevocationList(terms: RevocationListTerms): string {
  const { authority, revoked } = terms;
  const { signatureAlgorithm, signer } = signingWith(authority.privateKey);
  const entries = revoked.map(({ serial, atMs, reason }) =>
    writeSequence(
      writeUnsigned(Buffer.from(serial, 'hex')),
      writeTime(atMs),
      ...(reason === undefined ? [] : [writeSequence(crlReason(reason))]),
    ),
  );
  const tbs = writeSequence(
    writeUnsigned(1), // version 2
    signatureAlgorithm,
    authority.certificate.subject.der,
    writeTime(terms.thisUpdateMs),
    writeTime(terms.nextUpdateMs),
    ...(entries.length === 0 ? [] : [writeSequence(Buffer.concat(entries))]), // absent rather than empty
    writeExplicit(
      0,
      writeSequence(
        authorityKeyIdentifier(keyIdIn(authority.certificate)),
        extension(Oid.crlNumber, 'ordinary', writeUnsigned(terms.number)),
      ),
    ),
  );
  return toPem(writeSequence(tbs, signatureAlgorithm, writeBitString(signer(tbs))), 'X509 CRL');
}

/** Undefined: not a certificate and its private key. */
export function authorityFromPem(
  certificatePem: string,
  privateKeyPem: string,
): Authority | undefined {
  const [certificate] = certificatesFromPem(certificatePem) ?? [];
  const privateKey = importPrivateKey(privateKeyPem);
  if (certificate === undefined || privateKey === undefined) return undefined;
  return certificate.publicKeyDer.equals(publicKeyDer(privateKey))
    ? { certificate, privateKey }
    : undefined;
}

export function authorityOf({ certificate, privateKeyPem }: Issued): Authority {
  return { certificate, privateKey: createPrivateKey(privateKeyPem) };
}

/** Undefined: not a private key without a passphrase. */
export function importPrivateKey(pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem);
  } catch {
    return undefined;
  }
}

/** RFC 5280 §4.1. */
function issue(
  terms: Terms,
  commonName: string,
  issuer: Authority | undefined,
  extensions: Buffer[],
): Issued {
  const privateKey = terms.privateKey ?? newKey(terms.keyKind ?? 'ecdsa');
  const publicKey = publicKeyDer(privateKey);
  const { signatureAlgorithm, signer } = signingWith(issuer?.privateKey ?? privateKey);
  const subject = nameOf(commonName);
  const keyId = keyIdOf(publicKey);
  const tbs = writeSequence(
    writeExplicit(0, writeUnsigned(2)), // version 3
    writeUnsigned(positive(terms.serial)),
    signatureAlgorithm,
    issuer?.certificate.subject.der ?? subject,
    writeSequence(writeTime(terms.notBeforeMs), writeTime(terms.notAfterMs)),
    subject,
    publicKey,
    writeExplicit(
      3,
      writeSequence(
        ...extensions,
        extension(Oid.subjectKeyIdentifier, 'ordinary', writeOctetString(keyId)),
        authorityKeyIdentifier(issuer === undefined ? keyId : keyIdIn(issuer.certificate)),
      ),
    ),
  );
  const der = writeSequence(tbs, signatureAlgorithm, writeBitString(signer(tbs)));
  const certificate = parseCertificate(der);
  if (certificate === undefined) throw new Error(`a certificate for ${commonName} came out wrong`);
  return {
    certificate,
    certificatePem: toPem(der, 'CERTIFICATE'),
    privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

function newKey(kind: KeyKind): KeyObject {
  return kind === 'rsa'
    ? generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
    : generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
}

function publicKeyDer(privateKey: KeyObject): Buffer {
  return createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
}

/** ECDSA or RSA PKCS #1 v1.5 with SHA-256: what every device understands. RFC 5758 §3.2, RFC 4055 §5. */
function signingWith(privateKey: KeyObject): {
  signatureAlgorithm: Buffer;
  signer: (bytes: Buffer) => Buffer;
} {
  const isRsa = privateKey.asymmetricKeyType === 'rsa';
  return {
    signatureAlgorithm: isRsa
      ? writeSequence(writeObjectIdentifier(Oid.sha256WithRsa), writeNull())
      : writeSequence(writeObjectIdentifier(Oid.ecdsaWithSha256)),
    signer: (bytes) => sign('sha256', bytes, privateKey),
  };
}

/** The first bit makes a number negative, and a first byte of zero would vanish. */
function positive(serial: Buffer): Buffer {
  const bytes = Buffer.from(serial);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes;
}

function nameOf(commonName: string): Buffer {
  return writeSequence(
    writeSet(writeSequence(writeObjectIdentifier(Oid.commonName), writeUtf8String(commonName))),
  );
}

function extension(identifier: string, weight: 'critical' | 'ordinary', value: Buffer): Buffer {
  return writeSequence(
    writeObjectIdentifier(identifier),
    ...(weight === 'critical' ? [writeTrue()] : []),
    writeOctetString(value),
  );
}

function keyUsage(...usages: KeyUsage[]): Buffer {
  const bits = usages.map((usage) => KEY_USAGES.indexOf(usage));
  return extension(Oid.keyUsage, 'critical', writeNamedBits(bits));
}

function subjectAltName(terms: CertificateTerms): Buffer[] {
  const { dnsNames = [], emails = [], ipAddresses = [], principalNames = [] } = terms;
  return [
    ...emails.map((email) => writeImplicit(1, Buffer.from(email))),
    ...dnsNames.map((name) => writeImplicit(2, Buffer.from(name))),
    ...ipAddresses.map((address) => writeImplicit(7, address)),
    ...principalNames.map((name) =>
      writeExplicit(
        0,
        writeObjectIdentifier(Oid.userPrincipalName),
        writeExplicit(0, writeUtf8String(name)),
      ),
    ),
  ];
}

function nameConstraints({ dnsNames = [], emails = [] }: NonNullable<AuthorityTerms['permitted']>) {
  const subtrees = [
    ...emails.map((email) => writeSequence(writeImplicit(1, Buffer.from(email)))),
    ...dnsNames.map((name) => writeSequence(writeImplicit(2, Buffer.from(name)))),
  ];
  return extension(Oid.nameConstraints, 'critical', writeSequence(writeExplicit(0, ...subtrees)));
}

function authorityKeyIdentifier(keyId: Buffer): Buffer {
  return extension(Oid.authorityKeyIdentifier, 'ordinary', writeSequence(writeImplicit(0, keyId)));
}

function keyIdIn({ subjectKeyId, publicKeyId }: Certificate): Buffer {
  return subjectKeyId ?? publicKeyId;
}

function crlReason(reason: number): Buffer {
  return extension(Oid.crlReason, 'ordinary', writeUnsigned(reason, Tag.enumerated));
}
