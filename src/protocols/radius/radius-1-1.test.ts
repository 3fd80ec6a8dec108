// RFC 9765, and that nothing is lost on the way through.

import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  prepareSecret,
  verifyAccountingAuthenticator,
  verifyMessageAuthenticator,
} from './authenticator.ts';
import { MICROSOFT_VENDOR_ID } from './dictionary/microsoft.ts';
import {
  AttributeType,
  findInteger,
  findText,
  findValue,
  findVendorAttribute,
  packetAuthenticator,
  PacketCode,
  parsePacket,
} from './packet.ts';
import type { Packet } from './packet.ts';
import { revealUserPassword, saltEncrypt } from './password.ts';
import { protocolError11, readRequest11, writeReply11 } from './radius-1-1.ts';
import type { Request11 } from './radius-1-1.ts';
import { createReplyWriter } from './reply.ts';

const secret = prepareSecret(Buffer.from('radsec'));
const AUTHENTICATOR = Buffer.from('00112233445566778899aabbccddeeff', 'hex');
const TOKEN = Buffer.from('0a0b0c0d', 'hex');
const TUNNEL_PASSWORD = 69;

function packet11(code: number, attributes: readonly (readonly [number, Buffer])[]): Buffer {
  const parts = attributes.map(([type, value]) =>
    Buffer.concat([Buffer.from([type, value.length + 2]), value]),
  );
  const header = Buffer.alloc(20);
  header[0] = code;
  header[1] = 77; // Reserved-1: nobody looks
  TOKEN.copy(header, 4);
  header.fill(0xff, 8); // Reserved-2: nor there
  const bytes = Buffer.concat([header, ...parts]);
  bytes.writeUInt16BE(bytes.length, 2);
  return bytes;
}

function read(bytes: Buffer): Request11 {
  const request = readRequest11(bytes, secret, AUTHENTICATOR);
  if (request.kind === 'malformed') throw new Error(request.reason);
  return request;
}

function parse(bytes: Buffer): Packet {
  const packet = parsePacket(bytes);
  if (packet.kind === 'malformed') throw new Error(packet.reason);
  return packet;
}

const login = () =>
  packet11(PacketCode.AccessRequest, [
    [AttributeType.UserName, Buffer.from('alice')],
    [AttributeType.UserPassword, Buffer.from('wonderland')],
    [AttributeType.ProxyState, Buffer.from('proxy')],
  ]);

describe('a request', () => {
  test('becomes a signed one with a hidden password', () => {
    const { packet, token } = read(login());
    expect(token).toEqual(TOKEN);
    expect(verifyMessageAuthenticator(packet, secret)).toBe('valid');
    expect(packetAuthenticator(packet)).toEqual(AUTHENTICATOR);
    expect(findText(packet, AttributeType.UserName)).toBe('alice');
    const hidden = findValue(packet, AttributeType.UserPassword) ?? Buffer.alloc(0);
    expect(hidden.toString('latin1')).not.toContain('wonderland');
    expect(revealUserPassword(hidden, secret, AUTHENTICATOR)?.toString()).toBe('wonderland');
  });

  test('of accounting becomes one with a right authenticator', () => {
    const { packet } = read(packet11(PacketCode.AccountingRequest, [[44, Buffer.from('s1')]]));
    expect(verifyAccountingAuthenticator(packet, secret)).toBe(true);
    expect(verifyMessageAuthenticator(packet, secret)).toBe('valid');
  });

  test('that carries a Message-Authenticator all the same loses it, right or wrong', () => {
    const { packet } = read(
      packet11(PacketCode.AccessRequest, [
        [AttributeType.MessageAuthenticator, Buffer.alloc(3)],
        [AttributeType.MessageAuthenticator, Buffer.alloc(16)],
        [AttributeType.UserName, Buffer.from('alice')],
      ]),
    );
    expect(verifyMessageAuthenticator(packet, secret)).toBe('valid');
  });

  test('with a password of more than 128 bytes has none that could be right', () => {
    const { packet } = read(
      packet11(PacketCode.AccessRequest, [[AttributeType.UserPassword, Buffer.alloc(144, 'a')]]),
    );
    const hidden = findValue(packet, AttributeType.UserPassword) ?? Buffer.alloc(0);
    expect(revealUserPassword(hidden, secret, AUTHENTICATOR)).toBeUndefined();
  });

  test.each([
    ['bad-attribute-length', Buffer.from('01000016000000000000000000000000000000000101', 'hex')],
    ['bad-length', Buffer.from('0100001300000000000000000000000000000000', 'hex')],
    ['too-short', Buffer.alloc(4)],
  ])('that is malformed is told so: %s', (reason, bytes) => {
    expect(readRequest11(bytes, secret, AUTHENTICATOR)).toEqual({ kind: 'malformed', reason });
  });

  test('that leaves no room for a signature is too long', () => {
    const many = Array.from(
      { length: 16 },
      () => [AttributeType.State, Buffer.alloc(252)] as const,
    );
    const bytes = packet11(PacketCode.AccessRequest, [...many, [1, Buffer.alloc(10)]]);
    expect(bytes).toHaveLength(4096);
    expect(readRequest11(bytes, secret, AUTHENTICATOR)).toMatchObject({ reason: 'too-long' });
  });

  test('of any bytes never throws', () => {
    const property = fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const request = Buffer.from(bytes);
      if (request.length >= 4) request.writeUInt16BE(request.length, 2);
      return ['request', 'malformed'].includes(readRequest11(request, secret, AUTHENTICATOR).kind);
    });
    expect(() => fc.assert(property)).not.toThrow();
  });
});

