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
