// Who may call the API, how often, and what a call that comes twice does.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { apiKeyHash } from '../../src/stores/postgres/api-keys.ts';
import { createIdempotency, pruneIdempotency } from '../../src/stores/postgres/idempotency.ts';
import { createSecretBox } from '../../src/stores/secret-box.ts';
import { ROLES } from '../../src/services/gateway/roles.ts';
import { startGatewayUnderTest } from './gateway-under-test.ts';
import type { CallOptions, GatewayUnderTest } from './gateway-under-test.ts';

let gateway: GatewayUnderTest;
beforeAll(async () => {
  gateway = await startGatewayUnderTest();
});
afterAll(() => gateway[Symbol.asyncDispose]());
beforeEach(async () => {
  await gateway.postgres.query(
    'truncate access.sites, access.plans, access.idempotency_keys cascade',
  );
});

const call = (method: string, path: string, options?: CallOptions) =>
  gateway.call(method, path, options);
const newSite = (name: string, key: string) =>
  call('POST', '/v1/sites', { body: { name }, headers: { 'idempotency-key': key } });
const countSites = async () => ((await call('GET', '/v1/sites')).body['data'] as unknown[]).length;

/** For what must come true, however busy the machine is. */
const PATIENCE = { timeout: 20_000 };

describe('API keys', () => {
  test.each<[string, Record<string, string>]>([
    ['no key', {}],
    ['another scheme', { authorization: 'Basic b3duZXI6eA==' }],
    ['a key that does not exist', { authorization: `Bearer evg_${'A'.repeat(43)}` }],
    ['something else', { authorization: `Bearer ' or 1=1 --` }],
  ])('%s is not enough', async (_what, headers) => {
    const reply = await call('GET', '/v1/sites', { as: 'nobody', headers });
    expect(reply).toMatchObject({
      status: 401,
      body: { type: 'urn:evergate:problem:unauthorized' },
    });
    expect(reply.headers.get('www-authenticate')).toBe('Bearer realm="evergate"');
  });

  const allowed = {
    'GET /v1/sites': ['owner', 'manager', 'support', 'read-only'],
    'GET /v1/usage': ['owner', 'manager', 'support', 'read-only'],
    'POST /v1/sites': ['owner', 'manager'],
    'DELETE /v1/subscribers/nobody': ['owner', 'manager'],
    'POST /v1/subscribers': ['owner', 'manager', 'support'],
    'PATCH /v1/vouchers/none': ['owner', 'manager', 'support'],
    'POST /v1/apply': ['owner', 'manager'],
    'GET /v1/export': ['owner', 'manager'],
    'GET /v1/export?secrets=true': ['owner'],
    'GET /v1/api-keys': ['owner'],
    'POST /v1/api-keys': ['owner'],
  };
  test.each(Object.entries(allowed))('%s is for its roles alone', async (what, roles) => {
    const [method = '', path = ''] = what.split(' ');
    for (const role of ROLES) {
      const reply = await call(method, path, {
        as: role,
        ...(method === 'GET' ? {} : { body: {} }),
      });
      expect([role, reply.status === 403]).toEqual([role, !roles.includes(role)]);
    }
  });

  test('a key is shown once, kept as a hash, and forgotten when it is revoked', async () => {
    const made = await call('POST', '/v1/api-keys', { body: { name: 'billing', role: 'support' } });
    const { id, key } = made.body as { id: string; key: string };
    expect(key).toMatch(/^evg_[\w-]{43}$/);
    const authorization = { authorization: `Bearer ${key}` };
    const read = () => call('GET', '/v1/plans', { as: 'nobody', headers: authorization });
    expect((await read()).status).toBe(200);
    expect((await call('GET', `/v1/api-keys/${id}`)).text).not.toContain(key);
    const [row] = await gateway.postgres.query<{ key_hash: Buffer }>(
      'select key_hash from auth.api_keys where id = $1',
      [id],
    );
    expect(row?.key_hash).toEqual(apiKeyHash(key));

    expect((await call('DELETE', `/v1/api-keys/${id}`)).status).toBe(204);
    expect((await read()).status).toBe(401);
    const listed = (await call('GET', '/v1/api-keys?limit=200')).body['data'] as {
      id: string;
      revoked_at: unknown;
    }[];
    expect(listed.find((one) => one.id === id)?.revoked_at).not.toBeNull();
  });

  test('a key past its time is worth nothing', async () => {
    const made = await call('POST', '/v1/api-keys', {
      body: { name: 'short', role: 'owner', expires_at: '2100-01-01T00:00:00Z' },
    });
    await gateway.postgres.query('update auth.api_keys set expires_at = now() where id = $1', [
      made.body['id'],
    ]);
    const headers = { authorization: `Bearer ${String(made.body['key'])}` };
    expect((await call('GET', '/v1/sites', { as: 'nobody', headers })).status).toBe(401);
    const past = { name: 'past', role: 'owner', expires_at: '2020-01-01T00:00:00Z' };
    expect((await call('POST', '/v1/api-keys', { body: past })).status).toBe(422);
  });
});

