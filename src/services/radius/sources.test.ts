import { describe, expect, test } from 'vitest';
import {
  accountingRequest,
  AUTHENTICATOR,
  pathFrom,
  request,
} from '../../../tests/simulation/packets.ts';
import { createRouterTable } from './router-table.ts';
import { createSources, findRepeated } from './sources.ts';
import type { Exchange } from './sources.ts';

const WINDOW_MS = 30_000;

function routersAt(...addresses: string[]) {
  const table = createRouterTable();
  table.replace(
    addresses.map((address) => ({
      id: address,
      name: address,
      siteId: 's1',
      address,
      secret: Buffer.from('testing123'),
      vendor: 'generic',
      coaPort: 3799,
      requireMessageAuthenticator: 'auto',
      messageAuthenticatorSeenAtMs: undefined,
    })),
  );
  return table;
}

describe('a source', () => {
  test('is one address and port, asked at one of our addresses', () => {
    const sources = createSources(routersAt('10.1.0.0/16'), WINDOW_MS);
    const first = sources.find(pathFrom('10.1.0.1', 4_000), 0, 0);
    expect(sources.find(pathFrom('10.1.0.1', 4_000), 0, 5)).toBe(first);
    expect(sources.find(pathFrom('10.1.0.1', 4_001), 0, 5)).not.toBe(first);
    expect(sources.find(pathFrom('10.1.0.2', 4_000), 0, 5)).not.toBe(first);
    expect(sources.find(pathFrom('10.1.0.1', 4_000, '10.0.0.9'), 0, 5)).not.toBe(first);
  });

  test('that turns to another of our addresses is remembered there', () => {
    const sources = createSources(routersAt('10.1.0.0/16'), WINDOW_MS);
    const first = sources.find(pathFrom('10.1.0.1', 4_000), 0, 0);
    const second = sources.find(pathFrom('10.1.0.1', 4_000, '10.0.0.9'), 0, 5);
    expect(second?.exchanges).toBe(first?.exchanges);
  });

  test('whose answers are remembered outlives a flood of forged ones', () => {
    const sources = createSources(routersAt('10.1.0.0/16'), WINDOW_MS);
    const first = sources.find(pathFrom('10.1.0.1', 4_000), 0, 0);
    first?.exchanges.access.push(undefined);
    for (let port = 5_000; port < 30_000; port++) sources.find(pathFrom('10.1.0.1', port), 0, 1);
    expect(sources.find(pathFrom('10.1.0.1', 4_000), 0, 2)).toBe(first);
    expect(sources.size).toBeLessThanOrEqual(16_384);
  });

  test('of no router is nobody', () => {
    const sources = createSources(routersAt('10.1.0.0/16'), WINDOW_MS);
    expect(sources.find(pathFrom('10.2.0.1'), 0, 0)).toBeUndefined();
    expect(sources.size).toBe(0);
  });

  test('IPv6 senders that differ in one bit are different', () => {
    const sources = createSources(routersAt('::/0'), WINDOW_MS);
    const first = sources.find(pathFrom('2001:db8::1'), 0, 0);
    expect(sources.find(pathFrom('2001:db8::2'), 0, 0)).not.toBe(first);
    expect(sources.find(pathFrom('2001:db8::1'), 0, 0)).toBe(first);
  });

  test('follows its router when the table changes, and goes with it', () => {
    const routers = routersAt('10.1.0.0/16');
    const sources = createSources(routers, WINDOW_MS);
    const path = pathFrom('10.1.0.1');
    const source = sources.find(path, 0, 0);
    const narrower = routersAt('10.1.0.1/32').find(path, 0);
    if (narrower === undefined) throw new Error('not found');
    routers.replace([narrower.router]);
    expect(sources.find(path, 0, 0)).toBe(source);
    expect(source?.router.router.address).toBe('10.1.0.1/32');
    routers.replace([]);
    expect(sources.find(path, 0, 0)).toBeUndefined();
  });

  test('is forgotten when it was silent for longer than the window', () => {
    const sources = createSources(routersAt('10.1.0.0/16'), WINDOW_MS);
    sources.find(pathFrom('10.1.0.1'), 0, 0);
    sources.find(pathFrom('10.1.0.2'), 0, 20_000);
    sources.sweep(WINDOW_MS + 1);
    expect(sources.size).toBe(1);
  });
});

describe('a repeated request', () => {
  const packet = request((writer) => writer.text(1, 'alice'), { identifier: 7 });
  const exchange: Exchange = { request: packet, startedAtMs: 100, answer: undefined };
  const exchanges: (Exchange | undefined)[] = [];
  exchanges[7] = exchange;

  test('is known inside the window and not after it', () => {
    expect(findRepeated(exchanges, packet, 100 + WINDOW_MS, WINDOW_MS)).toBe(exchange);
    expect(findRepeated(exchanges, packet, 101 + WINDOW_MS, WINDOW_MS)).toBeUndefined();
  });

  test('has the same identifier and authenticator', () => {
    const another = Buffer.from(AUTHENTICATOR).fill(1, 15);
    const anew = request((writer) => writer.text(1, 'alice'), {
      identifier: 7,
      authenticator: another,
    });
    expect(findRepeated(exchanges, anew, 200, WINDOW_MS)).toBeUndefined();
    const other = request((writer) => writer.text(1, 'alice'), { identifier: 8 });
    expect(findRepeated(exchanges, other, 200, WINDOW_MS)).toBeUndefined();
  });

  test('has the same code', () => {
    const accounting = accountingRequest(() => undefined, { identifier: 7 });
    exchange.request.bytes.copy(accounting.bytes, 4, 4, 20);
    expect(findRepeated(exchanges, accounting, 200, WINDOW_MS)).toBeUndefined();
  });
});
