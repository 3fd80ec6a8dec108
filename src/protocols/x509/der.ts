// Strict DER: what certificates are written in. ITU-T X.690 §8, §10, §11.
// Reading is in place, without recursion: how deep a structure goes is decided by who reads it. Only
// DerError is thrown, and `parseDer` turns it into undefined. Writing is in der-writer.ts.

export const Tag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  objectIdentifier: 0x06,
  enumerated: 0x0a,
  utf8String: 0x0c,
  numericString: 0x12,
  printableString: 0x13,
  teletexString: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  visibleString: 0x1a,
  universalString: 0x1c,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
  /** [n] around primitive bytes, and [n] around further values. */
  context: (number: number) => 0x80 | number,
  contextConstructed: (number: number) => 0xa0 | number,
} as const;

export type DerValue = {
  readonly tag: number;
  /** A view. */
  readonly content: Buffer;
  /** With tag and length. A view. */
  readonly encoded: Buffer;
};

export type DerReader = {
  isAtEnd(): boolean;
  /** Undefined at the end. */
  nextTag(): number | undefined;
  /** The next value, whatever it is. */
  any(): DerValue;
  /** The next value, which must have this tag. */
  next(tag: number): DerValue;
  /** The next value if it has this tag. */
  optional(tag: number): DerValue | undefined;
  /** Nothing may be left. */
  end(): void;
};

/** The input is not what it should be. Never leaves this folder. */
export class DerError extends Error {
  override name = 'DerError';
}

/** Reads exactly one value that fills `bytes`. Undefined when anything in it is not as `read` wants it. */
export function parseDer<T>(bytes: Buffer, read: (value: DerValue) => T): T | undefined {
  try {
    return read(onlyValue(bytes));
  } catch (error) {
    if (error instanceof DerError) return undefined;
    throw error;
  }
}

/** The one value in `bytes`; nothing may follow it. */
export function onlyValue(bytes: Buffer): DerValue {
  const reader = derReader(bytes);
  const value = reader.any();
  reader.end();
  return value;
}

export function derReader(content: Buffer): DerReader {
  let offset = 0;
  const any = (): DerValue => {
    const value = valueAt(content, offset);
    offset += value.encoded.length;
    return value;
  };
  const optional = (tag: number): DerValue | undefined =>
    content[offset] === tag ? any() : undefined;
  return {
    isAtEnd: () => offset === content.length,
    nextTag: () => content[offset],
    any,
    optional,
    next(tag) {
      const value = optional(tag);
      if (value === undefined) throw new DerError(`expected tag ${tag}`);
      return value;
    },
    end() {
      if (offset !== content.length) throw new DerError('something follows');
    },
  };
}

/** Into a SEQUENCE, or into whatever else holds values. */
export function inside(value: DerValue, tag: number = Tag.sequence): DerReader {
  if (value.tag !== tag) throw new DerError(`expected tag ${tag}`);
  return derReader(value.content);
}

/** Each value of a SEQUENCE OF or SET OF. */
export function valuesIn(value: DerValue, tag: number = Tag.sequence): DerValue[] {
  const reader = inside(value, tag);
  const values: DerValue[] = [];
  while (!reader.isAtEnd()) values.push(reader.any());
  return values;
}

/** X.690 §8.1.2, §8.1.3, §10.1: one byte of tag, a definite length in as few bytes as possible. */
function valueAt(bytes: Buffer, start: number): DerValue {
  const tag = bytes[start];
  const first = bytes[start + 1];
  if (tag === undefined || first === undefined) throw new DerError('cut short');
  if ((tag & 0x1f) === 0x1f) throw new DerError('a tag of several bytes');

  let contentStart = start + 2;
  let length = first;
  if (first >= 0x80) {
    const lengthBytes = first & 0x7f;
    if (lengthBytes === 0) throw new DerError('indefinite length');
    if (lengthBytes > 4) throw new DerError('an absurd length');
    contentStart += lengthBytes;
    if (contentStart > bytes.length) throw new DerError('cut short');
    length = bytes.readUIntBE(start + 2, lengthBytes);
    const isShortest = length >= 0x80 && length >= 2 ** (8 * (lengthBytes - 1));
    if (!isShortest) throw new DerError('an overlong length');
  }
  const end = contentStart + length;
  if (end > bytes.length) throw new DerError('cut short');
  return { tag, content: bytes.subarray(contentStart, end), encoded: bytes.subarray(start, end) };
}

/** X.690 §11.1: true is 0xff and nothing else. */
export function readBoolean({ content }: DerValue): boolean {
  if (content.length !== 1) throw new DerError('not a boolean');
  if (content[0] === 0xff) return true;
  if (content[0] === 0x00) return false;
  throw new DerError('neither true nor false');
}

