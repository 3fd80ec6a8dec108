import { describe, expect, test } from 'vitest';
import { prepareSecret, verifyMessageAuthenticator, verifyResponse } from './authenticator.ts';
import {
  attributeValue,
  concatAttribute,
  countAttribute,
  findAttribute,
  findInteger,
  findText,
  findValue,
  findVendorAttribute,
  nextAttribute,
  packetAuthenticator,
  PacketCode,
  parsePacket,
} from './packet.ts';
import type { Packet } from './packet.ts';
import { createReplyWriter } from './reply.ts';
import { createRequestWriter } from './request.ts';

const secret = prepareSecret(Buffer.from('testing123'));
const authenticator = Buffer.alloc(16, 5);
const requests = createRequestWriter();
const writer = createReplyWriter();

function parsed(bytes: Buffer | undefined): Packet {
  const packet = parsePacket(bytes ?? Buffer.alloc(0));
  if (packet.kind !== 'packet') throw new Error(packet.reason);
  return packet;
}

function request(...proxyStates: Buffer[]): Packet {
  requests.begin(PacketCode.AccessRequest, 200, authenticator, false);
  for (const state of proxyStates) requests.bytes(33, state);
  return parsed(requests.finish(secret));
}

test('a reply carries what was written, signed for the request', () => {
  const toRequest = request();
  writer.begin(PacketCode.AccessAccept, toRequest, true);
  writer.text(18, 'Xin chào');
  writer.integer(27, 4_294_967_295);
  writer.address(8, '10.1.2.255');
  writer.bytes(25, Buffer.of(1, 2));
  writer.vendorText(14988, 8, '2M/10M');
  writer.vendorInteger(14122, 7, 512_000);
  writer.vendorBytes(311, 26, Buffer.of(9));
  const bytes = writer.finish(secret);
  const reply = parsed(bytes);

  expect(writer.isTooBig).toBe(false);
  expect([reply.code, reply.identifier]).toEqual([2, 200]);
  expect(reply.bytes[20]).toBe(80); // Message-Authenticator comes first
  expect(verifyResponse(reply, packetAuthenticator(toRequest), secret)).toBe(true);
  expect(verifyMessageAuthenticator(reply, secret, authenticator)).toBe('valid');
  expect(findText(reply, 18)).toBe('Xin chào');
  expect(findInteger(reply, 27)).toBe(4_294_967_295);
  expect(findValue(reply, 8)).toEqual(Buffer.of(10, 1, 2, 255));
  expect(findValue(reply, 25)).toEqual(Buffer.of(1, 2));
  expect(String(findVendorAttribute(reply, 14988, 8))).toBe('2M/10M');
  expect(findVendorAttribute(reply, 14122, 7)?.readUInt32BE()).toBe(512_000);
  expect(findVendorAttribute(reply, 311, 26)).toEqual(Buffer.of(9));
});

test('the reply does not change when the writer is used again', () => {
  writer.begin(PacketCode.AccessReject, request(), true);
  const first = writer.finish(secret);
  const copy = Buffer.from(first);
  writer.begin(PacketCode.AccessAccept, request(), true);
  writer.finish(secret);
  expect(first).toEqual(copy);
});

test('all Proxy-States come back in their order', () => {
  const states = [Buffer.of(1), Buffer.of(2, 2), Buffer.alloc(0), Buffer.of(1)];
  const toRequest = request(...states);
  writer.begin(PacketCode.AccountingResponse, toRequest, false);
  writer.copyProxyStates(toRequest);
  const reply = parsed(writer.finish(secret));
  const echoed: Buffer[] = [];
  for (
    let offset = findAttribute(reply, 33);
    offset !== -1;
    offset = findAttribute(reply, 33, nextAttribute(reply, offset))
  ) {
    echoed.push(attributeValue(reply, offset));
  }
  expect(echoed).toEqual(states);
});

test('an EAP packet is split into attributes of 253 bytes', () => {
  const eap = Buffer.alloc(1000, 7);
  writer.begin(PacketCode.AccessChallenge, request(), true);
  writer.eapMessage(eap);
  const reply = parsed(writer.finish(secret));
  expect(countAttribute(reply, 79)).toBe(4);
  expect(concatAttribute(reply, 79)).toEqual(eap);
});

describe('what does not fit', () => {
  const tooMuch = () => {
    for (let i = 0; i < 20; i++) writer.bytes(25, Buffer.alloc(253));
  };

  test.each([
    ['Access-Accept', PacketCode.AccessAccept, PacketCode.AccessReject],
    ['Access-Challenge', PacketCode.AccessChallenge, PacketCode.AccessReject],
    ['Accounting-Response', PacketCode.AccountingResponse, PacketCode.AccountingResponse],
  ])('makes an %s one without attributes, but for Proxy-State', (_name, code, becomes) => {
    const toRequest = request(Buffer.of(1));
    writer.begin(code, toRequest, true);
    tooMuch();
    expect(writer.isTooBig).toBe(true);
    const reply = parsed(writer.finish(secret));
    expect(writer.isTooBig).toBe(true);
    expect(reply.code).toBe(becomes);
    expect(countAttribute(reply, 25)).toBe(0);
    expect(countAttribute(reply, 33)).toBe(1);
    expect(verifyResponse(reply, authenticator, secret)).toBe(true);
  });

  test.each([
    ['a value of 254 bytes', () => writer.bytes(25, Buffer.alloc(254))],
    ['a text of 254 bytes', () => writer.text(18, 'é'.repeat(127))],
    ['a vendor value of 248 bytes', () => writer.vendorBytes(9, 1, Buffer.alloc(248))],
    ['an address that is none', () => writer.address(8, '10.0.0.256')],
  ])('%s counts as too big', (_name, write) => {
    writer.begin(PacketCode.AccessAccept, request(), true);
    write();
    expect(writer.isTooBig).toBe(true);
    expect(parsed(writer.finish(secret)).code).toBe(PacketCode.AccessReject);
    writer.begin(PacketCode.AccessAccept, request(), true);
    expect(writer.isTooBig).toBe(false);
  });

  test('a client is told instead', () => {
    requests.begin(PacketCode.AccessRequest, 1, authenticator, true);
    requests.text(1, 'x'.repeat(254));
    expect(requests.finish(secret)).toBeUndefined();
  });
});
