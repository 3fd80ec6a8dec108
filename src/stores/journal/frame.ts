// The bytes of the journal: a segment begins with a header, then one frame per record.
// Pure: what to do about damage is for recovery.ts and reader.ts to say.
//
//   header  8 bytes 'EVGJRNL1', 4 salt, 4 checksum of the first 12
//   frame   4 bytes marker, 4 checksum, 4 length of the payload, 8 sequence, payload
//
// The checksum is CRC-32 over all that follows it, begun with the salt. The salt is random for each
// opening of the journal: nobody can send a payload that reads as a frame when damage before it
// makes us look for the next one, and old blocks of the disk are not taken for records.

import { crc32 } from 'node:zlib';

export const SEGMENT_HEADER_BYTES = 16;
export const FRAME_HEADER_BYTES = 20;
export const MAX_PAYLOAD_BYTES = 256 * 1024;
export const MAX_FRAME_BYTES = FRAME_HEADER_BYTES + MAX_PAYLOAD_BYTES;

const SEGMENT_MAGIC = Buffer.from('EVGJRNL1');
const MARKER = Buffer.from('\n#R\n');
const MARKER_NUMBER = MARKER.readUInt32BE();

export type Frame =
  | { kind: 'record'; payload: Buffer; sequence: number; end: number }
  /** The bytes end before the frame does. */
  | { kind: 'cut' }
  | { kind: 'corrupt' };

export function writeFrame(
  into: Buffer,
  at: number,
  record: { payload: Uint8Array; sequence: number; salt: number },
): number {
  const end = at + FRAME_HEADER_BYTES + record.payload.length;
  into.writeUInt32BE(MARKER_NUMBER, at);
  into.writeUInt32BE(record.payload.length, at + 8);
  into.writeUInt32BE(Math.floor(record.sequence / 2 ** 32), at + 12);
  into.writeUInt32BE(record.sequence >>> 0, at + 16);
  into.set(record.payload, at + FRAME_HEADER_BYTES);
  into.writeUInt32BE(crc32(into.subarray(at + 8, end), record.salt), at + 4);
  return end;
}

export function frameAt(bytes: Buffer, at: number, salt: number): Frame {
  if (bytes.length - at < FRAME_HEADER_BYTES) return { kind: 'cut' };
  const length = bytes.readUInt32BE(at + 8);
  if (bytes.readUInt32BE(at) !== MARKER_NUMBER || length > MAX_PAYLOAD_BYTES) {
    return { kind: 'corrupt' };
  }
  const end = at + FRAME_HEADER_BYTES + length;
  if (end > bytes.length) return { kind: 'cut' };
  if (crc32(bytes.subarray(at + 8, end), salt) !== bytes.readUInt32BE(at + 4)) {
    return { kind: 'corrupt' };
  }
  return {
    kind: 'record',
    payload: bytes.subarray(at + FRAME_HEADER_BYTES, end),
    sequence: bytes.readUInt32BE(at + 12) * 2 ** 32 + bytes.readUInt32BE(at + 16),
    end,
  };
}

/** Where the next whole record begins, at `from` or later; the end of the bytes if there is none. */
export function nextRecord(bytes: Buffer, from: number, salt: number): number {
  let at = bytes.indexOf(MARKER, from);
  while (at !== -1 && frameAt(bytes, at, salt).kind !== 'record') {
    at = bytes.indexOf(MARKER, at + 1);
  }
  return at === -1 ? bytes.length : at;
}

export function segmentHeader(salt: number): Buffer {
  const header = Buffer.alloc(SEGMENT_HEADER_BYTES);
  SEGMENT_MAGIC.copy(header);
  header.writeUInt32BE(salt, 8);
  header.writeUInt32BE(crc32(header.subarray(0, 12)), 12);
  return header;
}

/** Undefined: not the beginning of a segment. */
export function saltOf(header: Buffer): number | undefined {
  if (header.length < SEGMENT_HEADER_BYTES || !header.subarray(0, 8).equals(SEGMENT_MAGIC)) {
    return undefined;
  }
  return crc32(header.subarray(0, 12)) === header.readUInt32BE(12)
    ? header.readUInt32BE(8)
    : undefined;
}
