// Two nodes on PostgreSQL and Redis, as in production: one node after the other is killed and
// frozen, and then the shared state. Routers turn to the other node; nothing acknowledged is lost.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startEvergate } from '../servers/evergate.ts';
import type { Evergate } from '../servers/evergate.ts';
import { startPostgres } from '../servers/postgres.ts';
import { startRedis } from '../servers/redis.ts';
import type { RedisServer } from '../servers/redis.ts';
import { desiredState, findDifferences, startTraffic, until } from './traffic.ts';

const opened = new AsyncDisposableStack();
let redis: RedisServer;
/** Applies the desired state and shows the database; takes no part in answering. */
let first: Evergate;
let nodes: [Evergate, Evergate];

beforeAll(async () => {
  const postgres = opened.use(await startPostgres());
  redis = opened.use(await startRedis());
  const environment = {
    EVERGATE_DATABASE_URL: postgres.url,
    EVERGATE_STATE_URL: redis.url,
    EVERGATE_RADIUS_RATE_LIMIT_PER_MINUTE: '0',
    EVERGATE_RADIUS_WORKERS: '1',
  };
  first = opened.use(await startEvergate({ apply: desiredState, environment }));
  const key = readFileSync(join(first.dataDirectory, 'secrets.key'), 'utf8').trim();
  const member = (name: string) =>
    startEvergate({
      services: ['radius'],
      environment: { ...environment, EVERGATE_NODE: name, EVERGATE_SECRETS_KEY: key },
    });
  nodes = [await member('node-a'), await member('node-b')];
});

afterAll(async () => {
  for (const node of nodes) await node[Symbol.asyncDispose]();
  await opened.disposeAsync();
});

test('while one of two nodes is killed or frozen, the other lets everybody in', async () => {
  const traffic = await startTraffic({ nodes: () => nodes });
  await until('traffic flows', () => traffic.ledger.logins.accepted > 200);

  await nodes[0].process.kill();
  await sleep(4_000);
  nodes[0] = await startEvergate(nodes[0].again);
  await sleep(2_000);
  nodes[1].process.freeze();
  await sleep(4_000);
  nodes[1].process.thaw();
  await sleep(1_000);

  const ledger = await traffic.stop();
  for (const node of nodes) {
    await until('the journal is in the database', async () => {
      return (await node.metric('evergate_journal_pending_records')) === 0;
    });
  }
  expect(await findDifferences(ledger, (path) => first.api(path))).toEqual([]);
  expect(ledger.wrong).toEqual([]);
  expect(ledger.logins.unanswered).toBe(0);
}, 120_000);

test.each([
  ['killed', () => redis.kill(), () => redis.start()],
  ['frozen', () => Promise.resolve(redis.freeze()), () => Promise.resolve(redis.thaw())],
] as const)(
  'a shared state that is %s costs no login and no record',
  async (_, takeAway, bringBack) => {
    const traffic = await startTraffic({ nodes: () => nodes });
    await until('traffic flows', () => traffic.ledger.logins.accepted > 100);
    await takeAway();
    const accepted = traffic.ledger.logins.accepted;
    await until(
      'subscribers are let in while it is away',
      () => traffic.ledger.logins.accepted > accepted + 200,
    );
    const health = (await (await nodes[0].http('/health')).json()) as Record<string, unknown>;
    expect(health['status']).toBe('degraded');
    expect((await nodes[0].http('/health/readiness')).status).toBe(200);

    await bringBack();
    await until('the node is healthy again', async () => {
      const after = (await (await nodes[0].http('/health')).json()) as Record<string, unknown>;
      return after['status'] === 'healthy';
    });
    const ledger = await traffic.stop();
    const differences = await findDifferences(ledger, (path) => first.api(path));
    expect(differences).toEqual([]);
    expect(ledger.wrong).toEqual([]);
    expect(ledger.logins.unanswered).toBe(0);
  },
  120_000,
);
