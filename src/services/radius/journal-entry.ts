// What the journal keeps of an accounting record: the packet as it came and who sent it, so that a
// later, wiser program reads it anew. Layout, all big endian:
//   0 version (1) · 1–8 received at, milliseconds since 1970 · 9–24 router id · 25–40 site id · 41… packet

import { parsePacket } from '../../protocols/radius/packet.ts';
import type { Packet } from '../../protocols/radius/packet.ts';
import { parseAccounting } from './accounting-packet.ts';
import type { AccountingFact } from '../../domain/accounting.ts';
import { formatUuid, writeUuid } from './uuid.ts';

const VERSION = 1;
const HEADER_BYTES = 41;

export function encodeJournalEntry(
  packet: Packet,
  router: { id: string; siteId: string },
  receivedAtMs: number,
): Buffer {
  const entry = Buffer.allocUnsafe(HEADER_BYTES + packet.bytes.length);
  entry.writeUInt8(VERSION, 0);
  entry.writeDoubleBE(receivedAtMs, 1);
  writeUuid(router.id, entry, 9);
  writeUuid(router.siteId, entry, 25);
  packet.bytes.copy(entry, HEADER_BYTES);
  return entry;
}

export type DecodedEntry =
  | { kind: 'fact'; fact: AccountingFact }
  | { kind: 'unreadable'; reason: string };

export function decodeJournalEntry(entry: Buffer): DecodedEntry {
  if (entry.length < HEADER_BYTES || entry[0] !== VERSION) {
    return { kind: 'unreadable', reason: 'unknown journal entry version' };
  }
  const packet = parsePacket(entry.subarray(HEADER_BYTES));
  if (packet.kind !== 'packet') return { kind: 'unreadable', reason: packet.reason };
  const router = { id: formatUuid(entry, 9), siteId: formatUuid(entry, 25) };
  const parsed = parseAccounting(packet, router, entry.readDoubleBE(1));
  if (parsed.kind !== 'fact') return { kind: 'unreadable', reason: parsed.reason };
  return parsed;
}
