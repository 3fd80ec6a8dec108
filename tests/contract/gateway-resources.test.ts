// Sites, routers, plans, subscribers and vouchers through HTTP, as a client meets them.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startGatewayUnderTest } from './gateway-under-test.ts';
import type { CallOptions, GatewayUnderTest, Json, Reply } from './gateway-under-test.ts';

let gateway: GatewayUnderTest;
beforeAll(async () => {
  gateway = await startGatewayUnderTest();
});
afterAll(() => gateway[Symbol.asyncDispose]());
beforeEach(async () => {
  await gateway.postgres.query(
    'truncate access.sites, access.routers, access.plans, access.subscribers, access.vouchers, access.idempotency_keys',
  );
});

const call = (method: string, path: string, options?: CallOptions) =>
  gateway.call(method, path, options);
const post = (path: string, body: unknown) => call('POST', path, { body });
const get = (path: string) => call('GET', path);

const site = { name: 'cafe-1', timezone: 'Africa/Kampala', outage: 'basic' };
const router = { name: 'r1', site: 'cafe-1', address: '10.0.0.0/8', secret: 'testing123' };
const plan = {
  name: 'hour',
  duration: '1h',
  data: '1GiB',
  rate: '2M/10M',
  price: '5000 VND',
  devices: 2,
};

test('what is created is read again, by name and by id', async () => {
  const created = await post('/v1/sites', site);
  expect(created).toMatchObject({ status: 201, body: { ...site, version: 1 } });
  expect(created.headers.get('etag')).toBe('"1"');
  expect(created.headers.get('location')).toBe('/v1/sites/cafe-1');
  const byName = await get('/v1/sites/cafe-1');
  expect(byName.body).toEqual(created.body);
  expect((await get(`/v1/sites/${String(created.body['id'])}`)).body).toEqual(created.body);
});

test('a plan is answered in human forms and in machine units', async () => {
  const { status, body } = await post('/v1/plans', plan);
  expect(status).toBe(201);
  expect(body).toMatchObject({
    ...plan,
    duration_seconds: 3_600,
    data_bytes: 1_073_741_824,
    upload_bits_per_second: 2_000_000,
    download_bits_per_second: 10_000_000,
    price_minor_units: 5_000,
    price_currency: 'VND',
  });
});

test('a plan may be sent in machine units, and without limits', async () => {
  const machine = {
    name: 'machine',
    duration_seconds: 5_400,
    data_bytes: 500_000_000,
    upload_bits_per_second: 1_000_000,
    price_minor_units: 499,
    price_currency: 'USD',
  };
  expect((await post('/v1/plans', machine)).body).toMatchObject({
    duration: '90m',
    data: '500MB',
    rate: '1M/unlimited',
    price: '4.99 USD',
    devices: null,
  });
  expect((await post('/v1/plans', { name: 'endless' })).body).toMatchObject({
    duration: null,
    data_bytes: null,
    rate: null,
    price: null,
  });
});

test('both forms of a value must agree', async () => {
  const { status, body } = await post('/v1/plans', { ...plan, duration_seconds: 3_601 });
  expect(status).toBe(422);
  expect(body['errors']).toEqual([
    { pointer: '/duration_seconds', detail: 'does not agree with duration; send one of the two' },
  ]);
  expect((await post('/v1/plans', { ...plan, duration_seconds: 3_600 })).status).toBe(201);
});

test('a secret is never in an answer', async () => {
  await post('/v1/sites', site);
  const created = await post('/v1/routers', router);
  expect(created).toMatchObject({
    status: 201,
    body: { name: 'r1', site: 'cafe-1', address: '10.0.0.0/8', vendor: 'generic', coa_port: 3_799 },
  });
  await post('/v1/plans', plan);
  await post('/v1/subscribers', { username: 'alice', password: 'wonderland', plan: 'hour' });
  const texts = [
    created.text,
    (await get('/v1/routers')).text,
    (await get('/v1/subscribers/alice')).text,
    (await call('PATCH', '/v1/routers/r1', { body: { secret: 'another-secret' } })).text,
    (await get('/v1/export')).text,
  ];
  for (const text of texts) expect(text).not.toMatch(/testing123|another-secret|wonderland|sealed/);
});

