// Apply and export: a document becomes true in one step or not at all, and comes back the same.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startGatewayUnderTest } from './gateway-under-test.ts';
import type { GatewayUnderTest, Json } from './gateway-under-test.ts';

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

const apply = (body: unknown, query = '') => gateway.call('POST', `/v1/apply${query}`, { body });
const exported = async (query = '') => (await gateway.call('GET', `/v1/export${query}`)).body;
const nothing = { created: 0, changed: 0, unchanged: 0 };

/** The example of the design. */
const document = {
  sites: [{ name: 'cafe-1', timezone: 'Africa/Kampala', outage: 'basic' }],
  routers: [
    {
      name: 'r1',
      site: 'cafe-1',
      address: '127.0.0.1/32',
      secret: 'testing123',
      vendor: 'mikrotik',
      coa_port: 3799,
      require_message_authenticator: 'auto',
    },
  ],
  plans: [
    { name: 'hour', duration: '1h', data: '1GiB', rate: '2M/10M', price: '5000 VND', devices: 2 },
  ],
  subscribers: [{ username: 'alice', password: 'wonderland', plan: 'hour' }],
  vouchers: [{ code: 'ABCD-EFGH', plan: 'hour' }],
};

test('the first time everything is created, the second time nothing changes', async () => {
  expect(await apply(document)).toMatchObject({
    status: 200,
    body: {
      dry_run: false,
      sites: { created: 1, changed: 0, unchanged: 0 },
      vouchers: { created: 1, changed: 0, unchanged: 0 },
      changes: expect.arrayContaining([{ kind: 'router', name: 'r1', change: 'created' }]),
    },
  });
  const versions = () =>
    gateway.postgres.query(
      'select version, updated_at from access.routers union all select version, updated_at from access.subscribers',
    );
  const before = await versions();
  const again = await apply(document);
  for (const kind of Object.keys(document)) {
    expect(again.body[kind]).toEqual({ created: 0, changed: 0, unchanged: 1 });
  }
  expect(await versions()).toEqual(before);
});

test('applying what was exported changes nothing, with and without secrets', async () => {
  await apply(document);
  await gateway.call('PATCH', '/v1/subscribers/alice', {
    body: { expires_at: '2030-01-01T00:00:00Z', disabled: true },
  });
  for (const query of ['', '?secrets=true']) {
    const { body } = await apply(await exported(query));
    for (const kind of Object.keys(document)) {
      expect({ [kind]: body[kind] }).toEqual({ [kind]: { created: 0, changed: 0, unchanged: 1 } });
    }
  }
});

test('an export with secrets makes another, empty Evergate the same', async () => {
  await apply(document);
  const complete = await exported('?secrets=true');
  await gateway.postgres.query('truncate access.sites, access.plans cascade');
  expect((await apply(complete)).status).toBe(200);
  expect(await exported('?secrets=true')).toEqual(complete);
  expect(complete).toMatchObject(document);
});

test('an export without secrets shows none', async () => {
  await apply(document);
  expect(JSON.stringify(await exported())).not.toMatch(/testing123|wonderland/);
});

test('what is left out stays as it is, and nothing is deleted', async () => {
  await apply(document);
  const changed = await apply({
    sites: [{ name: 'cafe-1', outage: 'open' }],
    plans: [{ name: 'hour', price: null }],
    subscribers: [{ username: 'alice', password: 'another' }],
  });
  expect(changed.body).toMatchObject({
    sites: { changed: 1 },
    plans: { changed: 1 },
    subscribers: { changed: 1 },
    routers: nothing,
    vouchers: nothing,
  });
  const after = await exported('?secrets=true');
  expect(after).toMatchObject({
    sites: [{ timezone: 'Africa/Kampala', outage: 'open' }],
    plans: [{ name: 'hour', duration: '1h' }],
    routers: [{ name: 'r1' }],
    subscribers: [{ username: 'alice', password: 'another', plan: 'hour' }],
    vouchers: [{ code: 'ABCD-EFGH' }],
  });
  expect((after['plans'] as Json[])[0]).not.toHaveProperty('price');
});

test('a dry run says what would change, and changes nothing', async () => {
  const { body } = await apply(document, '?dry_run=true');
  expect(body).toMatchObject({ dry_run: true, routers: { created: 1 } });
  expect(await exported()).toEqual({
    sites: [],
    routers: [],
    plans: [],
    subscribers: [],
    vouchers: [],
  });
});

