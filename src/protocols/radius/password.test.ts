import { createHash } from 'node:crypto';
import { assert, nat, property, uint8Array } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { prepareSecret } from './authenticator.ts';
import {
  chapResponse,
  hideUserPassword,
  revealUserPassword,
  saltDecrypt,
  saltEncrypt,
  verifyChap,
} from './password.ts';

const secret = prepareSecret(Buffer.from('s3cr3t'));
const other = prepareSecret(Buffer.from('S3cr3t'));
const authenticator = Buffer.from('0123456789abcdef');

describe('User-Password', () => {
  test('is revealed again, whatever its length up to 128', () => {
    assert(
      property(uint8Array({ maxLength: 128 }), (bytes) => {
        const password = Buffer.from(bytes).toString('latin1').replaceAll('\0', '');
        const hidden = hideUserPassword(Buffer.from(password, 'latin1'), secret, authenticator);
        expect(hidden.length % 16).toBe(0);
        expect(revealUserPassword(hidden, secret, authenticator)?.toString('latin1')).toBe(
          password,
        );
      }),
    );
  });

  test('an empty one has 16 bytes and comes back empty', () => {
    const hidden = hideUserPassword(Buffer.alloc(0), secret, authenticator);
    expect(hidden).toHaveLength(16);
    expect(revealUserPassword(hidden, secret, authenticator)).toEqual(Buffer.alloc(0));
  });

  test('only NULs at the end are padding', () => {
    const password = Buffer.from('\0a\0b\0\0');
    const hidden = hideUserPassword(password, secret, authenticator);
    expect(revealUserPassword(hidden, secret, authenticator)).toEqual(Buffer.from('\0a\0b'));
  });

  test('a length that no hidden password has is refused', () => {
    for (const length of [0, 1, 15, 17, 129, 144]) {
      expect(revealUserPassword(Buffer.alloc(length), secret, authenticator)).toBeUndefined();
    }
    expect(() => hideUserPassword(Buffer.alloc(129), secret, authenticator)).toThrow(RangeError);
  });
});

describe('CHAP', () => {
  const challenge = Buffer.from('challenge of any length');
  const password = Buffer.from('wonderland');

  test('a response is the digest of RFC 1994', () => {
    const expected = createHash('md5')
      .update(Buffer.of(42))
      .update(password)
      .update(challenge)
      .digest();
    expect(chapResponse(42, challenge, password)).toEqual(Buffer.concat([Buffer.of(42), expected]));
  });

  test('is verified', () => {
    const response = chapResponse(42, challenge, password);
    expect(verifyChap(response, challenge, password)).toBe(true);
    expect(verifyChap(response, challenge, Buffer.from('Wonderland'))).toBe(false);
    expect(verifyChap(response, Buffer.from('another'), password)).toBe(false);
    expect(verifyChap(response.subarray(0, 16), challenge, password)).toBe(false);
    expect(verifyChap(Buffer.alloc(0), challenge, password)).toBe(false);
  });
});

describe('salted values', () => {
  test('are decrypted again', () => {
    assert(
      property(uint8Array({ maxLength: 239 }), nat(0xffff), (bytes, salt) => {
        const encrypted = saltEncrypt(bytes, salt, secret, authenticator);
        expect(encrypted.readUInt16BE()).toBe(salt | 0x8000);
        expect(saltDecrypt(encrypted, secret, authenticator)).toEqual(Buffer.from(bytes));
      }),
    );
  });

  test('follow RFC 2868 §3.5 step by step', () => {
    const encrypted = saltEncrypt(Buffer.from('seventeen letters'), 1, secret, authenticator);
    const md5 = (...parts: Uint8Array[]) => createHash('md5').update(Buffer.concat(parts)).digest();
    const plain = Buffer.concat([Buffer.of(17), Buffer.from('seventeen letters')], 32);
    const b1 = md5(secret.bytes, authenticator, Buffer.of(0x80, 1));
    const c1 = plain.subarray(0, 16).map((byte, i) => byte ^ (b1[i] ?? 0));
    const b2 = md5(secret.bytes, c1);
    const c2 = plain.subarray(16).map((byte, i) => byte ^ (b2[i] ?? 0));
    expect(encrypted).toEqual(Buffer.concat([Buffer.of(0x80, 1), c1, c2]));
  });

  test('with another secret or an impossible length are not', () => {
    const encrypted = saltEncrypt(Buffer.alloc(4), 1, secret, authenticator);
    // The length inside is then random: this one happens to be too large.
    expect(saltDecrypt(encrypted, other, authenticator)).toBeUndefined();
    for (const length of [0, 2, 17, 19]) {
      expect(saltDecrypt(Buffer.alloc(length), secret, authenticator)).toBeUndefined();
    }
    expect(() => saltEncrypt(Buffer.alloc(240), 1, secret, authenticator)).toThrow(RangeError);
  });
});
