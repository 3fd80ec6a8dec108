import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import type { ClientTrust } from '../x509/path-validation.ts';
import {
  acceptClientCertificate,
  asksForCertificate,
  authorityNames,
  importKey,
  isStillAccepted,
} from './client-certificate.ts';
import type { TlsSettings } from './settings.ts';

const trustingNobody: TlsSettings = {
  identities: [],
  minVersion: '1.2',
  maxVersion: '1.3',
  ticketLifetimeMs: 0,
};

/** Only the names of the authorities matter here. */
function trusting(...names: Buffer[]): TlsSettings {
  const anchors = names.map((der) => ({ subject: { der } })) as unknown as ClientTrust['anchors'];
  const clientTrust: ClientTrust = { anchors, intermediates: [], crls: [], revocation: 'none' };
  return { ...trustingNobody, clientTrust };
}

test('a client is asked for a certificate where one may be of use', () => {
  expect(asksForCertificate(trusting(), 'required')).toBe(true);
  expect(asksForCertificate(trusting(), 'optional')).toBe(true);
  expect(asksForCertificate(trusting(), 'none')).toBe(false);
  expect(asksForCertificate(trustingNobody, 'optional')).toBe(false);
  expect(asksForCertificate(trustingNobody, 'none')).toBe(false);
});

test('where a certificate is required and nobody is trusted the fault is ours', () => {
  expect(() => asksForCertificate(trustingNobody, 'required')).toThrow(
    expect.objectContaining({ alert: 'internal_error' }),
  );
});

test('a few authorities are named, many are not', () => {
  const name = Buffer.alloc(100, 0x30);
  expect(authorityNames(trusting(name, name))).toEqual([name, name]);
  expect(authorityNames(trusting(...Array.from({ length: 6 }, () => name)))).toEqual([]);
  expect(authorityNames(trustingNobody)).toEqual([]);
});

test('without anybody to trust nothing is accepted, now or later', () => {
  expect(() => acceptClientCertificate(trustingNobody, [Buffer.alloc(9)], 0)).toThrow(
    expect.objectContaining({ alert: 'unknown_ca' }),
  );
  expect(isStillAccepted(trustingNobody, [], 0)).toBe(false);
});

test('what is no certificate is a bad_certificate', () => {
  expect(() => acceptClientCertificate(trusting(), [Buffer.alloc(9)], 0)).toThrow(
    expect.objectContaining({ alert: 'bad_certificate' }),
  );
});

test('a key that is not on its curve is a bad_certificate', () => {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = publicKey.export({ format: 'der', type: 'spki' });
  const identity = { certificate: '', emails: [], dnsNames: [], principalNames: [] };
  expect(importKey({ identity, publicKey: spki, path: [] }).equals(publicKey)).toBe(true);
  const beside = Buffer.from(spki);
  beside[beside.length - 1] = (beside.at(-1) ?? 0) ^ 1;
  expect(() => importKey({ identity, publicKey: beside, path: [] })).toThrow(
    expect.objectContaining({ alert: 'bad_certificate' }),
  );
});
