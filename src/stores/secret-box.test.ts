import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  SecretBoxError,
  createSecretBox,
  loadKey,
  loadOrCreateKey,
  parseKey,
} from './secret-box.ts';

const oldKey = Buffer.alloc(32, 1);
const newKey = Buffer.alloc(32, 2);

describe('a secret box', () => {
  test('gives back what was sealed, whatever it is', () => {
    const box = createSecretBox([oldKey]);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.string(), (secret, context) => {
        expect(box.open(box.seal(secret, context), context)).toEqual(Buffer.from(secret));
      }),
    );
  });

  test('seals the same secret differently each time', () => {
    const box = createSecretBox([oldKey]);
    const secret = Buffer.from('testing123');
    expect(box.seal(secret, 'router:1')).not.toEqual(box.seal(secret, 'router:1'));
  });

  test('does not open when any bit was changed', () => {
    const box = createSecretBox([oldKey]);
    const sealed = box.seal(Buffer.from('testing123'), 'router:1');
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const changed = Buffer.from(sealed);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(() => box.open(changed, 'router:1')).toThrow(SecretBoxError);
    }
    for (let length = 0; length < sealed.length; length++) {
      expect(() => box.open(sealed.subarray(0, length), 'router:1')).toThrow(SecretBoxError);
    }
  });

  test('cannot be moved to another row', () => {
    const box = createSecretBox([oldKey]);
    const sealed = box.seal(Buffer.from('testing123'), 'router:1');
    expect(() => box.open(sealed, 'router:2')).toThrow(
      'the sealed secret of router:2 is damaged or moved',
    );
  });

  test('seals with the first key and opens with every one', () => {
    const before = createSecretBox([oldKey]).seal(Buffer.from('before'), 'x');
    const rotating = createSecretBox([newKey, oldKey]);
    const after = rotating.seal(Buffer.from('after'), 'x');
    expect(rotating.open(before, 'x').toString()).toBe('before');
    expect(createSecretBox([newKey]).open(after, 'x').toString()).toBe('after');
    expect(() => createSecretBox([newKey]).open(before, 'x')).toThrow('sealed with another key');
  });

  test('takes keys that came through a message to a thread', () => {
    const box = createSecretBox(structuredClone([oldKey]));
    expect(
      createSecretBox([oldKey])
        .open(box.seal(Buffer.from('s'), 'x'), 'x')
        .toString(),
    ).toBe('s');
  });
});

describe('a key file', () => {
  let directory: string;
  let path: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'evergate-key-'));
    path = join(directory, 'secrets.key');
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  test('is made once, for its owner alone', () => {
    expect(loadKey(path)).toBeUndefined();
    const key = loadOrCreateKey(path);
    expect(key).toHaveLength(32);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(loadOrCreateKey(path)).toEqual(key);
    expect(loadKey(path)).toEqual(key);
    expect(readFileSync(path, 'utf8')).toBe(`${key.toString('hex')}\n`);
  });

  test.each([0o644, 0o640, 0o604])('that others can read is refused (mode %o)', (mode) => {
    loadOrCreateKey(path);
    chmodSync(path, mode);
    expect(() => loadOrCreateKey(path)).toThrow('can be read by others');
  });

  test.each(['', 'abc', 'z'.repeat(64), '0'.repeat(65)])('that holds no key is refused', (text) => {
    writeFileSync(path, text, { mode: 0o600 });
    expect(() => loadKey(path)).toThrow(`${path} does not hold a key`);
    expect(() => parseKey(text, 'the setting')).toThrow('the setting does not hold a key');
  });
});