describe('an answer', () => {
  function accept(write: (writer: ReturnType<typeof createReplyWriter>) => void): Packet {
    const request = read(login());
    const writer = createReplyWriter();
    writer.begin(PacketCode.AccessAccept, request.packet, true);
    write(writer);
    writer.copyProxyStates(request.packet);
    return parse(writeReply11(writer.finish(secret), request, secret));
  }

  test('carries the Token, zeros, and no signature', () => {
    const answer = accept((writer) => writer.text(18, 'welcome'));
    expect(answer.bytes.subarray(0, 20).toString('hex')).toBe(
      `0200${answer.bytes.subarray(2, 4).toString('hex')}0a0b0c0d${'00'.repeat(12)}`,
    );
    expect(findValue(answer, AttributeType.MessageAuthenticator)).toBeUndefined();
    expect(findText(answer, 18)).toBe('welcome');
    expect(findText(answer, AttributeType.ProxyState)).toBe('proxy');
  });

  test('shows keys and passwords as they are', () => {
    const sendKey = randomBytes(32);
    const recvKey = randomBytes(32);
    const hide = (value: Buffer, salt: number) => saltEncrypt(value, salt, secret, AUTHENTICATOR);
    const answer = accept((writer) => {
      writer.vendorBytes(MICROSOFT_VENDOR_ID, 16, hide(sendKey, 1));
      writer.vendorBytes(MICROSOFT_VENDOR_ID, 17, hide(recvKey, 2));
      writer.bytes(TUNNEL_PASSWORD, Buffer.concat([Buffer.from([1]), hide(Buffer.from('psk'), 3)]));
    });
    expect(findVendorAttribute(answer, MICROSOFT_VENDOR_ID, 16)).toEqual(sendKey);
    expect(findVendorAttribute(answer, MICROSOFT_VENDOR_ID, 17)).toEqual(recvKey);
    expect(findValue(answer, TUNNEL_PASSWORD)?.toString()).toBe('\u0001psk');
  });

  test.each([
    ['another vendor', 9, 16],
    ['another attribute', MICROSOFT_VENDOR_ID, 26],
  ])('leaves what is not hidden alone: %s', (_, vendor, type) => {
    const value = randomBytes(34);
    const answer = accept((writer) => writer.vendorBytes(vendor, type, value));
    expect(findVendorAttribute(answer, vendor, type)).toEqual(value);
  });

  test('that cannot be given is a Protocol-Error that says why', () => {
    const error = parse(protocolError11(read(login()), 506));
    expect(error.code).toBe(PacketCode.ProtocolError);
    expect(error.bytes.subarray(4, 8)).toEqual(TOKEN);
    expect(findInteger(error, 101)).toBe(506);
    expect(findText(error, AttributeType.ProxyState)).toBe('proxy');
  });
});
