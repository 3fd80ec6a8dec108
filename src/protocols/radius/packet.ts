// A RADIUS packet as bytes that are known to be well formed, and ways to look at them without
// copying. RFC 2865 §3 and §5. Names, types and enumerations belong to dictionary.ts; whether an
// authenticator is right belongs to authenticator.ts.

export const MIN_PACKET_BYTES = 20;
export const MAX_PACKET_BYTES = 4096;
/** Attributes begin after code, identifier, length and authenticator. */
export const HEADER_BYTES = 20;
/** An attribute is a type, a length that counts both, and at most this much. */
export const MAX_VALUE_BYTES = 253;

export const PacketCode = {
  AccessRequest: 1,
  AccessAccept: 2,
  AccessReject: 3,
  AccountingRequest: 4,
  AccountingResponse: 5,
  AccessChallenge: 11,
  StatusServer: 12,
  StatusClient: 13,
  DisconnectRequest: 40,
  DisconnectAck: 41,
  DisconnectNak: 42,
  CoaRequest: 43,
  CoaAck: 44,
  CoaNak: 45,
  ProtocolError: 52,
} as const;

/** The attributes that the codec itself must know; all others are in dictionary/. */
export const AttributeType = {
  UserName: 1,
  UserPassword: 2,
  ChapPassword: 3,
  State: 24,
  VendorSpecific: 26,
  ProxyState: 33,
  ChapChallenge: 60,
  EapMessage: 79,
  MessageAuthenticator: 80,
} as const;

export type Packet = {
  readonly kind: 'packet';
  /** Exactly as many bytes as the Length field says: padding of the datagram is cut off. */
  readonly bytes: Buffer;
  readonly code: number;
  readonly identifier: number;
};

export type Malformed = { readonly kind: 'malformed'; readonly reason: MalformedReason };
export type MalformedReason =
  | 'too-short' // less than a header
  | 'too-long' // Length above 4096
  | 'bad-length' // Length below 20 or beyond the datagram
  | 'bad-attribute-length'; // below 2 or beyond the packet

/** Never throws. The packet is a view: copy the datagram first if its memory will be used again. */
export function parsePacket(datagram: Buffer): Packet | Malformed {
  if (datagram.length < MIN_PACKET_BYTES) return TOO_SHORT;
  const length = ((datagram[2] as number) << 8) | (datagram[3] as number);
  if (length < MIN_PACKET_BYTES || length > datagram.length) return BAD_LENGTH;
  if (length > MAX_PACKET_BYTES) return TOO_LONG;

  let offset = HEADER_BYTES;
  while (offset < length) {
    // The last byte alone is no attribute: its length byte lies outside.
    if (offset + 1 >= length) return BAD_ATTRIBUTE_LENGTH;
    const step = datagram[offset + 1] as number;
    if (step < 2) return BAD_ATTRIBUTE_LENGTH;
    offset += step;
  }
  if (offset !== length) return BAD_ATTRIBUTE_LENGTH;

  return {
    kind: 'packet',
    bytes: length === datagram.length ? datagram : datagram.subarray(0, length),
    code: datagram[0] as number,
    identifier: datagram[1] as number,
  };
}

/** A view of the 16 bytes of the Request or Response Authenticator. */
export function packetAuthenticator(packet: Packet): Buffer {
  return packet.bytes.subarray(4, HEADER_BYTES);
}

/** Where the first attribute of this type at or after `after` begins, or -1. */
export function findAttribute(packet: Packet, type: number, after: number = HEADER_BYTES): number {
  const { bytes } = packet;
  for (let offset = after; offset < bytes.length; offset += attributeLength(bytes, offset)) {
    if (bytes[offset] === type) return offset;
  }
  return -1;
}

/** Where the attribute after this one begins; equal to the packet's length after the last one. */
export function nextAttribute(packet: Packet, offset: number): number {
  return offset + attributeLength(packet.bytes, offset);
}

