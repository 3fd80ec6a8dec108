// The record layer: cutting the client's bytes into records and protecting what is inside.
// RFC 8446 §5, RFC 5246 §6.2, RFC 5288 §3, RFC 7905 §2. Which records may come when is server.ts's rule.
// The sequence numbers live in the connection, so a nonce is never used twice as long as no two outputs of
// one connection are ever sent: the store's compare-and-set sees to that, and `observe` can watch it.

import { createCipheriv, createDecipheriv, createSecretKey } from 'node:crypto';
import { type CipherSuite, cipherSuite } from './cipher-suites.ts';
import type { RecordKeys } from './connection.ts';
import { TlsAlert, uint16 } from './wire.ts';

export const contentTypes = {
  changeCipherSpec: 20,
  alert: 21,
  handshake: 22,
  applicationData: 23,
} as const;

export type TlsRecord = {
  type: number;
  fragment: Buffer;
  /** The five bytes in front, which authenticate a protected record in TLS 1.3. */
  header: Buffer;
};

export type Plaintext = { type: number; content: Buffer };

/** For a simulation that watches whether a nonce is ever used twice. */
export type ObserveRecord = (record: { key: Buffer; sequence: number; ciphertext: Buffer }) => void;

/** RFC 8446 §5.1. */
export const MAX_PLAINTEXT_BYTES = 2 ** 14;
const MAX_CIPHERTEXT_BYTES = {
  '1.2': MAX_PLAINTEXT_BYTES + 2048,
  '1.3': MAX_PLAINTEXT_BYTES + 256,
};
/** AES-GCM stays safe up to 2^24.5 full records under one key. RFC 8446 §5.5. An EAP login has twenty. */
const MAX_SEQUENCE = 2 ** 24;

const HEADER_BYTES = 5;
const TAG_BYTES = 16;
const NONCE_BYTES = 12;

/** The first record of `bytes` and what follows it. Undefined: it has not arrived whole. */
export function takeRecord(
  bytes: Buffer,
  protectedBy: '1.2' | '1.3' | 'nothing',
): { record: TlsRecord; rest: Buffer } | undefined {
  if (bytes.length >= 1) checkType(bytes.readUInt8(0));
  if (bytes.length >= 2 && bytes.readUInt8(1) !== 3)
    throw new TlsAlert('protocol_version', `record version ${bytes.readUInt8(1)}`);
  if (bytes.length < HEADER_BYTES) return undefined;

  const header = bytes.subarray(0, HEADER_BYTES);
  const type = header.readUInt8(0);
  const length = header.readUInt16BE(3);
  const isProtected = protectedBy !== 'nothing' && type !== contentTypes.changeCipherSpec;
  const limit = isProtected ? MAX_CIPHERTEXT_BYTES[protectedBy] : MAX_PLAINTEXT_BYTES;
  if (length > limit) throw new TlsAlert('record_overflow', `a record of ${length} bytes`);
  if (bytes.length < HEADER_BYTES + length) return undefined;

  const end = HEADER_BYTES + length;
  const record = { type, header, fragment: bytes.subarray(HEADER_BYTES, end) };
  return { record, rest: bytes.subarray(end) };
}

/** A record for everybody to read. */
export function plainRecord(type: number, content: Buffer): Buffer {
  return Buffer.concat([recordHeader(type, content.length), content]);
}

/** A record under these keys, whose sequence number moves on. */
export function protect(
  keys: RecordKeys,
  type: number,
  content: Buffer,
  observe?: ObserveRecord,
): Buffer {
  const suite = cipherSuite(keys.suite);
  const sequence = nextSequence(keys);
  const nonce = writeNonce(suite, keys.iv, sequence);
  const explicit = nonce.subarray(suite.ivBytes); // empty where the nonce is implicit
  const inner = suite.version === '1.3' ? Buffer.concat([content, Buffer.from([type])]) : content;

  const length = explicit.length + inner.length + TAG_BYTES;
  const header = recordHeader(
    suite.version === '1.3' ? contentTypes.applicationData : type,
    length,
  );
  const aad = suite.version === '1.3' ? header : additionalData(sequence, header, content.length);

  const options = { authTagLength: TAG_BYTES };
  const cipher = createCipheriv(
    suite.aead as 'aes-128-gcm',
    createSecretKey(keys.key),
    nonce,
    options,
  );
  cipher.setAAD(aad, { plaintextLength: inner.length });
  const ciphertext = Buffer.concat([cipher.update(inner), cipher.final(), cipher.getAuthTag()]);
  observe?.({ key: keys.key, sequence, ciphertext });
  return Buffer.concat([header, explicit, ciphertext]);
}

