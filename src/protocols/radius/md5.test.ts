import { createHash, createHmac } from 'node:crypto';
import { array, assert, nat, property, uint8Array } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createMd5, equalDigests, hmacMd5Into, md5Into, prepareHmacKey } from './md5.ts';

function md5(message: Uint8Array): string {
  const out = Buffer.alloc(16);
  md5Into(message, 0, message.length, out, 0);
  return out.toString('hex');
}

function hmac(key: Uint8Array, message: Uint8Array): string {
  const out = Buffer.alloc(16);
  hmacMd5Into(prepareHmacKey(key), message, 0, message.length, out, 0);
  return out.toString('hex');
}

describe('MD5 gives the digests of RFC 1321 §A.5', () => {
  test.each([
    ['', 'd41d8cd98f00b204e9800998ecf8427e'],
    ['a', '0cc175b9c0f1b6a831c399e269772661'],
    ['abc', '900150983cd24fb0d6963f7d28e17f72'],
    ['message digest', 'f96b697d7cb7938d525a2f31aaf161d0'],
    ['abcdefghijklmnopqrstuvwxyz', 'c3fcd3d76192e4007dfb496cca67e13b'],
    [
      'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789',
      'd174ab98d277d9f5a5611c2c9f419d9f',
    ],
    [
      '12345678901234567890123456789012345678901234567890123456789012345678901234567890',
      '57edf4a22be3c955ac49da2e2107b67a',
    ],
  ])('%j', (message, digest) => {
    expect(md5(Buffer.from(message))).toBe(digest);
  });
});

describe('HMAC-MD5 gives the digests of RFC 2202 §2', () => {
  const bytes = (value: number, length: number) => Buffer.alloc(length, value);
  test.each([
    [bytes(0x0b, 16), Buffer.from('Hi There'), '9294727a3638bb1c13f48ef8158bfc9d'],
    [
      Buffer.from('Jefe'),
      Buffer.from('what do ya want for nothing?'),
      '750c783e6ab0b503eaa86e310a5db738',
    ],
    [bytes(0xaa, 16), bytes(0xdd, 50), '56be34521d144c88dbb8c733f0e8b3f6'],
    [
      Buffer.from('0102030405060708090a0b0c0d0e0f10111213141516171819', 'hex'),
      bytes(0xcd, 50),
      '697eaf0aca3a3aea3a75164746ffaa79',
    ],
    [bytes(0x0c, 16), Buffer.from('Test With Truncation'), '56461ef2342edc00f9bab995690efd4c'],
    [
      bytes(0xaa, 80),
      Buffer.from('Test Using Larger Than Block-Size Key - Hash Key First'),
      '6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd',
    ],
    [
      bytes(0xaa, 80),
      Buffer.from('Test Using Larger Than Block-Size Key and Larger Than One Block-Size Data'),
      '6f630fad67cda0ee1fb1f562db3aa53e',
    ],
  ])('case %#', (key, message, digest) => {
    expect(hmac(key, message)).toBe(digest);
  });
});

test('every length from 0 to 300 agrees with node:crypto', () => {
  const message = Buffer.from(Array.from({ length: 300 }, (_, index) => (index * 37) & 0xff));
  for (let length = 0; length <= message.length; length++) {
    const part = message.subarray(0, length);
    expect(md5(part)).toBe(createHash('md5').update(part).digest('hex'));
  }
});

test('random messages and keys agree with node:crypto', () => {
  assert(
    property(uint8Array({ maxLength: 4096 }), uint8Array({ maxLength: 200 }), (message, key) => {
      expect(md5(message)).toBe(createHash('md5').update(message).digest('hex'));
      expect(hmac(key, message)).toBe(createHmac('md5', key).update(message).digest('hex'));
    }),
    { numRuns: 300 },
  );
});

test('a message may come in pieces of any size, and from the middle of a buffer', () => {
  const hasher = createMd5();
  assert(
    property(array(uint8Array({ maxLength: 200 })), nat(20), (pieces, start) => {
      const out = Buffer.alloc(20);
      hasher.begin();
      for (const piece of pieces) hasher.update(piece, Math.min(start, piece.length));
      hasher.finishInto(out, 4);
      const whole = Buffer.concat(pieces.map((piece) => piece.subarray(start)));
      expect(out.toString('hex', 4)).toBe(createHash('md5').update(whole).digest('hex'));
    }),
  );
});

test('digests are compared whole, and what is missing differs', () => {
  const digest = Buffer.alloc(16, 1);
  const other = Buffer.alloc(16, 1);
  expect(equalDigests(digest, 0, other, 0)).toBe(true);
  other[15] = 2;
  expect(equalDigests(digest, 0, other, 0)).toBe(false);
  expect(equalDigests(digest, 1, digest, 1)).toBe(false);
});
