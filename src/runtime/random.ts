// Chance. The system's is cryptographic; a simulation hands over a seeded one instead.

import { randomBytes } from 'node:crypto';

export type Random = {
  bytes(count: number): Buffer;
  /** At least 0, less than 1. */
  fraction(): number;
};

export function systemRandom(): Random {
  return {
    bytes: (count) => randomBytes(count),
    fraction: () => randomBytes(4).readUInt32BE() / 2 ** 32,
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
