import { beforeEach, expect, test } from 'vitest';
import type { Router } from '../../domain/router.ts';
import { virtualRuntime } from '../../../tests/simulation/virtual-runtime.ts';
import { createKnownRouters } from './known-routers.ts';
import type { KnownRouters } from './known-routers.ts';
import { createRouterTable } from './router-table.ts';
import type { RouterTable } from './router-table.ts';

const router = (address: string): Router => ({
  id: '00000000-0000-7000-8000-000000000001',
  name: 'r1',
  siteId: '00000000-0000-7000-8000-00000000aaaa',
  address,
  secret: Buffer.from('secret'),
  vendor: 'generic',
  coaPort: 3799,
  requireMessageAuthenticator: 'auto',
  messageAuthenticatorSeenAtMs: undefined,
});
const address = Buffer.from('00000000000000000000ffff0a000001', 'hex'); // 10.0.0.1

let runtime: ReturnType<typeof virtualRuntime>;
let table: RouterTable;
let known: KnownRouters;
let database: Router[];
let readingMs: number[];
let readings: number;
let marked: string[];
let isAway: boolean;

beforeEach(() => {
  runtime = virtualRuntime();
  table = createRouterTable();
  database = [router('10.0.0.1/32')];
  readingMs = [];
  readings = 0;
  marked = [];
  isAway = false;
  known = createKnownRouters({
    table,
    runtime,
    async listRouters() {
      readings++;
      const found = [...database];
      await runtime.clock.sleep(readingMs.shift() ?? 1);
      return found;
    },
    markMessageAuthenticatorSeen(id) {
      if (isAway) return Promise.reject(new Error('away'));
      marked.push(id);
      return Promise.resolve();
    },
  });
});

test('a thousand changes at once are read twice', async () => {
  for (let i = 0; i < 1_000; i++) known.reload();
  await runtime.scheduler.run(100);
  expect(readings).toBe(2);
  expect(table.size).toBe(1);
});

test('a slow reading does not bring back a router that was removed meanwhile', async () => {
  readingMs = [50, 1];
  known.reload();
  database = [];
  known.reload();
  await runtime.scheduler.run(100);
  expect(table.size).toBe(0);
});

test('a latch that could not be stored holds, and is stored when the database is back', async () => {
  await runtime.scheduler.until(known.load(), 100);
  isAway = true;
  const found = table.find(address, 0);
  if (found === undefined) throw new Error('no router');
  known.latch(found);
  await runtime.scheduler.run(10);
  expect(found.hasSignedRequests).toBe(true);
  isAway = false;
  known.reload();
  await runtime.scheduler.run(10);
  expect(marked).toEqual([found.router.id]);
  expect(table.find(address, 0)?.hasSignedRequests).toBe(true);
  known.reload();
  await runtime.scheduler.run(10);
  expect(marked).toHaveLength(1);
});
