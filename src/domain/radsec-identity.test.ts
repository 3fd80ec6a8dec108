import { expect, test } from 'vitest';
import { canonicalDnsName, parseRadsecIdentity } from './radsec-identity.ts';

test.each([
  ['Router-1.Example.NET', 'router-1.example.net'],
  ['router-1.example.net.', 'router-1.example.net'],
  ['r1', 'r1'],
  ['10.0.0.1', '10.0.0.1'],
  ['2001:DB8:0::1', '2001:db8::1'],
  ['::ffff:10.0.0.1', '10.0.0.1'],
])('%s is known as %s', (written, value) => {
  expect(parseRadsecIdentity(written)).toEqual({ kind: 'parsed', value });
});

test.each([
  '',
  '*.example.net',
  'a b',
  '-a.example',
  'a..b',
  'x'.repeat(64),
  '10.0.0.0/8',
  'ä.net',
])('%j is refused', (written) => {
  expect(parseRadsecIdentity(written).kind).toBe('refused');
});

test('a name of more than 253 bytes is none', () => {
  expect(canonicalDnsName(`${'a.'.repeat(127)}b`)).toBeUndefined();
});

test.each(['10.0.0.1', 'router.1', '1'])(
  '%s is no DNS name: an address counts only where a certificate says that it is one',
  (name) => {
    expect(canonicalDnsName(name)).toBeUndefined();
  },
);
