// RADIUS/1.1, which trusts TLS alone: a Token in place of the authenticators, nothing signed, nothing
// hidden. RFC 9765. It is translated where it comes in and goes out, into what RADIUS has been since 1997
// and back, so that the rest of the server knows one protocol. The secret in between never leaves us.

import { fillAuthenticator, fillMessageAuthenticator, isSignedRequest } from './authenticator.ts';
import type { Secret } from './authenticator.ts';
import { createScratchWriter } from './attribute-writer.ts';
import { MICROSOFT_VENDOR_ID, MicrosoftType } from './dictionary/microsoft.ts';
import {
  AttributeType,
  attributeValue,
  HEADER_BYTES,
  MAX_PACKET_BYTES,
  nextAttribute,
  packetAuthenticator,
  PacketCode,
  parsePacket,
} from './packet.ts';
import type { Malformed, Packet } from './packet.ts';
import { hideUserPassword, MAX_PASSWORD_BYTES, saltDecrypt } from './password.ts';

export type Request11 = {
  readonly kind: 'request';
  /** What its answer must carry. */
  readonly token: Buffer;
  /** The same request, signed and with its password hidden, under the secret and with Identifier 0. */
  readonly packet: Packet;
};

/** `authenticator`: 16 fresh random bytes. */
export function readRequest11(
  bytes: Buffer,
  secret: Secret,
  authenticator: Uint8Array,
): Request11 | Malformed {
  const sent = parsePacket(bytes);
  if (sent.kind === 'malformed') return sent;
  writer.restart(true);
  for (let at = HEADER_BYTES; at < sent.bytes.length; at = nextAttribute(sent, at)) {
    const type = sent.bytes.readUInt8(at);
    // Meaningless here, and not even looked at. RFC 9765 §5.2.
    if (type === AttributeType.MessageAuthenticator) continue;
    const value = attributeValue(sent, at);
    // A longer password than RADIUS/1.0 could carry stays as it is, and proves to be none.
    const isPassword = type === AttributeType.UserPassword && value.length <= MAX_PASSWORD_BYTES;
    writer.bytes(type, isPassword ? hideUserPassword(value, secret, authenticator) : value);
  }
  if (writer.isTooBig) return { kind: 'malformed', reason: 'too-long' };
  finishHeader(sent.code, authenticator);
  fillMessageAuthenticator(writer.scratch, writer.length, HEADER_BYTES, secret);
  if (isSignedRequest(sent.code)) fillAuthenticator(writer.scratch, writer.length, secret);

  const packet = parsePacket(Buffer.from(writer.scratch.subarray(0, writer.length)));
  if (packet.kind === 'malformed') return packet;
  return { kind: 'request', token: Buffer.from(sent.bytes.subarray(4, 8)), packet };
}

/** An answer of ours, as RADIUS/1.1 has it: the keys in it are for TLS to hide. */
export function writeReply11(reply: Buffer, { token, packet }: Request11, secret: Secret): Buffer {
  const answer = parsePacket(reply);
  if (answer.kind === 'malformed') throw new Error('we wrote a malformed answer');
  const authenticator = packetAuthenticator(packet);
  writer.restart(false);
  for (let at = HEADER_BYTES; at < reply.length; at = nextAttribute(answer, at)) {
    const value = attributeValue(answer, at);
    switch (reply[at]) {
      case AttributeType.MessageAuthenticator:
        break;
      case TUNNEL_PASSWORD: {
        const revealed = saltDecrypt(value.subarray(1), secret, authenticator);
        writer.bytes(
          TUNNEL_PASSWORD,
          revealed === undefined ? value : Buffer.concat([value.subarray(0, 1), revealed]),
        );
        break;
      }
      case AttributeType.VendorSpecific:
        writer.bytes(AttributeType.VendorSpecific, revealKeys(value, secret, authenticator));
        break;
      default:
        writer.bytes(reply.readUInt8(at), value);
    }
  }
  finishHeader(answer.code, token);
  return Buffer.from(writer.scratch.subarray(0, writer.length));
}

/** `errorCause`: RFC 5176 §3.6. The client need not wait, and learns why. RFC 9765 §6.1, RFC 7930 §4. */
export function protocolError11(request: Request11, errorCause: number): Buffer {
  writer.restart(false);
  writer.integer(ERROR_CAUSE, errorCause);
  writer.copyProxyStates(request.packet);
  finishHeader(PacketCode.ProtocolError, request.token);
  return Buffer.from(writer.scratch.subarray(0, writer.length));
}

const TUNNEL_PASSWORD = 69;
const ERROR_CAUSE = 101;
const VENDOR_ID_BYTES = 4;

const writer = createScratchWriter();

/** `authenticator`: of a RADIUS/1.1 packet the Token alone; what follows it is zero. */
function finishHeader(code: number, authenticator: Uint8Array): void {
  const { scratch, length } = writer;
  scratch.fill(0, 0, HEADER_BYTES);
  scratch[0] = code;
  scratch.writeUInt16BE(length, 2);
  if (!isSignedRequest(code)) scratch.set(authenticator, 4);
}

/** MS-MPPE-Send-Key and MS-MPPE-Recv-Key, which RFC 2548 §2.4 hides like a Tunnel-Password. */
function revealKeys(value: Buffer, secret: Secret, authenticator: Uint8Array): Buffer {
  if (value.length < VENDOR_ID_BYTES || value.readUInt32BE(0) !== MICROSOFT_VENDOR_ID) return value;
  const revealed = Buffer.alloc(MAX_PACKET_BYTES);
  let length = value.copy(revealed, 0, 0, VENDOR_ID_BYTES);
  for (let at = VENDOR_ID_BYTES; at + 1 < value.length;) {
    const type = value.readUInt8(at);
    const end = at + value.readUInt8(at + 1);
    if (end < at + 2 || end > value.length) return value;
    const isKey = type === MicrosoftType.MppeSendKey || type === MicrosoftType.MppeRecvKey;
    const inside = value.subarray(at + 2, end);
    const plain = (isKey ? saltDecrypt(inside, secret, authenticator) : undefined) ?? inside;
    length = revealed.writeUInt8(type, length);
    length = revealed.writeUInt8(plain.length + 2, length);
    length += plain.copy(revealed, length);
    at = end;
  }
  return revealed.subarray(0, length);
}
