// The presentation language of TLS: numbers and vectors with a length in front. RFC 8446 §3.
// A reader never reads past its end and a bad length is an alert, so parsers need no checks of their own.

import type { AlertName } from './engine.ts';

/**
 * Ends the connection with an alert. Thrown where a message is found wrong; caught in server.ts alone,
 * which turns it into a value.
 */
export class TlsAlert extends Error {
  readonly alert: AlertName;

  constructor(alert: AlertName, detail: string) {
    super(detail);
    this.alert = alert;
  }
}

/** How many bytes a vector may have. Without `max` its length field decides. */
type Bounds = { min?: number; max?: number };

export type Reader = ReturnType<typeof createReader>;

export function createReader(bytes: Buffer, what: string) {
  let offset = 0;

  /** Where the next `length` bytes begin. */
  function pass(length: number): number {
    const start = offset;
    if (start + length > bytes.length) throw new TlsAlert('decode_error', `${what} ends too early`);
    offset = start + length;
    return start;
  }

  function take(length: number): Buffer {
    const start = pass(length);
    return bytes.subarray(start, offset);
  }

  const number = (width: 1 | 2 | 3 | 4) => bytes.readUIntBE(pass(width), width);

  function vector(width: 1 | 2 | 3, { min = 0, max }: Bounds = {}): Buffer {
    const length = number(width);
    if (length < min || (max !== undefined && length > max))
      throw new TlsAlert('decode_error', `${what} has a vector of ${length} bytes`);
    return take(length);
  }

  return {
    uint8: () => number(1),
    uint16: () => number(2),
    uint24: () => number(3),
    uint32: () => number(4),
    bytes: take,
    vector8: (bounds?: Bounds) => vector(1, bounds),
    vector16: (bounds?: Bounds) => vector(2, bounds),
    vector24: (bounds?: Bounds) => vector(3, bounds),
    isAtEnd: () => offset === bytes.length,
    offset: () => offset,
    /** Nothing may follow. */
    end(): void {
      if (offset !== bytes.length) throw new TlsAlert('decode_error', `${what} is too long`);
    },
  };
}

/** The 16-bit numbers that fill `bytes`: cipher suites, groups, signature algorithms. */
export function readUint16List(bytes: Buffer, what: string): number[] {
  if (bytes.length % 2 !== 0) throw new TlsAlert('decode_error', `${what} ends too early`);
  const list: number[] = [];
  for (let offset = 0; offset < bytes.length; offset += 2) list.push(bytes.readUInt16BE(offset));
  return list;
}

export const uint8 = (value: number) => unsigned(value, 1);
export const uint16 = (value: number) => unsigned(value, 2);
export const uint24 = (value: number) => unsigned(value, 3);
export const uint32 = (value: number) => unsigned(value, 4);

/** The parts, one after the other, with their common length in front. */
export const vector8 = (...parts: readonly Buffer[]) => prefixed(1, parts);
export const vector16 = (...parts: readonly Buffer[]) => prefixed(2, parts);
export const vector24 = (...parts: readonly Buffer[]) => prefixed(3, parts);

function unsigned(value: number, width: number): Buffer {
  const bytes = Buffer.allocUnsafe(width);
  bytes.writeUIntBE(value, 0, width);
  return bytes;
}

function prefixed(width: number, parts: readonly Buffer[]): Buffer {
  let length = 0;
  for (const part of parts) length += part.length;
  return Buffer.concat([unsigned(length, width), ...parts], width + length);
}
