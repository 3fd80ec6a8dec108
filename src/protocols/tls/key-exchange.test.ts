import {
  createECDH,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  randomBytes,
} from 'node:crypto';
import { expect, test } from 'vitest';
import {
  type Group,
  createKeyShare,
  deriveShared,
  groupOf,
  groups,
  groupsByPreference,
} from './key-exchange.ts';

const share = (group: Group) => createKeyShare(group, randomBytes(groups[group].seedBytes));

test.each(groupsByPreference)('two sides of %s derive the same secret', (group) => {
  const ours = share(group);
  const theirs = share(group);
  expect(ours.publicKey).toHaveLength(groups[group].publicBytes);
  const secret = deriveShared(group, ours.privateKey, theirs.publicKey);
  expect(secret).toBeDefined();
  expect(deriveShared(group, theirs.privateKey, ours.publicKey)).toEqual(secret);
});

test.each(groupsByPreference)('the same seed of %s makes the same keys', (group) => {
  const seed = randomBytes(groups[group].seedBytes);
  expect(createKeyShare(group, seed)).toEqual(createKeyShare(group, seed));
  expect(() => createKeyShare(group, seed.subarray(1))).toThrow('needs a seed');
});

test.each([
  ['secp256r1', 'prime256v1'],
  ['secp384r1', 'secp384r1'],
] as const)('%s agrees with an independent peer', (group, curve) => {
  const peer = createECDH(curve);
  const peerPublic = peer.generateKeys();
  const ours = share(group);
  expect(deriveShared(group, ours.privateKey, peerPublic)).toEqual(
    peer.computeSecret(ours.publicKey),
  );
});

test('x25519 gives the keys and the secret of RFC 7748 §6.1', () => {
  const hex = (text: string) => Buffer.from(text, 'hex');
  const alice = createKeyShare(
    'x25519',
    hex('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a'),
  );
  const bob = hex('de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f');
  expect(alice.publicKey.toString('hex')).toBe(
    '8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a',
  );
  expect(deriveShared('x25519', alice.privateKey, bob)?.toString('hex')).toBe(
    '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742',
  );
});

test('x25519 agrees with an independent peer', () => {
  const peer = generateKeyPairSync('x25519');
  const { x } = peer.publicKey.export({ format: 'jwk' });
  const ours = share('x25519');
  const publicKey = x25519Public(ours.publicKey);
  expect(deriveShared('x25519', ours.privateKey, Buffer.from(String(x), 'base64url'))).toEqual(
    diffieHellman({ privateKey: peer.privateKey, publicKey }),
  );
});

const zeros = (length: number) => Buffer.alloc(length);
const ONE = Buffer.concat([Buffer.of(1), zeros(31)]);
/** Of order 8, RFC 7748 §6.1 and the tables of curve25519 implementations. */
const ORDER_8 = Buffer.from(
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  'hex',
);

test.each([
  ['x25519', 'zero', zeros(32)],
  ['x25519', 'of order 1', ONE],
  ['x25519', 'of order 8', ORDER_8],
  ['x25519', 'too short', zeros(31)],
  ['x25519', 'too long', zeros(33)],
  ['x25519', 'empty', zeros(0)],
  ['secp256r1', 'infinity', Buffer.of(0)],
  ['secp256r1', 'not on the curve', Buffer.concat([Buffer.of(4), Buffer.alloc(64, 1)])],
  ['secp256r1', 'zero', Buffer.concat([Buffer.of(4), zeros(64)])],
  ['secp256r1', 'above the field', Buffer.concat([Buffer.of(4), Buffer.alloc(64, 0xff)])],
  ['secp256r1', 'empty', zeros(0)],
  ['secp384r1', 'not on the curve', Buffer.concat([Buffer.of(4), Buffer.alloc(96, 1)])],
  ['secp384r1', 'zero', Buffer.concat([Buffer.of(4), zeros(96)])],
  ['secp384r1', 'above the field', Buffer.concat([Buffer.of(4), Buffer.alloc(96, 0xff)])],
] as const)('a %s key that is %s gives no secret', (group, _what, peerPublic) => {
  expect(deriveShared(group, share(group).privateKey, peerPublic)).toBeUndefined();
});

test.each([
  ['secp256r1', 'prime256v1'],
  ['secp384r1', 'secp384r1'],
] as const)('only uncompressed points of %s count', (group, curve) => {
  const peer = createECDH(curve);
  peer.generateKeys();
  const ours = share(group);
  for (const format of ['compressed', 'hybrid'] as const) {
    const point = peer.getPublicKey(null, format);
    expect(deriveShared(group, ours.privateKey, point), format).toBeUndefined();
  }
});

test.each(['secp256r1', 'secp384r1'] as const)(
  'a seed that is no scalar of %s still makes a key',
  (group) => {
    const { seedBytes } = groups[group];
    for (const seed of [zeros(seedBytes), Buffer.alloc(seedBytes, 0xff)]) {
      const ours = createKeyShare(group, seed);
      const theirs = share(group);
      const secret = deriveShared(group, ours.privateKey, theirs.publicKey);
      expect(secret).toEqual(deriveShared(group, theirs.privateKey, ours.publicKey));
      expect(secret).toBeDefined();
    }
  },
);

test('a group is known by its number', () => {
  expect(groupsByPreference.map((group) => groupOf(groups[group].code))).toEqual(
    groupsByPreference,
  );
  expect(groupOf(0x001e)).toBeUndefined(); // X448
});

function x25519Public(raw: Buffer) {
  return createPublicKey({
    key: { kty: 'OKP', crv: 'X25519', x: raw.toString('base64url') },
    format: 'jwk',
  });
}