test('a change keeps what it does not name, and null takes away', async () => {
  await post('/v1/plans', plan);
  const changed = await call('PATCH', '/v1/plans/hour', { body: { duration: '2h', price: null } });
  expect(changed).toMatchObject({
    status: 200,
    body: {
      duration: '2h',
      data: '1GiB',
      rate: '2M/10M',
      price: null,
      price_currency: null,
      version: 2,
    },
  });
});

test('a change to what is already so is no change', async () => {
  await post('/v1/plans', plan);
  const same = await call('PATCH', '/v1/plans/hour', { body: { duration: '60m' } });
  expect(same).toMatchObject({ status: 200, body: { version: 1 } });
});

test('a rename is a change', async () => {
  await post('/v1/sites', site);
  await call('PATCH', '/v1/sites/cafe-1', { body: { name: 'bar-1' } });
  expect((await get('/v1/sites/cafe-1')).status).toBe(404);
  expect((await get('/v1/sites/bar-1')).status).toBe(200);
});

describe('ETags', () => {
  test('a change of an old version is refused', async () => {
    await post('/v1/sites', site);
    const patch = (match: string) =>
      call('PATCH', '/v1/sites/cafe-1', {
        body: { outage: 'open' },
        headers: { 'if-match': match },
      });
    expect(await patch('"2"')).toMatchObject({
      status: 412,
      body: { type: 'urn:evergate:problem:precondition-failed' },
    });
    expect((await patch('W/"1"')).status).toBe(412);
    const changed = await patch('"1"');
    expect(changed.status).toBe(200);
    expect(changed.headers.get('etag')).toBe('"2"');
    expect((await patch('*')).status).toBe(200);
    const deleted = await call('DELETE', '/v1/sites/cafe-1', { headers: { 'if-match': '"1"' } });
    expect(deleted.status).toBe(412);
  });

  test('of two who change the same version at once, one wins', async () => {
    await post('/v1/sites', site);
    const headers = { 'if-match': '"1"' };
    const replies = await Promise.all(
      ['open', 'closed'].map((outage) =>
        call('PATCH', '/v1/sites/cafe-1', { body: { outage }, headers }),
      ),
    );
    expect(replies.map(({ status }) => status).toSorted()).toEqual([200, 412]);
  });
});

describe('PUT', () => {
  test('creates, then replaces', async () => {
    const created = await call('PUT', '/v1/sites/cafe-1', { body: { outage: 'basic' } });
    expect(created).toMatchObject({ status: 201, body: { name: 'cafe-1', timezone: 'UTC' } });
    const replaced = await call('PUT', '/v1/sites/cafe-1', { body: { timezone: 'Asia/Saigon' } });
    expect(replaced).toMatchObject({
      status: 200,
      body: { timezone: 'Asia/Saigon', outage: 'closed' },
    });
  });

  test('keeps the secret that it does not send, and needs one for what is new', async () => {
    await post('/v1/sites', site);
    const { secret: _, name: __, ...body } = router;
    expect(await call('PUT', '/v1/routers/r1', { body })).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/secret', detail: 'this is missing' }] },
    });
    await call('PUT', '/v1/routers/r1', { body: { ...body, secret: 'testing123' } });
    expect(
      (await call('PUT', '/v1/routers/r1', { body: { ...body, coa_port: 1_700 } })).status,
    ).toBe(200);
    const { body: document } = await get('/v1/export?secrets=true');
    expect(document['routers']).toMatchObject([
      { name: 'r1', secret: 'testing123', coa_port: 1_700 },
    ]);
  });

  test('refuses another name in the body, and what must not exist yet', async () => {
    expect((await call('PUT', '/v1/sites/a', { body: { name: 'b' } })).status).toBe(422);
    const headers = { 'if-none-match': '*' };
    expect((await call('PUT', '/v1/sites/a', { body: {}, headers })).status).toBe(201);
    expect((await call('PUT', '/v1/sites/a', { body: {}, headers })).status).toBe(412);
    expect(
      (await call('PUT', '/v1/sites/b', { body: {}, headers: { 'if-match': '"1"' } })).status,
    ).toBe(412);
  });
});

