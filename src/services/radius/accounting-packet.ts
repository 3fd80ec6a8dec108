// From an Accounting-Request to the fact it reports. RFC 2866 §5, RFC 2869 §2.
// Nothing is refused for being strange: a router that counts backwards or lives in 1970 still says
// who was online, and that is worth keeping. What is impossible is left out or clamped.

import type { AccountingFact, AccountingRecord } from '../../domain/accounting.ts';
import type { Router } from '../../domain/router.ts';
import { md5Into } from '../../protocols/radius/md5.ts';
import {
  findAttribute,
  findInteger,
  findText,
  findValue,
  nextAttribute,
} from '../../protocols/radius/packet.ts';
import type { Packet } from '../../protocols/radius/packet.ts';
import { formatUuid } from './uuid.ts';

const ATTRIBUTE = {
  userName: 1,
  nasIpAddress: 4,
  nasPort: 5,
  framedIpAddress: 8,
  class: 25,
  calledStationId: 30,
  callingStationId: 31,
  nasIdentifier: 32,
  acctStatusType: 40,
  acctDelayTime: 41,
  acctInputOctets: 42,
  acctOutputOctets: 43,
  acctSessionId: 44,
  acctSessionTime: 46,
  acctInputPackets: 47,
  acctOutputPackets: 48,
  acctTerminateCause: 49,
  acctMultiSessionId: 50,
  acctInputGigawords: 52,
  acctOutputGigawords: 53,
  eventTimestamp: 55,
  nasPortId: 87,
  framedIpv6Prefix: 97,
} as const;

const STATUS_TYPE = { start: 1, stop: 2, interim: 3, on: 7, off: 8 } as const;

/** A router's clock may run ahead of ours by this much before we stop believing it. */
const MAX_AHEAD_MS = 5 * 60_000;
/** A record that claims to be older than this has a wrong clock, not a long journey. */
const MAX_BEHIND_MS = 30 * 24 * 3_600_000;

export type ParsedAccounting =
  | { kind: 'fact'; fact: AccountingFact }
  /** Nothing to store, but a good request: it is answered, else the router repeats it for ever. */
  | { kind: 'nothing-to-store'; reason: 'unknown-status-type' | 'no-session-id' }
  | { kind: 'discard'; reason: 'no-status-type' };

/** `receivedAtMs`: wall clock at arrival, also when the record comes out of the journal later. */
export function parseAccounting(
  packet: Packet,
  router: Pick<Router, 'id' | 'siteId'>,
  receivedAtMs: number,
): ParsedAccounting {
  const status = findInteger(packet, ATTRIBUTE.acctStatusType);
  if (status === undefined) return { kind: 'discard', reason: 'no-status-type' };
  const occurredAtMs = occurredAt(packet, receivedAtMs);

  if (status === STATUS_TYPE.on || status === STATUS_TYPE.off) {
    return {
      kind: 'fact',
      fact: {
        kind: 'router-restart',
        routerId: router.id,
        nasIdentifier: findText(packet, ATTRIBUTE.nasIdentifier),
        nasIpAddress: ipv4(packet, ATTRIBUTE.nasIpAddress),
        occurredAtMs,
        receivedAtMs,
      },
    };
  }

  const kind = recordKind(status);
  if (kind === undefined) return { kind: 'nothing-to-store', reason: 'unknown-status-type' };
  const acctSessionId = findText(packet, ATTRIBUTE.acctSessionId);
  if (acctSessionId === undefined) return { kind: 'nothing-to-store', reason: 'no-session-id' };

  const fact: AccountingRecord = {
    kind,
    sessionKey: sessionKey(packet, router.id),
    routerId: router.id,
    siteId: router.siteId,
    acctSessionId,
    multiSessionId: findText(packet, ATTRIBUTE.acctMultiSessionId),
    username: findText(packet, ATTRIBUTE.userName) ?? '',
    callingStationId: findText(packet, ATTRIBUTE.callingStationId),
    calledStationId: findText(packet, ATTRIBUTE.calledStationId),
    nasIdentifier: findText(packet, ATTRIBUTE.nasIdentifier),
    nasIpAddress: ipv4(packet, ATTRIBUTE.nasIpAddress),
    nasPort: findInteger(packet, ATTRIBUTE.nasPort),
    nasPortId: findText(packet, ATTRIBUTE.nasPortId),
    framedIpAddress: ipv4(packet, ATTRIBUTE.framedIpAddress),
    framedIpv6Prefix: ipv6Prefix(packet, ATTRIBUTE.framedIpv6Prefix),
    occurredAtMs,
    receivedAtMs,
    sessionSeconds: findInteger(packet, ATTRIBUTE.acctSessionTime),
    inputOctets: octets(packet, ATTRIBUTE.acctInputOctets, ATTRIBUTE.acctInputGigawords),
    outputOctets: octets(packet, ATTRIBUTE.acctOutputOctets, ATTRIBUTE.acctOutputGigawords),
    inputPackets: findInteger(packet, ATTRIBUTE.acctInputPackets),
    outputPackets: findInteger(packet, ATTRIBUTE.acctOutputPackets),
    terminateCause: kind === 'stop' ? findInteger(packet, ATTRIBUTE.acctTerminateCause) : undefined,
  };
  return { kind: 'fact', fact };
}