describe('a document that is not valid', () => {
  test('changes nothing, and every error is named at once', async () => {
    const reply = await apply({
      sites: [{ name: 'good' }, { name: 'good' }, { name: 'bad', outage: 'no' }],
      routers: [
        { name: 'r1', site: 'good', address: '10.0.0.1/8', secret: 's3cret', colour: 'red' },
      ],
      plans: [{ name: 'p', duration: 'soon' }],
      subscriber: [],
    });
    expect(reply.status).toBe(422);
    const pointers = (reply.body['errors'] as { pointer: string }[]).map(({ pointer }) => pointer);
    expect(pointers.toSorted()).toEqual([
      '/plans/0/duration',
      '/routers/0/address',
      '/routers/0/colour',
      '/sites/2/outage',
      '/subscriber',
    ]);
    expect(reply.body['errors']).toContainEqual({
      pointer: '/subscriber',
      detail: 'there is no such key here; allowed are sites, routers, plans, subscribers, vouchers',
    });
    expect(reply.text).not.toContain('s3cret');
    expect(await exported()).toMatchObject({ sites: [] });
  });

  test('names the voucher whose code differs from another one in its case alone', async () => {
    await apply(document);
    const reply = await apply({
      vouchers: [
        { code: 'OTHER', plan: 'hour' },
        { code: 'abcd-efgh', plan: 'hour' },
      ],
    });
    expect(reply).toMatchObject({
      status: 409,
      body: { errors: [{ pointer: '/vouchers/1/code' }] },
    });
    expect(((await exported()) as { vouchers: unknown[] }).vouchers).toHaveLength(1);
    const single = await gateway.call('POST', '/v1/vouchers', {
      body: { code: 'abcd-efgh', plan: 'hour' },
    });
    expect(single.status).toBe(409);
  });

  test('names what refers to nothing, comes twice, or lacks a secret', async () => {
    await apply({ sites: [{ name: 'there' }] });
    const reply = await apply({
      sites: [{ name: 'new' }, { name: 'new' }],
      routers: [
        { name: 'r1', site: 'there', address: '10.0.0.1', secret: 'testing123' },
        { name: 'r2', site: 'new', address: '10.0.0.1/32' },
        { name: 'r3', site: 'nowhere', address: '10.0.0.3', secret: 'testing123' },
      ],
      subscribers: [{ username: 'alice', plan: 'no plan' }],
    });
    expect(reply.status).toBe(422);
    expect(reply.body['errors']).toEqual([
      { pointer: '/sites/1/name', detail: '"new" is there twice' },
      { pointer: '/routers/1/secret', detail: 'this is missing: router r2 is new' },
      { pointer: '/routers/2/site', detail: 'there is no site "nowhere"' },
      { pointer: '/subscribers/0/plan', detail: 'there is no plan "no plan"' },
      { pointer: '/subscribers/0/password', detail: 'this is missing: subscriber alice is new' },
      { pointer: '/routers/1/address', detail: 'router r1 has 10.0.0.1/32 already' },
    ]);
    expect(await exported()).toMatchObject({ sites: [{ name: 'there' }], routers: [] });
  });

  test('names a router that has the address already', async () => {
    await apply(document);
    const reply = await apply({
      routers: [{ name: 'r2', site: 'cafe-1', address: '127.0.0.1', secret: 'testing123' }],
    });
    expect(reply.body['errors']).toEqual([
      { pointer: '/routers/0/address', detail: 'router r1 has 127.0.0.1/32 already' },
    ]);
  });
});

test('the database refusing the last list undoes the first', async () => {
  await gateway.postgres.query(
    `alter table access.vouchers add constraint test_only check (code <> 'REFUSED') not valid`,
  );
  try {
    const reply = await apply({ ...document, vouchers: [{ code: 'REFUSED', plan: 'hour' }] });
    expect(reply.status).toBe(400);
    expect(await exported()).toMatchObject({ sites: [], plans: [], subscribers: [] });
  } finally {
    await gateway.postgres.query('alter table access.vouchers drop constraint test_only');
  }
});

test('two that come at once are carried out one after the other', async () => {
  const replies = await Promise.all([apply(document), apply(document), apply(document)]);
  expect(replies.map(({ status }) => status)).toEqual([200, 200, 200]);
  const created = replies.map(({ body }) => (body['sites'] as { created: number }).created);
  expect(created.toSorted()).toEqual([0, 0, 1]);
});

test('a router takes the address that another one leaves', async () => {
  await apply(document);
  const moved = await apply({
    routers: [
      { name: 'r1', site: 'cafe-1', address: '10.0.0.2' },
      { name: 'r2', site: 'cafe-1', address: '127.0.0.1', secret: 'testing123' },
    ],
  });
  expect(moved).toMatchObject({ status: 200, body: { routers: { created: 1, changed: 1 } } });
});

test('five thousand subscribers are one request', async () => {
  const subscribers = Array.from({ length: 5_000 }, (_, index) => ({
    username: `subscriber-${index}`,
    password: `password-${index}`,
    plan: 'hour',
  }));
  const large = { ...document, subscribers };
  expect((await apply(large)).body['subscribers']).toEqual({
    created: 5_000,
    changed: 0,
    unchanged: 0,
  });
  expect((await apply(large)).body['subscribers']).toEqual({
    created: 0,
    changed: 0,
    unchanged: 5_000,
  });
  expect((await exported())['subscribers']).toHaveLength(5_000);
});

test('a body beyond 16 MiB is refused before it is read', async () => {
  const reply = await apply({ sites: [{ name: 'x'.repeat(17 * 1024 * 1024) }] });
  expect(reply).toMatchObject({
    status: 413,
    body: { type: 'urn:evergate:problem:payload-too-large' },
  });
});
