import { expect, test } from 'vitest';
import { defaultPeerHost } from './peer-host.ts';

const interfaces = {
  lo: [{ address: '127.0.0.1', family: 'IPv4', internal: true }],
  eth0: [
    { address: 'fe80::1', family: 'IPv6', internal: false },
    { address: '2001:db8::7', family: 'IPv6', internal: false },
    { address: '169.254.3.4', family: 'IPv4', internal: false },
    { address: '192.0.2.7', family: 'IPv4', internal: false },
  ],
  eth1: [{ address: '198.51.100.7', family: 'IPv4', internal: false }],
};
const onlyIpv6 = { lo: interfaces.lo, eth0: interfaces.eth0.slice(0, 2) };

test.each([
  ['memory', '127.0.0.1'],
  ['valkey://localhost:6379/0', '127.0.0.1'],
  ['redis://:secret@127.0.0.1', '127.0.0.1'],
  ['rediss://user:secret@[::1]:6380/1', '127.0.0.1'],
  ['valkey+cluster://127.0.0.1:7000,127.0.0.1:7001', '127.0.0.1'],
  ['valkey://127.0.0.1@redis.example:6379', '192.0.2.7'],
  ['valkey+sentinel://127.0.0.1:26379,s2,s3/mymaster', '192.0.2.7'],
  ['valkey://[2001:db8::1]:6379', '192.0.2.7'],
])('with the shared state at %s a node is found at %s', (stateUrl, host) => {
  expect(defaultPeerHost({ boundHost: '0.0.0.0', stateUrl }, interfaces)).toBe(host);
});

test('a node that listens on one address is found there', () => {
  const options = { boundHost: '198.51.100.7', stateUrl: 'memory' };
  expect(defaultPeerHost(options, interfaces)).toBe('198.51.100.7');
});

test('without IPv4 it is an IPv6 address, if the socket takes IPv6', () => {
  const stateUrl = 'valkey://redis.example';
  expect(defaultPeerHost({ boundHost: '::', stateUrl }, onlyIpv6)).toBe('2001:db8::7');
  expect(defaultPeerHost({ boundHost: '0.0.0.0', stateUrl }, onlyIpv6)).toBe('127.0.0.1');
});

test('a machine without a network is its own cluster', () => {
  const options = { boundHost: '0.0.0.0', stateUrl: 'valkey://redis.example' };
  expect(defaultPeerHost(options, { lo: interfaces.lo })).toBe('127.0.0.1');
});

test('this machine has an address', () => {
  const options = { boundHost: '::', stateUrl: 'valkey://redis.example' };
  expect(defaultPeerHost(options)).toMatch(/[.:]/);
});
