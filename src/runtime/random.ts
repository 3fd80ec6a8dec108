// Chance. The system's is cryptographic; a simulation hands over a seeded one instead.

import { randomBytes } from 'node:crypto';

export type Random = {
  bytes(count: number): Buffer;
  /** At least 0, less than 1. */
  fraction(): number;
};

/** Asked for one by one, small numbers of bytes cost 1.5 µs each, and a login by EAP takes a dozen. */
const POOL_BYTES = 4096;
const LARGE_BYTES = 256;

export function systemRandom(): Random {
  let pool = Buffer.alloc(0);
  let used = 0;

  /** Each byte is given out once; what was given out belongs to whoever has it. */
  function bytes(count: number): Buffer {
    if (count > LARGE_BYTES) return randomBytes(count);
    if (used + count > pool.length) {
      pool = randomBytes(POOL_BYTES);
      used = 0;
    }
    used += count;
    return pool.subarray(used - count, used);
  }

  return {
    bytes,
    fraction: () => bytes(4).readUInt32BE() / 2 ** 32,
  };
}

/** A time-ordered identifier: UUID version 7, RFC 9562 §5.7. */
export function timeOrderedId(random: Random, nowMs: number): string {
  const bytes = random.bytes(16);
  bytes.writeUIntBE(nowMs, 0, 6);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x70, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
