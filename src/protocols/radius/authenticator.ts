// How router and server know a packet is the other's: Request and Response Authenticator
// (RFC 2865 §3, RFC 2866 §3, RFC 5176 §2.3) and Message-Authenticator (RFC 3579 §3.2).
// Whether a missing Message-Authenticator is acceptable is the caller's decision.

import { createMd5, equalDigests, hmacMd5Into, MD5_BYTES, prepareHmacKey } from './md5.ts';
import type { HmacKey } from './md5.ts';
import {
  AttributeType,
  findAttribute,
  HEADER_BYTES,
  MAX_PACKET_BYTES,
  nextAttribute,
  PacketCode,
} from './packet.ts';
import type { Packet } from './packet.ts';

/** What a router and we share, and its HMAC key worked out once. Never log it. */
export type Secret = { readonly bytes: Buffer; readonly hmac: HmacKey };

export function prepareSecret(bytes: Buffer): Secret {
  return { bytes, hmac: prepareHmacKey(bytes) };
}

export type MessageAuthenticatorCheck = 'valid' | 'absent' | 'invalid';

/**
 * For a response, `requestAuthenticator` is that of the request it answers. More than one
 * Message-Authenticator, or one of a wrong length, is invalid. The packet is not touched.
 */
export function verifyMessageAuthenticator(
  packet: Packet,
  secret: Secret,
  requestAuthenticator?: Uint8Array,
): MessageAuthenticatorCheck {
  const { bytes } = packet;
  const offset = findAttribute(packet, AttributeType.MessageAuthenticator);
  if (offset === -1) return 'absent';
  if (bytes[offset + 1] !== 2 + MD5_BYTES || bytes.length > MAX_PACKET_BYTES) return 'invalid';
  const next = nextAttribute(packet, offset);
  if (findAttribute(packet, AttributeType.MessageAuthenticator, next) !== -1) return 'invalid';

  scratch.set(bytes);
  scratch.fill(0, offset + 2, next);
  if (requestAuthenticator !== undefined) scratch.set(requestAuthenticator, AUTHENTICATOR_OFFSET);
  else if (isSignedRequest(packet.code)) scratch.fill(0, AUTHENTICATOR_OFFSET, HEADER_BYTES);
  hmacMd5Into(secret.hmac, scratch, 0, bytes.length, digest, 0);
  return equalDigests(digest, 0, bytes, offset + 2) ? 'valid' : 'invalid';
}

/** Of an Accounting-, Disconnect- or CoA-Request: MD5 over the packet with 16 zeros in its place. */
export function verifyAccountingAuthenticator(packet: Packet, secret: Secret): boolean {
  digestWith(packet.bytes, zeros, secret);
  return equalDigests(digest, 0, packet.bytes, AUTHENTICATOR_OFFSET);
}

/**
 * As a client: the Response Authenticator is right and a Message-Authenticator, if there is one, too.
 * Ask verifyMessageAuthenticator as well where one is required, as in every answer to a login.
 */
export function verifyResponse(
  response: Packet,
  requestAuthenticator: Uint8Array,
  secret: Secret,
): boolean {
  digestWith(response.bytes, requestAuthenticator, secret);
  if (!equalDigests(digest, 0, response.bytes, AUTHENTICATOR_OFFSET)) return false;
  return verifyMessageAuthenticator(response, secret, requestAuthenticator) !== 'invalid';
}

/**
 * As a client: fills Message-Authenticator, if the request has one, and the Request Authenticator of
 * Accounting, Disconnect and CoA. The random one of Access-Request and Status-Server stays.
 */
export function signRequest(request: Packet, secret: Secret): void {
  const { bytes } = request;
  if (isSignedRequest(request.code)) bytes.fill(0, AUTHENTICATOR_OFFSET, HEADER_BYTES);
  fillMessageAuthenticator(
    bytes,
    bytes.length,
    findAttribute(request, AttributeType.MessageAuthenticator),
    secret,
  );
  if (isSignedRequest(request.code)) fillAuthenticator(bytes, bytes.length, secret);
}

/** Fills the attribute at `offset`, over the authenticator that the header holds; -1 is none. */
export function fillMessageAuthenticator(
  bytes: Uint8Array,
  length: number,
  offset: number,
  secret: Secret,
): void {
  if (offset === -1) return;
  bytes.fill(0, offset + 2, offset + 2 + MD5_BYTES);
  hmacMd5Into(secret.hmac, bytes, 0, length, bytes, offset + 2);
}

/** Puts MD5(packet + secret) where the header now holds zeros or the request's authenticator. */
export function fillAuthenticator(bytes: Uint8Array, length: number, secret: Secret): void {
  hasher.begin();
  hasher.update(bytes, 0, length);
  hasher.update(secret.bytes);
  hasher.finishInto(bytes, AUTHENTICATOR_OFFSET);
}

/** Requests whose authenticator is a digest and not a random number. */
export function isSignedRequest(code: number): boolean {
  return (
    code === PacketCode.AccountingRequest ||
    code === PacketCode.DisconnectRequest ||
    code === PacketCode.CoaRequest
  );
}

const AUTHENTICATOR_OFFSET = 4;
const hasher = createMd5();
const digest = new Uint8Array(MD5_BYTES);
const zeros = new Uint8Array(MD5_BYTES);
const scratch = new Uint8Array(MAX_PACKET_BYTES);

function digestWith(bytes: Uint8Array, authenticator: Uint8Array, secret: Secret): void {
  hasher.begin();
  hasher.update(bytes, 0, AUTHENTICATOR_OFFSET);
  hasher.update(authenticator, 0, MD5_BYTES);
  hasher.update(bytes, HEADER_BYTES);
  hasher.update(secret.bytes);
  hasher.finishInto(digest, 0);
}