export function countAttribute(packet: Packet, type: number): number {
  const { bytes } = packet;
  let count = 0;
  for (let offset = HEADER_BYTES; offset < bytes.length; offset += attributeLength(bytes, offset)) {
    if (bytes[offset] === type) count++;
  }
  return count;
}

/** A view of the value of the attribute that begins at `offset`. */
export function attributeValue(packet: Packet, offset: number): Buffer {
  return packet.bytes.subarray(offset + 2, nextAttribute(packet, offset));
}

export function attributeText(packet: Packet, offset: number): string {
  return packet.bytes.toString('utf8', offset + 2, nextAttribute(packet, offset));
}

/** Unsigned, 32 bits. Undefined when the value is not four bytes long. */
export function attributeInteger(packet: Packet, offset: number): number | undefined {
  const { bytes } = packet;
  if (bytes[offset + 1] !== 6 || offset + 6 > bytes.length) return undefined;
  return bytes.readUInt32BE(offset + 2);
}

/** The text of the first attribute of this type. */
export function findText(packet: Packet, type: number): string | undefined {
  const offset = findAttribute(packet, type);
  return offset === -1 ? undefined : attributeText(packet, offset);
}

/** The value of the first attribute of this type, as attributeInteger reads it. */
export function findInteger(packet: Packet, type: number): number | undefined {
  const offset = findAttribute(packet, type);
  return offset === -1 ? undefined : attributeInteger(packet, offset);
}

/** A view of the value of the first attribute of this type. */
export function findValue(packet: Packet, type: number): Buffer | undefined {
  const offset = findAttribute(packet, type);
  return offset === -1 ? undefined : attributeValue(packet, offset);
}

/**
 * The first value of a vendor's attribute in the format RFC 2865 §5.26 recommends, which may hold
 * several. A Vendor-Specific that does not follow it is skipped: it is not ours to judge.
 */
export function findVendorAttribute(
  packet: Packet,
  vendorId: number,
  vendorType: number,
): Buffer | undefined {
  const { bytes } = packet;
  let offset = findAttribute(packet, AttributeType.VendorSpecific);
  while (offset !== -1) {
    const end = nextAttribute(packet, offset);
    if (end - offset >= 8 && bytes.readUInt32BE(offset + 2) === vendorId) {
      let at = offset + 6;
      while (at + 1 < end) {
        const length = bytes[at + 1] as number;
        if (length < 2 || at + length > end) break;
        if (bytes[at] === vendorType) return bytes.subarray(at + 2, at + length);
        at += length;
      }
    }
    offset = findAttribute(packet, AttributeType.VendorSpecific, end);
  }
  return undefined;
}

/** All attributes of this type as one value, such as EAP-Message. A single one is not copied. */
export function concatAttribute(packet: Packet, type: number): Buffer | undefined {
  const { bytes } = packet;
  const first = findAttribute(packet, type);
  if (first === -1) return undefined;
  const value = attributeValue(packet, first);
  let offset = findAttribute(packet, type, nextAttribute(packet, first));
  if (offset === -1) return value;

  const whole = Buffer.allocUnsafe(bytes.length - first);
  let length = value.copy(whole);
  while (offset !== -1) {
    const end = nextAttribute(packet, offset);
    length += bytes.copy(whole, length, offset + 2, end);
    offset = findAttribute(packet, type, end);
  }
  return whole.subarray(0, length);
}

/** At least 2, so that a scan always ends, also over bytes that parsePacket has not seen. */
function attributeLength(bytes: Buffer, offset: number): number {
  const length = bytes[offset + 1] ?? 2;
  return length < 2 ? 2 : length;
}

// Made once: a flood of broken packets should not also make work for the garbage collector.
const TOO_SHORT: Malformed = Object.freeze({ kind: 'malformed', reason: 'too-short' });
const TOO_LONG: Malformed = Object.freeze({ kind: 'malformed', reason: 'too-long' });
const BAD_LENGTH: Malformed = Object.freeze({ kind: 'malformed', reason: 'bad-length' });
const BAD_ATTRIBUTE_LENGTH: Malformed = Object.freeze({
  kind: 'malformed',
  reason: 'bad-attribute-length',
});
