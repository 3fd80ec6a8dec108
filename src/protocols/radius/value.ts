// One value between its bytes and what a person writes, by data type. RFC 8044. Names of values,
// tags and encryption belong to attributes.ts.

import { isUtf8 } from 'node:buffer';
import type { ValueType } from './dictionary.ts';
import { formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from './ip-address.ts';

/** 64-bit numbers are decimal text, which JSON keeps; bytes are `0x` and hexadecimal digits. */
export type ReadableValue = string | number;

/** A Uint8Array always means these very bytes, whatever the type. */
export type WritableValue = string | number | bigint | Uint8Array;

/** Bytes that do not fit the type are shown in hexadecimal: a trace never loses what was there. */
export function readValue(type: ValueType, bytes: Buffer): ReadableValue {
  return READERS[type]?.(bytes) ?? toHex(bytes);
}

/** Throws a RangeError that names the type when the value does not fit it. */
export function writeValue(type: ValueType, value: WritableValue): Buffer {
  if (value instanceof Uint8Array) return Buffer.from(value);
  if (type === 'string') return Buffer.from(String(value));
  const hex = /^0x((?:[0-9a-f]{2})*)$/i.exec(String(value))?.[1];
  if (hex !== undefined) return Buffer.from(hex, 'hex');

  const bytes = WRITERS[type]?.(value);
  if (bytes === undefined) throw new RangeError(`${String(value)} is not a value of type ${type}`);
  return bytes;
}

export function toHex(bytes: Buffer): string {
  return `0x${bytes.toString('hex')}`;
}

type Reader = (bytes: Buffer) => ReadableValue | undefined;
type Writer = (value: string | number | bigint) => Buffer | undefined;

const READERS: Partial<Record<ValueType, Reader>> = {
  string: (bytes) => (isUtf8(bytes) ? bytes.toString() : undefined),
  integer: sized(4, (bytes) => bytes.readUInt32BE()),
  integer64: sized(8, (bytes) => bytes.readBigUInt64BE().toString()),
  short: sized(2, (bytes) => bytes.readUInt16BE()),
  byte: sized(1, (bytes) => bytes.readUInt8()),
  signed: sized(4, (bytes) => bytes.readInt32BE()),
  date: sized(4, (bytes) => formatDate(bytes.readUInt32BE())),
  ipaddr: sized(4, formatIpv4),
  ipv6addr: sized(16, formatIpv6),
  'combo-ip': (bytes) => (bytes.length === 4 ? formatIpv4(bytes) : sized(16, formatIpv6)(bytes)),
  ipv4prefix: (bytes) => readPrefix(bytes, 4),
  ipv6prefix: (bytes) => readPrefix(bytes, 16),
  ifid: sized(8, (bytes) => bytes.toString('hex').replaceAll(/(....)(?=.)/g, '$1:')),
  ether: sized(6, (bytes) => bytes.toString('hex').replaceAll(/(..)(?=.)/g, '$1:')),
};

const WRITERS: Partial<Record<ValueType, Writer>> = {
  octets: (value) => (typeof value === 'string' ? Buffer.from(value) : undefined),
  integer: (value) => writeUnsigned(value, 4),
  integer64: (value) => writeUnsigned(value, 8),
  short: (value) => writeUnsigned(value, 2),
  byte: (value) => writeUnsigned(value, 1),
  signed: writeSigned,
  date: (value) => writeUnsigned(typeof value === 'string' ? parseDate(value) : value, 4),
  ipaddr: (value) => writeIpv4(String(value)),
  ipv6addr: (value) => parseIpv6(String(value)),
  'combo-ip': (value) => writeIpv4(String(value)) ?? parseIpv6(String(value)),
  ipv4prefix: (value) => writePrefix(String(value), 4),
  ipv6prefix: (value) => writePrefix(String(value), 16),
  ifid: (value) => writeHexGroups(String(value), /^[0-9a-f]{4}(:[0-9a-f]{4}){3}$/i),
  ether: (value) => writeHexGroups(String(value), /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i),
};

function sized<T>(length: number, read: (bytes: Buffer) => T) {
  return (bytes: Buffer): T | undefined => (bytes.length === length ? read(bytes) : undefined);
}

function writeUnsigned(value: string | number | bigint | undefined, size: number) {
  const number = toInteger(value);
  if (number === undefined || number < 0n || number >= 1n << BigInt(8 * size)) return undefined;
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(number);
  return bytes.subarray(8 - size);
}

function writeSigned(value: string | number | bigint): Buffer | undefined {
  const number = toInteger(value);
  if (number === undefined || number < -(2n ** 31n) || number >= 2n ** 31n) return undefined;
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(Number(number));
  return bytes;
}

function toInteger(value: string | number | bigint | undefined): bigint | undefined {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : undefined;
  return value !== undefined && /^-?\d{1,20}$/.test(value) ? BigInt(value) : undefined;
}

function formatDate(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
}

/** ISO 8601, or seconds since 1970. */
function parseDate(text: string): number | undefined {
  if (/^\d+$/.test(text)) return Number(text);
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : Math.floor(ms / 1000);
}

function writeIpv4(text: string): Buffer | undefined {
  const address = parseIpv4(text);
  return address === -1 ? undefined : writeUnsigned(address, 4);
}

/** A reserved byte, the length in bits, and as many bytes of the prefix as were sent. RFC 3162 §2.3. */
function readPrefix(bytes: Buffer, size: 4 | 16): string | undefined {
  const bits = bytes[1];
  if (bits === undefined || bits > size * 8 || bytes.length > 2 + size) return undefined;
  if (bytes.length < 2 + Math.ceil(bits / 8)) return undefined;
  const address = Buffer.alloc(size);
  bytes.copy(address, 0, 2);
  return `${size === 4 ? formatIpv4(address) : formatIpv6(address)}/${bits}`;
}

function writePrefix(text: string, size: 4 | 16): Buffer | undefined {
  const [address = '', length] = text.split('/');
  const bytes = size === 4 ? writeIpv4(address) : parseIpv6(address);
  const bits = length === undefined ? size * 8 : Number(length);
  if (bytes === undefined || !Number.isInteger(bits) || bits < 0 || bits > size * 8) {
    return undefined;
  }
  return Buffer.concat([Buffer.of(0, bits), bytes]);
}

function writeHexGroups(text: string, shape: RegExp): Buffer | undefined {
  return shape.test(text) ? Buffer.from(text.replaceAll(':', ''), 'hex') : undefined;
}
