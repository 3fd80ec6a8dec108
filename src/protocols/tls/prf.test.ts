import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import {
  exportKeyingMaterial,
  extendedMasterSecret,
  finishedData,
  keyBlock,
  pHash,
  prf,
} from './prf.ts';

const hex = (text: string) => Buffer.from(text, 'hex');

// The vectors that the IETF TLS list agreed on for TLS 1.2 (message 03416, 2008).
test.each([
  {
    hash: 'sha256' as const,
    secret: '9bbe436ba940f017b17652849a71db35',
    seed: 'a0ba9f936cda311827a6f796ffd5198c',
    output:
      'e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a' +
      '6b301791e90d35c9c9a46b4e14baf9af0fa022f7077def17abfd3797c0564bab' +
      '4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff701' +
      '87347b66',
  },
  {
    hash: 'sha384' as const,
    secret: 'b80b733d6ceefcdc71566ea48e5567df',
    seed: 'cd665cf6a8447dd6ff8b27555edb7465',
    output:
      '7b0c18e9ced410ed1804f2cfa34a336a1c14dffb4900bb5fd7942107e81c83cd' +
      'e9ca0faa60be9fe34f82b1233c9146a0e534cb400fed2700884f9dc236f80edd' +
      '8bfa961144c9e8d792eca722a7b32fc3d416d473ebc2c5fd4abfdad05d918425' +
      '9b5bf8cd4d90fa0d31e2dec479e4f1a26066f2eea9a69236a3e52655c9e9aee6' +
      '91c8f3a26854308d5eaa3be85e0990703d73e56f',
  },
])('the PRF with $hash gives the published bytes', ({ hash, secret, seed, output }) => {
  const length = output.length / 2;
  expect(prf(hash, hex(secret), 'test label', hex(seed), length).toString('hex')).toBe(output);
});

test('a shorter output is the beginning of a longer one', () => {
  const long = pHash('sha256', Buffer.alloc(32, 1), Buffer.from('seed'), 100);
  expect(pHash('sha256', Buffer.alloc(32, 1), Buffer.from('seed'), 33)).toEqual(
    long.subarray(0, 33),
  );
  expect(pHash('sha256', Buffer.alloc(32, 1), Buffer.from('seed'), 0)).toHaveLength(0);
});

const randoms = { clientRandom: Buffer.alloc(32, 1), serverRandom: Buffer.alloc(32, 2) };
const master = Buffer.alloc(48, 3);

test('the extended master secret has 48 bytes and depends on the session hash', () => {
  const first = extendedMasterSecret('sha256', Buffer.alloc(32, 1), Buffer.alloc(32, 1));
  const second = extendedMasterSecret('sha256', Buffer.alloc(32, 1), Buffer.alloc(32, 2));
  expect(first).toHaveLength(48);
  expect(first).not.toEqual(second);
});

test('the key block is cut in the order of the RFC, with the random of the server first', () => {
  const seed = Buffer.concat([randoms.serverRandom, randoms.clientRandom]);
  const block = prf('sha384', master, 'key expansion', seed, 72);
  const keys = keyBlock('sha384', master, randoms, { keyBytes: 32, ivBytes: 4 });
  const { clientKey, serverKey, clientIv, serverIv } = keys;
  expect(Buffer.concat([clientKey, serverKey, clientIv, serverIv])).toEqual(block);
  expect([clientKey.length, serverKey.length, clientIv.length, serverIv.length]).toEqual([
    32, 32, 4, 4,
  ]);
});

test('the Finished of the two sides differ', () => {
  const transcript = createHash('sha256').update('transcript').digest();
  const client = finishedData('sha256', master, 'client', transcript);
  expect(client).toHaveLength(12);
  expect(client).not.toEqual(finishedData('sha256', master, 'server', transcript));
});

test('an exporter without a context differs from one with an empty context', () => {
  const label = 'client EAP encryption';
  const without = exportKeyingMaterial('sha256', master, randoms, label, 64);
  const empty = exportKeyingMaterial('sha256', master, randoms, label, 64, Buffer.alloc(0));
  const { clientRandom, serverRandom } = randoms;
  expect(without).toEqual(
    prf('sha256', master, label, Buffer.concat([clientRandom, serverRandom]), 64),
  );
  expect(empty).not.toEqual(without);
  expect(empty).toEqual(
    prf('sha256', master, label, Buffer.concat([clientRandom, serverRandom, Buffer.alloc(2)]), 64),
  );
  expect(() =>
    exportKeyingMaterial('sha256', master, randoms, label, 64, Buffer.alloc(0x10000)),
  ).toThrow('too long');
});
