// What MS-CHAP version 1 and 2 have in common: the NT hash and the response computed with DES.
// RFC 2433 §A.4 to §A.6, RFC 2759 §8.3 to §8.6.

import { createCipheriv, createSecretKey } from 'node:crypto';
import { md4 } from './md4.ts';

/** MD4 of the password in UTF-16LE. It can log in like the password: keep it as secret. */
export function ntHash(password: Uint8Array): Buffer {
  const text = Buffer.from(password.buffer, password.byteOffset, password.byteLength);
  return md4(Buffer.from(text.toString('utf8'), 'utf16le'));
}

/** 24 bytes: the challenge of 8 bytes under each third of the hash, padded with zeros. */
export function challengeResponse(challenge: Uint8Array, hash: Uint8Array): Buffer {
  const padded = Buffer.alloc(21);
  padded.set(hash.subarray(0, 16));
  return Buffer.concat([0, 7, 14].map((at) => des(challenge, padded.subarray(at, at + 7))));
}

/** Single DES, of which OpenSSL 3 only offers the triple form: with one key thrice they are the same. */
function des(block: Uint8Array, key56: Buffer): Buffer {
  const key = Buffer.alloc(24);
  for (let i = 0; i < 8; i++) {
    const bits = ((key56[i - 1] ?? 0) << 8) | (key56[i] ?? 0);
    const byte = (bits >>> i) & 0xfe; // the lowest bit would be parity, which DES ignores
    key[i] = byte;
    key[i + 8] = byte;
    key[i + 16] = byte;
  }
  // A raw key would make Node 24 raise and swallow an exception, which takes longer than the rest.
  const cipher = createCipheriv('des-ede3-ecb', createSecretKey(key), null).setAutoPadding(false);
  return cipher.update(block);
}
