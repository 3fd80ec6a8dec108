// The name by which a router's certificate is known in RADIUS over TLS: a DNS name or an IP address, as
// its subjectAltName says. RFC 6614 §2.3. Common names do not count, nor do wildcards: RFC 9525 §6.3 has
// them for servers, and a router is one device.

import { formatAddress, parseAddress } from './network-address.ts';
import type { Parsed } from './units.ts';

const MAX_BYTES = 253;
const LABEL = /^[a-z\d_](?:[a-z\d_-]{0,61}[a-z\d_])?$/;

/** In canonical form: lower case without a dot at the end, or an address as RFC 5952 writes it. */
export function parseRadsecIdentity(text: string): Parsed<string> {
  const written = text.trim();
  const address = parseAddress(written);
  if (address !== undefined) return { kind: 'parsed', value: formatAddress(address) };
  const name = canonicalDnsName(written);
  return name === undefined
    ? {
        kind: 'refused',
        reason: `${JSON.stringify(written)} is neither a DNS name nor an IP address; wildcards are not possible`,
      }
    : { kind: 'parsed', value: name };
}

/** Undefined: not the name of one host. Dotted numbers are an address, and only an address may say it. */
export function canonicalDnsName(text: string): string | undefined {
  const name = text.toLowerCase().replace(/\.$/, '');
  if (name === '' || name.length > MAX_BYTES) return undefined;
  const labels = name.split('.');
  if (/^\d+$/.test(labels.at(-1) ?? '')) return undefined;
  return labels.every((label) => LABEL.test(label)) ? name : undefined;
}
