// Promises 1 and 3 while the database is stopped, killed, frozen and slow: logins go on from memory,
// accounting goes into the journal, and afterwards the database holds all that was acknowledged.

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startEvergate } from '../servers/evergate.ts';
import type { Evergate } from '../servers/evergate.ts';
import { startPostgres } from '../servers/postgres.ts';
import type { PostgresServer } from '../servers/postgres.ts';
import { desiredState, findDifferences, startTraffic, until } from './traffic.ts';

let postgres: PostgresServer;
let node: Evergate;

beforeAll(async () => {
  postgres = await startPostgres();
  node = await startEvergate({
    apply: desiredState,
    environment: {
      EVERGATE_DATABASE_URL: postgres.url,
      EVERGATE_RADIUS_RATE_LIMIT_PER_MINUTE: '0',
    },
  });
});

afterAll(async () => {
  await node[Symbol.asyncDispose]();
  await postgres[Symbol.asyncDispose]();
});

describe('under load', () => {
  test.each([
    ['stopped and started again', () => postgres.stop(), () => postgres.start()],
    ['killed and started again', () => postgres.kill(), () => postgres.start()],
    [
      'frozen and thawed',
      () => Promise.resolve(postgres.freeze()),
      () => Promise.resolve(postgres.thaw()),
    ],
  ] as const)(
    'a database that is %s costs no login and no record',
    async (_, takeAway, bringBack) => {
      const traffic = await startTraffic({ nodes: () => [node] });
      await until('all subscribers have logged in', () => traffic.ledger.logins.accepted > 400);

      await takeAway();
      const before = { ...traffic.ledger, logins: { ...traffic.ledger.logins } };
      await until(
        'records are acknowledged while the database is away',
        () => traffic.ledger.acknowledgedRecords > before.acknowledgedRecords + 500,
      );
      await until(
        'subscribers are let in while the database is away',
        () => traffic.ledger.logins.accepted > before.logins.accepted + 100,
      );
      const health = await node.http('/health');
      const { status } = (await health.json()) as { status: string };
      expect(status).not.toBe('healthy');
      expect((await node.http('/health/liveness')).status).toBe(200);

      await bringBack();
      await sleep(2_000);
      const ledger = await traffic.stop();
      await until('the journal is in the database', async () => {
        return (await node.metric('evergate_journal_pending_records')) === 0;
      });
      await until('the database is back', async () => (await node.api('/v1/sites')).ok);

      const differences = await findDifferences(ledger, (path) => node.api(path));
      expect(differences).toEqual([]);
      expect(ledger.wrong).toEqual([]);
      expect(ledger.logins.unanswered).toBe(0);
    },
    180_000,
  );
});
