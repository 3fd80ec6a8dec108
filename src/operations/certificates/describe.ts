// What is in a file of certificates or revocation lists, for people.

import { parseCertificate } from '../../protocols/x509/certificate.ts';
import type { Certificate } from '../../protocols/x509/certificate.ts';
import { describeName } from '../../protocols/x509/name.ts';
import { Oid } from '../../protocols/x509/object-identifiers.ts';
import { blocksFromPem } from '../../protocols/x509/pem.ts';
import { describeKey } from '../../protocols/x509/public-key.ts';
import { isFresh, parseCrl } from '../../protocols/x509/revocation.ts';
import type { Crl } from '../../protocols/x509/revocation.ts';

export type Described = Record<string, string | number | boolean | readonly string[]>;

/** PEM or DER. Undefined: something in it cannot be read, or there is nothing. */
export function describeCertificates(bytes: Buffer, nowMs: number): Described[] | undefined {
  const text = bytes.toString('latin1');
  const isPem = text.includes('-----BEGIN ');
  const certificates = (isPem ? blocksFromPem(text, 'CERTIFICATE') : [bytes]).map(parseCertificate);
  const lists = (isPem ? blocksFromPem(text, 'X509 CRL') : [bytes]).map(parseCrl);
  const described = [
    ...certificates.map((one) => (one === undefined ? undefined : describeOne(one, nowMs))),
    ...lists.map((one) => (one.kind === 'crl' ? describeList(one.crl, nowMs) : undefined)),
  ];
  // Of DER it is one or the other; of PEM every block must be readable.
  const readable = described.filter((one) => one !== undefined);
  const isWhole = readable.length > 0 && (!isPem || readable.length === described.length);
  return isWhole ? readable : undefined;
}

function describeOne(certificate: Certificate, nowMs: number): Described {
  const { notBeforeMs, notAfterMs, subjectAltName, keyUsage, extendedKeyUsage } = certificate;
  const { emails, dnsNames, principalNames, ipAddresses } = subjectAltName;
  const names = [...dnsNames, ...emails, ...principalNames, ...ipAddresses.map(addressOf)];
  const state =
    nowMs < notBeforeMs ? 'not yet valid' : nowMs > notAfterMs ? 'expired' : 'valid today';
  return {
    kind: certificate.basicConstraints?.ca === true ? 'authority' : 'certificate',
    subject: describeName(certificate.subject),
    issuer: describeName(certificate.issuer),
    serial: certificate.serial,
    valid_from: new Date(notBeforeMs).toISOString(),
    valid_until: new Date(notAfterMs).toISOString(),
    state,
    key: describeKey(certificate.keyKind),
    ...(names.length === 0 ? {} : { names }),
    ...(keyUsage === undefined ? {} : { key_usage: [...keyUsage] }),
    ...(extendedKeyUsage === undefined
      ? {}
      : { purposes: extendedKeyUsage.map((purpose) => PURPOSES[purpose] ?? purpose) }),
    sha256: certificate.fingerprint,
  };
}

function describeList(crl: Crl, nowMs: number): Described {
  return {
    kind: 'revocation list',
    issuer: describeName(crl.issuer),
    ...(crl.number === undefined ? {} : { number: Number.parseInt(crl.number, 16) }),
    issued_at: new Date(crl.thisUpdateMs).toISOString(),
    next_update: new Date(crl.nextUpdateMs).toISOString(),
    state: isFresh(crl, nowMs) ? 'fresh' : 'out of date',
    entries: crl.revoked.size,
  };
}

const PURPOSES: Record<string, string> = {
  [Oid.serverAuth]: 'server',
  [Oid.clientAuth]: 'client',
  [Oid.anyExtendedKeyUsage]: 'any',
};

function addressOf(bytes: Buffer): string {
  if (bytes.length === 4) return [...bytes].join('.');
  return (bytes.toString('hex').match(/.{4}/g) ?? []).join(':');
}
