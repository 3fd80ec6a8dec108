// Which router has this address? Longest prefix first, as routing tables do. Addresses come as 16
// bytes; an IPv4-mapped one is an IPv4 address, so a router is found however its packet came. Read
// from the database at start, when a change is announced, and every minute in case that was lost.

import { parseNetwork } from '../../domain/network-address.ts';
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
  replace(routers: readonly Router[]): void;
  /** Grows when the table changes, so that what was looked up before can be looked up again. */
  readonly generation: number;
  readonly size: number;
};

type PrefixGroup = { bits: number; byPrefix: Map<string, KnownRouter> };
type Family = 'ipv4' | 'ipv6';

/** Where the IPv4 address lies in its mapped form. */
const IPV4_OFFSET = 12;

export function createRouterTable(): RouterTable {
  let groups: Record<Family, PrefixGroup[]> = { ipv4: [], ipv6: [] };
  let known = new Map<string, KnownRouter>();
  let generation = 0;

  return {
    find(bytes, offset) {
      const family = isIpv4Mapped(bytes, offset) ? 'ipv4' : 'ipv6';
      const start = family === 'ipv4' ? offset + IPV4_OFFSET : offset;
      for (const group of groups[family]) {
        const found = group.byPrefix.get(prefixKey(bytes, start, group.bits));
        if (found !== undefined) return found;
      }
      return undefined;
    },

    replace(routers) {
      const next = new Map<string, KnownRouter>();
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
