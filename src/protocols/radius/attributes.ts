// Packets by name: for traces, tests, commands and whoever uses the library. RFC 2865 §5, RFC 2868
// (tags), RFC 6929 (extended attributes). The server's own path uses numbers: packet.ts, reply.ts.

import type { Secret } from './authenticator.ts';
import type { AttributeDefinition, Dictionary, Vendor } from './dictionary.ts';
import {
  AttributeType,
  attributeValue,
  concatAttribute,
  findAttribute,
  HEADER_BYTES,
  nextAttribute,
} from './packet.ts';
import type { Packet } from './packet.ts';
import { revealUserPassword, saltDecrypt } from './password.ts';
import { readValue, toHex } from './value.ts';
import type { ReadableValue } from './value.ts';

export type DecodedAttribute = {
  /** As the dictionary has it; `Attr-250` or `Attr-26.14988.99` for one it does not know. */
  name: string;
  /** The name of an enumerated value where there is one; `<hidden>` without the key to it. */
  value: ReadableValue;
  /** Which of several groups it belongs to, RFC 2868 §3.1. */
  tag?: number;
  /** The value as it came, without the tag. */
  raw: Buffer;
};

/** With it, passwords and keys are shown in clear: not for a log. */
export type DecodingKey = { secret: Secret; requestAuthenticator: Uint8Array };

/** Never throws. What does not follow its definition is shown as bytes. */
export function decodeAttributes(
  packet: Packet,
  dictionary: Dictionary,
  key?: DecodingKey,
): DecodedAttribute[] {
  const reader: Reader = { dictionary, key, decoded: [] };
  const concatenated = new Set<number>();
  let offset = HEADER_BYTES;
  while (offset < packet.bytes.length) {
    const type = packet.bytes.readUInt8(offset);
    const definition = dictionary.attributeAt(0, [type]);
    if (type === AttributeType.VendorSpecific) {
      readVendorSpecific(reader, attributeValue(packet, offset));
    } else if (definition?.type === 'extended') {
      readExtended(reader, [type], attributeValue(packet, offset));
    } else if (definition?.type === 'long-extended') {
      offset = readLongExtended(reader, packet, offset);
      continue;
    } else if (definition?.flags.includes('concat') === true) {
      if (!concatenated.has(type)) {
        readLeaf(reader, 0, [type], concatAttribute(packet, type) ?? Buffer.alloc(0));
      }
      concatenated.add(type);
    } else {
      readLeaf(reader, 0, [type], attributeValue(packet, offset));
    }
    offset = nextAttribute(packet, offset);
  }
  return reader.decoded;
}

export const HIDDEN = '<hidden>';

type Reader = {
  dictionary: Dictionary;
  key: DecodingKey | undefined;
  decoded: DecodedAttribute[];
};

function readLeaf(reader: Reader, vendorId: number, path: readonly number[], bytes: Buffer): void {
  const definition = reader.dictionary.attributeAt(vendorId, path);
  if (definition?.type === 'tlv') {
    const parts = splitTlvs(bytes);
    if (parts !== undefined) {
      for (const { type, value } of parts) readLeaf(reader, vendorId, [...path, type], value);
      return;
    }
  }
  if (definition === undefined) {
    const numbers = vendorId === 0 ? path : [AttributeType.VendorSpecific, vendorId, ...path];
    reader.decoded.push({ name: `Attr-${numbers.join('.')}`, value: toHex(bytes), raw: bytes });
    return;
  }
  reader.decoded.push(readDefined(reader, definition, bytes));
}

function readDefined(
  { dictionary, key }: Reader,
  definition: AttributeDefinition,
  bytes: Buffer,
): DecodedAttribute {
  const { name, type, flags } = definition;
  const { tag, raw } = flags.includes('tag') ? splitTag(definition, bytes) : { tag: 0, raw: bytes };
  const clear = decrypt(definition, raw, key);
  let value: ReadableValue = HIDDEN;
  if (clear !== undefined) {
    // A tagged integer keeps the lower 24 bits.
    const isShortened = flags.includes('tag') && type === 'integer' && clear.length === 3;
    const whole = isShortened ? Buffer.concat([Buffer.of(0), clear]) : clear;
    const read = readValue(type, whole);
    const named = typeof read === 'number' ? dictionary.valueName(name, read) : undefined;
    value = named ?? read;
  }
  return tag === 0 ? { name, value, raw } : { name, value, tag, raw };
}

