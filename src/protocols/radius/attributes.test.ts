import {
  array,
  assert,
  bigInt,
  constantFrom,
  integer,
  nat,
  oneof,
  property,
  record,
  string,
  uint8Array,
} from 'fast-check';
import type { Arbitrary } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeAttributes, HIDDEN } from './attributes.ts';
import { prepareSecret, verifyMessageAuthenticator, verifyResponse } from './authenticator.ts';
import { createDictionary } from './dictionary.ts';
import type { DictionaryTable } from './dictionary.ts';
import { standardDictionary, standardTables } from './dictionary/standard.ts';
import { encodeReply, encodeRequest } from './encode.ts';
import type { AttributeToEncode } from './encode.ts';
import {
  countAttribute,
  findValue,
  packetAuthenticator,
  PacketCode,
  parsePacket,
} from './packet.ts';
import type { Packet } from './packet.ts';
import { verifyChap } from './password.ts';

const secret = prepareSecret(Buffer.from('testing123'));
const authenticator = Buffer.from(Array.from({ length: 16 }, (_, index) => 200 - index));

/** Attributes of every kind that the standard dictionary has none of. */
const test1: DictionaryTable = {
  vendor: { name: 'Test', id: 99_999 },
  attributes: {
    'Test-Integer64': [1, 'integer64'],
    'Test-Signed': [2, 'signed'],
    'Test-Byte': [3, 'byte'],
    'Test-Short': [4, 'short'],
    'Test-Ether': [5, 'ether'],
    'Test-Prefix4': [6, 'ipv4prefix'],
    'Test-Combo': [7, 'combo-ip'],
    'Test-Tlv': [8, 'tlv'],
    'Test-Tlv-Text': ['8.1', 'string'],
    'Test-Tlv-Deep': ['8.2', 'tlv'],
    'Test-Tlv-Deep-Number': ['8.2.5', 'integer'],
    'Test-Ascend': [9, 'string', 'ascend'],
  },
};
const wide: DictionaryTable = {
  vendor: { name: 'Wide', id: 429, typeBytes: 4, lengthBytes: 0 },
  attributes: { 'Wide-Text': [70_000, 'string'] },
};
const continued: DictionaryTable = {
  vendor: { name: 'WiMAX', id: 24_757, typeBytes: 1, lengthBytes: 1, hasContinuation: true },
  attributes: { 'WiMAX-Text': [1, 'string'] },
};
const extended: DictionaryTable = {
  attributes: { 'Test-Long': ['245.1', 'octets'], 'Test-Evs': ['241.26.99999.7', 'string'] },
};
const dictionary = createDictionary([...standardTables, test1, wide, continued, extended]);

function encode(attributes: readonly AttributeToEncode[], code: number = PacketCode.AccessRequest) {
  const bytes = encodeRequest(
    { code, identifier: 1, authenticator, attributes, secret, messageAuthenticator: false },
    dictionary,
  );
  const packet = parsePacket(bytes);
  if (packet.kind !== 'packet') throw new Error(packet.reason);
  return packet;
}

function roundTrip(attributes: readonly AttributeToEncode[]) {
  const packet = encode(attributes);
  const key = { secret, requestAuthenticator: packetAuthenticator(packet) };
  return decodeAttributes(packet, dictionary, key).map(({ name, value, tag }) =>
    tag === undefined ? { name, value } : { name, value, tag },
  );
}

