// RFC 5280 §5. Lists of other makers are in tests/conformance/x509-openssl.test.ts.

import { expect, test } from 'vitest';
import { authorityOf, createAuthority, createRevocationList } from './create.ts';
import { blocksFromPem } from './pem.ts';
import { crlProblem, crlsFromPem, isFresh, parseCrl } from './revocation.ts';

const NOW_MS = Date.parse('2026-06-01T12:00:00Z');
const DAY_MS = 86_400_000;
const terms = { serial: Buffer.alloc(16, 1), notBeforeMs: NOW_MS, notAfterMs: NOW_MS + DAY_MS };
const root = createAuthority({ ...terms, commonName: 'Root' });
const namesake = createAuthority({ ...terms, commonName: 'Root' });

function list(count: number): string {
  return createRevocationList({
    authority: authorityOf(root),
    number: 300,
    thisUpdateMs: NOW_MS,
    nextUpdateMs: NOW_MS + DAY_MS,
    revoked: Array.from({ length: count }, (_, index) => ({
      serial: (index + 1).toString(16).padStart(8, '0'),
      atMs: NOW_MS - index * 1000,
      ...(index === 0 ? { reason: 1 } : {}),
    })),
  });
}

function parsed(pem: string) {
  const outcome = parseCrl(Buffer.from(pem));
  if (outcome.kind === 'refused') throw new Error(outcome.detail);
  return outcome.crl;
}

test('a list is read as PEM and as DER', () => {
  const pem = list(2);
  const [der = Buffer.alloc(0)] = blocksFromPem(pem, 'X509 CRL');
  expect(parseCrl(der)).toEqual(parseCrl(Buffer.from(pem)));
  expect(crlsFromPem(pem + pem)).toHaveLength(2);
  const crl = parsed(pem);
  expect(crl).toMatchObject({ number: '012c', thisUpdateMs: NOW_MS, scope: { of: 'all' } });
  expect([...crl.revoked]).toEqual([
    ['01', { atMs: NOW_MS, reason: 1 }],
    ['02', { atMs: NOW_MS - 1000 }],
  ]);
});

test('an empty list is a list', () => {
  expect(parsed(list(0)).revoked.size).toBe(0);
});

test('only its own authority has signed it', () => {
  const crl = parsed(list(1));
  expect(crlProblem(crl, root.certificate)).toBeUndefined();
  expect(crlProblem(crl, namesake.certificate)).toBe('it is from another authority');
  const { subjectKeyId: _, ...nameless } = namesake.certificate;
  expect(crlProblem(crl, { ...nameless, publicKey: namesake.certificate.publicKey })).toBe(
    'its signature is wrong',
  );
  const mayNot = { ...root.certificate, keyUsage: new Set(['keyCertSign'] as const) };
  expect(crlProblem(crl, mayNot)).toBe('its authority may not sign revocation lists');
});

test('a list is fresh from its own moment to that of the next', () => {
  const crl = parsed(list(0));
  expect(isFresh(crl, NOW_MS)).toBe(true);
  expect(isFresh(crl, NOW_MS + DAY_MS - 1)).toBe(true);
  expect(isFresh(crl, NOW_MS + DAY_MS)).toBe(false);
  expect(isFresh(crl, NOW_MS - DAY_MS)).toBe(false);
});

test('a list cut anywhere is refused', () => {
  const [der = Buffer.alloc(0)] = blocksFromPem(list(3), 'X509 CRL');
  for (let length = 0; length < der.length; length += 1) {
    expect(parseCrl(der.subarray(0, length)).kind).toBe('refused');
  }
  expect(parseCrl(Buffer.concat([der, Buffer.of(0)])).kind).toBe('refused');
});

test('a list of a hundred thousand entries is parsed once and asked at once', () => {
  const crl = parsed(list(100_000));
  expect(crl.revoked.size).toBe(100_000);
  expect(crl.revoked.has('0186a0')).toBe(true);
  expect(crl.revoked.has('0186a1')).toBe(false);
});