/** What the record says, if it comes from who has the keys; else a bad_record_mac. */
export function unprotect(keys: RecordKeys, record: TlsRecord): Plaintext {
  const suite = cipherSuite(keys.suite);
  const explicitBytes = NONCE_BYTES - suite.ivBytes;
  if (suite.version === '1.3' && record.type !== contentTypes.applicationData)
    throw new TlsAlert('unexpected_message', `an unprotected record of type ${record.type}`);
  const { fragment } = record;
  if (fragment.length < explicitBytes + TAG_BYTES)
    throw new TlsAlert('bad_record_mac', 'a protected record is too short');

  const nonce =
    explicitBytes > 0
      ? Buffer.concat([keys.iv, fragment.subarray(0, explicitBytes)])
      : writeNonce(suite, keys.iv, keys.sequence);
  const sealed = fragment.subarray(explicitBytes, fragment.length - TAG_BYTES);
  const aad =
    suite.version === '1.3'
      ? record.header
      : additionalData(keys.sequence, record.header, sealed.length);

  const options = { authTagLength: TAG_BYTES };
  const decipher = createDecipheriv(
    suite.aead as 'aes-128-gcm',
    createSecretKey(keys.key),
    nonce,
    options,
  );
  decipher.setAAD(aad, { plaintextLength: sealed.length });
  decipher.setAuthTag(fragment.subarray(fragment.length - TAG_BYTES));
  let content: Buffer;
  try {
    content = Buffer.concat([decipher.update(sealed), decipher.final()]);
  } catch {
    throw new TlsAlert('bad_record_mac', 'a record does not belong to this connection');
  }
  nextSequence(keys);

  const plaintext =
    suite.version === '1.3' ? innerPlaintext(content) : { type: record.type, content };
  if (plaintext.content.length > MAX_PLAINTEXT_BYTES)
    throw new TlsAlert('record_overflow', `a record with ${plaintext.content.length} bytes inside`);
  return plaintext;
}

/** The content, its type, and zeros that hide how long it is. RFC 8446 §5.2 and §5.4. */
function innerPlaintext(bytes: Buffer): Plaintext {
  if (bytes.length > MAX_PLAINTEXT_BYTES + 1)
    throw new TlsAlert('record_overflow', `a record with ${bytes.length} bytes inside`);
  let end = bytes.length - 1;
  while (end >= 0 && bytes[end] === 0) end--;
  if (end < 0) throw new TlsAlert('unexpected_message', 'a record has no type inside');
  return { type: bytes.readUInt8(end), content: bytes.subarray(0, end) };
}

/** TLS 1.2 GCM: salt, then the sequence number in the open. All others: the IV XOR the sequence number. */
function writeNonce(suite: CipherSuite, iv: Buffer, sequence: number): Buffer {
  const nonce = Buffer.allocUnsafe(NONCE_BYTES).fill(0);
  nonce.writeUIntBE(sequence, 6, 6);
  for (let i = 0; i < iv.length; i++) nonce[i] = (nonce[i] ?? 0) ^ (iv[i] ?? 0);
  return nonce;
}

/** RFC 5246 §6.2.3.3. */
function additionalData(sequence: number, header: Buffer, plaintextBytes: number): Buffer {
  const aad = Buffer.alloc(13);
  aad.writeUIntBE(sequence, 2, 6);
  header.copy(aad, 8, 0, 3);
  aad.writeUInt16BE(plaintextBytes, 11);
  return aad;
}

function nextSequence(keys: RecordKeys): number {
  if (keys.sequence >= MAX_SEQUENCE)
    throw new TlsAlert('internal_error', 'too many records under one key');
  return keys.sequence++;
}

/** The version in records has been 3.3 since TLS 1.2, whatever was negotiated. RFC 8446 §5.1. */
function recordHeader(type: number, length: number): Buffer {
  return Buffer.concat([Buffer.from([type, 3, 3]), uint16(length)]);
}

function checkType(type: number): void {
  if (type < contentTypes.changeCipherSpec || type > contentTypes.applicationData)
    throw new TlsAlert('unexpected_message', `there are no records of type ${type}`);
}
