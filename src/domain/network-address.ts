// IP addresses and networks, parsed, printed and compared on bytes. RFC 4632, RFC 4291; IPv6 is
// printed as RFC 5952 §4 says. An IPv4-mapped address (::ffff:10.0.0.1) is the IPv4 address: a
// dual-stack socket reports IPv4 routers that way.

import type { Parsed } from './units.ts';

/** An address (4 or 16 bytes) and how many of its leading bits count; host bits are zero. */
export type IpNetwork = { bytes: Uint8Array; prefixBits: number };

/**
 * `10.0.0.0/8`, `2001:db8::/32`, or one address. Host bits must be zero: `10.0.0.5/8` may mean the
 * network or the host, and a guess would trust the wrong routers.
 */
export function parseNetwork(text: string): Parsed<IpNetwork> {
  const written = text.trim();
  const slash = written.indexOf('/');
  const parsed =
    parseIpv4(slash < 0 ? written : written.slice(0, slash)) ??
    parseIpv6(slash < 0 ? written : written.slice(0, slash));
  if (parsed === undefined) return refusal(text);
  const prefix = slash < 0 ? String(parsed.length * 8) : written.slice(slash + 1);
  const prefixBits = /^(?:0|[1-9]\d{0,2})$/.test(prefix) ? Number(prefix) : Infinity;
  if (prefixBits > parsed.length * 8) return refusal(text);

  const network = unmapped(parsed, prefixBits);
  const cleared = clearHostBits(network);
  if (!equalBytes(cleared.bytes, network.bytes)) {
    return {
      kind: 'refused',
      reason: `${written} has host bits set; the network is ${formatNetwork(cleared)}, the one address is ${formatAddress(network.bytes)}`,
    };
  }
  return { kind: 'parsed', value: network };
}

/** The bytes of one address, 4 or 16, IPv4-mapped ones as IPv4; undefined if it is none. */
export function parseAddress(text: string): Uint8Array | undefined {
  const bytes = parseIpv4(text) ?? parseIpv6(text);
  return bytes === undefined ? undefined : unmapped(bytes, bytes.length * 8).bytes;
}

/** The canonical form, always with the prefix: `127.0.0.1/32`. */
export function formatNetwork(network: IpNetwork): string {
  return `${formatAddress(network.bytes)}/${network.prefixBits}`;
}

export function formatAddress(bytes: Uint8Array): string {
  return bytes.length === 4 ? bytes.join('.') : formatIpv6(bytes);
}

/** `address` is 4 or 16 bytes; an IPv4-mapped one is compared as IPv4. */
export function contains(network: IpNetwork, address: Uint8Array): boolean {
  const { bytes } = unmapped(address, address.length * 8);
  if (bytes.length !== network.bytes.length) return false;
  return equalBytes(clearHostBits({ bytes, prefixBits: network.prefixBits }).bytes, network.bytes);
}

function parseIpv4(text: string): Uint8Array | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  // No leading zero: some readers take 010 for octal 8.
  if (!parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255)) {
    return undefined;
  }
  return Uint8Array.from(parts, Number);
}

function parseIpv6(text: string): Uint8Array | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [head, tail] = halves.map((half) => (half === '' ? [] : half.split(':')));
  const before = groupsOf(head ?? [], tail === undefined);
  const after = groupsOf(tail ?? [], true);
  if (before === undefined || after === undefined) return undefined;
  const missing = 16 - before.length - after.length;
  // `::` stands for at least one group; without it, nothing may be missing.
  if (tail === undefined ? missing !== 0 : missing < 2) return undefined;
  return Uint8Array.from([...before, ...Array<number>(missing).fill(0), ...after]);
}

/** Groups of four hexadecimal digits as bytes; the last may be an IPv4 address. */
function groupsOf(groups: string[], isEnd: boolean): number[] | undefined {
  const bytes: number[] = [];
  for (const [index, group] of groups.entries()) {
    const ipv4 = isEnd && index === groups.length - 1 ? parseIpv4(group) : undefined;
    if (ipv4 !== undefined) {
      bytes.push(...ipv4);
    } else if (/^[0-9a-fA-F]{1,4}$/.test(group)) {
      const value = Number.parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
    } else {
      return undefined;
    }
  }
  return bytes.length <= 16 ? bytes : undefined;
}

function formatIpv6(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, index) =>
    (((bytes[index * 2] ?? 0) << 8) | (bytes[index * 2 + 1] ?? 0)).toString(16),
  );
  // The longest run of zero groups, the first of equals, at least two, becomes `::`.
  let best = { start: 0, length: 1 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (groups[start + length] === '0') length++;
    if (length > best.length) best = { start, length };
  }
  if (best.length === 1) return groups.join(':');
  const before = groups.slice(0, best.start).join(':');
  const after = groups.slice(best.start + best.length).join(':');
  return `${before}::${after}`;
}

/** ::ffff:0:0/96 and what lies inside it, as IPv4. */
function unmapped(bytes: Uint8Array, prefixBits: number): IpNetwork {
  const isMapped =
    bytes.length === 16 &&
    prefixBits >= 96 &&
    bytes.subarray(0, 10).every((byte) => byte === 0) &&
    bytes[10] === 0xff &&
    bytes[11] === 0xff;
  return isMapped ? { bytes: bytes.slice(12), prefixBits: prefixBits - 96 } : { bytes, prefixBits };
}

function clearHostBits({ bytes, prefixBits }: IpNetwork): IpNetwork {
  const cleared = bytes.map((byte, index) => {
    const kept = Math.min(8, Math.max(0, prefixBits - index * 8));
    return byte & (0xff << (8 - kept));
  });
  return { bytes: cleared, prefixBits };
}

function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

function refusal(text: string): { kind: 'refused'; reason: string } {
  const shown = text.length > 60 ? `${text.slice(0, 60)}…` : text;
  return {
    kind: 'refused',
    reason: `${JSON.stringify(shown)} is not an address; allowed is an IPv4 or IPv6 address or network, such as 192.0.2.1, 10.0.0.0/8 or 2001:db8::/32`,
  };
}
