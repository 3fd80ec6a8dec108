import { describe, expect, test } from 'vitest';
import {
  attributeInteger,
  attributeText,
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
  parsePacket,
} from './packet.ts';
import type { Packet } from './packet.ts';

function datagram(...attributes: readonly (readonly number[])[]): Buffer {
  const body = attributes.flat();
  const length = 20 + body.length;
  return Buffer.from([1, 7, length >>> 8, length & 0xff, ...Buffer.alloc(16, 9), ...body]);
}

function packet(...attributes: readonly (readonly number[])[]): Packet {
  const parsed = parsePacket(datagram(...attributes));
  if (parsed.kind !== 'packet') throw new Error(parsed.reason);
  return parsed;
}

const text = (type: number, value: string) => [type, value.length + 2, ...Buffer.from(value)];

describe('parsing', () => {
  test('a packet has its code, identifier, authenticator and exactly Length bytes', () => {
    const parsed = parsePacket(Buffer.concat([datagram(text(1, 'alice')), Buffer.alloc(5, 0xff)]));
    expect(parsed).toMatchObject({ kind: 'packet', code: 1, identifier: 7 });
    if (parsed.kind !== 'packet') return;
    expect(parsed.bytes).toHaveLength(27);
    expect(packetAuthenticator(parsed)).toEqual(Buffer.alloc(16, 9));
  });

  test('a packet of 4096 bytes is fine, one more is not', () => {
    const attributes = Array.from({ length: 15 }, () => text(25, 'x'.repeat(253)));
    const rest = text(25, 'y'.repeat(249));
    expect(packet(...attributes, rest).bytes).toHaveLength(4096);
    const tooLong = datagram(...attributes, text(25, 'y'.repeat(250)));
    expect(parsePacket(tooLong)).toEqual({ kind: 'malformed', reason: 'too-long' });
  });

  test.each([
    ['nothing', Buffer.alloc(0), 'too-short'],
    ['19 bytes', Buffer.alloc(19), 'too-short'],
    ['a Length below 20', Buffer.from([1, 1, 0, 19, ...Buffer.alloc(20)]), 'bad-length'],
    ['a Length beyond the datagram', datagram().fill(21, 3, 4), 'bad-length'],
    ['an attribute of length 0', datagram([1, 0]), 'bad-attribute-length'],
    ['an attribute of length 1', datagram([1, 1, 0]), 'bad-attribute-length'],
    ['an attribute past the end', datagram([1, 4, 0]), 'bad-attribute-length'],
    ['half an attribute', datagram(text(1, 'a'), [1]), 'bad-attribute-length'],
  ])('%s is malformed', (_name, bytes, reason) => {
    expect(parsePacket(bytes)).toEqual({ kind: 'malformed', reason });
  });

  test('an attribute without a value and an unknown one are fine', () => {
    expect(packet([1, 2], [250, 3, 1]).bytes).toHaveLength(25);
  });
});

describe('looking at attributes', () => {
  const both = packet(text(1, 'alice'), [5, 6, 0, 0, 1, 0], text(33, 'one'), text(33, 'two'));

  test('they are found one after another', () => {
    const first = findAttribute(both, 33);
    const second = findAttribute(both, 33, nextAttribute(both, first));
    expect([attributeText(both, first), attributeText(both, second)]).toEqual(['one', 'two']);
    expect(findAttribute(both, 33, nextAttribute(both, second))).toBe(-1);
    expect([countAttribute(both, 33), countAttribute(both, 34)]).toEqual([2, 0]);
  });

  test('their values are views, texts and numbers', () => {
    expect(attributeValue(both, 20)).toEqual(Buffer.from('alice'));
    expect(attributeValue(both, 20).buffer).toBe(both.bytes.buffer);
    expect(findText(both, 1)).toBe('alice');
    expect(findInteger(both, 5)).toBe(256);
    expect(findValue(both, 33)).toEqual(Buffer.from('one'));
  });

  test('what is not there is undefined, and so is a number that has not four bytes', () => {
    expect([findText(both, 2), findInteger(both, 2), findValue(both, 2)]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(attributeInteger(both, 20)).toBeUndefined();
    expect(findInteger(packet([5, 6, 0xff, 0xff, 0xff, 0xff]), 5)).toBe(4294967295);
  });

  test('a long value in several attributes is put together', () => {
    const eap = packet(text(79, 'abc'), text(1, 'x'), text(79, 'def'), text(79, ''));
    expect(concatAttribute(eap, 79)).toEqual(Buffer.from('abcdef'));
    expect(concatAttribute(eap, 1)?.buffer).toBe(eap.bytes.buffer);
    expect(concatAttribute(eap, 2)).toBeUndefined();
  });

  test('a scan over bytes that were never checked ends, too', () => {
    const bytes = Buffer.alloc(64);
    const unchecked: Packet = { kind: 'packet', bytes, code: 0, identifier: 0 };
    expect(findAttribute(unchecked, 1)).toBe(-1);
    expect(countAttribute(unchecked, 0)).toBe(22);
  });
});

describe('vendor attributes', () => {
  const vendor = (id: number, ...rest: number[]) => [
    26,
    rest.length + 6,
    0,
    0,
    id >>> 8,
    id & 0xff,
    ...rest,
  ];

  test('are found behind other vendors, other types and broken ones', () => {
    const mixed = packet(
      vendor(9, 8, 4, 1, 1),
      vendor(14988, 8, 9, 1), // its length lies: skipped
      vendor(14988, 8, 1), // so does this
      [26, 2],
      [26, 5, 1, 2, 3],
      vendor(14988, 3, 3, 5, 8, 4, 2, 2),
    );
    expect(findVendorAttribute(mixed, 14988, 8)).toEqual(Buffer.of(2, 2));
    expect(findVendorAttribute(mixed, 14988, 3)).toEqual(Buffer.of(5));
    expect(findVendorAttribute(mixed, 9, 8)).toEqual(Buffer.of(1, 1));
    expect(findVendorAttribute(mixed, 9, 9)).toBeUndefined();
  });

  test('may be empty', () => {
    expect(findVendorAttribute(packet(vendor(9, 8, 2)), 9, 8)).toEqual(Buffer.alloc(0));
  });
});
