// Watches the one rule whose breach gives a connection away: under one key and number no two different
// texts leave the cluster, from whichever nodes (RFC 5116 §3.1; GCM would give away both texts and the key
// that authenticates). The engines tell every protected record they make; what leaves is read off the wire.

import { parseEap } from '../../src/protocols/eap/packet.ts';
import { parseTlsPacket } from '../../src/protocols/eap/tls-packets.ts';
import {
  AttributeType,
  concatAttribute,
  findValue,
  PacketCode,
  parsePacket,
} from '../../src/protocols/radius/packet.ts';
import { contentTypes } from '../../src/protocols/tls/records.ts';
import type { ObserveRecord } from '../../src/protocols/tls/records.ts';
import type { Sent } from './network.ts';

export type NonceWatch = {
  /** For the engine of this node. */
  observe(node: string): ObserveRecord;
  /** For everything on the wire. */
  see(sent: Sent): void;
  /** Of all records made and all that left, each text counted once. */
  readonly made: number;
  readonly sent: number;
  /** Pairs of key and number. */
  readonly numbers: number;
  /** For which more than one text was made, though only one may leave. */
  readonly madeDifferently: number;
  /** For which one text was made by more than one node. */
  readonly madeElsewhere: number;
  readonly sentDifferently: number;
};

/** A pair of key and number, and the texts under it. */
type Place = {
  name: string;
  made: { text: Buffer; nodes: Set<string> }[];
  /** Of a text in fragments as much as has left by now. */
  sent: Buffer[];
};
/** A message to a device, as far as it has left: fragments follow each other. */
type Message = { bytes: Buffer; hasMore: boolean };

const AUTH_PORT = 1812;
const TLS_HEADER_BYTES = 5;
/** The number in the open that TLS 1.2 puts before what GCM has encrypted. */
const EXPLICIT_BYTES = 8;
/** Enough to know a text by; none is shorter. */
const BEGINNING_BYTES = 16;
/** The random part of State that names the conversation. */
const CONVERSATION_BYTES = 8;
const EAP_OVER_TLS = [13, 21, 25, 55];

export function createNonceWatch(complain: (complaint: string) => void): NonceWatch {
  const places = new Map<string, Place>();
  const byBeginning = new Map<string, Place>();
  /** By conversation and identifier. */
  const messages = new Map<string, Message[]>();
  let made = 0;
  let sent = 0;
  let sentDifferently = 0;

  function noteMade(node: string, name: string, ciphertext: Buffer) {
    const place = places.get(name) ?? { name, made: [], sent: [] };
    places.set(name, place);
    const known = place.made.find(({ text }) => text.equals(ciphertext));
    if (known !== undefined) return void known.nodes.add(node);
    made++;
    place.made.push({ text: ciphertext, nodes: new Set([node]) });
    byBeginning.set(beginningOf(ciphertext), place);
  }

  /** All records of a message, of which the last may be cut off. */
  function noteSent(bytes: Buffer) {
    let isProtected = false;
    for (let at = 0; at + TLS_HEADER_BYTES <= bytes.length;) {
      const type = bytes.readUInt8(at);
      const begin = at + TLS_HEADER_BYTES;
      at = begin + bytes.readUInt16BE(at + 3);
      const text = bytes.subarray(begin, at);
      const place = placeOf(text);
      if (place !== undefined) noteText(place.place, place.text);
      // Else the watch would be blind.
      const mustBeKnown = type === contentTypes.applicationData || isProtected;
      if (place === undefined && mustBeKnown && text.length >= EXPLICIT_BYTES + BEGINNING_BYTES) {
        complain('a protected record left that no engine has told of');
      }
      // In TLS 1.3 it means nothing, and what follows is called application data anyway.
      isProtected ||= type === contentTypes.changeCipherSpec;
    }
  }

  function placeOf(record: Buffer): { place: Place; text: Buffer } | undefined {
    for (const text of [record, record.subarray(EXPLICIT_BYTES)]) {
      const place = byBeginning.get(beginningOf(text));
      if (text.length >= BEGINNING_BYTES && place !== undefined) return { place, text };
    }
    return undefined;
  }

  function noteText({ name, made: all, sent: before }: Place, text: Buffer) {
    const same = before.findIndex((other) => isBeginning(other, text) || isBeginning(text, other));
    const known = before[same];
    if (known !== undefined) {
      if (text.length > known.length) before[same] = Buffer.from(text);
      return;
    }
    sent++;
    before.push(Buffer.from(text));
    if (before.length === 1) return;
    sentDifferently++;
    const nodes = new Set(all.flatMap((each) => [...each.nodes]));
    complain(`two texts left under one key and number (${name}), of ${[...nodes].join(' and ')}`);
  }

  return {
    observe: (node) => (record) =>
      noteMade(node, `${record.key.toString('hex')} ${record.sequence}`, record.ciphertext),

    see({ fromPort, bytes }) {
      if (fromPort !== AUTH_PORT || bytes[0] !== PacketCode.AccessChallenge) return;
      const packet = parsePacket(Buffer.from(bytes));
      if (packet.kind !== 'packet') return;
      const eap = parseEap(concatAttribute(packet, AttributeType.EapMessage) ?? Buffer.alloc(0));
      if (eap.kind === 'malformed' || !EAP_OVER_TLS.includes(eap.type)) return;
      const part = parseTlsPacket(eap.data, { hasOuterTlvs: false });
      if (part === undefined) return;

      const state = findValue(packet, AttributeType.State) ?? Buffer.alloc(0);
      const conversation = state.toString('hex', 0, CONVERSATION_BYTES);
      const nameOf = (identifier: number) => `${conversation} ${identifier}`;
      const before = messages.get(nameOf((eap.identifier + 255) % 256)) ?? [];
      const unfinished = before.filter(({ hasMore }) => hasMore);
      const begun = unfinished.length === 0 ? [Buffer.alloc(0)] : unfinished.map((m) => m.bytes);
      const known = messages.get(nameOf(eap.identifier)) ?? [];
      messages.set(nameOf(eap.identifier), known);
      for (const bytesBefore of begun) {
        const message = Buffer.concat([bytesBefore, part.data]);
        if (known.some((other) => other.bytes.equals(message))) continue;
        known.push({ bytes: message, hasMore: part.hasMore });
        noteSent(message);
      }
    },

    get made() {
      return made;
    },
    get sent() {
      return sent;
    },
    get numbers() {
      return places.size;
    },
    get madeDifferently() {
      return count(places, (place) => place.made.length > 1);
    },
    get madeElsewhere() {
      return count(places, (place) => place.made.some(({ nodes }) => nodes.size > 1));
    },
    get sentDifferently() {
      return sentDifferently;
    },
  };
}

function beginningOf(text: Buffer): string {
  return text.toString('latin1', 0, BEGINNING_BYTES);
}

function isBeginning(beginning: Buffer, text: Buffer): boolean {
  return text.subarray(0, beginning.length).equals(beginning);
}

function count(places: Map<string, Place>, isCounted: (place: Place) => boolean): number {
  return [...places.values()].filter(isCounted).length;
}
