import { assert, boolean, integer, nat, property, record, uint8Array } from 'fast-check';
import { expect, test } from 'vitest';
import { encodeTlsPacket, isAcknowledgement, parseTlsPacket } from './tls-packets.ts';

const packets = record(
  {
    version: nat(7),
    isStart: boolean(),
    hasMore: boolean(),
    totalBytes: integer({ min: 0, max: 0xffffffff }),
    outerTlvBytes: integer({ min: 0, max: 0xffffffff }),
    data: uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  },
  { requiredKeys: ['version', 'isStart', 'hasMore', 'data'] },
);

test('what is encoded is parsed again', () => {
  assert(
    property(packets, (packet) => {
      const bytes = encodeTlsPacket(packet);
      expect(parseTlsPacket(bytes, { hasOuterTlvs: true })).toEqual(packet);
    }),
  );
});

test('any bytes are parsed or refused', () => {
  assert(
    property(uint8Array({ maxLength: 12 }), boolean(), (bytes, hasOuterTlvs) => {
      parseTlsPacket(Buffer.from(bytes), { hasOuterTlvs });
    }),
  );
});

test.each([
  ['nothing', ''],
  ['flags that promise a length', '80000000'],
  ['flags that promise both lengths', '9000000001000000'],
])('%s is refused', (_name, hex) => {
  expect(parseTlsPacket(Buffer.from(hex, 'hex'), { hasOuterTlvs: true })).toBeUndefined();
});

test('the bit of the outer TLVs means nothing outside TEAP', () => {
  expect(parseTlsPacket(Buffer.from('10aabb', 'hex'), { hasOuterTlvs: false })).toEqual({
    version: 0,
    isStart: false,
    hasMore: false,
    data: Buffer.from('aabb', 'hex'),
  });
});

test('an acknowledgement has no data and promises none', () => {
  const packet = { version: 0, isStart: false, hasMore: false, data: Buffer.alloc(0) };
  expect(isAcknowledgement(packet)).toBe(true);
  expect(isAcknowledgement({ ...packet, hasMore: true })).toBe(false);
  expect(isAcknowledgement({ ...packet, data: Buffer.of(1) })).toBe(false);
});