describe('DELETE', () => {
  test('is refused while others refer to it, with their names', async () => {
    await post('/v1/sites', site);
    await post('/v1/routers', router);
    expect(await call('DELETE', '/v1/sites/cafe-1')).toMatchObject({
      status: 409,
      body: {
        type: 'urn:evergate:problem:still-referenced',
        detail: expect.stringContaining('r1'),
      },
    });
    expect((await call('DELETE', '/v1/routers/r1')).status).toBe(204);
    const deleted = await call('DELETE', '/v1/sites/cafe-1');
    expect(deleted).toMatchObject({ status: 204, text: '' });
    expect((await call('DELETE', '/v1/sites/cafe-1')).status).toBe(404);
  });
});

describe('subscribers', () => {
  beforeEach(async () => {
    await post('/v1/plans', plan);
    await post('/v1/plans', { name: 'day', duration: '1d' });
  });

  test('another plan begins now, the same plan goes on', async () => {
    const started = '2020-01-01T00:00:00.000Z';
    await post('/v1/subscribers', {
      username: 'alice',
      password: 'wonderland',
      plan: 'hour',
      plan_started_at: started,
      expires_at: '2030-01-31T12:00:00+03:00',
    });
    const kept = await call('PATCH', '/v1/subscribers/alice', {
      body: { plan: 'hour', disabled: true },
    });
    expect(kept.body).toMatchObject({
      plan_started_at: started,
      disabled: true,
      expires_at: '2030-01-31T09:00:00.000Z',
    });
    const moved = await call('PATCH', '/v1/subscribers/alice', { body: { plan: 'day' } });
    expect(moved.body['plan']).toBe('day');
    expect(moved.body['plan_started_at']).not.toBe(started);
    const without = await call('PATCH', '/v1/subscribers/alice', { body: { plan: null } });
    expect(without.body).toMatchObject({ plan: null, plan_id: null });
  });

  test('an unknown plan is an error of its field', async () => {
    expect(
      await post('/v1/subscribers', { username: 'bob', password: 'x', plan: 'none' }),
    ).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/plan', detail: 'there is no plan "none"' }] },
    });
  });

  test('a name with everything in it can be read, changed and deleted', async () => {
    const username = `Zoë O'Brien; DROP TABLE access.plans;-- /?#%25 日本`;
    await post('/v1/subscribers', { username, password: `"'\\`, plan: 'hour' });
    const path = `/v1/subscribers/${encodeURIComponent(username)}`;
    expect((await get(path)).body['username']).toBe(username);
    expect((await call('PATCH', path, { body: { disabled: true } })).status).toBe(200);
    expect((await call('DELETE', path)).status).toBe(204);
    expect((await get('/v1/plans/hour')).status).toBe(200);
  });

  test('a list can be narrowed to a plan', async () => {
    for (const [username, of] of [
      ['alice', 'hour'],
      ['bob', 'day'],
    ]) {
      await post('/v1/subscribers', { username, password: 'secret', plan: of });
    }
    const { body } = await get('/v1/subscribers?plan=day');
    expect(body['data']).toMatchObject([{ username: 'bob' }]);
  });
});