describe('the rate limit', () => {
  test('counts each key, and those without one by address', async () => {
    await using limited = await gateway.another({ rateLimitPerMinute: 5 });
    // A minute may end while we count: then it begins anew, at most once.
    const statuses: number[] = [];
    let last = await limited.call('GET', '/v1/sites', { as: 'support' });
    for (let count = 0; count < 10; count++) {
      last = await limited.call('GET', '/v1/sites', { as: 'support' });
      statuses.push(last.status);
    }
    expect(statuses).toContain(429);
    expect(last).toMatchObject({
      status: 429,
      body: { type: 'urn:evergate:problem:too-many-requests' },
    });
    expect(Number(last.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(last.headers.get('ratelimit-limit')).toBe('5');
    expect(last.headers.get('ratelimit-remaining')).toBe('0');
    expect((await limited.call('GET', '/v1/sites', { as: 'manager' })).status).toBe(200);

    const strangers: number[] = [];
    for (let count = 0; count < 12; count++) {
      strangers.push((await limited.call('GET', '/v1/sites', { as: 'nobody' })).status);
    }
    expect(strangers).toContain(401);
    expect(strangers).toContain(429);
  });

  test("leaves an owner's automation on the same machine alone", async () => {
    await using limited = await gateway.another({ rateLimitPerMinute: 5 });
    for (let count = 0; count < 30; count++) {
      expect((await limited.call('GET', '/v1/sites')).status).toBe(200);
    }
    // A proxy on this machine says who it really was.
    const remote = { 'x-forwarded-for': '192.0.2.1' };
    const statuses: number[] = [];
    for (let count = 0; count < 12; count++) {
      statuses.push((await limited.call('GET', '/v1/sites', { headers: remote })).status);
    }
    expect(statuses).toContain(429);
  });
});

describe('an Idempotency-Key', () => {
  test('makes the same request get the same answer, and one effect', async () => {
    const first = await newSite('a', 'key-1');
    const again = await newSite('a', 'key-1');
    expect(again).toMatchObject({ status: 201, body: first.body });
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(again.headers.get('etag')).toBe('"1"');
    expect(again.headers.get('location')).toBe('/v1/sites/a');
    expect(first.headers.get('idempotency-replayed')).toBeNull();
    const remove = () => call('DELETE', '/v1/sites/a', { headers: { 'idempotency-key': 'key-2' } });
    expect([(await remove()).status, (await remove()).status]).toEqual([204, 204]);
  });

  test('is not for another request', async () => {
    await newSite('a', 'key-1');
    expect(await newSite('b', 'key-1')).toMatchObject({
      status: 422,
      body: { type: 'urn:evergate:problem:idempotency-key-reused' },
    });
    const elsewhere = await call('POST', '/v1/plans', {
      body: { name: 'a' },
      headers: { 'idempotency-key': 'key-1' },
    });
    expect(elsewhere.status).toBe(422);
    expect(await countSites()).toBe(1);
  });

  test('belongs to one API key', async () => {
    await newSite('a', 'key-1');
    const other = await call('POST', '/v1/sites', {
      body: { name: 'b' },
      headers: { 'idempotency-key': 'key-1' },
      as: 'manager',
    });
    expect(other.status).toBe(201);
  });

  test('of a refused request may be used for the corrected one', async () => {
    const refused = await call('POST', '/v1/sites', {
      body: {},
      headers: { 'idempotency-key': 'key-1' },
    });
    expect(refused.status).toBe(422);
    await newSite('a', 'key-0');
    expect((await newSite('a', 'key-1')).status).toBe(409);
    expect((await newSite('b', 'key-1')).status).toBe(201);
  });

  test.each(['with space', 'x'.repeat(256), ''])('%j is refused', async (key) => {
    expect((await newSite('a', key)).status).toBe(400);
  });

  test('carries out exactly one of fifty that come at once, on two gateways', async () => {
    await using other = await gateway.another();
    const replies = await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        (index % 2 === 0 ? gateway : other).call('POST', '/v1/vouchers', {
          body: { plan: 'p' },
          headers: { 'idempotency-key': 'fifty' },
        }),
      ),
    );
    expect(replies.every(({ status }) => status === 422 || status === 409)).toBe(true); // no plan yet

    await call('POST', '/v1/plans', { body: { name: 'p' } });
    const created = await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        (index % 2 === 0 ? gateway : other).call('POST', '/v1/vouchers', {
          body: { plan: 'p' },
          headers: { 'idempotency-key': 'fifty' },
        }),
      ),
    );
    const executed = created.filter(
      ({ status, headers }) => status === 201 && headers.get('idempotency-replayed') === null,
    );
    expect(executed).toHaveLength(1);
    expect(created.every(({ status }) => status === 201 || status === 409)).toBe(true);
    const codes = created.filter(({ status }) => status === 201).map(({ body }) => body['code']);
    expect(new Set(codes).size).toBe(1);
    expect(((await call('GET', '/v1/vouchers')).body['data'] as unknown[]).length).toBe(1);
  });

  test('is answered with 409 while the first is being carried out', async () => {
    let waiting: Promise<unknown> = Promise.resolve();
    await gateway.postgres.transaction(async (blocking) => {
      await blocking.query('lock table access.sites in access exclusive mode');
      waiting = newSite('a', 'slow');
      const isWaiting = async () =>
        (await gateway.postgres.query('select 1 from pg_locks where not granted')).length > 0;
      await expect.poll(isWaiting, PATIENCE).toBe(true);
      expect((await newSite('a', 'slow')).status).toBe(409);
    });
    await waiting;
    expect((await newSite('a', 'slow')).headers.get('idempotency-replayed')).toBe('true');
    expect(await countSites()).toBe(1);
  });

  test('of a process that died in the middle is free again, and nothing was done', async () => {
    const box = createSecretBox([Buffer.alloc(32)]);
    const identity = {
      apiKeyId: '0197a3c2-7d4e-7000-8000-5e3f9a1b2c3d',
      key: 'crash',
      requestHash: Buffer.from('hash'),
    };
    const dying = gateway.postgres.transaction(async (transaction) => {
      expect(await createIdempotency(transaction, box).claim(identity)).toEqual({ kind: 'first' });
      await transaction.query(
        `insert into access.sites (id, name, timezone) values (gen_random_uuid(), 'half', 'UTC')`,
      );
      // The connection ends as it does when the process is killed.
      await transaction.query('select pg_terminate_backend(pg_backend_pid())');
    });
    await expect(dying).rejects.toThrow('PostgreSQL');
    expect(await countSites()).toBe(0);
    await expect
      .poll(
        () =>
          gateway.postgres.transaction((transaction) =>
            createIdempotency(transaction, box).claim(identity),
          ),
        PATIENCE,
      )
      .toEqual({ kind: 'first' });
  });

  test('that was claimed long ago without an answer is taken over, a fresh one is not', async () => {
    const box = createSecretBox([Buffer.alloc(32)]);
    const identity = {
      apiKeyId: '0197a3c2-7d4e-7000-8000-5e3f9a1b2c3d',
      key: 'stale',
      requestHash: Buffer.from('hash'),
    };
    const claim = () =>
      gateway.postgres.transaction((transaction) =>
        createIdempotency(transaction, box).claim(identity),
      );
    expect(await claim()).toEqual({ kind: 'first' });
    expect(await claim()).toEqual({ kind: 'running' });
    await gateway.postgres.query(
      `update access.idempotency_keys set created_at = now() - interval '61 seconds'`,
    );
    expect(await claim()).toEqual({ kind: 'first' });
  });

  test('is kept for a day, then pruned', async () => {
    await newSite('a', 'old');
    await newSite('b', 'young');
    await gateway.postgres.query(
      `update access.idempotency_keys set created_at = now() - interval '25 hours' where key = 'old'`,
    );
    expect(await pruneIdempotency(gateway.postgres)).toBe(1);
    expect((await newSite('b', 'young')).headers.get('idempotency-replayed')).toBe('true');
    expect((await newSite('a', 'old')).status).toBe(409); // carried out anew: the name exists
  });

  test('repeats a new API key without its being readable in the database', async () => {
    const make = () =>
      call('POST', '/v1/api-keys', {
        body: { name: 'x', role: 'read-only' },
        headers: { 'idempotency-key': 'new-key' },
      });
    const first = await make();
    expect((await make()).body).toEqual(first.body);
    const rows = await gateway.postgres.query<{ body: string }>(
      'select body from access.idempotency_keys',
    );
    expect(rows).toHaveLength(1);
    expect(Buffer.from(rows[0]?.body ?? '', 'base64').toString('latin1')).not.toContain('evg_');
  });
});