describe('what is encoded is decoded again', () => {
  test.each([
    ['string', { name: 'User-Name', value: 'chị Hoa' }],
    ['octets', { name: 'Class', value: '0x0001ff' }],
    ['integer', { name: 'Session-Timeout', value: 4_294_967_295 }],
    ['a named value', { name: 'Service-Type', value: 'Framed-User' }],
    ['a value without a name', { name: 'Service-Type', value: 4711 }],
    ['integer64', { name: 'Test-Integer64', value: '18446744073709551615' }],
    ['signed', { name: 'Test-Signed', value: -2_147_483_648 }],
    ['byte', { name: 'Test-Byte', value: 255 }],
    ['short', { name: 'Test-Short', value: 65_535 }],
    ['date', { name: 'Event-Timestamp', value: '2026-11-20T12:00:00Z' }],
    ['ipaddr', { name: 'Framed-IP-Address', value: '10.0.0.7' }],
    ['ipv6addr', { name: 'NAS-IPv6-Address', value: '2001:db8::1' }],
    ['ipv6prefix', { name: 'Delegated-IPv6-Prefix', value: '2001:db8:1::/56' }],
    ['ipv4prefix', { name: 'Test-Prefix4', value: '192.0.2.0/24' }],
    ['combo-ip, version 4', { name: 'Test-Combo', value: '192.0.2.9' }],
    ['combo-ip, version 6', { name: 'Test-Combo', value: 'fe80::1:2' }],
    ['ifid', { name: 'Framed-Interface-Id', value: '1122:3344:5566:7788' }],
    ['ether', { name: 'Test-Ether', value: '02:00:5e:10:00:ff' }],
    ['a vendor', { name: 'Mikrotik-Rate-Limit', value: '2M/10M' }],
    ['a TLV', { name: 'Test-Tlv-Text', value: 'inside' }],
    ['a TLV in a TLV', { name: 'Test-Tlv-Deep-Number', value: 7 }],
    ['a vendor with wide types', { name: 'Wide-Text', value: 'seventy thousand' }],
    ['a vendor with continuation', { name: 'WiMAX-Text', value: 'flags' }],
    ['an extended attribute', { name: 'Operator-NAS-Identifier', value: '0x0102' }],
    ['an extended vendor attribute', { name: 'Test-Evs', value: 'evs' }],
    ['a long extended attribute', { name: 'Test-Long', value: `0x${'ab'.repeat(700)}` }],
    ['a long EAP-Message', { name: 'EAP-Message', value: `0x${'cd'.repeat(1000)}` }],
    ['a tagged number', { name: 'Tunnel-Type', value: 'VLAN', tag: 1 }],
    ['a number that could have a tag', { name: 'Tunnel-Preference', value: 77 }],
    ['a tagged text', { name: 'Tunnel-Private-Group-Id', value: '200', tag: 31 }],
    ['a text that could have a tag', { name: 'Tunnel-Private-Group-Id', value: '200' }],
    ['a text that begins like a tag', { name: 'Tunnel-Private-Group-Id', value: '\u0001x' }],
    ['a hidden password', { name: 'User-Password', value: 'open sesame, please' }],
    ['a salted password', { name: 'Tunnel-Password', value: 'hush', tag: 3 }],
    ['a salted key', { name: 'MS-MPPE-Send-Key', value: `0x${'5a'.repeat(32)}` }],
    ['an unknown attribute', { name: 'Attr-250', value: '0x0102' }],
    ['an unknown attribute of a known vendor', { name: 'Attr-26.9.254', value: '0x01' }],
    ['an unknown vendor', { name: 'Attr-26.4242.1', value: '0x01' }],
    ['a broken Vendor-Specific', { name: 'Vendor-Specific', value: '0x0000000901' }],
  ])('%s', (_name, attribute) => {
    expect(roundTrip([attribute])).toEqual([attribute]);
  });

  test('any list of attributes that fits', () => {
    const readable: Arbitrary<AttributeToEncode> = oneof(
      record({
        name: constantFrom('User-Name', 'Reply-Message', 'Mikrotik-Group'),
        value: string({ maxLength: 60 }),
      }),
      record({ name: constantFrom('Session-Timeout', 'NAS-Port'), value: nat(0xffff_ffff) }),
      record({ name: constantFrom('Test-Signed'), value: integer() }),
      record({
        name: constantFrom('Test-Integer64'),
        value: bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String),
      }),
      record({
        name: constantFrom('Class', 'Proxy-State', 'Attr-249', 'Attr-26.9.200', 'Test-Long'),
        value: uint8Array({ maxLength: 200 }).map(
          (bytes) => `0x${Buffer.from(bytes).toString('hex')}`,
        ),
      }),
      record({
        name: constantFrom('Tunnel-Private-Group-Id'),
        value: string({ maxLength: 20 }),
        tag: integer({ min: 1, max: 31 }),
      }),
      record({
        name: constantFrom('NAS-IPv6-Address'),
        value: uint8Array({ minLength: 16, maxLength: 16 }),
      }).map(({ name, value }) => ({ name, value: firstValue({ name, value }) })),
    );
    assert(
      property(array(readable, { maxLength: 15 }), (attributes) => {
        expect(roundTrip(attributes)).toEqual(attributes);
      }),
      { numRuns: 300 },
    );
  });

  function firstValue(attribute: AttributeToEncode) {
    return roundTrip([attribute])[0]?.value ?? '';
  }

  test('bytes go as they are, whatever the type says', () => {
    const [decoded] = decodeAttributes(
      encode([{ name: 'Session-Timeout', value: Buffer.of(1, 2, 3) }]),
      dictionary,
    );
    expect(decoded).toEqual({
      name: 'Session-Timeout',
      value: '0x010203',
      raw: Buffer.of(1, 2, 3),
    });
  });
});