/** Tag 0 means none. Above 0x1f it is the first byte of a text, except before a salt. */
function splitTag({ type, flags }: AttributeDefinition, bytes: Buffer) {
  const first = bytes[0];
  if (first === undefined) return { tag: 0, raw: bytes };
  const isAlwaysThere = type === 'integer' || flags.includes('salted');
  if (first > MAX_TAG && !isAlwaysThere) return { tag: 0, raw: bytes };
  return { tag: first > MAX_TAG ? 0 : first, raw: bytes.subarray(1) };
}

/** Undefined when it stays hidden. */
function decrypt({ flags }: AttributeDefinition, bytes: Buffer, key: DecodingKey | undefined) {
  if (flags.includes('ascend')) return undefined;
  if (flags.includes('hidden')) {
    return key && revealUserPassword(bytes, key.secret, key.requestAuthenticator);
  }
  if (flags.includes('salted')) {
    return key && saltDecrypt(bytes, key.secret, key.requestAuthenticator);
  }
  return bytes;
}

/** One that does not follow the vendor's format is kept as bytes; it is no reason to refuse a packet. */
function readVendorSpecific(reader: Reader, value: Buffer): void {
  if (value.length > 4) {
    const vendorId = value.readUInt32BE();
    const vendor = reader.dictionary.vendor(vendorId);
    const parts = splitTlvs(value.subarray(4), vendor);
    if (parts !== undefined && vendorId !== 0) {
      for (const part of parts) readLeaf(reader, vendorId, [part.type], part.value);
      return;
    }
  }
  reader.decoded.push({ name: 'Vendor-Specific', value: toHex(value), raw: value });
}

/** RFC 6929 §2.1: the first byte is a further type; type 26 brings a vendor and yet another type. */
function readExtended(reader: Reader, path: readonly number[], bytes: Buffer): void {
  const [first] = bytes;
  const isVendor = first === AttributeType.VendorSpecific && bytes.length > 5;
  if (first === undefined) readLeaf(reader, 0, path, bytes);
  else if (isVendor) {
    const vendorPath = [...path, first, bytes.readUInt32BE(1), bytes.readUInt8(5)];
    readLeaf(reader, 0, vendorPath, bytes.subarray(6));
  } else readLeaf(reader, 0, [...path, first], bytes.subarray(1));
}

/** RFC 6929 §2.2: a byte of flags after the type, whose highest bit says that more follows. */
function readLongExtended(reader: Reader, packet: Packet, start: number): number {
  const type = packet.bytes.readUInt8(start);
  const parts: Buffer[] = [];
  let extendedType: number | undefined;
  let offset = start;
  for (;;) {
    const value = attributeValue(packet, offset);
    const [partType, flags] = value;
    if (partType === undefined || flags === undefined) break;
    extendedType ??= partType;
    if (partType !== extendedType) break;
    parts.push(value.subarray(2));
    offset = nextAttribute(packet, offset);
    const isLast = (flags & MORE_FOLLOWS) === 0;
    if (isLast || findAttribute(packet, type, offset) !== offset) break;
  }
  if (extendedType === undefined) {
    readLeaf(reader, 0, [type], attributeValue(packet, start));
    return nextAttribute(packet, start);
  }
  readExtended(reader, [type], Buffer.concat([Buffer.of(extendedType), ...parts]));
  return offset;
}

/** Undefined when the lengths do not add up. */
function splitTlvs(bytes: Buffer, vendor?: Vendor): { type: number; value: Buffer }[] | undefined {
  const typeBytes = vendor?.typeBytes ?? 1;
  const lengthBytes = vendor?.lengthBytes ?? 1;
  const headerBytes = typeBytes + lengthBytes + (vendor?.hasContinuation === true ? 1 : 0);
  const parts: { type: number; value: Buffer }[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (at + headerBytes > bytes.length) return undefined;
    const type = bytes.readUIntBE(at, typeBytes);
    // Without a length the value is all that is left.
    const length =
      lengthBytes === 0 ? bytes.length - at : bytes.readUIntBE(at + typeBytes, lengthBytes);
    if (length < headerBytes || at + length > bytes.length) return undefined;
    parts.push({ type, value: bytes.subarray(at + headerBytes, at + length) });
    at += length;
  }
  return parts.length === 0 ? undefined : parts;
}

const MAX_TAG = 0x1f;
const MORE_FOLLOWS = 0x80;
