import { constants, generateKeyPairSync, sign } from 'node:crypto';
import { expect, test } from 'vitest';
import {
  chooseScheme,
  schemesFor,
  schemesOf,
  signWith,
  signatureSchemes,
  verifyWith,
} from './signatures.ts';

const ec = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve });
const pair = {
  'P-256': ec('prime256v1'),
  'P-384': ec('secp384r1'),
  'P-521': ec('secp521r1'),
  'RSA 2048': generateKeyPairSync('rsa', { modulusLength: 2048 }),
  'RSA 1024': generateKeyPairSync('rsa', { modulusLength: 1024 }),
  'RSA-PSS': generateKeyPairSync('rsa-pss', { modulusLength: 2048 }),
  'RSA-PSS for SHA-384': generateKeyPairSync('rsa-pss', {
    modulusLength: 2048,
    hashAlgorithm: 'sha384',
    mgf1HashAlgorithm: 'sha384',
    saltLength: 48,
  } as { modulusLength: number }), // the types lack saltLength
  Ed25519: generateKeyPairSync('ed25519'),
  secp256k1: ec('secp256k1'),
  Ed448: generateKeyPairSync('ed448'),
  X25519: generateKeyPairSync('x25519'),
};
type KeyName = keyof typeof pair;
const keyNames = Object.keys(pair) as KeyName[];

const names = (key: KeyName, version: '1.2' | '1.3') =>
  schemesOf(pair[key].privateKey, version).map(({ name }) => name);

const [p256, p384, p521] = [
  'ecdsa_secp256r1_sha256',
  'ecdsa_secp384r1_sha384',
  'ecdsa_secp521r1_sha512',
];
const pssRsae = ['rsa_pss_rsae_sha256', 'rsa_pss_rsae_sha384', 'rsa_pss_rsae_sha512'];
const pkcs1 = ['rsa_pkcs1_sha256', 'rsa_pkcs1_sha384', 'rsa_pkcs1_sha512'];
const pssPss = ['rsa_pss_pss_sha256', 'rsa_pss_pss_sha384', 'rsa_pss_pss_sha512'];

test.each<[KeyName, string[], string[]]>([
  ['P-256', [p256, p384, p521], [p256]],
  ['P-384', [p384, p256, p521], [p384]],
  ['P-521', [p521, p256, p384], [p521]],
  ['RSA 2048', [...pssRsae, ...pkcs1], pssRsae],
  // A modulus of 128 bytes has no room for two times 64 bytes.
  ['RSA 1024', [...pssRsae.slice(0, 2), ...pkcs1], pssRsae.slice(0, 2)],
  ['RSA-PSS', pssPss, pssPss],
  ['RSA-PSS for SHA-384', ['rsa_pss_pss_sha384'], ['rsa_pss_pss_sha384']],
  ['Ed25519', ['ed25519'], ['ed25519']],
  ['secp256k1', [], []],
  ['Ed448', [], []],
  ['X25519', [], []],
])('a key %s signs with the schemes of its kind', (key, in12, in13) => {
  expect(names(key, '1.2')).toEqual(in12);
  expect(names(key, '1.3')).toEqual(in13);
});

test('what a key signs with any of its schemes it verifies, and nothing else', () => {
  const bytes = Buffer.from('what both sides have said');
  const other = Buffer.from('what somebody else has said');
  for (const name of keyNames) {
    const { privateKey, publicKey } = pair[name];
    const schemes = schemesOf(privateKey, '1.2');
    expect(schemesOf(publicKey, '1.2')).toEqual(schemes);
    for (const scheme of schemes) {
      const signature = signWith(scheme, privateKey, bytes);
      expect(verifyWith(scheme, publicKey, bytes, signature), scheme.name).toBe(true);
      expect(verifyWith(scheme, publicKey, other, signature), scheme.name).toBe(false);
      expect(verifyWith(scheme, publicKey, bytes, signature.subarray(1)), scheme.name).toBe(false);
      expect(verifyWith(scheme, publicKey, bytes, Buffer.alloc(0)), scheme.name).toBe(false);
    }
  }
});

test('no scheme and no key make verification throw', () => {
  for (const scheme of signatureSchemes) {
    for (const name of keyNames) {
      const { publicKey } = pair[name];
      for (const signature of [Buffer.alloc(0), Buffer.alloc(64, 1), Buffer.alloc(256, 0xff)]) {
        expect(verifyWith(scheme, publicKey, Buffer.from('bytes'), signature)).toBe(false);
      }
    }
  }
});

test('a salt of another length than the hash is refused', () => {
  const { privateKey, publicKey } = pair['RSA 2048'];
  const bytes = Buffer.from('bytes');
  const [pss] = schemesOf(publicKey, '1.3');
  if (pss === undefined) throw new Error('no scheme');
  const padding = constants.RSA_PKCS1_PSS_PADDING;
  const long = sign('sha256', bytes, { key: privateKey, padding, saltLength: 64 });
  expect(verifyWith(pss, publicKey, bytes, long)).toBe(false);
});

test('the first of our schemes that the client knows is chosen', () => {
  const { privateKey } = pair['RSA 2048'];
  expect(chooseScheme(privateKey, '1.2', [0x0401, 0x0501])?.name).toBe('rsa_pkcs1_sha256');
  expect(chooseScheme(privateKey, '1.2', [0x0401, 0x0804])?.name).toBe('rsa_pss_rsae_sha256');
  expect(chooseScheme(privateKey, '1.3', [0x0401, 0x0806])?.name).toBe('rsa_pss_rsae_sha512');
  expect(chooseScheme(privateKey, '1.3', [0x0401])).toBeUndefined();
  expect(chooseScheme(privateKey, '1.2', [])).toBeUndefined();
});

test('SHA-1 and MD5 are not among the schemes', () => {
  const sha1AndMd5 = [0x0101, 0x0201, 0x0203];
  expect(schemesFor('1.2').filter(({ code }) => sha1AndMd5.includes(code))).toEqual([]);
  for (const key of keyNames)
    expect(chooseScheme(pair[key].privateKey, '1.2', sha1AndMd5)).toBeUndefined();
});

test('PKCS #1 v1.5 belongs to TLS 1.2 alone', () => {
  expect(schemesFor('1.2').map(({ name }) => name)).toEqual(expect.arrayContaining(pkcs1));
  expect(schemesFor('1.3').some(({ padding }) => padding === 'pkcs1')).toBe(false);
});
