// Which router has this address? Longest prefix first, as routing tables do. Addresses come as 16
// bytes; an IPv4-mapped one is an IPv4 address, so a router is found however its packet came. Read
// from the database at start, when a change is announced, and every minute in case that was lost.

import { formatAddress, parseNetwork } from '../../domain/network-address.ts';
import { canonicalDnsName } from '../../domain/radsec-identity.ts';
import type { Router } from '../../domain/router.ts';
import { prepareSecret } from '../../protocols/radius/authenticator.ts';
import type { Secret } from '../../protocols/radius/authenticator.ts';

export type KnownRouter = {
  readonly router: Router;
  readonly secret: Secret;
  /** The latch of `require_message_authenticator: auto`, also before it is in the database. */
  hasSignedRequests: boolean;
};

export type RouterTable = {
  /** `bytes` holds a 16-byte address at `offset`. */
  find(bytes: Buffer, offset: number): KnownRouter | undefined;
  findById(id: string): KnownRouter | undefined;
  /** Whose certificate has these names: by its `radsecIdentity`, else by its name or address. */
  findByNames(names: CertificateNames): KnownRouter | undefined;
  replace(routers: readonly Router[]): void;
  /** Grows when the table changes, so that what was looked up before can be looked up again. */
  readonly generation: number;
  readonly size: number;
};

/** Of a subjectAltName; addresses have 4 or 16 bytes. */
type CertificateNames = {
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly Buffer[];
};

type PrefixGroup = { bits: number; byPrefix: Map<string, KnownRouter> };
type Family = 'ipv4' | 'ipv6';

/** Where the IPv4 address lies in its mapped form. */
const IPV4_OFFSET = 12;
const IPV4_PREFIX = Buffer.from('00000000000000000000ffff', 'hex');

export function createRouterTable(): RouterTable {
  let groups: Record<Family, PrefixGroup[]> = { ipv4: [], ipv6: [] };
  let known = new Map<string, KnownRouter>();
  let identities = new Map<string, KnownRouter>();
  /** Of those without an identity. Undefined: two routers have it, in upper and lower case. */
  let names = new Map<string, KnownRouter | undefined>();
  let generation = 0;

  function find(bytes: Buffer, offset: number): KnownRouter | undefined {
    const family = isIpv4Mapped(bytes, offset) ? 'ipv4' : 'ipv6';
    const start = family === 'ipv4' ? offset + IPV4_OFFSET : offset;
    for (const group of groups[family]) {
      const found = group.byPrefix.get(prefixKey(bytes, start, group.bits));
      if (found !== undefined) return found;
    }
    return undefined;
  }

  function findByAddress(address: Buffer): KnownRouter | undefined {
    const mapped = address.length === 4 ? Buffer.concat([IPV4_PREFIX, address]) : address;
    const found = find(mapped, 0);
    // A router that is told by a name of its own is not told by an address as well.
    return found?.router.radsecIdentity === undefined ? found : undefined;
  }

  return {
    find,
    findById: (id) => known.get(id),

    findByNames({ dnsNames, ipAddresses }) {
      const shown = dnsNames.map((name) => canonicalDnsName(name) ?? '');
      return (
        firstOf([...shown, ...ipAddresses.map(formatAddress)], (name) => identities.get(name)) ??
        firstOf(shown, (name) => names.get(name)) ??
        firstOf(ipAddresses, findByAddress)
      );
    },

    replace(routers) {
      const next = new Map<string, KnownRouter>();
      identities = new Map();
      names = new Map();
      const byBits = {
        ipv4: new Map<number, Map<string, KnownRouter>>(),
        ipv6: new Map<number, Map<string, KnownRouter>>(),
      };
      for (const router of routers) {
        const isSeen = router.messageAuthenticatorSeenAtMs !== undefined;
        const before = known.get(router.id);
        const keepsLatch =
          before?.hasSignedRequests === true &&
          before.router.messageAuthenticatorSeenAtMs === undefined;
        const entry: KnownRouter = {
          router,
          secret: prepareSecret(router.secret),
          hasSignedRequests: isSeen || keepsLatch,
        };
        next.set(router.id, entry);
        if (router.radsecIdentity === undefined) {
          const name = router.name.toLowerCase();
          names.set(name, names.has(name) ? undefined : entry);
        } else {
          identities.set(router.radsecIdentity, entry);
        }
        const network = parseNetwork(router.address);
        if (network.kind === 'refused') continue; // the database holds canonical addresses only
        const { bytes, prefixBits } = network.value;
        const family = byBits[bytes.length === 4 ? 'ipv4' : 'ipv6'];
        const group = family.get(prefixBits) ?? new Map<string, KnownRouter>();
        family.set(prefixBits, group);
        group.set(prefixKey(Buffer.from(bytes), 0, prefixBits), entry);
      }
      known = next;
      groups = { ipv4: longestFirst(byBits.ipv4), ipv6: longestFirst(byBits.ipv6) };
      generation++;
    },

    get generation() {
      return generation;
    },
    get size() {
      return known.size;
    },
  };
}

function firstOf<T>(
  values: readonly T[],
  lookUp: (value: T) => KnownRouter | undefined,
): KnownRouter | undefined {
  for (const value of values) {
    const found = lookUp(value);
    if (found !== undefined) return found;
  }
  return undefined;
}

function longestFirst(byBits: Map<number, Map<string, KnownRouter>>): PrefixGroup[] {
  return [...byBits]
    .map(([bits, byPrefix]) => ({ bits, byPrefix }))
    .toSorted((a, b) => b.bits - a.bits);
}

export function isIpv4Mapped(bytes: Buffer, offset: number): boolean {
  return (
    bytes.readUInt32BE(offset) === 0 &&
    bytes.readUInt32BE(offset + 4) === 0 &&
    bytes.readUInt32BE(offset + 8) === 0xffff
  );
}

/** The first `bits` of an address as a Map key. */
function prefixKey(bytes: Buffer, offset: number, bits: number): string {
  const whole = bits >> 3;
  const key = bytes.toString('latin1', offset, offset + whole);
  const rest = bits & 7;
  if (rest === 0) return key;
  const mask = (0xff << (8 - rest)) & 0xff;
  return key + String.fromCharCode(bytes.readUInt8(offset + whole) & mask);
}
