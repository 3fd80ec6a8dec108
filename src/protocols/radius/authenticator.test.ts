import { createHash, createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  prepareSecret,
  signRequest,
  verifyAccountingAuthenticator,
  verifyMessageAuthenticator,
  verifyResponse,
} from './authenticator.ts';
import { packetAuthenticator, PacketCode, parsePacket } from './packet.ts';
import type { Packet } from './packet.ts';
import { createReplyWriter } from './reply.ts';
import { createRequestWriter } from './request.ts';

const secret = prepareSecret(Buffer.from('testing123'));
const wrong = prepareSecret(Buffer.from('testing124'));
const authenticator = Buffer.from(Array.from({ length: 16 }, (_, index) => index + 1));
const writer = createRequestWriter();

function parsed(bytes: Buffer | undefined): Packet {
  const packet = parsePacket(bytes ?? Buffer.alloc(0));
  if (packet.kind !== 'packet') throw new Error(packet.reason);
  return packet;
}

function request(code: number, withMessageAuthenticator = true): Packet {
  writer.begin(code, 3, authenticator, withMessageAuthenticator);
  writer.text(1, 'alice');
  return parsed(writer.finish(secret));
}

describe('Message-Authenticator', () => {
  test.each([
    ['Access-Request', PacketCode.AccessRequest],
    ['Status-Server', PacketCode.StatusServer],
    ['Accounting-Request', PacketCode.AccountingRequest],
    ['Disconnect-Request', PacketCode.DisconnectRequest],
    ['CoA-Request', PacketCode.CoaRequest],
  ])('of an %s is what node:crypto computes', (_name, code) => {
    const packet = request(code);
    const copy = Buffer.from(packet.bytes);
    const isSigned = code !== PacketCode.AccessRequest && code !== PacketCode.StatusServer;
    if (isSigned) copy.fill(0, 4, 20);
    copy.fill(0, 22, 38);
    const expected = createHmac('md5', 'testing123').update(copy).digest();
    expect(packet.bytes.subarray(22, 38)).toEqual(expected);

    const before = Buffer.from(packet.bytes);
    expect(verifyMessageAuthenticator(packet, secret)).toBe('valid');
    expect(verifyMessageAuthenticator(packet, wrong)).toBe('invalid');
    expect(packet.bytes).toEqual(before);
  });

  test('can be absent, double or of a wrong length', () => {
    expect(verifyMessageAuthenticator(request(1, false), secret)).toBe('absent');
    writer.begin(1, 3, authenticator, true);
    writer.bytes(80, Buffer.alloc(16));
    expect(verifyMessageAuthenticator(parsed(writer.finish(secret)), secret)).toBe('invalid');
    writer.begin(1, 3, authenticator, false);
    writer.bytes(80, Buffer.alloc(15));
    expect(verifyMessageAuthenticator(parsed(writer.finish(secret)), secret)).toBe('invalid');
  });

  test('notices every changed bit of the packet', () => {
    const packet = request(1);
    for (let bit = 0; bit < packet.bytes.length * 8; bit++) {
      const changed = Buffer.from(packet.bytes);
      changed[bit >>> 3] = (changed[bit >>> 3] ?? 0) ^ (1 << (bit & 7));
      const result = parsePacket(changed);
      // A changed length may no longer be a packet, a changed type no longer a Message-Authenticator.
      const check =
        result.kind === 'packet' ? verifyMessageAuthenticator(result, secret) : 'malformed';
      expect(check).not.toBe('valid');
    }
  });
});

describe('the authenticator of Accounting, Disconnect and CoA', () => {
  test.each([true, false])('is right, with a Message-Authenticator: %s', (hasOne) => {
    const packet = request(PacketCode.AccountingRequest, hasOne);
    const copy = Buffer.from(packet.bytes).fill(0, 4, 20);
    expect(packetAuthenticator(packet)).toEqual(
      createHash('md5').update(copy).update('testing123').digest(),
    );
    expect(verifyAccountingAuthenticator(packet, secret)).toBe(true);
    expect(verifyAccountingAuthenticator(packet, wrong)).toBe(false);
  });

  test('a request made elsewhere can be signed in place', () => {
    const packet = request(PacketCode.CoaRequest);
    const signed = Buffer.from(packet.bytes);
    packet.bytes.fill(7, 4, 20).fill(7, 22, 38);
    signRequest(packet, secret);
    expect(packet.bytes).toEqual(signed);
    const login = request(PacketCode.AccessRequest);
    signRequest(login, wrong);
    expect(packetAuthenticator(login)).toEqual(authenticator);
    expect(verifyMessageAuthenticator(login, wrong)).toBe('valid');
  });
});

describe('a response', () => {
  const replyWriter = createReplyWriter();
  const toLogin = request(PacketCode.AccessRequest);
  function reply(withMessageAuthenticator: boolean): Packet {
    replyWriter.begin(PacketCode.AccessAccept, toLogin, withMessageAuthenticator);
    replyWriter.integer(27, 3600);
    return parsed(replyWriter.finish(secret));
  }

  test('is accepted with the right secret and request only', () => {
    for (const response of [reply(true), reply(false)]) {
      expect(verifyResponse(response, authenticator, secret)).toBe(true);
      expect(verifyResponse(response, authenticator, wrong)).toBe(false);
      expect(verifyResponse(response, Buffer.alloc(16), secret)).toBe(false);
    }
    expect(verifyMessageAuthenticator(reply(true), secret, authenticator)).toBe('valid');
    expect(verifyMessageAuthenticator(reply(true), secret)).toBe('invalid');
  });

  test('with a wrong Message-Authenticator is refused, even when MD5 over it is right', () => {
    const forged = Buffer.from(reply(true).bytes);
    forged[22] = (forged[22] ?? 0) ^ 1;
    authenticator.copy(forged, 4);
    createHash('md5').update(forged).update('testing123').digest().copy(forged, 4);
    expect(verifyResponse(parsed(forged), authenticator, secret)).toBe(false);
  });
});
