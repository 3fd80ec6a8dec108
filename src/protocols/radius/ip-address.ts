// IP addresses between their bytes and their text. RFC 4291 §2.2; IPv6 is written as RFC 5952 asks.

/** The address as an unsigned number, or -1 when it is not four decimal octets. */
export function parseIpv4(dotted: string): number {
  let value = 0;
  let octet = -1;
  let octets = 0;
  for (let i = 0; i <= dotted.length; i++) {
    const character = i < dotted.length ? dotted.charCodeAt(i) : DOT;
    if (character === DOT) {
      if (octet === -1 || octets === 4) return -1;
      value = value * 256 + octet;
      octets++;
      octet = -1;
    } else {
      const digit = character - 0x30;
      if (digit < 0 || digit > 9) return -1;
      octet = octet === -1 ? digit : octet * 10 + digit;
      if (octet > 255) return -1;
    }
  }
  return octets === 4 ? value : -1;
}

export function formatIpv4(bytes: Uint8Array): string {
  return bytes.subarray(0, 4).join('.');
}

/** Sixteen bytes, or undefined. An embedded IPv4 address at the end is understood, a zone is not. */
export function parseIpv6(text: string): Buffer | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0] ?? '', halves.length === 1);
  const tail = halves.length === 2 ? parseGroups(halves[1] ?? '', true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 16 - head.length - tail.length;
  // `::` stands for at least one group.
  if (halves.length === 1 ? missing !== 0 : missing < 2) return undefined;
  return Buffer.from([...head, ...Array.from({ length: missing }, () => 0), ...tail]);
}

export function formatIpv6(bytes: Uint8Array): string {
  const groups = Array.from(
    { length: 8 },
    (_, i) => ((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0),
  );
  const { start, length } = longestZeroRun(groups);
  const hex = groups.map((group) => group.toString(16));
  if (length < 2) return hex.join(':');
  return `${hex.slice(0, start).join(':')}::${hex.slice(start + length).join(':')}`;
}

const DOT = 0x2e;

function parseGroups(text: string, mayEndInIpv4: boolean): number[] | undefined {
  if (text === '') return [];
  const bytes: number[] = [];
  const parts = text.split(':');
  for (const [index, part] of parts.entries()) {
    const isLast = index === parts.length - 1;
    if (isLast && mayEndInIpv4 && part.includes('.')) {
      const ipv4 = parseIpv4(part);
      if (ipv4 === -1) return undefined;
      bytes.push(ipv4 >>> 24, (ipv4 >>> 16) & 0xff, (ipv4 >>> 8) & 0xff, ipv4 & 0xff);
    } else {
      if (!/^[0-9a-f]{1,4}$/i.test(part)) return undefined;
      const group = Number.parseInt(part, 16);
      bytes.push(group >>> 8, group & 0xff);
    }
  }
  return bytes;
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let run = 0;
  for (const [index, group] of groups.entries()) {
    run = group === 0 ? run + 1 : 0;
    if (run > best.length) best = { start: index - run + 1, length: run };
  }
  return best;
}
