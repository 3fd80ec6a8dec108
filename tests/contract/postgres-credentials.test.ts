// What a login is checked against, as the radius service asks for it.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectPostgres } from '../../src/stores/postgres/connect.ts';
import type { Postgres } from '../../src/stores/postgres/connect.ts';
import { createCredentialQueries } from '../../src/stores/postgres/credentials.ts';
import type { CredentialQueries } from '../../src/stores/postgres/credentials.ts';
import { migrate } from '../../src/stores/postgres/migrate.ts';
import { createRouterQueries } from '../../src/stores/postgres/routers.ts';
import { verifySecretBox } from '../../src/stores/postgres/sealed-secrets.ts';
import { createSecretBox } from '../../src/stores/secret-box.ts';
import { startPostgres } from '../servers/postgres.ts';
import type { PostgresServer } from '../servers/postgres.ts';
import { contractRuntime } from './postgres-runtime.ts';

const box = createSecretBox([Buffer.alloc(32, 1)]);
const START_MS = Date.UTC(2026, 0, 1);
const ids = {
  hour: crypto.randomUUID(),
  free: crypto.randomUUID(),
  alice: crypto.randomUUID(),
  bob: crypto.randomUUID(),
  voucher: crypto.randomUUID(),
  namesake: crypto.randomUUID(),
  site: crypto.randomUUID(),
};

let server: PostgresServer;
let postgres: Postgres;
let credentials: CredentialQueries;

beforeAll(async () => {
  server = await startPostgres();
  postgres = await connectPostgres({ url: server.url }, contractRuntime());
  await migrate(postgres);
  credentials = createCredentialQueries(postgres, box, contractRuntime().log);

  await postgres.query(
    `insert into access.plans (id, name, duration_seconds, data_bytes, upload_bits_per_second,
       price_minor_units, price_currency, devices)
     values ($1, 'hour', 3600, 1000, 2000000, 5000, 'VND', 2), ($2, 'free', null, null, null, null, null, null)`,
    [ids.hour, ids.free],
  );
  await postgres.query(
    `insert into access.subscribers (id, username, sealed_password, plan_id, plan_started_at, disabled)
     values ($1, 'alice', $2, $3, $4, false), ($5, 'bob', $6, $7, $4, true)`,
    [
      ids.alice,
      box.seal(Buffer.from('wonderland'), `subscriber:${ids.alice}`),
      ids.hour,
      new Date(START_MS),
      ids.bob,
      box.seal(Buffer.from('builder'), `subscriber:${ids.bob}`),
      ids.free,
    ],
  );
  await postgres.query(
    `insert into access.vouchers (id, code, plan_id) values ($1, 'ABCD-EFGH', $3), ($2, 'Alice', $3)`,
    [ids.voucher, ids.namesake, ids.hour],
  );
  const used: [username: string, startedAtMs: number][] = [
    ['alice', START_MS - 3_600_000], // before the plan
    ['alice', START_MS - 900], // with it: the router counts in whole seconds
    ['alice', START_MS + 1_000],
    ['ALICE', START_MS + 1_000], // somebody else
    ['bob', START_MS + 1_000],
    ['abcd-EFGH', START_MS],
    ['ABCD-efgh', START_MS],
  ];
  for (const [username, startedAtMs] of used) {
    await postgres.query(
      `insert into access.sessions (session_key, router_id, site_id, acct_session_id, username, started_at,
         updated_at, counting_since, settled_seconds, current_seconds, settled_input_octets, current_output_octets)
       values (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), '1', $1, $2, $2, $2, 1, 10, 100, 1000)`,
      [username, new Date(startedAtMs)],
    );
  }
});

