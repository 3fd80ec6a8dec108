import { describe, expect, test } from 'vitest';
import type { Router } from '../../domain/router.ts';
import { pathFrom } from '../../../tests/simulation/packets.ts';
import { createRouterTable } from './router-table.ts';

function router(name: string, address: string, changes: Partial<Router> = {}): Router {
  return {
    id: name,
    name,
    siteId: 's1',
    address,
    secret: Buffer.from('testing123'),
    vendor: 'generic',
    coaPort: 3799,
    requireMessageAuthenticator: 'auto',
    messageAuthenticatorSeenAtMs: undefined,
    ...changes,
  };
}

function tableOf(...routers: Router[]) {
  const table = createRouterTable();
  table.replace(routers);
  return table;
}

describe('a router is found', () => {
  const table = tableOf(
    router('everybody', '0.0.0.0/0'),
    router('ten', '10.0.0.0/8'),
    router('village', '10.1.2.0/23'),
    router('cafe', '10.1.2.7/32'),
    router('everybody-6', '::/0'),
    router('village-6', '2001:db8::/32'),
    router('cafe-6', '2001:db8::7/128'),
  );
  test.each([
    ['10.1.2.7', 'cafe'],
    ['10.1.3.255', 'village'],
    ['10.1.4.0', 'ten'],
    ['192.0.2.1', 'everybody'],
    ['::ffff:10.1.2.7', 'cafe'],
    ['2001:db8::7', 'cafe-6'],
    ['2001:db8::8', 'village-6'],
    ['fd00::1', 'everybody-6'],
  ])('%s by its longest prefix: %s', (address, name) => {
    expect(table.find(pathFrom(address), 0)?.router.name).toBe(name);
  });

  test('at any offset', () => {
    const paths = Buffer.concat([pathFrom('192.0.2.1'), pathFrom('10.1.2.7')]);
    expect(table.find(paths, 40)?.router.name).toBe('cafe');
  });
});

test('::/0 does not match IPv4, nor 0.0.0.0/0 IPv6', () => {
  expect(tableOf(router('six', '::/0')).find(pathFrom('192.0.2.1'), 0)).toBeUndefined();
  expect(tableOf(router('four', '0.0.0.0/0')).find(pathFrom('fd00::1'), 0)).toBeUndefined();
});

describe('the latch', () => {
  const address = '10.1.2.7';

  test('survives a reload that does not know of it yet', () => {
    const table = tableOf(router('cafe', `${address}/32`));
    const known = table.find(pathFrom(address), 0);
    if (known === undefined) throw new Error('not found');
    known.hasSignedRequests = true;
    table.replace([router('cafe', `${address}/32`)]);
    expect(table.find(pathFrom(address), 0)?.hasSignedRequests).toBe(true);
  });

  test('comes from the database after a restart', () => {
    const table = tableOf(router('cafe', `${address}/32`, { messageAuthenticatorSeenAtMs: 1 }));
    expect(table.find(pathFrom(address), 0)?.hasSignedRequests).toBe(true);
  });

  test('is opened when an operator clears it in the database', () => {
    const seen = router('cafe', `${address}/32`, { messageAuthenticatorSeenAtMs: 1 });
    const table = tableOf(seen);
    table.replace([{ ...seen, messageAuthenticatorSeenAtMs: undefined }]);
    expect(table.find(pathFrom(address), 0)?.hasSignedRequests).toBe(false);
  });
});

test('a router that is gone is not found any more, and the generation says that it may be', () => {
  const table = tableOf(router('cafe', '10.1.2.7/32'));
  const { generation } = table;
  table.replace([]);
  expect(table.find(pathFrom('10.1.2.7'), 0)).toBeUndefined();
  expect(table.generation).toBeGreaterThan(generation);
  expect(table.size).toBe(0);
});

describe('a certificate names', () => {
  const address = (text: string) => Buffer.from(text.split('.').map(Number));
  const table = tableOf(
    router('R1.example.net', '10.0.0.1/32'),
    router('r2', '10.0.0.2/32', { radsecIdentity: 'second.example.net' }),
    router('r3', '10.3.0.0/16'),
    router('r4', '10.4.0.4/32', { radsecIdentity: '192.0.2.4' }),
    router('r5', '2001:db8::/32'),
    router('Twin', '10.6.0.1/32'),
    router('twin', '10.6.0.2/32'),
    router('two words', '10.7.0.1/32'),
  );

  test.each([
    ['a name, in any case', { dnsNames: ['r1.EXAMPLE.net.'] }, 'R1.example.net'],
    ['an identity', { dnsNames: ['second.example.net'] }, 'r2'],
    ['an identity before a name', { dnsNames: ['r3', 'second.example.net'] }, 'r2'],
    ['no router that has another identity', { dnsNames: ['r2'] }, undefined],
    ['an address of its network', { ipAddresses: [address('10.3.200.1')] }, 'r3'],
    ['an address that is an identity', { ipAddresses: [address('192.0.2.4')] }, 'r4'],
    ['no address of one that has an identity', { ipAddresses: [address('10.4.0.4')] }, undefined],
    [
      'an IPv6 address',
      { ipAddresses: [Buffer.from('20010db8000000000000000000000001', 'hex')] },
      'r5',
    ],
    ['neither of two that differ in case alone', { dnsNames: ['twin'] }, undefined],
    ['nobody by a wildcard', { dnsNames: ['*.example.net'] }, undefined],
    ['nobody by what is no host name', { dnsNames: ['two words', ''] }, undefined],
    ['nobody without names', {}, undefined],
  ])('%s', (_, names, expected) => {
    const found = table.findByNames({ dnsNames: [], ipAddresses: [], ...names });
    expect(found?.router.name).toBe(expected);
  });
});
