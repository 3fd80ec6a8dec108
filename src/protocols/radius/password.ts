// How passwords and keys travel inside RADIUS: User-Password (RFC 2865 §5.2), CHAP (§5.3, RFC 1994),
// and the salted form of Tunnel-Password (RFC 2868 §3.5) and MS-MPPE keys (RFC 2548 §2.4.2).

import type { Secret } from './authenticator.ts';
import { createMd5, equalDigests, MD5_BYTES } from './md5.ts';

export const MAX_PASSWORD_BYTES = 128;
/** What fits into one attribute beside tag, salt and its own length. */
export const MAX_SALTED_BYTES = 239;

/**
 * Undefined when the attribute cannot be a hidden password. A wrong secret is not noticed here: it
 * yields other bytes. Only trailing NULs are padding; a password may be empty.
 */
export function revealUserPassword(
  hidden: Uint8Array,
  secret: Secret,
  requestAuthenticator: Uint8Array,
): Buffer | undefined {
  const { length } = hidden;
  if (length < MD5_BYTES || length > MAX_PASSWORD_BYTES || length % MD5_BYTES !== 0) {
    return undefined;
  }
  const password = Buffer.allocUnsafe(length);
  for (let at = 0; at < length; at += MD5_BYTES) {
    if (at === 0) padWith(secret, requestAuthenticator, 0);
    else padWith(secret, hidden, at - MD5_BYTES);
    for (let i = 0; i < MD5_BYTES; i++) password[at + i] = (hidden[at + i] as number) ^ padByte(i);
  }
  let end = length;
  while (end > 0 && password[end - 1] === 0) end--;
  return password.subarray(0, end);
}

/** The opposite, for clients. A password longer than 128 bytes cannot be sent. */
export function hideUserPassword(
  password: Uint8Array,
  secret: Secret,
  requestAuthenticator: Uint8Array,
): Buffer {
  if (password.length > MAX_PASSWORD_BYTES) {
    throw new RangeError(`a User-Password has at most ${MAX_PASSWORD_BYTES} bytes`);
  }
  const blocks = Math.max(1, Math.ceil(password.length / MD5_BYTES));
  const hidden = Buffer.alloc(blocks * MD5_BYTES);
  hidden.set(password);
  encryptInPlace(hidden, 0, secret, requestAuthenticator);
  return hidden;
}

/** `identifierAndDigest`: the 17 bytes of CHAP-Password. The challenge is CHAP-Challenge or, without it, the Request Authenticator. */
export function verifyChap(
  identifierAndDigest: Uint8Array,
  challenge: Uint8Array,
  password: Uint8Array,
): boolean {
  if (identifierAndDigest.length !== 1 + MD5_BYTES) return false;
  chapDigest(identifierAndDigest[0] as number, challenge, password);
  return equalDigests(pad, 0, identifierAndDigest, 1);
}

/** The value of CHAP-Password, for clients. */
export function chapResponse(
  identifier: number,
  challenge: Uint8Array,
  password: Uint8Array,
): Buffer {
  chapDigest(identifier, challenge, password);
  const response = Buffer.allocUnsafe(1 + MD5_BYTES);
  response[0] = identifier;
  response.set(pad, 1);
  return response;
}

/**
 * Salt and ciphertext, as they follow the tag of Tunnel-Password or make up an MS-MPPE key. The salt
 * has 16 bits and must differ between attributes of a packet; its high bit is set here.
 */
export function saltEncrypt(
  value: Uint8Array,
  salt: number,
  secret: Secret,
  requestAuthenticator: Uint8Array,
): Buffer {
  if (value.length > MAX_SALTED_BYTES) {
    throw new RangeError(`a salted value has at most ${MAX_SALTED_BYTES} bytes`);
  }
  const blocks = Math.ceil((1 + value.length) / MD5_BYTES);
  const salted = Buffer.alloc(2 + blocks * MD5_BYTES);
  salted.writeUInt16BE((salt & 0x7fff) | 0x8000);
  salted[2] = value.length;
  salted.set(value, 3);
  encryptInPlace(salted, 2, secret, requestAuthenticator);
  return salted;
}

/** Undefined when this is not a salted value, or the secret is another. */
export function saltDecrypt(
  saltAndCiphertext: Uint8Array,
  secret: Secret,
  requestAuthenticator: Uint8Array,
): Buffer | undefined {
  const cipherBytes = saltAndCiphertext.length - 2;
  if (cipherBytes < MD5_BYTES || cipherBytes % MD5_BYTES !== 0) return undefined;
  const plain = Buffer.allocUnsafe(cipherBytes);
  for (let at = 0; at < cipherBytes; at += MD5_BYTES) {
    if (at === 0) padWith(secret, requestAuthenticator, 0, saltAndCiphertext);
    else padWith(secret, saltAndCiphertext, 2 + at - MD5_BYTES);
    for (let i = 0; i < MD5_BYTES; i++) {
      plain[at + i] = (saltAndCiphertext[2 + at + i] as number) ^ padByte(i);
    }
  }
  const length = plain[0] as number;
  return length < cipherBytes ? plain.subarray(1, 1 + length) : undefined;
}

const hasher = createMd5();
/** The key stream for 16 bytes, or a CHAP digest. */
const pad = new Uint8Array(MD5_BYTES);

function padByte(index: number): number {
  return pad[index] as number;
}

/** MD5(secret + 16 bytes + salt): the first time the authenticator, then the ciphertext so far. */
function padWith(secret: Secret, previous: Uint8Array, at: number, salt?: Uint8Array): void {
  hasher.begin();
  hasher.update(secret.bytes);
  hasher.update(previous, at, at + MD5_BYTES);
  if (salt !== undefined) hasher.update(salt, 0, 2);
  hasher.finishInto(pad, 0);
}

/** `from` is 0, or 2 when a salt precedes the plain text. */
function encryptInPlace(
  bytes: Uint8Array,
  from: 0 | 2,
  secret: Secret,
  authenticator: Uint8Array,
): void {
  for (let at = from; at < bytes.length; at += MD5_BYTES) {
    if (at > from) padWith(secret, bytes, at - MD5_BYTES);
    else if (from === 2) padWith(secret, authenticator, 0, bytes);
    else padWith(secret, authenticator, 0);
    for (let i = 0; i < MD5_BYTES; i++) bytes[at + i] = (bytes[at + i] as number) ^ padByte(i);
  }
}

function chapDigest(identifier: number, challenge: Uint8Array, password: Uint8Array): void {
  chapIdentifier[0] = identifier;
  hasher.begin();
  hasher.update(chapIdentifier);
  hasher.update(password);
  hasher.update(challenge);
  hasher.finishInto(pad, 0);
}

const chapIdentifier = new Uint8Array(1);