afterAll(async () => {
  await postgres[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

test('a batch is answered in the order asked, with plan and usage', async () => {
  const [nobody, alice, bob, again] = await credentials.findCredentials([
    'nobody',
    'alice',
    'bob',
    'alice',
  ]);
  expect(nobody).toBeUndefined();
  expect(alice).toEqual({
    kind: 'subscriber',
    id: ids.alice,
    username: 'alice',
    password: Buffer.from('wonderland'),
    disabled: false,
    plan: {
      id: ids.hour,
      name: 'hour',
      durationSeconds: 3600,
      dataBytes: 1000,
      uploadBitsPerSecond: 2_000_000,
      downloadBitsPerSecond: undefined,
      price: { minorUnits: 5000n, currency: 'VND' },
      devices: 2,
    },
    activatedAtMs: undefined,
    expiresAtMs: undefined,
    usedSeconds: 22,
    usedBytes: 2200,
  });
  expect(again).toEqual(alice);
  expect(bob).toMatchObject({ disabled: true, usedSeconds: 0, usedBytes: 0 }); // nothing is limited
  expect(bob?.plan?.price).toBeUndefined();
});

test('a name is found with the case it has, a voucher in any', async () => {
  const [subscriber, voucher, other] = await credentials.findCredentials([
    'alice',
    'abcd-efgh',
    'aLICE',
  ]);
  expect(subscriber?.kind).toBe('subscriber');
  expect(voucher).toMatchObject({ kind: 'voucher', username: 'ABCD-EFGH', usedSeconds: 0 });
  expect(voucher?.password).toEqual(Buffer.from('ABCD-EFGH'));
  expect(other).toMatchObject({ kind: 'voucher', username: 'Alice' });
});

test('names that no column could hold are simply not found', async () => {
  expect(await credentials.findCredentials(['\0', '', 'x'.repeat(10_000), '{"'])).toEqual([
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
  expect(await credentials.findCredentials([])).toEqual([]);
});

test('two first logins with one voucher agree on when it was activated', async () => {
  const outcomes = await Promise.all(
    Array.from({ length: 8 }, (_, number) =>
      credentials.activateVoucher(ids.voucher, START_MS + number),
    ),
  );
  const moments = new Set(outcomes.map(({ activatedAtMs }) => activatedAtMs));
  expect(moments.size).toBe(1);
  const [voucher] = await credentials.findCredentials(['ABCD-EFGH']);
  expect(moments).toContain(voucher?.activatedAtMs);
  // However the code was typed, it counts.
  expect(voucher).toMatchObject({ usedSeconds: 22, usedBytes: 2200 });
  expect(await credentials.activateVoucher(crypto.randomUUID(), 0)).toEqual({
    activatedAtMs: undefined,
    expiresAtMs: undefined,
  });
});

test('routers come with their secrets; one that cannot be opened is left out', async () => {
  await postgres.query(`insert into access.sites (id, name, timezone) values ($1, 'cafe', 'UTC')`, [
    ids.site,
  ]);
  const good = crypto.randomUUID();
  const insert = (id: string, name: string, address: string, sealed: Buffer) =>
    postgres.query(
      `insert into access.routers (id, site_id, name, address, sealed_secret) values ($1, $2, $3, $4, $5)`,
      [id, ids.site, name, address, sealed],
    );
  const sealed = box.seal(Buffer.from('testing123'), `router:${good}`);
  await insert(good, 'r1', '10.0.0.0/8', sealed);
  await insert(crypto.randomUUID(), 'moved', '2001:db8::1', sealed);

  const errors: string[] = [];
  const { log } = contractRuntime();
  const routers = createRouterQueries(postgres, box, {
    ...log,
    error: (_message, fields) => errors.push(String(fields?.['router'])),
  });
  const [r1, ...rest] = await routers.listRouters();
  expect(rest).toEqual([]);
  expect(errors).toEqual(['moved']);
  expect(r1).toMatchObject({
    address: '10.0.0.0/8',
    secret: Buffer.from('testing123'),
    coaPort: 3799,
    requireMessageAuthenticator: 'auto',
    messageAuthenticatorSeenAtMs: undefined,
  });

  await routers.markMessageAuthenticatorSeen(good, START_MS);
  await routers.markMessageAuthenticatorSeen(good, START_MS + 5);
  const [latched] = await routers.listRouters();
  expect(latched?.messageAuthenticatorSeenAtMs).toBe(START_MS);
});

test('a password that cannot be opened takes the login from nobody else', async () => {
  const damaged = crypto.randomUUID();
  await postgres.query(
    'insert into access.subscribers (id, username, sealed_password) values ($1, $2, $3)',
    [damaged, 'damaged', Buffer.from('no box')],
  );
  const [broken, alice] = await credentials.findCredentials(['damaged', 'alice']);
  expect(broken).toBeUndefined();
  expect(alice).toMatchObject({ username: 'alice' });
  await postgres.query('delete from access.subscribers where id = $1', [damaged]);
});

test('a wrong key is found at the start', async () => {
  const other = createSecretBox([Buffer.alloc(32, 9)]);
  await expect(verifySecretBox(postgres, other)).rejects.toThrow('secrets key is not the one');
});