describe('vouchers', () => {
  beforeEach(() => post('/v1/plans', plan));

  test('one with a given code, one with a code that is made up', async () => {
    expect(await post('/v1/vouchers', { code: 'ABCD-EFGH', plan: 'hour' })).toMatchObject({
      status: 201,
      body: { code: 'ABCD-EFGH', plan: 'hour', activated_at: null, disabled: false },
    });
    const { body } = await post('/v1/vouchers', { plan: 'hour' });
    expect(body['code']).toMatch(/^[2-9A-HJKMNP-Z]{4}-[2-9A-HJKMNP-Z]{4}$/);
  });

  test('a thousand at once, each different', async () => {
    const { status, body } = await post('/v1/vouchers', {
      count: 1_000,
      plan: 'hour',
      prefix: 'CAFE',
    });
    expect(status).toBe(201);
    const codes = (body['data'] as { code: string }[]).map(({ code }) => code);
    expect(new Set(codes).size).toBe(1_000);
    expect(codes.every((code) => /^CAFE-[2-9A-Z]{4}-[2-9A-Z]{4}$/.test(code))).toBe(true);
    expect((await post('/v1/vouchers', { count: 1_001, plan: 'hour' })).status).toBe(422);
    expect((await post('/v1/vouchers', { count: 2, code: 'X', plan: 'hour' })).status).toBe(422);
  });
});