function recordKind(status: number): AccountingRecord['kind'] | undefined {
  switch (status) {
    case STATUS_TYPE.start:
      return 'start';
    case STATUS_TYPE.interim:
      return 'interim';
    case STATUS_TYPE.stop:
      return 'stop';
    default:
      return undefined;
  }
}

/**
 * Event-Timestamp wins; without it the record happened Acct-Delay-Time before it arrived. The two
 * are never combined: the timestamp does not move while the router waits.
 */
function occurredAt(packet: Packet, receivedAtMs: number): number {
  const timestamp = findInteger(packet, ATTRIBUTE.eventTimestamp);
  if (timestamp !== undefined) {
    const eventMs = timestamp * 1000;
    const isPossible =
      eventMs <= receivedAtMs + MAX_AHEAD_MS && eventMs >= receivedAtMs - MAX_BEHIND_MS;
    if (isPossible) return Math.min(eventMs, receivedAtMs);
  }
  const delayMs = (findInteger(packet, ATTRIBUTE.acctDelayTime) ?? 0) * 1000;
  return delayMs <= MAX_BEHIND_MS ? receivedAtMs - delayMs : receivedAtMs;
}

/** What stays the same while a session lives, and differs between two of them. */
const SESSION_IDENTITY = [
  ATTRIBUTE.acctSessionId,
  ATTRIBUTE.userName,
  ATTRIBUTE.callingStationId,
  ATTRIBUTE.nasPort,
  ATTRIBUTE.class,
] as const;

/** Router id, then type, length and value of each attribute: at most 255 bytes each. */
const identity = Buffer.alloc(64 + SESSION_IDENTITY.length * 256);
const digest = Buffer.alloc(16);

/**
 * Acct-Session-Id alone repeats after a reboot and between routers, so a session is the hash of all
 * that identifies it. Class makes it unique where the router echoes ours.
 */
function sessionKey(packet: Packet, routerId: string): string {
  let length = identity.write(routerId, 0, 'latin1');
  for (const type of SESSION_IDENTITY) {
    const at = findAttribute(packet, type);
    if (at === -1) identity[length++] = type;
    else length += packet.bytes.copy(identity, length, at, nextAttribute(packet, at));
  }
  md5Into(identity, 0, length, digest, 0);
  return formatUuid(digest, 0);
}

function octets(packet: Packet, low: number, high: number): number | undefined {
  const lowPart = findInteger(packet, low);
  const highPart = findInteger(packet, high);
  if (lowPart === undefined && highPart === undefined) return undefined;
  return (highPart ?? 0) * 2 ** 32 + (lowPart ?? 0);
}

function ipv4(packet: Packet, type: number): string | undefined {
  const value = findValue(packet, type);
  return value?.length === 4 ? value.join('.') : undefined;
}

/** RFC 3162 §2.3: a reserved octet, the prefix length, then as many octets as needed. */
function ipv6Prefix(packet: Packet, type: number): string | undefined {
  const value = findValue(packet, type);
  const bits = value?.[1] ?? 255;
  if (value === undefined || value.length > 18 || bits > 128) return undefined;
  const address = Buffer.alloc(16);
  value.copy(address, 0, 2);
  clearHostBits(address, bits);
  const groups = Array.from({ length: 8 }, (_, i) => address.readUInt16BE(i * 2).toString(16));
  return `${groups.join(':')}/${String(bits)}`;
}

/** PostgreSQL's cidr refuses bits behind the prefix; a router that leaves some is not wrong enough. */
function clearHostBits(address: Buffer, bits: number) {
  for (let i = 0; i < 16; i++) {
    const keep = Math.max(0, Math.min(8, bits - i * 8));
    address.writeUInt8(address.readUInt8(i) & (0xff << (8 - keep)) & 0xff, i);
  }
}
