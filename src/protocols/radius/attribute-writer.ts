// Writes attributes one after another into a scratch buffer that is used again and again.
// RFC 2865 §5. Header, authenticators and what happens with too much belong to reply.ts and request.ts.

import { parseIpv4 } from './ip-address.ts';
import { MD5_BYTES } from './md5.ts';
import {
  AttributeType,
  findAttribute,
  HEADER_BYTES,
  MAX_PACKET_BYTES,
  MAX_VALUE_BYTES,
  nextAttribute,
} from './packet.ts';
import type { Packet } from './packet.ts';

export type AttributeWriter = {
  bytes(type: number, value: Uint8Array): void;
  /** UTF-8. */
  text(type: number, value: string): void;
  /** Unsigned, 32 bits, also for dates and enumerations. */
  integer(type: number, value: number): void;
  /** IPv4 in dotted notation; anything else counts as too big, so that it is never sent half. */
  address(type: number, dotted: string): void;
  vendorBytes(vendorId: number, vendorType: number, value: Uint8Array): void;
  vendorText(vendorId: number, vendorType: number, value: string): void;
  vendorInteger(vendorId: number, vendorType: number, value: number): void;
  /** An EAP packet of any length, in attributes of 253 bytes that follow one another. */
  eapMessage(eap: Uint8Array): void;
  /** All of them, in their order, as every reply must. RFC 2865 §5.33. */
  copyProxyStates(request: Packet): void;
};

export type ScratchWriter = AttributeWriter & {
  readonly scratch: Buffer;
  readonly length: number;
  /** True when something did not fit since `restart`; it was left out as a whole. */
  readonly isTooBig: boolean;
  /** Starts after the header; with a Message-Authenticator of zeros it comes first. */
  restart(withMessageAuthenticator: boolean): void;
};

export function createScratchWriter(): ScratchWriter {
  const scratch = Buffer.alloc(MAX_PACKET_BYTES);
  let length = HEADER_BYTES;
  let isTooBig = false;

  /** Makes room and writes type and length; returns where the value goes, or -1. */
  function open(type: number, valueBytes: number): number {
    if (valueBytes > MAX_VALUE_BYTES || length + 2 + valueBytes > MAX_PACKET_BYTES) {
      isTooBig = true;
      return -1;
    }
    const at = length;
    scratch[at] = type;
    scratch[at + 1] = valueBytes + 2;
    length += valueBytes + 2;
    return at + 2;
  }

  function openVendor(vendorId: number, vendorType: number, valueBytes: number): number {
    const at = open(AttributeType.VendorSpecific, valueBytes + 6);
    if (at === -1) return -1;
    putInteger(scratch, at, vendorId);
    scratch[at + 4] = vendorType;
    scratch[at + 5] = valueBytes + 2;
    return at + 6;
  }

  return {
    scratch,
    get length() {
      return length;
    },
    get isTooBig() {
      return isTooBig;
    },

    restart(withMessageAuthenticator) {
      length = HEADER_BYTES;
      isTooBig = false;
      if (!withMessageAuthenticator) return;
      const at = open(AttributeType.MessageAuthenticator, MD5_BYTES);
      scratch.fill(0, at, at + MD5_BYTES);
    },

    bytes(type, value) {
      const at = open(type, value.length);
      if (at !== -1) scratch.set(value, at);
    },

    text(type, value) {
      const at = open(type, Buffer.byteLength(value));
      if (at !== -1) scratch.write(value, at);
    },

    integer(type, value) {
      const at = open(type, 4);
      if (at !== -1) putInteger(scratch, at, value);
    },

    address(type, dotted) {
      const value = parseIpv4(dotted);
      if (value === -1) {
        isTooBig = true;
        return;
      }
      const at = open(type, 4);
      if (at !== -1) putInteger(scratch, at, value);
    },

    vendorBytes(vendorId, vendorType, value) {
      const at = openVendor(vendorId, vendorType, value.length);
      if (at !== -1) scratch.set(value, at);
    },

    vendorText(vendorId, vendorType, value) {
      const at = openVendor(vendorId, vendorType, Buffer.byteLength(value));
      if (at !== -1) scratch.write(value, at);
    },

    vendorInteger(vendorId, vendorType, value) {
      const at = openVendor(vendorId, vendorType, 4);
      if (at !== -1) putInteger(scratch, at, value);
    },

    eapMessage(eap) {
      for (let from = 0; from < eap.length; from += MAX_VALUE_BYTES) {
        const part = eap.subarray(from, from + MAX_VALUE_BYTES);
        const at = open(AttributeType.EapMessage, part.length);
        if (at !== -1) scratch.set(part, at);
      }
    },

    copyProxyStates(request) {
      let offset = findAttribute(request, AttributeType.ProxyState);
      while (offset !== -1) {
        const end = nextAttribute(request, offset);
        const at = open(AttributeType.ProxyState, end - offset - 2);
        if (at !== -1) request.bytes.copy(scratch, at, offset + 2, end);
        offset = findAttribute(request, AttributeType.ProxyState, end);
      }
    },
  };
}

/** Like writeUInt32BE, without its range check: a number too large keeps its low 32 bits. */
function putInteger(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}
