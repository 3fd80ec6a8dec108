import { createHash, createHmac } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { digest, hmac } from './hmac.ts';

const hashes = fc.constantFrom('sha1', 'sha256', 'sha384');

test('HMAC is that of OpenSSL, also under a key that is longer than a block', () => {
  const key = fc.uint8Array({ maxLength: 200 });
  const text = fc.uint8Array({ maxLength: 5_000 });
  fc.assert(
    fc.property(hashes, key, text, (hash, key, text) => {
      const expected = createHmac(hash, key).update(text).digest();
      expect(hmac(hash, Buffer.from(key), Buffer.from(text))).toEqual(expected);
    }),
  );
});

test('a digest is that of OpenSSL', () => {
  fc.assert(
    fc.property(hashes, fc.uint8Array(), (hash, bytes) => {
      const expected = createHash(hash).update(bytes).digest();
      expect(digest(hash, Buffer.from(bytes))).toEqual(expected);
    }),
  );
});
