// Writes DER: the parts of which certificates and revocation lists are made. ITU-T X.690.
// Lengths and numbers come out in their shortest form, as DER demands.

import { Tag } from './der.ts';

export function write(tag: number, ...contents: Buffer[]): Buffer {
  const length = contents.reduce((sum, content) => sum + content.length, 0);
  return Buffer.concat([Buffer.of(tag), writeLength(length), ...contents]);
}

export const writeSequence = (...values: Buffer[]): Buffer => write(Tag.sequence, ...values);
export const writeOctetString = (bytes: Buffer): Buffer => write(Tag.octetString, bytes);
export const writeUtf8String = (text: string): Buffer => write(Tag.utf8String, Buffer.from(text));
export const writeTrue = (): Buffer => write(Tag.boolean, Buffer.of(0xff));
export const writeNull = (): Buffer => write(Tag.null);

/** [n] around whole values. */
export const writeExplicit = (number: number, ...values: Buffer[]): Buffer =>
  write(Tag.contextConstructed(number), ...values);

/** [n] instead of the tag of a primitive value. */
export const writeImplicit = (number: number, content: Buffer): Buffer =>
  write(Tag.context(number), content);

/** SET OF: in ascending order of the encodings. X.690 §11.6 */
export const writeSet = (...values: Buffer[]): Buffer =>
  write(Tag.set, ...values.toSorted((one, other) => Buffer.compare(one, other)));

/** A number from 0: big-endian bytes, of any length. */
export function writeUnsigned(value: Buffer | number, tag: number = Tag.integer): Buffer {
  const bytes = typeof value === 'number' ? bytesOf(value) : value;
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start += 1;
  const shortest = bytes.subarray(start);
  const needsSign = (shortest[0] ?? 0) >= 0x80 || shortest.length === 0;
  return needsSign ? write(tag, Buffer.of(0), shortest) : write(tag, shortest);
}

export const writeBitString = (bytes: Buffer): Buffer => write(Tag.bitString, Buffer.of(0), bytes);

/** The bits with these numbers are set. X.690 §11.2.2: no zero bits at the end. */
export function writeNamedBits(numbers: readonly number[]): Buffer {
  const highest = Math.max(-1, ...numbers);
  const bytes = Buffer.alloc((highest + 8) >> 3);
  for (const number of numbers)
    bytes[number >> 3] = (bytes[number >> 3] ?? 0) | (0x80 >> (number & 7));
  const unused = bytes.length * 8 - (highest + 1);
  return write(Tag.bitString, Buffer.of(unused), bytes);
}

export function writeObjectIdentifier(identifier: string): Buffer {
  const [root = 0, second = 0, ...rest] = identifier.split('.').map(Number);
  const arcs = [root * 40 + second, ...rest];
  return write(Tag.objectIdentifier, Buffer.from(arcs.flatMap(arcBytes)));
}

/** RFC 5280 §4.1.2.5: two digits of the year through 2049, four from then on. */
export function writeTime(timeMs: number): Buffer {
  const digits = new Date(timeMs).toISOString().replaceAll(/\.\d+|[-:T]/g, '');
  const hasTwoDigits = digits >= '1950' && digits < '2050';
  return hasTwoDigits
    ? write(Tag.utcTime, Buffer.from(digits.slice(2)))
    : write(Tag.generalizedTime, Buffer.from(digits));
}

function writeLength(length: number): Buffer {
  if (length < 0x80) return Buffer.of(length);
  const bytes = bytesOf(length);
  return Buffer.concat([Buffer.of(0x80 | bytes.length), bytes]);
}

function bytesOf(value: number): Buffer {
  const hex = value.toString(16);
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
}

function arcBytes(arc: number): number[] {
  const bytes = [arc % 128];
  for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128)) {
    bytes.unshift(0x80 | (rest % 128));
  }
  return bytes;
}
