import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  contains,
  formatAddress,
  formatNetwork,
  parseAddress,
  parseNetwork,
} from './network-address.ts';
import type { IpNetwork } from './network-address.ts';

function network(text: string): IpNetwork {
  const parsed = parseNetwork(text);
  if (parsed.kind === 'refused') throw new Error(parsed.reason);
  return parsed.value;
}

function address(text: string): Uint8Array {
  const bytes = parseAddress(text);
  if (bytes === undefined) throw new Error(`${text} is not an address`);
  return bytes;
}

test.each([
  ['127.0.0.1', '127.0.0.1/32'],
  ['127.0.0.1/32', '127.0.0.1/32'],
  ['10.0.0.0/8', '10.0.0.0/8'],
  ['0.0.0.0/0', '0.0.0.0/0'],
  ['2001:DB8::/32', '2001:db8::/32'],
  ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1/128'],
  ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1/128'],
  ['::', '::/128'],
  ['::/0', '::/0'],
  ['1::', '1::/128'],
  ['::ffff:10.0.0.1', '10.0.0.1/32'],
  ['::ffff:10.0.0.0/104', '10.0.0.0/8'],
  ['64:ff9b::192.0.2.1', '64:ff9b::c000:201/128'],
])('%s is %s', (text, canonical) => {
  expect(formatNetwork(network(text))).toBe(canonical);
});

test.each([
  '',
  '10',
  '10.0.0',
  '256.1.1.1',
  '010.0.0.1',
  '10.0.0.1/33',
  '10.0.0.1/',
  '10.0.0.1/08',
  '10.0.0.1/-1',
  ':::',
  '1::2::3',
  '1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:8:9',
  '1:2:3:4:5:6:7::8',
  '12345::',
  '::1%eth0',
  '1.2.3.4::',
  'router.example',
  '::/129',
])('refuses %j and says what is allowed', (text) => {
  expect(parseNetwork(text)).toMatchObject({
    kind: 'refused',
    reason: expect.stringContaining('10.0.0.0/8'),
  });
});

test('host bits are refused with the network that it would be', () => {
  expect(parseNetwork('10.1.2.3/8')).toEqual({
    kind: 'refused',
    reason: '10.1.2.3/8 has host bits set; the network is 10.0.0.0/8, the one address is 10.1.2.3',
  });
});

describe('a network contains', () => {
  test.each([
    ['10.0.0.0/8', '10.255.0.1', true],
    ['10.0.0.0/8', '11.0.0.1', false],
    ['192.168.1.128/25', '192.168.1.127', false],
    ['192.168.1.128/25', '192.168.1.129', true],
    ['10.0.0.0/8', '::ffff:10.0.0.1', true],
    ['2001:db8::/33', '2001:db8:7fff::1', true],
    ['2001:db8::/33', '2001:db8:8000::1', false],
    ['::/0', '10.0.0.1', false],
    ['0.0.0.0/0', '255.255.255.255', true],
  ])('%s: %s is %s', (cidr, ip, expected) => {
    expect(contains(network(cidr), address(ip))).toBe(expected);
  });

  test('IPv4-mapped bytes as a dual-stack socket reports them', () => {
    const mapped = Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1]);
    expect(contains(network('10.0.0.0/8'), mapped)).toBe(true);
  });
});

test('what is printed is parsed to the same', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
    // Many zeros, so that `::` is tried everywhere.
    fc
      .array(fc.constantFrom(0, 0, 0, 1), { minLength: 16, maxLength: 16 })
      .map((a) => Uint8Array.from(a)),
  );
  fc.assert(
    fc.property(bytes, (bytes) => {
      const text = formatAddress(bytes);
      const again = parseAddress(text);
      expect(again === undefined ? undefined : formatAddress(again)).toBe(
        text.startsWith('::ffff:') && again?.length === 4 ? formatAddress(bytes.slice(12)) : text,
      );
    }),
    { numRuns: 500 },
  );
});

test('no text makes the parser throw', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[0-9a-f:./]{0,50}$/), (text) => {
      expect(parseNetwork(text).kind).toMatch(/parsed|refused/);
    }),
    { numRuns: 500 },
  );
});
