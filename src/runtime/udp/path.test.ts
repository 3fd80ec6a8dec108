import { SocketAddress } from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isIpv4, pathTo, sourceAddress, sourceIpv4, sourcePort } from './path.ts';

test.each([
  ['10.0.0.1', '10.0.0.1'],
  ['::ffff:10.0.0.1', '10.0.0.1'],
  ['255.255.255.255', '255.255.255.255'],
  ['::', '::'],
  ['::1', '::1'],
  ['2001:db8::', '2001:db8::'],
  ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
  ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
  ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
  ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
])('%s is written %s', (address, text) => {
  expect(sourceAddress(pathTo(address, 1812))).toBe(text);
});

test('an IPv4 sender is a number, an IPv6 sender is -1', () => {
  expect(sourceIpv4(pathTo('192.168.1.2', 1))).toBe(0xc0a80102);
  expect(sourceIpv4(pathTo('fe80::ffff:0:1', 1))).toBe(-1);
  expect(isIpv4(pathTo('1::ffff:10.0.0.1', 1))).toBe(false);
});

test('reads a path at any place in a batch', () => {
  const paths = Buffer.concat([pathTo('::1', 1), pathTo('10.9.8.7', 65_535)]);
  expect(sourceAddress(paths, 40)).toBe('10.9.8.7');
  expect(sourcePort(paths, 40)).toBe(65_535);
  expect(sourceIpv4(paths, 40)).toBe(0x0a090807);
});

test('reads and writes every address as Node does', () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), fc.nat(65_535), (address, port) => {
      const path = pathTo(address, port);
      const text = sourceAddress(path);
      const family = text.includes(':') ? 'ipv6' : 'ipv4';
      expect(sourcePort(path)).toBe(port);
      expect(sourceAddress(pathTo(text, port))).toBe(text);
      expect(new SocketAddress({ address: text, family }).address).toMatch(/./);
      expect(pathTo(text, port)).toEqual(path);
    }),
  );
});

test.each(['', 'router.example', '1.2.3', '1::2::3'])('"%s" is refused', (text) => {
  expect(() => pathTo(text, 1)).toThrow('is not an IP address');
});
