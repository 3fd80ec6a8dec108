// What radius workers say to each other: a RADIUS request that its conversation's owner must answer, and
// the answer; and, while the shared state is away, copies of conversations in case their owner dies. Every datagram is sealed with the cluster's box for one sender, one receiver, one
// direction, one number and one moment. Pure: sockets, waits and replays belong to peer-link.ts.

import { MAX_PACKET_BYTES, MIN_PACKET_BYTES } from '../../../protocols/radius/packet.ts';
import { PATH_BYTES } from '../../../runtime/network.ts';
import { formatUuid, writeUuid } from '../uuid.ts';
import { ownerText } from './conversation-owner.ts';
import type { Seal } from './record.ts';

/** A request as its router sent it to one of our ports. */
export type ForwardedRequest = {
  packet: Buffer;
  /** The way it came (runtime/network.ts). Only the sender's address and port reach the owner. */
  path: Buffer;
  port: 'auth' | 'acct';
  /** The id of its router, when it came over TLS: then the address says nothing about who sent it. */
  protectedRouter?: string;
};

/** A part of a conversation's sealed record; whole records are longer than a datagram. */
export type RecordPart = {
  /** Of the conversation: 16 hexadecimal digits. */
  id: string;
  round: number;
  /** Which one of how many, from 0. */
  part: number;
  parts: number;
  bytes: Buffer;
};

export type PeerRequest =
  | { kind: 'forwarded'; request: ForwardedRequest }
  | { kind: 'copy'; part: RecordPart };

/** Readable by everybody, and sealed all the same: changed, the box does not open. */
export type Envelope = {
  /** `busy`: the request has arrived, and its answer takes a while. */
  direction: 'request' | 'answer' | 'busy';
  /** Owners as conversation-owner.ts names them. */
  from: number;
  to: number;
  /** Of the request. It never repeats while its sender lives. */
  number: number;
  /** When the request was sent, by its sender's wall clock. */
  atMs: number;
};

// 0 version and direction, 1–4 from, 5–8 to, 9–14 number, 15–20 time, then the box.
const DIRECTION_BYTES = { request: 0x11, answer: 0x12, busy: 0x13 } as const;
const FROM = 1;
const TO = 5;
const NUMBER = 9;
const TIME = 15;
const ENVELOPE_BYTES = 21;

// In the box of a request: 0 our port, 1–18 the router's address and port, then the packet. One that came
// over TLS has the 16 bytes of its router's id before the packet.
const PORT_BYTES = { auth: 1, acct: 2, tls: 4 } as const;
const SENDER = 1;
const SENDER_BYTES = 18;
const PACKET = SENDER + SENDER_BYTES;
const UUID_BYTES = 16;

// In the box of a copy: 0 the kind, 1–8 the conversation, 9–12 the round, 13 and 14 which part, the bytes.
const COPY_BYTE = 3;
const ID = 1;
const ID_BYTES = 8;
const ROUND = ID + ID_BYTES;
const PART = ROUND + 4;
const PARTS = PART + 1;
const COPY_HEADER_BYTES = PARTS + 1;

/** With the envelope, the box and this header it fills a datagram of 4,160 bytes at most. */
export const MAX_PART_BYTES = 4_000;

export function encodeDatagram(envelope: Envelope, payload: Buffer, box: Seal): Buffer {
  const header = Buffer.allocUnsafe(ENVELOPE_BYTES);
  header[0] = DIRECTION_BYTES[envelope.direction];
  header.writeUInt32BE(envelope.from, FROM);
  header.writeUInt32BE(envelope.to, TO);
  header.writeUIntBE(envelope.number, NUMBER, 6);
  header.writeUIntBE(envelope.atMs, TIME, 6);
  return Buffer.concat([header, box.seal(payload, contextOf(envelope))]);
}

