// RFC 5280 §4.1, on certificates of our own; those of others are in tests/conformance/x509-openssl.test.ts.

import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { certificatesFromPem, clientIdentityOf, parseCertificate } from './certificate.ts';
import { authorityOf, createAuthority, issueCertificate } from './create.ts';

const NOW_MS = Date.parse('2026-06-01T12:00:00Z');
const terms = {
  serial: Buffer.alloc(16, 7),
  notBeforeMs: NOW_MS,
  notAfterMs: NOW_MS + 86_400_000,
};
const root = createAuthority({ ...terms, commonName: 'Café CA' });
const alice = issueCertificate({
  ...terms,
  authority: authorityOf(root),
  usage: 'client',
  commonName: 'alice',
  emails: ['alice@example.org'],
  principalNames: ['alice@corp.example'],
  dnsNames: ['laptop.example.org'],
  ipAddresses: [Buffer.of(192, 0, 2, 1)],
}).certificate;

test('a certificate is read as plain facts', () => {
  expect(alice).toMatchObject({
    version: 3,
    serial: `47${'07'.repeat(15)}`,
    notBeforeMs: NOW_MS,
    notAfterMs: NOW_MS + 86_400_000,
    signatureAlgorithm: { kind: 'ecdsa', hash: 'sha256' },
    keyKind: { kind: 'ec', curve: 'P-256' },
    basicConstraints: { ca: false },
    keyUsage: new Set(['digitalSignature']),
    extendedKeyUsage: ['1.3.6.1.5.5.7.3.2'],
    unknownCritical: [],
  });
  expect(alice.subjectAltName.ipAddresses).toEqual([Buffer.of(192, 0, 2, 1)]);
  expect(alice.authorityKeyId).toEqual(root.certificate.subjectKeyId);
  expect(alice.issuer.key).toBe(root.certificate.subject.key);
  expect(alice.publicKey?.asymmetricKeyType).toBe('ec');
  expect(root.certificate.keyUsage).toEqual(new Set(['keyCertSign', 'cRLSign']));
});

test('the identity of a client is its names and the hash of its certificate', () => {
  expect(clientIdentityOf(alice)).toEqual({
    certificate: createHash('sha256').update(alice.der).digest('hex'),
    commonName: 'alice',
    emails: ['alice@example.org'],
    dnsNames: ['laptop.example.org'],
    principalNames: ['alice@corp.example'],
  });
});

test('a certificate cut anywhere, or with a byte behind it, is none', () => {
  for (let length = 0; length < alice.der.length; length += 1) {
    expect(parseCertificate(alice.der.subarray(0, length))).toBeUndefined();
  }
  expect(parseCertificate(Buffer.concat([alice.der, Buffer.of(0)]))).toBeUndefined();
});

test('a certificate with any bit turned is another one or none, and never throws', () => {
  const read = Array.from({ length: alice.der.length * 8 }, (_, bit) => {
    const damaged = Buffer.from(alice.der);
    damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    return parseCertificate(damaged)?.fingerprint;
  });
  expect(read).not.toContain(alice.fingerprint);
  expect(read).toContain(undefined);
});

test.each(['alice\u0000.evil.example', 'alice\n'])(
  'the name %j in a mail address is refused',
  (name) => {
    const issue = () =>
      issueCertificate({
        ...terms,
        authority: authorityOf(root),
        usage: 'client',
        commonName: 'x',
        emails: [name],
      });
    expect(issue).toThrow('came out wrong');
  },
);

test('a PEM text gives all its certificates in their order, or nothing if one is damaged', () => {
  const text = `subject=CN = root\n${root.certificatePem}\n${root.certificatePem}`;
  expect(certificatesFromPem(text)).toHaveLength(2);
  expect(certificatesFromPem('')).toEqual([]);
  expect(certificatesFromPem(text.replace('MII', 'M!I'))).toBeUndefined();
  expect(certificatesFromPem(text.slice(0, -30))).toBeUndefined();
});