/** X.690 §8.3: two's complement in as few bytes as possible; ours are never negative. Without the sign byte. */
export function readUnsigned({ content }: DerValue): Buffer {
  const [first, second] = content;
  if (first === undefined || first >= 0x80) throw new DerError('not a number from 0');
  if (first !== 0 || second === undefined) return content;
  if (second < 0x80) throw new DerError('an overlong number');
  return content.subarray(1);
}

/** A number that JavaScript counts with. */
export function readSmallNumber(value: DerValue): number {
  const bytes = readUnsigned(value);
  if (bytes.length > 6) throw new DerError('a number too large');
  return bytes.readUIntBE(0, bytes.length);
}

/** A bit string of whole bytes, as keys and signatures are. */
export function readBytesOfBitString({ content }: DerValue): Buffer {
  if (content[0] !== 0) throw new DerError('not whole bytes');
  return content.subarray(1);
}

/** The numbers of the bits that are set. Zero bits at the end are borne: many write them. */
export function readNamedBits({ content }: DerValue): number[] {
  const unused = content[0];
  if (unused === undefined || unused > 7 || content.length > 5) throw new DerError('not bits');
  const bytes = content.subarray(1);
  const last = bytes.at(-1);
  if (last === undefined) {
    if (unused !== 0) throw new DerError('not bits');
    return [];
  }
  if ((last & ((1 << unused) - 1)) !== 0) throw new DerError('bits that are not used are set');
  const bits: number[] = [];
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    if (((bytes[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0) bits.push(bit);
  }
  return bits;
}

const MAX_OID_BYTES = 64;

/** X.690 §8.19. */
export function readObjectIdentifier({ content }: DerValue): string {
  const last = content.at(-1);
  if (last === undefined || last >= 0x80 || content.length > MAX_OID_BYTES) {
    throw new DerError('not an object identifier');
  }
  let text = '';
  let arc: number | bigint = 0;
  let isFirstByte = true;
  for (const byte of content) {
    if (isFirstByte && byte === 0x80) throw new DerError('an overlong object identifier');
    arc = withMoreBits(arc, byte & 0x7f);
    isFirstByte = byte < 0x80;
    if (!isFirstByte) continue;
    text += text === '' ? firstTwoArcs(arc) : `.${arc}`;
    arc = 0;
  }
  return text;
}

/** Numbers as long as they are exact: every certificate has twenty identifiers, and BigInt is slow. */
function withMoreBits(arc: number | bigint, bits: number): number | bigint {
  if (typeof arc === 'number' && arc < 2 ** 46) return arc * 128 + bits;
  return BigInt(arc) * 128n + BigInt(bits);
}

/** They share a number: the first is 0, 1 or 2, and the second below 40 unless the first is 2. */
function firstTwoArcs(both: number | bigint): string {
  if (typeof both === 'bigint') return `2.${both - 80n}`;
  const first = Math.min(Math.floor(both / 40), 2);
  return `${first}.${both - first * 40}`;
}

/** RFC 5280 §4.1.2.5: to the second, in UTC, and a year of two digits is one from 1950 to 2049. */
export function readTime({ tag, content }: DerValue): number {
  if (tag !== Tag.utcTime && tag !== Tag.generalizedTime) throw new DerError('not a time');
  const yearDigits = tag === Tag.utcTime ? 2 : 4;
  const isUtc = content.length === yearDigits + 11 && content.at(-1) === LETTER_Z;
  if (!isUtc) throw new DerError('not a time');
  const written = readDigits(content, 0, yearDigits);
  const year = tag === Tag.generalizedTime ? written : written + (written < 50 ? 2000 : 1900);
  const month = readDigits(content, yearDigits, 2);
  const day = readDigits(content, yearDigits + 2, 2);
  const hour = readDigits(content, yearDigits + 4, 2);
  const minute = readDigits(content, yearDigits + 6, 2);
  const second = readDigits(content, yearDigits + 8, 2);
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second);
  const isReal =
    date.getUTCMonth() === month - 1 &&
    date.getUTCDate() === day &&
    hour < 24 &&
    minute < 60 &&
    second < 60;
  if (!isReal) throw new DerError('no such moment');
  return date.getTime();
}

const LETTER_Z = 0x5a;
const DIGIT_0 = 0x30;

function readDigits(content: Buffer, offset: number, count: number): number {
  let number = 0;
  for (let at = offset; at < offset + count; at += 1) {
    const digit = (content[at] ?? 0) - DIGIT_0;
    if (digit < 0 || digit > 9) throw new DerError('not a digit');
    number = number * 10 + digit;
  }
  return number;
}
