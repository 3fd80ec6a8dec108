import { assert, boolean, integer, oneof, property, record, string, uint8Array } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readClientMessage } from './teap-message.ts';
import { MAC_BYTES, NONCE_BYTES, encodeTlvs, encodeWithoutMacs, parseTlvs } from './teap-tlv.ts';
import type { TeapTlv } from './teap-tlv.ts';

const bytes = (constraints = {}) => uint8Array(constraints).map((array) => Buffer.from(array));
const exactly = (length: number) => bytes({ minLength: length, maxLength: length });
const uint = (bits: number) => integer({ min: 0, max: 2 ** bits - 1 });
const kind = <K extends string>(name: K) => boolean().map(() => name);
const eapPacket = bytes({ maxLength: 300 }).map((body) => {
  const eap = Buffer.concat([Buffer.of(2, 1, 0, 0), body]);
  eap.writeUInt16BE(eap.length, 2);
  return eap;
});

const anyTlv = oneof(
  record({ kind: kind('authority-id'), id: bytes() }),
  record({ kind: kind('identity-type'), type: uint(16) }),
  record({ kind: kind('result'), status: uint(16) }),
  record({ kind: kind('intermediate-result'), status: uint(16) }),
  record({ kind: kind('nak'), vendorId: uint(24), type: uint(14) }),
  record({ kind: kind('error'), code: uint(32) }),
  record({
    kind: kind('vendor-specific'),
    isMandatory: boolean(),
    vendorId: uint(24),
    data: bytes(),
  }),
  record({ kind: kind('request-action'), status: uint(8), action: uint(8), tlvs: bytes() }),
  record({ kind: kind('eap-payload'), eap: eapPacket }),
  record({
    kind: kind('crypto-binding'),
    version: uint(8),
    receivedVersion: uint(8),
    macs: uint(4),
    subType: uint(4),
    nonce: exactly(NONCE_BYTES),
    emskMac: exactly(MAC_BYTES),
    mskMac: exactly(MAC_BYTES),
  }),
  record({ kind: kind('password-request'), prompt: string({ unit: 'grapheme' }) }),
  record({
    kind: kind('password-response'),
    username: string({ minLength: 1, maxLength: 50 }),
    password: bytes({ minLength: 1, maxLength: 255 }),
  }),
  record({
    kind: kind('other'),
    type: integer({ min: 15, max: 0x3fff }),
    isMandatory: boolean(),
    value: bytes(),
  }),
);

test('what is encoded is parsed again', () => {
  assert(
    property(anyTlv, anyTlv, (one, other) => {
      expect(parseTlvs(encodeTlvs([one, other]))).toEqual([one, other]);
    }),
  );
});

test('no bytes make the parser throw', () => {
  assert(
    property(bytes({ maxLength: 200 }), (noise) => {
      readClientMessage(noise);
    }),
  );
});

test('the bytes of RFC 9930', () => {
  const hex = (tlv: TeapTlv) => encodeTlvs([tlv]).toString('hex');
  expect(hex({ kind: 'authority-id', id: Buffer.from('ab') })).toBe('000100026162');
  expect(hex({ kind: 'identity-type', type: 1 })).toBe('800200020001');
  expect(hex({ kind: 'result', status: 1 })).toBe('800300020001');
  expect(hex({ kind: 'nak', vendorId: 9, type: 99 })).toBe('80040006000000090063');
  expect(hex({ kind: 'error', code: 2001 })).toBe('80050004000007d1');
  expect(hex({ kind: 'intermediate-result', status: 2 })).toBe('800a00020002');
  expect(hex({ kind: 'password-request', prompt: 'Hi' })).toBe('800d00024869');
  expect(hex({ kind: 'password-response', username: 'a', password: Buffer.of(0, 1) })).toBe(
    '800e00050161020001',
  );
});

/** As eapol_test of hostap 2.10 received it from us, and computed its code over it. */
test('a Crypto-Binding without its codes is what they are computed over', () => {
  const nonce = Buffer.from(
    '94f8848dfddf0339367feed01f7d79c9eb0ca9d1cdaf81cb08842b8657c78322',
    'hex',
  );
  const mac = Buffer.alloc(MAC_BYTES, 7);
  const binding = { version: 1, receivedVersion: 1, macs: 2, subType: 0 };
  expect(encodeWithoutMacs({ ...binding, nonce, emskMac: mac, mskMac: mac }).toString('hex')).toBe(
    `800c004c00010120${nonce.toString('hex')}${'00'.repeat(40)}`,
  );
});

describe('broken TLVs', () => {
  test.each([
    ['half a header', '8003'],
    ['a length beyond the end', '800300030001'],
  ])('%s: nothing can be read', (_, hex) => {
    expect(parseTlvs(Buffer.from(hex, 'hex'))).toBeUndefined();
  });

  test.each([
    ['a result of one byte', '8003000101'],
    ['an error of two bytes', '800500020001'],
    ['a short NAK', '8004000400000000'],
    ['a short vendor', '80070002ffff'],
    ['an EAP packet longer than its TLV', '80090005020100ff01'],
    ['a binding without codes', '800c000400010120'],
    ['a name of no bytes', '800e0003000161'],
    ['a password of no bytes', '800e0003016100'],
    ['a password that is cut off', '800e0004016102ff'],
    ['bytes after the password', '800e00050161016200'],
  ])('%s is left out', (_, hex) => {
    const result = Buffer.from('800300020001', 'hex');
    expect(parseTlvs(Buffer.concat([Buffer.from(hex, 'hex'), result]))).toEqual([
      { kind: 'result', status: 1 },
    ]);
  });
});
