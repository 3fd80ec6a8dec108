// Secrets at rest: AES-256-GCM under a key that is kept outside the database, because RADIUS needs
// the passwords and shared secrets themselves and a stolen dump must not give them away.
// A box names its key, so keys can rotate, and is bound to its row, so it cannot be moved to another.

import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createSecretKey,
  randomBytes,
} from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';

export type SecretBox = {
  /** `context` names the row that the secret belongs to: `router:<id>`, `subscriber:<id>`. */
  seal(secret: Uint8Array, context: string): Buffer;
  /** Throws `SecretBoxError` when the key, the context or the box is not the right one. */
  open(box: Uint8Array, context: string): Buffer;
};

export class SecretBoxError extends Error {
  override name = 'SecretBoxError';
  readonly reason: 'unknown-key' | 'damaged';

  constructor(reason: 'unknown-key' | 'damaged', message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

const KEY_BYTES = 32;

// A box: version (1), key id (4), nonce (12), ciphertext, tag (16).
const VERSION = 1;
const KEY_ID_BYTES = 4;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEADER_BYTES = 1 + KEY_ID_BYTES + NONCE_BYTES;

/** The first seals; all of them open. To rotate: put a new key in front, seal again, drop the old. */
export type SecretKeys = readonly [Uint8Array, ...Uint8Array[]];

export function createSecretBox(keys: SecretKeys): SecretBox {
  // As key objects: with bare bytes Node makes and swallows an exception at each use, for 10 µs.
  const ring = keys.map((key) => ({ key: createSecretKey(key), id: keyId(key) }));
  const [newest] = ring;
  if (newest === undefined) throw new Error('a secret box needs at least one key');

  return {
    seal(secret, context) {
      const nonce = randomBytes(NONCE_BYTES); // never from a seeded source: a nonce must not repeat
      const header = Buffer.concat([Buffer.of(VERSION), newest.id, nonce]);
      const cipher = createCipheriv('aes-256-gcm', newest.key, nonce);
      cipher.setAAD(Buffer.from(context));
      return Buffer.concat([header, cipher.update(secret), cipher.final(), cipher.getAuthTag()]);
    },

    open(box, context) {
      const bytes = Buffer.from(box.buffer, box.byteOffset, box.byteLength);
      if (bytes.length < HEADER_BYTES + TAG_BYTES || bytes[0] !== VERSION) {
        throw new SecretBoxError('damaged', `the sealed secret of ${context} is damaged`);
      }
      const id = bytes.subarray(1, 1 + KEY_ID_BYTES);
      const nonce = bytes.subarray(1 + KEY_ID_BYTES, HEADER_BYTES);
      const held = ring.find((candidate) => candidate.id.equals(id));
      if (held === undefined) {
        throw new SecretBoxError(
          'unknown-key',
          `the secret of ${context} was sealed with another key (${id.toString('hex')})`,
        );
      }
      try {
        const decipher = createDecipheriv('aes-256-gcm', held.key, nonce, {
          authTagLength: TAG_BYTES,
        });
        decipher.setAAD(Buffer.from(context));
        decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
        const sealed = bytes.subarray(HEADER_BYTES, -TAG_BYTES);
        return Buffer.concat([decipher.update(sealed), decipher.final()]);
      } catch (error) {
        throw new SecretBoxError('damaged', `the sealed secret of ${context} is damaged or moved`, {
          cause: error,
        });
      }
    },
  };
}

/** Reads the key file: 64 hex digits, readable by its owner alone. Undefined if there is none. */
export function loadKey(path: string): Buffer | undefined {
  const file = statSync(path, { throwIfNoEntry: false });
  if (file === undefined) return undefined;
  if ((file.mode & 0o077) !== 0) {
    throw new Error(
      `the key file ${path} can be read by others: run chmod 600 ${path}, and change the key ` +
        'if somebody may have seen it',
    );
  }
  return parseKey(readFileSync(path, 'utf8'), path);
}

/** As `loadKey`, and makes a key when there is none. Two who do it at once get the same key. */
export function loadOrCreateKey(path: string): Buffer {
  const present = loadKey(path);
  if (present !== undefined) return present;
  const making = `${path}.new-${process.pid}`;
  rmSync(making, { force: true });
  const file = openSync(making, 'wx', 0o600);
  try {
    writeSync(file, `${randomBytes(KEY_BYTES).toString('hex')}\n`);
    fsyncSync(file); // what it seals may be on disk before the next regular flush
  } finally {
    closeSync(file);
  }
  try {
    linkSync(making, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(making, { force: true });
  }
  return parseKey(readFileSync(path, 'utf8'), path);
}

export function parseKey(text: string, source: string): Buffer {
  const written = text.trim();
  if (/^[0-9a-f]{64}$/i.test(written)) return Buffer.from(written, 'hex');
  if (/^[\w+/-]{43}=?$/.test(written)) return Buffer.from(written, 'base64');
  throw new Error(
    `${source} does not hold a key: it must be 32 bytes, as 64 hexadecimal digits or in base64`,
  );
}

function keyId(key: Uint8Array): Buffer {
  if (key.length !== KEY_BYTES) throw new Error(`a key has ${KEY_BYTES} bytes, not ${key.length}`);
  return createHash('sha256')
    .update('evergate key id')
    .update(key)
    .digest()
    .subarray(0, KEY_ID_BYTES);
}
