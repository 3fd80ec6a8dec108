// How TLS 1.3 makes keys out of secrets. RFC 8446 §7.
// Pure: which transcript counts when, the handshake knows.

import type { CipherSuite } from './cipher-suites.ts';
import type { RecordKeys } from './connection.ts';
import { digest, hmac } from './hmac.ts';
import { uint16, uint8, vector8 } from './wire.ts';

export type Hash = CipherSuite['hash'];

const hashBytes: Readonly<Record<Hash, 32 | 48>> = { sha256: 32, sha384: 48 };

export function transcriptHash(hash: Hash, transcript: Buffer): Buffer {
  return digest(hash, transcript);
}

/** HKDF-Extract. */
function extract(hash: Hash, salt: Buffer, input: Buffer): Buffer {
  return hmac(hash, salt, input);
}

/** HKDF-Expand-Label. RFC 8446 §7.1. */
function expandLabel(
  hash: Hash,
  secret: Buffer,
  label: string,
  context: Buffer,
  length: number,
): Buffer {
  const info = Buffer.concat([
    uint16(length),
    vector8(Buffer.from(`tls13 ${label}`, 'latin1')),
    vector8(context),
  ]);
  const first = hmac(hash, secret, Buffer.concat([info, uint8(1)]));
  if (length <= first.length) return first.subarray(0, length);
  const parts = [first];
  let last = first;
  for (let made = first.length; made < length; made += last.length) {
    last = hmac(hash, secret, Buffer.concat([last, info, uint8(parts.length + 1)]));
    parts.push(last);
  }
  return Buffer.concat(parts, length);
}

/** Derive-Secret, of a transcript that is hashed already. */
export function deriveSecret(hash: Hash, secret: Buffer, label: string, hashed: Buffer): Buffer {
  return expandLabel(hash, secret, label, hashed, hashBytes[hash]);
}

const zeros = (hash: Hash) => Buffer.alloc(hashBytes[hash]);

const emptyHashes: Readonly<Record<Hash, Buffer>> = {
  sha256: transcriptHash('sha256', Buffer.alloc(0)),
  sha384: transcriptHash('sha384', Buffer.alloc(0)),
};

const withoutTicket: Readonly<Record<Hash, Buffer>> = {
  sha256: extract('sha256', zeros('sha256'), zeros('sha256')),
  sha384: extract('sha384', zeros('sha384'), zeros('sha384')),
};

export function earlySecret(hash: Hash, psk?: Buffer): Buffer {
  return psk === undefined ? withoutTicket[hash] : extract(hash, zeros(hash), psk);
}

/** What the client proves that it has the secret of its ticket with. */
export function binderKey(hash: Hash, early: Buffer): Buffer {
  return deriveSecret(hash, early, 'res binder', emptyHashes[hash]);
}

export function handshakeSecret(hash: Hash, early: Buffer, shared: Buffer): Buffer {
  return extract(hash, deriveSecret(hash, early, 'derived', emptyHashes[hash]), shared);
}

export function masterSecret(hash: Hash, handshake: Buffer): Buffer {
  return extract(hash, deriveSecret(hash, handshake, 'derived', emptyHashes[hash]), zeros(hash));
}

/** The keys of one direction. §7.3. */
export function recordKeys(suite: CipherSuite, trafficSecret: Buffer): RecordKeys {
  const nothing = Buffer.alloc(0);
  return {
    suite: suite.name,
    key: expandLabel(suite.hash, trafficSecret, 'key', nothing, suite.keyBytes),
    iv: expandLabel(suite.hash, trafficSecret, 'iv', nothing, suite.ivBytes),
    sequence: 0,
  };
}

/** After a KeyUpdate. §7.2. */
export function nextTrafficSecret(hash: Hash, trafficSecret: Buffer): Buffer {
  return expandLabel(hash, trafficSecret, 'traffic upd', Buffer.alloc(0), hashBytes[hash]);
}

/** What a Finished, or a binder, says about a transcript. §4.4.4. */
export function finishedData(hash: Hash, baseKey: Buffer, hashed: Buffer): Buffer {
  const key = expandLabel(hash, baseKey, 'finished', Buffer.alloc(0), hashBytes[hash]);
  return hmac(hash, key, hashed);
}

/** The secret of one ticket. §4.6.1. */
export function ticketSecret(hash: Hash, resumption: Buffer, nonce: Buffer): Buffer {
  return expandLabel(hash, resumption, 'resumption', nonce, hashBytes[hash]);
}

/** §7.5. Here no context and an empty one are the same. */
export function exportKeyingMaterial(
  hash: Hash,
  exporterSecret: Buffer,
  label: string,
  length: number,
  context: Buffer = Buffer.alloc(0),
): Buffer {
  const secret = deriveSecret(hash, exporterSecret, label, emptyHashes[hash]);
  return expandLabel(hash, secret, 'exporter', transcriptHash(hash, context), length);
}
