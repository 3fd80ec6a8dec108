// Reading and making the 40-byte path of a datagram (network.ts describes it). Addresses stay
// numbers on the hot path; text is for the log, the console and for people who type an address.

import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { PATH_BYTES } from '../network.ts';

const MAPPED_PREFIX = Buffer.from('00000000000000000000ffff', 'hex');
const PORT = 16;
const LOCAL = 20;
const INTERFACE = 36;

/** `10.0.0.1`, also for an IPv4 address that came through an IPv6 socket, or IPv6 as RFC 5952 writes it. */
export function sourceAddress(path: Uint8Array, offset = 0): string {
  return addressText(path.subarray(offset, offset + 16));
}

export function sourcePort(path: Uint8Array, offset = 0): number {
  return ((path[offset + PORT] ?? 0) << 8) | (path[offset + PORT + 1] ?? 0);
}

/** The IPv4 address as a number, 10.0.0.1 being 0x0a000001; -1 for IPv6. */
export function sourceIpv4(path: Uint8Array, offset = 0): number {
  if (!isIpv4(path, offset)) return -1;
  return (
    (path[offset + 12] ?? 0) * 0x1000000 +
    (((path[offset + 13] ?? 0) << 16) | ((path[offset + 14] ?? 0) << 8) | (path[offset + 15] ?? 0))
  );
}

export function isIpv4(path: Uint8Array, offset = 0): boolean {
  if (path[offset + 10] !== 0xff || path[offset + 11] !== 0xff) return false;
  for (let i = offset; i < offset + 10; i++) if (path[i] !== 0) return false;
  return true;
}

/**
 * The path that leads to an address, for whoever sends first: a load generator, a simulated router.
 * The kernel chooses the address it leaves from, unless `local` says which.
 */
export function pathTo(address: string, port: number, local?: string): Buffer {
  const path = Buffer.alloc(PATH_BYTES);
  writeAddress(path, 0, address);
  path.writeUInt16BE(port, PORT);
  path.writeUInt32BE(interfaceIndex(address), INTERFACE);
  if (local !== undefined) writeAddress(path, LOCAL, local);
  return path;
}

/** For an engine that learns addresses as text. `interfaceIndex` matters to link-local IPv6 alone. */
export function writePath(
  path: Buffer,
  sender: { address: string; port: number },
  local: Uint8Array,
  interfaceIndex: number,
): void {
  writeAddress(path, 0, sender.address);
  path.writeUInt16BE(sender.port, PORT);
  path.writeUInt16BE(0, PORT + 2);
  path.set(local, LOCAL);
  path.writeUInt32BE(interfaceIndex, INTERFACE);
}

/** Our own address that was asked, 16 bytes; all zero in what `pathTo` made. */
export function localAddress(path: Uint8Array): Uint8Array {
  return path.subarray(LOCAL, LOCAL + 16);
}

/** The sixteen bytes of an address that a person or the system wrote. */
export function addressBytes(text: string): Buffer {
  const bytes = Buffer.alloc(16);
  writeAddress(bytes, 0, text);
  return bytes;
}

function writeAddress(into: Buffer, at: number, text: string): void {
  const [address = ''] = text.split('%');
  const family = isIP(address);
  if (family === 0) throw new Error(`"${text}" is not an IP address`);
  if (family === 4) {
    MAPPED_PREFIX.copy(into, at);
    writeIpv4(into, at + 12, address);
    return;
  }
  into.fill(0, at, at + 16);
  const [head = '', tail] = address.split('::');
  writeGroups(into, at, head);
  if (tail !== undefined) writeGroups(into, at + 16 - groupBytes(tail), tail);
}

/** Of the zone in `fe80::1%eth0`; 0 without one. */
function interfaceIndex(address: string): number {
  const zone = address.split('%')[1];
  if (zone === undefined) return 0;
  for (const entry of networkInterfaces()[zone] ?? []) {
    if (entry.family === 'IPv6') return entry.scopeid || 0;
  }
  throw new Error(`"${address}" names an interface that this machine does not have`);
}

function writeIpv4(into: Buffer, at: number, text: string): void {
  text.split('.').forEach((part, i) => into.writeUInt8(Number(part), at + i));
}

/** `a:b` or `a:b:1.2.3.4`, from `at` on. */
function writeGroups(into: Buffer, at: number, text: string): void {
  let end = at;
  for (const group of text.split(':')) {
    if (group === '') continue;
    if (group.includes('.')) writeIpv4(into, end, group);
    else into.writeUInt16BE(Number.parseInt(group, 16), end);
    end += group.includes('.') ? 4 : 2;
  }
}

function groupBytes(text: string): number {
  if (text === '') return 0;
  return text.split(':').length * 2 + (text.includes('.') ? 2 : 0);
}

function addressText(bytes: Uint8Array): string {
  if (isIpv4(bytes)) return bytes.subarray(12).join('.');
  const groups = Array.from({ length: 8 }, (_, i) =>
    (((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0)).toString(16),
  );
  const zeros = longestZeros(groups);
  if (zeros.length < 2) return groups.join(':'); // RFC 5952 §4.2.2: one group is not shortened
  const head = groups.slice(0, zeros.start).join(':');
  return `${head}::${groups.slice(zeros.start + zeros.length).join(':')}`;
}

/** The first of the longest runs of zero groups. RFC 5952 §4.2.3. */
function longestZeros(groups: string[]): { start: number; length: number } {
  let longest = { start: 0, length: 0 };
  let length = 0;
  groups.forEach((group, i) => {
    length = group === '0' ? length + 1 : 0;
    if (length > longest.length) longest = { start: i + 1 - length, length };
  });
  return longest;
}
