// How TLS 1.2 makes keys out of secrets: PRF, master secret, key block, Finished, exporter. RFC 5246 §5,
// §6.3, §7.4.9; RFC 7627; RFC 5705. TEAP makes its own keys with `prf` under every version of TLS.
// Pure: which secret and which transcript, the handshake knows.

import { type HmacHash, hmac } from './hmac.ts';

export type PrfHash = HmacHash;

const MASTER_SECRET_BYTES = 48;
const VERIFY_DATA_BYTES = 12;
/** The longest context that an exporter can carry: its length is written in two bytes. */
const MAX_CONTEXT_BYTES = 0xffff;

/** PRF(secret, label, seed), cut to `length`. */
export function prf(
  hash: PrfHash,
  secret: Buffer,
  label: string,
  seed: Buffer,
  length: number,
): Buffer {
  return pHash(hash, secret, Buffer.concat([Buffer.from(label, 'ascii'), seed]), length);
}

/** P_hash(secret, seed): HMAC(A(1) + seed) + HMAC(A(2) + seed) + … where A(n) = HMAC(A(n-1)). */
export function pHash(hash: PrfHash, secret: Buffer, seed: Buffer, length: number): Buffer {
  const parts: Buffer[] = [];
  let a = seed;
  for (let made = 0; made < length;) {
    a = hmac(hash, secret, a);
    const part = hmac(hash, secret, Buffer.concat([a, seed]));
    parts.push(part);
    made += part.length;
  }
  return Buffer.concat(parts, length);
}

/**
 * Bound to everything said so far, so that no attacker can make two connections share it.
 * `sessionHash`: of all messages up to and with ClientKeyExchange. RFC 7627 §4.
 */
export function extendedMasterSecret(
  hash: PrfHash,
  preMasterSecret: Buffer,
  sessionHash: Buffer,
): Buffer {
  return prf(hash, preMasterSecret, 'extended master secret', sessionHash, MASTER_SECRET_BYTES);
}

export type Randoms = { clientRandom: Buffer; serverRandom: Buffer };

export type TrafficKeys = {
  clientKey: Buffer;
  serverKey: Buffer;
  /** GCM: the 4-byte salt. ChaCha20-Poly1305: all 12 bytes. */
  clientIv: Buffer;
  serverIv: Buffer;
};

/** RFC 5246 §6.3. AEAD needs no MAC keys. */
export function keyBlock(
  hash: PrfHash,
  masterSecret: Buffer,
  { clientRandom, serverRandom }: Randoms,
  { keyBytes, ivBytes }: { keyBytes: number; ivBytes: number },
): TrafficKeys {
  // The server's random comes first here, and second everywhere else.
  const seed = Buffer.concat([serverRandom, clientRandom]);
  const block = prf(hash, masterSecret, 'key expansion', seed, 2 * (keyBytes + ivBytes));
  const ivs = 2 * keyBytes;
  return {
    clientKey: block.subarray(0, keyBytes),
    serverKey: block.subarray(keyBytes, ivs),
    clientIv: block.subarray(ivs, ivs + ivBytes),
    serverIv: block.subarray(ivs + ivBytes),
  };
}

/** What Finished says. `transcriptHash`: of all handshake messages before it. RFC 5246 §7.4.9. */
export function finishedData(
  hash: PrfHash,
  masterSecret: Buffer,
  side: 'client' | 'server',
  transcriptHash: Buffer,
): Buffer {
  return prf(hash, masterSecret, `${side} finished`, transcriptHash, VERIFY_DATA_BYTES);
}

/** RFC 5705 §4. Without a context is not the same as with an empty one. */
export function exportKeyingMaterial(
  hash: PrfHash,
  masterSecret: Buffer,
  { clientRandom, serverRandom }: Randoms,
  label: string,
  length: number,
  context?: Buffer,
): Buffer {
  const seed = [clientRandom, serverRandom];
  if (context !== undefined) {
    if (context.length > MAX_CONTEXT_BYTES)
      throw new RangeError('the exporter context is too long');
    const contextLength = Buffer.alloc(2);
    contextLength.writeUInt16BE(context.length);
    seed.push(contextLength, context);
  }
  return prf(hash, masterSecret, label, Buffer.concat(seed), length);
}