/** What it says of itself; nothing of it is certain before `openDatagram`. */
export function readEnvelope(datagram: Buffer): Envelope | undefined {
  if (datagram.length <= ENVELOPE_BYTES) return undefined;
  const direction = directionOf(datagram.readUInt8(0));
  if (direction === undefined) return undefined;
  return {
    direction,
    from: datagram.readUInt32BE(FROM),
    to: datagram.readUInt32BE(TO),
    number: datagram.readUIntBE(NUMBER, 6),
    atMs: datagram.readUIntBE(TIME, 6),
  };
}

/** The payload; undefined unless a holder of the cluster's key sealed exactly this. */
export function openDatagram(datagram: Buffer, envelope: Envelope, box: Seal): Buffer | undefined {
  try {
    return box.open(datagram.subarray(ENVELOPE_BYTES), contextOf(envelope));
  } catch {
    return undefined;
  }
}

export function encodeForwarded(request: ForwardedRequest): Buffer {
  const { packet, path, port, protectedRouter } = request;
  const at = PACKET + (protectedRouter === undefined ? 0 : UUID_BYTES);
  const payload = Buffer.allocUnsafe(at + packet.length);
  payload[0] = protectedRouter === undefined ? PORT_BYTES[port] : PORT_BYTES.tls;
  path.copy(payload, SENDER, 0, SENDER_BYTES);
  if (protectedRouter !== undefined) writeUuid(protectedRouter, payload, PACKET);
  packet.copy(payload, at);
  return payload;
}

export function encodePart({ id, round, part, parts, bytes }: RecordPart): Buffer {
  const header = Buffer.alloc(COPY_HEADER_BYTES);
  header[0] = COPY_BYTE;
  header.write(id, ID, 'hex');
  header.writeUInt32BE(round, ROUND);
  header[PART] = part;
  header[PARTS] = parts;
  return Buffer.concat([header, bytes]);
}

/** Undefined: a later version may ask what we do not understand. */
export function decodeRequest(payload: Buffer): PeerRequest | undefined {
  if (payload[0] === COPY_BYTE) {
    const part = decodePart(payload);
    return part && { kind: 'copy', part };
  }
  const request = decodeForwarded(payload);
  return request && { kind: 'forwarded', request };
}

function decodePart(payload: Buffer): RecordPart | undefined {
  if (payload.length <= COPY_HEADER_BYTES) return undefined;
  const part = payload.readUInt8(PART);
  const parts = payload.readUInt8(PARTS);
  if (part >= parts) return undefined;
  return {
    id: payload.toString('hex', ID, ROUND),
    round: payload.readUInt32BE(ROUND),
    part,
    parts,
    bytes: payload.subarray(COPY_HEADER_BYTES),
  };
}

function decodeForwarded(payload: Buffer): ForwardedRequest | undefined {
  const kind = payload[0];
  if (kind !== PORT_BYTES.auth && kind !== PORT_BYTES.acct && kind !== PORT_BYTES.tls) {
    return undefined;
  }
  const isProtected = kind === PORT_BYTES.tls;
  const packet = payload.subarray(isProtected ? PACKET + UUID_BYTES : PACKET);
  if (packet.length < MIN_PACKET_BYTES || packet.length > MAX_PACKET_BYTES) return undefined;
  const path = Buffer.alloc(PATH_BYTES); // our own address that was asked is another machine's
  payload.copy(path, 0, SENDER, PACKET);
  const port = kind === PORT_BYTES.acct ? 'acct' : 'auth';
  const router = isProtected ? { protectedRouter: formatUuid(payload, PACKET) } : {};
  return { packet, path, port, ...router };
}

function directionOf(byte: number): Envelope['direction'] | undefined {
  if (byte === DIRECTION_BYTES.request) return 'request';
  if (byte === DIRECTION_BYTES.answer) return 'answer';
  return byte === DIRECTION_BYTES.busy ? 'busy' : undefined;
}

function contextOf({ direction, from, to, number, atMs }: Envelope): string {
  return `radius_peer_link:${direction}:${ownerText(from)}:${ownerText(to)}:${number}:${atMs}`;
}
