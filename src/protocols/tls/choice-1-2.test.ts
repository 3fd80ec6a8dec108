import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { checkHello, choose } from './choice-1-2.ts';
import { type CipherSuiteName, cipherSuite } from './cipher-suites.ts';
import type { ClientHello } from './client-hello.ts';
import type { ServerIdentity, TlsSettings } from './settings.ts';
import { signatureSchemes } from './signatures.ts';

const ec = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve }).privateKey;
const identity = (privateKey: ServerIdentity['privateKey']) => ({ chain: [], privateKey });
const p256 = identity(ec('prime256v1'));
const p384 = identity(ec('secp384r1'));
const rsa = identity(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey);
const ed25519 = identity(generateKeyPairSync('ed25519').privateKey);

const settings = (...identities: ServerIdentity[]): TlsSettings => ({
  identities,
  minVersion: '1.2',
  maxVersion: '1.2',
  ticketLifetimeMs: 0,
});

const ECDSA = 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256';
const RSA = 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256';
const [X25519, P256, P384] = [0x001d, 0x0017, 0x0018];

function hello(changes: Partial<ClientHello> = {}, suites: CipherSuiteName[] = [RSA, ECDSA]) {
  return {
    legacyVersion: 0x0303,
    random: Buffer.alloc(32),
    sessionId: Buffer.alloc(0),
    cipherSuites: suites.map((name) => cipherSuite(name).id),
    compressionMethods: Buffer.of(0),
    extensions: new Set<number>(),
    groups: [P384, P256, X25519],
    signatureAlgorithms: signatureSchemes.map(({ code }) => code),
    extendedMasterSecret: true,
    offersEarlyData: false,
    isFallback: false,
    ...changes,
  } satisfies ClientHello;
}

function without(name: 'groups' | 'signatureAlgorithms'): ClientHello {
  const { [name]: _left, ...rest } = hello();
  return rest;
}

describe('what is chosen', () => {
  test('the first certificate of ours, whatever the client would prefer', () => {
    const choice = choose(settings(p256, rsa), hello());
    expect(choice).toMatchObject({
      identity: p256,
      suite: { name: ECDSA },
      scheme: { name: 'ecdsa_secp256r1_sha256' },
      group: 'x25519',
    });
    expect(choose(settings(rsa, p256), hello()).suite.name).toBe(RSA);
  });

  test('another certificate, if the client cannot check the first', () => {
    const both = settings(p256, rsa);
    expect(choose(both, hello({}, [RSA])).identity).toBe(rsa);
    expect(choose(both, hello({ signatureAlgorithms: [0x0804] })).identity).toBe(rsa);
    // The curve of the certificate is not among the groups of the client.
    expect(choose(both, hello({ groups: [X25519] })).identity).toBe(rsa);
    expect(choose(settings(p384, rsa), hello({ groups: [P256] })).identity).toBe(rsa);
  });

  test('Ed25519 goes with the suites of ECDSA', () => {
    const choice = choose(settings(ed25519), hello({ groups: [X25519] }));
    expect(choice).toMatchObject({ suite: { name: ECDSA }, scheme: { name: 'ed25519' } });
  });

  test('the cheapest group of those in common', () => {
    expect(choose(settings(rsa), hello({ groups: [P384, P256] })).group).toBe('secp256r1');
    expect(choose(settings(rsa), hello({ groups: [0x001e, P384] })).group).toBe('secp384r1');
    expect(choose(settings(rsa), without('groups')).group).toBe('secp256r1');
  });

  test('the hash that belongs to the curve, if the client has it', () => {
    expect(choose(settings(p384), hello()).scheme.name).toBe('ecdsa_secp384r1_sha384');
    const onlySha256 = hello({ signatureAlgorithms: [0x0403] });
    expect(choose(settings(p384), onlySha256).scheme.name).toBe('ecdsa_secp256r1_sha256');
  });
});

const refused = expect.objectContaining({ alert: 'handshake_failure' });

test.each([
  ['no suite in common', settings(p256), hello({ cipherSuites: [0x002f, 0xc023] })],
  ['no group in common', settings(p256), hello({ groups: [0x001e] })],
  ['no certificate for the suites', settings(p256), hello({}, [RSA])],
  ['no certificate at all', settings(), hello()],
  ['no signature algorithms, which means SHA-1', settings(p256), without('signatureAlgorithms')],
  ['SHA-1 alone', settings(p256, rsa), hello({ signatureAlgorithms: [0x0203, 0x0201] })],
])('%s is a handshake_failure', (_name, ofServer, ofClient) => {
  expect(() => choose(ofServer, ofClient)).toThrow(refused);
});

describe('what every hello must have', () => {
  test('an honest one passes, with and without a word on renegotiation', () => {
    const explicit = hello({ renegotiationInfo: Buffer.alloc(0), pointFormats: Buffer.of(1, 0) });
    expect(() => checkHello(hello())).not.toThrow();
    expect(() => checkHello(explicit)).not.toThrow();
  });

  test('the extended master secret', () => {
    expect(() => checkHello(hello({ extendedMasterSecret: false }))).toThrow(refused);
  });

  test('a first handshake', () => {
    expect(() => checkHello(hello({ renegotiationInfo: Buffer.alloc(12) }))).toThrow(refused);
  });

  test('no compression, of data or of points', () => {
    const illegal = expect.objectContaining({ alert: 'illegal_parameter' });
    expect(() => checkHello(hello({ compressionMethods: Buffer.of(1) }))).toThrow(illegal);
    expect(() => checkHello(hello({ pointFormats: Buffer.of(1, 2) }))).toThrow(illegal);
  });
});
