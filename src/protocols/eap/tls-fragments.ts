// Messages in fragments, both ways. RFC 5216 §2.1.5. A client may repeat the length of the whole on any
// fragment; we say it on the first. What a packet looks like is tls-packets.ts, whose turn it is to
// acknowledge is tls-transport.ts.

import { FLAGS_BYTES, LENGTH_BYTES } from './tls-packets.ts';
import type { TlsPacket } from './tls-packets.ts';

/** A message of the client, all fragments together. A handshake with a long chain has some 10 KB. */
export const MAX_MESSAGE_BYTES = 65_536;
export const MAX_FRAGMENTS = 64;
/** Code, identifier, length, type. */
const EAP_HEADER_BYTES = 5;
/** Below this the header would leave no room; no network is so narrow. */
const MIN_FRAGMENT_BYTES = 32;

/** What has come of a message. Plain data. */
export type Incoming = {
  bytes: string;
  fragments: number;
  totalBytes?: number;
  outerTlvBytes?: number;
};

export type Joined =
  | { kind: 'more'; incoming: Incoming }
  | { kind: 'whole'; data: Buffer; outerTlvs: Buffer }
  | { kind: 'malformed'; detail: string };

/** One more fragment. A total that is repeated must be the same, and be kept. */
export function joinFragment(before: Incoming | undefined, packet: TlsPacket): Joined {
  const malformed = (detail: string) => ({ kind: 'malformed', detail }) as const;
  const totalBytes = packet.totalBytes ?? before?.totalBytes;
  const outerTlvBytes = packet.outerTlvBytes ?? before?.outerTlvBytes;
  const fragments = (before?.fragments ?? 0) + 1;
  const bytes = Buffer.concat([fromText(before?.bytes ?? ''), packet.data]);

  if (before?.totalBytes !== undefined && totalBytes !== before.totalBytes) {
    return malformed('fragments that disagree about their length');
  }
  if (fragments > MAX_FRAGMENTS) return malformed(`more than ${MAX_FRAGMENTS} fragments`);
  if (Math.max(totalBytes ?? 0, bytes.length) > MAX_MESSAGE_BYTES) {
    return malformed(`a message of more than ${MAX_MESSAGE_BYTES} bytes`);
  }
  if (totalBytes !== undefined && bytes.length > totalBytes) {
    return malformed('fragments beyond their length');
  }
  if (packet.hasMore) {
    if (packet.data.length === 0) return malformed('an empty fragment');
    const incoming = {
      bytes: toText(bytes),
      fragments,
      ...(totalBytes === undefined ? {} : { totalBytes }),
      ...(outerTlvBytes === undefined ? {} : { outerTlvBytes }),
    };
    return { kind: 'more', incoming };
  }
  if (totalBytes !== undefined && bytes.length < totalBytes) {
    return malformed('fragments that end before their length');
  }
  const tlsBytes = bytes.length - (outerTlvBytes ?? 0);
  if (tlsBytes < 0) return malformed('outer TLVs longer than their message');
  return { kind: 'whole', data: bytes.subarray(0, tlsBytes), outerTlvs: bytes.subarray(tlsBytes) };
}

type Fragment = { packet: Pick<TlsPacket, 'hasMore' | 'totalBytes' | 'data'>; rest: Buffer };

/** As much of `message` as one packet holds: all of it, or a part that says how long the whole is. */
export function firstFragment(message: Buffer, maxPacketBytes: number): Fragment {
  const whole = nextFragment(message, maxPacketBytes);
  if (!whole.packet.hasMore) return whole;
  const { packet, rest } = nextFragment(message, maxPacketBytes - LENGTH_BYTES);
  return { packet: { ...packet, totalBytes: message.length }, rest };
}

export function nextFragment(message: Buffer, maxPacketBytes: number): Fragment {
  const room = Math.max(maxPacketBytes - EAP_HEADER_BYTES - FLAGS_BYTES, MIN_FRAGMENT_BYTES);
  return {
    packet: { hasMore: message.length > room, data: message.subarray(0, room) },
    rest: message.subarray(room),
  };
}

/** Bytes in a state. */
export function toText(bytes: Buffer): string {
  return bytes.toString('base64');
}

export function fromText(text: string): Buffer {
  return Buffer.from(text, 'base64');
}
