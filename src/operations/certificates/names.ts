// Which names go into a certificate, and which cannot. RFC 5280 §4.2.1.6, appendix A.1 (ub-common-name).

import { isIP } from 'node:net';

/** A file is named after it, so nothing that means something in a path. */
export function isCertificateName(name: string): boolean {
  return /^[\p{L}\p{N}][\p{L}\p{N}@._+ -]{0,63}$/u.test(name);
}

export function isDnsName(name: string): boolean {
  return name.length <= 253 && name.split('.').every((label) => DNS_LABEL.test(label));
}

const DNS_LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i;

export function isMailAddress(address: string): boolean {
  return address.length <= 254 && /^[!-?A-~]+@[A-Za-z0-9.-]+$/.test(address);
}

/** Sorts what the operator calls the server into DNS names and addresses. Undefined: neither. */
export function serverNames(
  names: readonly string[],
): { dnsNames: string[]; ipAddresses: Buffer[] } | undefined {
  const addresses = names.filter((name) => isIP(name) !== 0);
  const dnsNames = names.filter((name) => isIP(name) === 0);
  if (!dnsNames.every(isDnsName)) return undefined;
  return { dnsNames, ipAddresses: addresses.map(addressBytes) };
}

function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number));
  const ipv4 = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  const hexadecimal =
    ipv4 === null ? address : `${ipv4[1]}${pair(ipv4[2], ipv4[3])}:${pair(ipv4[4], ipv4[5])}`;
  const [head = '', tail] = hexadecimal.split('::');
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  const zeros = Array<number>(8 - left.length - right.length).fill(0);
  const bytes = Buffer.alloc(16);
  [...left, ...zeros, ...right].forEach((group, index) => bytes.writeUInt16BE(group, index * 2));
  return bytes;
}

function groups(text: string): number[] {
  return text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
}

function pair(high = '', low = ''): string {
  return (Number(high) * 256 + Number(low)).toString(16);
}
