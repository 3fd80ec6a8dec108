// A database that is slow, frozen, killed, switched over or half committed costs a bounded time, is
// named as what it is, and is used again by itself when it is back.

import { inspect } from 'node:util';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { watchChanges } from '../../src/stores/postgres/changes.ts';
import type { Change } from '../../src/stores/postgres/changes.ts';
import { connectPostgres } from '../../src/stores/postgres/connect.ts';
import { PostgresUnavailable, isUniqueViolation } from '../../src/stores/postgres/errors.ts';
import { migrate } from '../../src/stores/postgres/migrate.ts';
import { startPostgres } from '../servers/postgres.ts';
import type { PostgresServer } from '../servers/postgres.ts';
import { contractRuntime, eventually, metric } from './postgres-runtime.ts';

let server: PostgresServer;

beforeAll(async () => {
  server = await startPostgres();
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

async function isRefused(work: Promise<unknown>): Promise<boolean> {
  return work.then(
    () => false,
    (error: unknown) => error instanceof PostgresUnavailable,
  );
}

describe('queries', () => {
  test('bigint arrives as an exact number or not at all, a timestamp as milliseconds', async () => {
    await using postgres = await connectPostgres({ url: server.url }, contractRuntime());
    const [row] = await postgres.query(
      `select 9007199254740991::bigint as big, '2026-01-02 03:04:05.678+00'::timestamptz as at,
         '\\x00ff'::bytea as bytes, null::bigint as nothing, array[1, 2]::bigint[] as many`,
    );
    expect(row).toEqual({
      big: 9007199254740991,
      at: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
      bytes: Buffer.from([0, 255]),
      nothing: null,
      many: [1, 2],
    });
    await expect(postgres.query('select 9007199254740992::bigint')).rejects.toThrow('2^53');
    expect(await postgres.query('select 1 as one')).toEqual([{ one: 1 }]);
  });

  test('what the server refuses keeps its code, and the connection stays', async () => {
    await using postgres = await connectPostgres({ url: server.url }, contractRuntime());
    await postgres.query('create temporary table once (id integer primary key)');
    await postgres.query('insert into once values (1)');
    const error: unknown = await postgres
      .query('insert into once values (1)')
      .catch((e: unknown) => e);
    expect(isUniqueViolation(error)).toBe(true);
    expect(isUniqueViolation(error, 'another')).toBe(false);
    // A temporary table lives as long as its connection.
    expect(await postgres.query('select id from once')).toEqual([{ id: 1 }]);
  });

  test('a transaction is all or nothing', async () => {
    await using postgres = await connectPostgres({ url: server.url }, contractRuntime());
    await postgres.query('create table kept (id integer)');
    const failing = postgres.transaction(async (transaction) => {
      await transaction.query('insert into kept values (1)');
      throw new Error('changed my mind');
    });
    await expect(failing).rejects.toThrow('changed my mind');
    await postgres.transaction((transaction) => transaction.query('insert into kept values (2)'));
    const failingToo = postgres.kysely.transaction().execute(async (transaction) => {
      await sql`insert into kept values (3)`.execute(transaction);
      throw new Error('so did I');
    });
    await expect(failingToo).rejects.toThrow('so did I');
    expect(await postgres.query('select id from kept')).toEqual([{ id: 2 }]);
  });

  test('a query that takes too long ends at its deadline, on the server too', async () => {
    await using postgres = await connectPostgres({ url: server.url }, contractRuntime());
    expect(await isRefused(postgres.query('select pg_sleep(60)', [], { timeoutMs: 100 }))).toBe(
      true,
    );
    await eventually(async () => {
      const rows = await postgres.query(
        `select from pg_stat_activity where query like 'select pg_sleep%' and state = 'active'`,
      );
      return rows.length === 0;
    });
  });

  test('only so many may wait for a connection', async () => {
    await using postgres = await connectPostgres(
      { url: server.url, maxConnections: 1, maxWaiting: 2 },
      contractRuntime(),
    );
    const queries = Array.from({ length: 6 }, () => postgres.query('select pg_sleep(0.1)'));
    const outcomes = await Promise.allSettled(queries);
    const refused = outcomes.filter(({ status }) => status === 'rejected');
    expect(refused.length).toBeGreaterThanOrEqual(2);
    expect(outcomes.length - refused.length).toBeGreaterThanOrEqual(3);
  });
});

describe('a server in trouble', () => {
  test('frozen: an error in bounded time, then at once, and work again when it thaws', async () => {
    const runtime = contractRuntime();
    await using postgres = await connectPostgres({ url: server.url }, runtime);
    await Promise.all(Array.from({ length: 8 }, () => postgres.query('select pg_sleep(0.05)')));
    server.freeze();
    try {
      const stuck = Array.from({ length: 20 }, () =>
        isRefused(postgres.query('select 1', [], { timeoutMs: 300 })),
      );
      expect(await Promise.all(stuck)).not.toContain(false);
      await eventually(() => postgres.status() === 'disconnected');

      // At once, however patient the caller is: the test would time out otherwise.
      const patient = postgres.query('select 1', [], { timeoutMs: 3_600_000 });
      expect(await isRefused(patient)).toBe(true);
      expect(await metric(runtime, 'evergate_database_connected')).toBe(0);
    } finally {
      server.thaw();
    }
    await eventually(() => postgres.query('select 1'));
    expect(postgres.status()).toBe('connected');
    expect(await metric(runtime, 'evergate_database_connected')).toBe(1);
  });

  test('killed and started again: used again by itself', async () => {
    await using postgres = await connectPostgres({ url: server.url }, contractRuntime());
    await postgres.query('select 1');
    await server.kill();
    expect(await isRefused(postgres.query('select 1'))).toBe(true);
    await server.start();
    await eventually(() => postgres.query('select 1'));
  });

  test('away at the start: connects when it comes', async () => {
    await server.stop();
    await using postgres = await connectPostgres({ url: server.url }, contractRuntime());
    expect(postgres.status()).toBe('disconnected');
    expect(await isRefused(postgres.ping())).toBe(true);
    await server.start();
    await eventually(() => postgres.ping());
  });

  test('of two hosts the primary is used, and the promoted one after it died', async () => {
    await using first = await startPostgres();
    await using second = await startPostgres({ isStandby: true });
    const hosts = `127.0.0.1:${second.port},127.0.0.1:${first.port}`;
    const url = first.url.replace(`127.0.0.1:${first.port}`, hosts);
    await using postgres = await connectPostgres({ url }, contractRuntime());
    const portInUse = () => postgres.query('select inet_server_port() as port');
    expect(await portInUse()).toEqual([{ port: first.port }]);

    await first.kill();
    await using direct = await connectPostgres({ url: second.url }, contractRuntime());
    expect(direct.status()).toBe('disconnected'); // it is a replica still
    await second.promote();
    await eventually(async () => {
      expect(await portInUse()).toEqual([{ port: second.port }]);
    });
  });

  test('a commit that no replica confirmed is not acknowledged', async () => {
    await using lonely = await startPostgres({
      settings: ["synchronous_standby_names = 'nobody'"],
    });
    await using postgres = await connectPostgres({ url: lonely.url }, contractRuntime());
    await postgres.transaction(async (transaction) => {
      await transaction.query('set local synchronous_commit = local');
      await transaction.query('create table money (amount integer)');
    });
    const paying = isRefused(
      postgres.query('insert into money values (1)', [], { timeoutMs: 20_000 }),
    );
    await eventually(async () => {
      const cancelled = await postgres.query(
        `select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'`,
      );
      return cancelled.length > 0;
    });
    expect(await paying).toBe(true);
  });

  test('a password is never part of an error', async () => {
    const url = server.url.replace(/:[^:@]+@/, ':open%20sesame@');
    const error: unknown = await connectPostgres({ url }, contractRuntime()).catch(
      (e: unknown) => e,
    );
    expect(error).toBeInstanceOf(PostgresUnavailable);
    expect(inspect(error, { depth: 10 })).toContain('password authentication failed');
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain('sesame');
  });
});

describe('announcements', () => {
  test('every change of the tables is heard, and a break is made up for', async () => {
    await using postgres = await connectPostgres({ url: server.url }, contractRuntime());
    await migrate(postgres);
    const heard: Change[] = [];
    await using _watching = watchChanges(postgres, (change) => heard.push(change));
    await eventually(() => heard.some(({ table }) => table === 'everything'));

    const plan = crypto.randomUUID();
    await postgres.query('insert into access.plans (id, name) values ($1, $2)', [plan, 'hour']);
    await postgres.query('insert into access.vouchers (id, code, plan_id) values ($1, $2, $3)', [
      crypto.randomUUID(),
      'AB CD',
      plan,
    ]);
    await postgres.query(
      `insert into access.subscribers (id, username, sealed_password) values ($1, 'alice', '')`,
      [crypto.randomUUID()],
    );
    await postgres.query(`update access.subscribers set username = 'bob'`);
    await eventually(() => heard.length >= 6);
    expect(heard.slice(1)).toEqual([
      { table: 'plans' },
      { table: 'vouchers', key: 'AB CD' },
      { table: 'subscribers', key: 'alice' },
      { table: 'subscribers', key: 'alice' },
      { table: 'subscribers', key: 'bob' },
    ]);

    await postgres.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name like '% listen'`,
    );
    await eventually(() => heard.at(-1)?.table === 'everything' && heard.length === 7);
    await postgres.query(`delete from access.subscribers`);
    await eventually(() => heard.at(-1)?.key === 'bob');
  });
});