describe('what is not valid', () => {
  test.each<[string, string, unknown, number, Json[]]>([
    ['a missing field', '/v1/sites', {}, 422, [{ pointer: '/name', detail: 'this is missing' }]],
    [
      'an unknown field',
      '/v1/sites',
      { name: 'a', timezon: 'UTC' },
      422,
      [
        {
          pointer: '/timezon',
          detail: 'there is no such key here; allowed are name, timezone, outage',
        },
      ],
    ],
    [
      'a wrong type',
      '/v1/sites',
      { name: 7 },
      422,
      [{ pointer: '/name', detail: 'expected string, received number' }],
    ],
    [
      'a value out of its list',
      '/v1/sites',
      { name: 'a', outage: 'perhaps' },
      422,
      [{ pointer: '/outage', detail: expect.stringContaining('"closed"|"basic"|"open"') }],
    ],
    [
      'no time zone',
      '/v1/sites',
      { name: 'a', timezone: '+03:00' },
      422,
      [{ pointer: '/timezone', detail: expect.anything() }],
    ],
    [
      'a control character',
      '/v1/sites',
      { name: 'a\u0000b' },
      422,
      [{ pointer: '/name', detail: 'must not contain control characters' }],
    ],
    [
      'half a character',
      '/v1/sites',
      { name: 'a\ud800' },
      422,
      [{ pointer: '/name', detail: 'must be well-formed Unicode' }],
    ],
    [
      'a name like an id',
      '/v1/sites',
      { name: '0197a3c2-7d4e-7000-8000-5e3f9a1b2c3d' },
      422,
      [{ pointer: '/name', detail: 'must not look like an id' }],
    ],
    [
      'a list instead of an object',
      '/v1/sites',
      [],
      422,
      [{ pointer: '', detail: expect.anything() }],
    ],
    [
      'nonsense in units',
      '/v1/plans',
      { name: 'x', duration: 'soon', data: '1G', rate: 'fast', price: '5' },
      422,
      ['duration', 'data', 'rate', 'price'].map((field) => ({
        pointer: `/${field}`,
        detail: expect.stringContaining('allowed is'),
      })),
    ],
    [
      'a number where a unit is needed',
      '/v1/plans',
      { name: 'x', duration: 3600 },
      422,
      [{ pointer: '/duration', detail: 'must be a text such as "1h"' }],
    ],
    [
      'a time before Christ',
      '/v1/subscribers',
      { username: 'a', password: 'b', expires_at: '0000-01-01T00:00:00Z' },
      422,
      [{ pointer: '/expires_at', detail: 'must be a time from 1970 to 9998' }],
    ],
    [
      'half a price',
      '/v1/plans',
      { name: 'x', price_minor_units: 5 },
      422,
      [{ pointer: '/price_currency', detail: expect.anything() }],
    ],
    [
      'more than JSON can count',
      '/v1/plans',
      { name: 'x', data_bytes: 2 ** 60 },
      422,
      [{ pointer: '/data_bytes', detail: expect.anything() }],
    ],
    [
      'host bits',
      '/v1/routers',
      { ...router, address: '10.0.0.1/8' },
      422,
      [{ pointer: '/address', detail: expect.stringContaining('the network is 10.0.0.0/8') }],
    ],
  ])('%s is refused by name', async (_what, path, body, status, errors) => {
    const reply = await post(path, body);
    expect(reply.status).toBe(status);
    expect(reply.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
    expect(reply.body).toMatchObject({
      type: 'urn:evergate:problem:invalid',
      status,
      instance: path,
      request_id: expect.any(String),
      errors,
    });
  });

  test('lists in lists without end are refused', async () => {
    const depth = 200_000;
    expect((await post('/v1/sites', '['.repeat(depth) + ']'.repeat(depth))).status).toBe(422);
    expect((await post('/v1/sites', '['.repeat(depth))).status).toBe(400);
  });

  test.each([
    '/v1/sites?limit=0',
    '/v1/sites?limit=201',
    '/v1/sites?limit=x',
    '/v1/sites?colour=red',
    '/v1/sites?cursor=nonsense',
    `/v1/sites?cursor=${Buffer.from('["routers","a"]').toString('base64url')}`,
    `/v1/sites?cursor=${Buffer.from('["sites","a\\u0000"]').toString('base64url')}`,
    '/v1/subscribers?plan=%00',
    '/v1/sites/%00',
    '/v1/sites/%zz',
    '/v1/sessions/none',
    '/v1/sessions?open=perhaps',
    '/v1/sessions?from=yesterday',
    `/v1/sessions?cursor=${Buffer.from('["sessions","now()","x"]').toString('base64url')}`,
  ])('%s is a bad request', async (path) => {
    const reply = await get(path);
    expect(reply.status).toBe(400);
    expect(reply.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
  });

  test('a name that exists is refused, also when two try at once', async () => {
    const replies = await Promise.all([post('/v1/sites', site), post('/v1/sites', site)]);
    expect(replies.map(({ status }) => status).toSorted()).toEqual([201, 409]);
    expect(replies.find(({ status }) => status === 409)?.body).toMatchObject({
      type: 'urn:evergate:problem:already-exists',
      errors: [{ pointer: '/name', detail: 'another site has this name' }],
    });
    await post('/v1/routers', router);
    const twin = await post('/v1/routers', {
      ...router,
      name: 'r2',
      address: '::ffff:10.0.0.0/104',
    });
    expect(twin).toMatchObject({ status: 409, body: { errors: [{ pointer: '/address' }] } });
  });
});

test('pages go on where they were, whatever is added meanwhile', async () => {
  const names = Array.from(
    { length: 25 },
    (_, index) => `site-${String(index * 2).padStart(3, '0')}`,
  );
  await post('/v1/apply', { sites: names.map((name) => ({ name })) });
  const seen: string[] = [];
  let cursor: string | null = null;
  do {
    const { body }: Reply = await get(
      `/v1/sites?limit=10${cursor === null ? '' : `&cursor=${cursor}`}`,
    );
    seen.push(...(body['data'] as { name: string }[]).map(({ name }) => name));
    cursor = body['next_cursor'] as string | null;
    // One before and one behind the cursor.
    await post('/v1/sites', { name: `site-000-${seen.length}` });
    await post('/v1/sites', { name: `site-999-${seen.length}` });
  } while (cursor !== null);
  expect(new Set(seen).size).toBe(seen.length);
  expect(seen.filter((name) => names.includes(name))).toEqual(names);
});