describe('decoding', () => {
  test('several attributes in one Vendor-Specific are all there', () => {
    const value = Buffer.from([0, 0, 0x3a, 0x8c, 8, 5, ...Buffer.from('2M/'), 19, 4, 0x61, 0x62]);
    const packet = encode([{ name: 'Vendor-Specific', value }]);
    expect(decodeAttributes(packet, dictionary)).toMatchObject([
      { name: 'Mikrotik-Rate-Limit', value: '2M/' },
      { name: 'Mikrotik-Address-List', value: 'ab' },
    ]);
  });

  test('a Vendor-Specific with a broken attribute is shown whole', () => {
    const value = Buffer.from([0, 0, 0x3a, 0x8c, 8, 3, 0x61, 19, 9, 0x61]);
    const packet = encode([{ name: 'Vendor-Specific', value }]);
    expect(decodeAttributes(packet, dictionary)).toEqual([
      { name: 'Vendor-Specific', value: '0x00003a8c080361130961', raw: value },
    ]);
  });

  test('what is encrypted stays hidden without the key', () => {
    const packet = encode([
      { name: 'User-Password', value: 'open' },
      { name: 'Tunnel-Password', value: 'hush', tag: 2 },
    ]);
    expect(decodeAttributes(packet, dictionary)).toMatchObject([
      { name: 'User-Password', value: HIDDEN },
      { name: 'Tunnel-Password', value: HIDDEN, tag: 2 },
    ]);
  });

  test('text that is not UTF-8 is shown as bytes', () => {
    const packet = encode([{ name: 'User-Name', value: Buffer.of(0xff, 0xfe) }]);
    expect(decodeAttributes(packet, dictionary)).toMatchObject([{ value: '0xfffe' }]);
  });

  test('a broken TLV is shown as bytes under its own name', () => {
    const value = Buffer.from([0, 1, 0x86, 0x9f, 8, 4, 1, 9]);
    const packet = encode([{ name: 'Vendor-Specific', value }]);
    expect(decodeAttributes(packet, dictionary)).toMatchObject([
      { name: 'Test-Tlv', value: '0x0109' },
    ]);
  });
});

