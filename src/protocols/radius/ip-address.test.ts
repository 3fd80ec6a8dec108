import { assert, property, uint8Array } from 'fast-check';
import { expect, test } from 'vitest';
import { formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from './ip-address.ts';

test.each([
  ['0.0.0.0', 0],
  ['10.0.0.7', 0x0a000007],
  ['255.255.255.255', 0xffffffff],
  ['', -1],
  ['1.2.3', -1],
  ['1.2.3.4.5', -1],
  ['1.2.3.256', -1],
  ['1..3.4', -1],
  ['1.2.3.4 ', -1],
  ['1.2.3.-4', -1],
])('parseIpv4(%j) is %d', (text, address) => {
  expect(parseIpv4(text)).toBe(address);
});

// The last two are the rules of RFC 5952 §4.2.2 and §4.2.3.
test.each([
  ['::', '::'],
  ['::1', '::1'],
  ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
  ['2001:db8::', '2001:db8::'],
  ['::ffff:192.0.2.1', '::ffff:c000:201'],
  ['fe80:1:2:3:4:5:6:7', 'fe80:1:2:3:4:5:6:7'],
  ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
  ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
])('%s is written as %s', (text, canonical) => {
  expect(formatIpv6(parseIpv6(text) ?? Buffer.alloc(0))).toBe(canonical);
});

test.each([
  '',
  ':',
  ':::',
  '1::2::3',
  '1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:8:9',
  '12345::',
  'g::',
  '1:2:3:4:5:6:7::8',
  '::1.2.3',
  'fe80::1%eth0',
])('%j is no IPv6 address', (text) => {
  expect(parseIpv6(text)).toBeUndefined();
});

test('every address is read as it was written', () => {
  assert(
    property(uint8Array({ minLength: 16, maxLength: 16, max: 2 }), (bytes) => {
      expect(parseIpv6(formatIpv6(bytes))).toEqual(Buffer.from(bytes));
    }),
  );
  assert(
    property(uint8Array({ minLength: 4, maxLength: 4 }), (bytes) => {
      expect(parseIpv4(formatIpv4(bytes))).toBe(Buffer.from(bytes).readUInt32BE());
    }),
  );
});
