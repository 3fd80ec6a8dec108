// Who is asking: one entry per sender address and port, with the router it belongs to and the
// answers it got lately. A retransmission gets the first answer again: a second one could differ,
// and its effects would happen twice. RFC 5080 §2.2.2.
//
// This is the node's own memory. What another node answered is in the shared state (cluster-answers.ts).

import { formatAddress } from '../../domain/network-address.ts';
import { PATH_BYTES } from '../../runtime/network.ts';
import { prepareSecret } from '../../protocols/radius/authenticator.ts';
import type { Packet } from '../../protocols/radius/packet.ts';
import { isIpv4Mapped } from './router-table.ts';
import type { KnownRouter, RouterTable } from './router-table.ts';

export type Exchange = {
  /** The request; its authenticator tells a retransmission from a new request. */
  readonly request: Packet;
  readonly startedAtMs: number;
  /** Undefined while the request is being worked on. */
  answer: Buffer | undefined;
};

export type Source = {
  /** The way back, as the transport gave it. */
  readonly path: Buffer;
  /** Without the port, for limits and for people. */
  readonly address: string;
  router: KnownRouter;
  /** Of the router table when `router` was looked up. */
  generation: number;
  lastSeenMs: number;
  /** Came through TLS, which vouches for every packet and delivers each of them once. */
  readonly isProtected: boolean;
  /** By identifier; one space of identifiers per code, and codes differ per port. */
  readonly exchanges: { access: (Exchange | undefined)[]; accounting: (Exchange | undefined)[] };
};

/** Sources kept at most. A router uses few ports; more than this is somebody forging them. */
const MAX_SOURCES = 16_384;
/** Sources considered before one of them has to go. */
const MAX_LOOKED_AT = 8;

export type Sources = {
  /** Undefined: no router has that address. */
  find(paths: Buffer, offset: number, nowMs: number): Source | undefined;
  /** One whose router is known by its certificate; not remembered. Undefined: there is no such router. */
  protectedBy(routerId: string, path: Buffer, nowMs: number): Source | undefined;
  /** Forgets sources that were silent for longer than the duplicate window. */
  sweep(nowMs: number): void;
  readonly size: number;
};

export function createSources(routers: RouterTable, duplicateWindowMs: number): Sources {
  const byKey = new Map<number | string, Source>();

  return {
    find(paths, offset, nowMs) {
      const key = keyOf(paths, offset);
      let source = byKey.get(key);
      if (source === undefined || !isSamePath(source.path, paths, offset)) {
        const router = routers.find(paths, offset);
        if (router === undefined) return undefined;
        if (byKey.size >= MAX_SOURCES) dropOne(byKey);
        source = {
          path: Buffer.from(paths.subarray(offset, offset + PATH_BYTES)),
          address: sourceAddress(paths, offset),
          router,
          generation: routers.generation,
          lastSeenMs: nowMs,
          isProtected: false,
          // Asked at another address of ours, it may be a retransmission all the same.
          exchanges: source?.exchanges ?? { access: [], accounting: [] },
        };
        byKey.set(key, source);
      } else if (source.generation !== routers.generation) {
        const router = routers.find(paths, offset);
        if (router === undefined) {
          byKey.delete(key);
          return undefined;
        }
        source.router = router;
        source.generation = routers.generation;
      }
      source.lastSeenMs = nowMs;
      return source;
    },

    protectedBy(routerId, path, nowMs) {
      const router = routers.findById(routerId);
      return router && protectedSource(router, path, routers.generation, nowMs);
    },

    sweep(nowMs) {
      for (const [key, source] of byKey) {
        if (nowMs - source.lastSeenMs > duplicateWindowMs) byKey.delete(key);
      }
    },

    get size() {
      return byKey.size;
    },
  };
}

/** RFC 6614 §2.3: what UDP has a real secret for. */
export const RADSEC_SECRET = prepareSecret(Buffer.from('radsec'));

/** A router at the other end of a TLS connection. */
export function protectedSource(
  router: KnownRouter,
  path: Buffer,
  generation: number,
  nowMs: number,
): Source {
  return {
    path,
    address: sourceAddress(path, 0),
    router: protectedRouter(router),
    generation,
    lastSeenMs: nowMs,
    isProtected: true,
    exchanges: { access: [], accounting: [] },
  };
}

export function protectedRouter({ router, hasSignedRequests }: KnownRouter): KnownRouter {
  return { router, secret: RADSEC_SECRET, hasSignedRequests };
}

/** The exchange this packet repeats, if it is a retransmission inside the window. */
export function findRepeated(
  exchanges: (Exchange | undefined)[],
  packet: Packet,
  nowMs: number,
  windowMs: number,
): Exchange | undefined {
  const exchange = exchanges[packet.identifier];
  if (exchange === undefined || nowMs - exchange.startedAtMs > windowMs) return undefined;
  return hasSameAuthenticator(exchange.request.bytes, packet.bytes) ? exchange : undefined;
}

function hasSameAuthenticator(a: Buffer, b: Buffer): boolean {
  for (let i = 4; i < 20; i++) if (a[i] !== b[i]) return false;
  // The code too: accounting and Status-Server share the identifiers of one port.
  return a[0] === b[0];
}

export function sourceAddress(paths: Buffer, offset: number): string {
  const start = isIpv4Mapped(paths, offset) ? offset + 12 : offset;
  return formatAddress(paths.subarray(start, offset + 16));
}

/** IPv4 address and port fit a safe integer, which a Map finds faster than a string. */
function keyOf(paths: Buffer, offset: number): number | string {
  const port = paths.readUInt16BE(offset + 16);
  if (isIpv4Mapped(paths, offset)) return paths.readUInt32BE(offset + 12) * 65_536 + port;
  return paths.toString('latin1', offset, offset + 18);
}

/** The same sender may ask two of our addresses: the answer leaves from the one that was asked. */
function isSamePath(path: Buffer, paths: Buffer, offset: number): boolean {
  for (let i = 20; i < PATH_BYTES; i++) if (path[i] !== paths[offset + i]) return false;
  return true;
}

/** Forged sources have nothing to remember, and go before a router whose answers would be forgotten. */
function dropOne(byKey: Map<number | string, Source>) {
  for (let looked = 1; ; looked++) {
    const oldest = byKey.entries().next();
    if (oldest.done === true) return;
    const [key, source] = oldest.value;
    byKey.delete(key);
    const { access, accounting } = source.exchanges;
    if (access.length + accounting.length === 0 || looked === MAX_LOOKED_AT) return;
    byKey.set(key, source); // as if it were new
  }
}