describe('encoding', () => {
  test('an Access-Request and a Status-Server are signed', () => {
    for (const code of [PacketCode.AccessRequest, PacketCode.StatusServer]) {
      const bytes = encodeRequest(
        { code, identifier: 1, authenticator, attributes: [], secret },
        standardDictionary,
      );
      const packet = parsePacket(bytes) as Packet;
      expect(verifyMessageAuthenticator(packet, secret)).toBe('valid');
    }
  });

  test('a CHAP password in clear becomes a CHAP response', () => {
    const withChallenge = encode([
      { name: 'CHAP-Challenge', value: '0x0102030405060708' },
      { name: 'CHAP-Password', value: 'wonderland' },
    ]);
    const challenge = findValue(withChallenge, 60) ?? Buffer.alloc(0);
    const response = findValue(withChallenge, 3) ?? Buffer.alloc(0);
    expect(verifyChap(response, challenge, Buffer.from('wonderland'))).toBe(true);

    const without = findValue(encode([{ name: 'CHAP-Password', value: 'wonderland' }]), 3);
    expect(verifyChap(without ?? Buffer.alloc(0), authenticator, Buffer.from('wonderland'))).toBe(
      true,
    );
  });

  test('a long EAP-Message takes several attributes', () => {
    const packet = encode([{ name: 'EAP-Message', value: Buffer.alloc(600) }]);
    expect(countAttribute(packet, 79)).toBe(3);
  });

  test('a reply answers its request', () => {
    const request = encode([{ name: 'Proxy-State', value: '0x01' }]);
    const bytes = encodeReply(
      {
        code: PacketCode.AccessAccept,
        request,
        secret,
        attributes: [
          { name: 'Session-Timeout', value: 3600 },
          { name: 'MS-MPPE-Recv-Key', value: Buffer.alloc(16, 1) },
        ],
      },
      standardDictionary,
    );
    const reply = parsePacket(bytes) as Packet;
    expect(verifyResponse(reply, authenticator, secret)).toBe(true);
    const key = { secret, requestAuthenticator: authenticator };
    expect(
      decodeAttributes(reply, standardDictionary, key).map(({ name, value }) => [name, value]),
    ).toEqual([
      ['Message-Authenticator', expect.stringMatching(/^0x/)],
      ['Session-Timeout', 3600],
      ['MS-MPPE-Recv-Key', `0x${'01'.repeat(16)}`],
      ['Proxy-State', '0x01'],
    ]);
  });

  test.each([
    ['an unknown name', { name: 'Session-Timeot', value: 1 }, /Session-Timeot: no such attribute/],
    [
      'an unknown value',
      { name: 'Service-Type', value: 'Framed' },
      /Framed is not a value of type integer/,
    ],
    ['a number too large', { name: 'Session-Timeout', value: 2 ** 32 }, /4294967296 is not/],
    ['a fraction', { name: 'Session-Timeout', value: 1.5 }, /1\.5 is not/],
    ['an address that is none', { name: 'NAS-IP-Address', value: '1.2.3' }, /1\.2\.3 is not/],
    ['an IPv6 address that is none', { name: 'NAS-IPv6-Address', value: '1::2::3' }, /is not/],
    ['a prefix too long', { name: 'Framed-IPv6-Prefix', value: '2001::/129' }, /is not/],
    ['a date that is none', { name: 'Event-Timestamp', value: 'tomorrow' }, /is not/],
    ['a text too long', { name: 'User-Name', value: 'x'.repeat(254) }, /254 bytes are too long/],
    ['a vendor value too long', { name: 'Mikrotik-Group', value: 'x'.repeat(254) }, /too long/],
    ['a password too long', { name: 'User-Password', value: 'x'.repeat(129) }, /128 bytes/],
    ['a tag too large', { name: 'Tunnel-Type', value: 'VLAN', tag: 32 }, /between 0 and 31/],
    ['a tagged number too large', { name: 'Tunnel-Preference', value: 2 ** 24, tag: 1 }, /24 bits/],
    ['a number that no packet holds', { name: 'Attr-300', value: '0x01' }, /300 is not/],
    ["Ascend's encryption", { name: 'Test-Ascend', value: 'x' }, /not supported/],
  ])('%s is refused with a reason', (_name, attribute, reason) => {
    expect(() => encode([attribute])).toThrow(RangeError);
    expect(() => encode([attribute])).toThrow(reason);
  });

  test('more than a packet holds is refused', () => {
    const attributes = Array.from({ length: 17 }, () => ({
      name: 'Class',
      value: Buffer.alloc(253),
    }));
    expect(() => encode(attributes)).toThrow(/does not fit into 4096 bytes/);
  });
});

test('the standard dictionary knows both directions', () => {
  expect(standardDictionary.attribute('session-timeout')).toMatchObject({
    path: [27],
    vendorId: 0,
  });
  expect(standardDictionary.attributeAt(14988, [8])?.name).toBe('Mikrotik-Rate-Limit');
  expect(standardDictionary.valueNumber('Acct-Status-Type', 'Interim-Update')).toBe(3);
  expect(standardDictionary.valueName('Acct-Status-Type', 3)).toBe('Interim-Update');
  expect(standardDictionary.vendor(25_053)?.name).toBe('Ruckus');
  expect(standardDictionary.attribute('constructor')).toBeUndefined();
});
