// Sessions and usage, as accounting left them in the database.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { startGatewayUnderTest } from './gateway-under-test.ts';
import type { GatewayUnderTest, Json, Reply } from './gateway-under-test.ts';

let gateway: GatewayUnderTest;
let routerId: string;
const DAY_MS = 86_400_000;
const FIRST_MS = Date.parse('2026-01-10T00:30:00Z');

beforeAll(async () => {
  gateway = await startGatewayUnderTest();
  await gateway.call('POST', '/v1/apply', {
    body: {
      sites: [{ name: 'cafe-1' }],
      routers: [{ name: 'r1', site: 'cafe-1', address: '10.0.0.1', secret: 'testing123' }],
    },
  });
  const router = await gateway.call('GET', '/v1/routers/r1');
  routerId = String(router.body['id']);
  // 30 sessions, one every 8 hours; three subscribers in turn; the last three are open.
  for (let number = 0; number < 30; number++) {
    await insertSession(number, FIRST_MS + (number * DAY_MS) / 3, number >= 27);
  }
});
afterAll(() => gateway[Symbol.asyncDispose]());

async function insertSession(number: number, startedAtMs: number, isOpen: boolean) {
  await gateway.postgres.query(
    `insert into access.sessions (session_key, router_id, site_id, acct_session_id, username,
       framed_ip_address, framed_ipv6_prefix, started_at, updated_at, counting_since, stopped_at,
       terminate_cause, settled_seconds, current_seconds, settled_input_octets, current_input_octets,
       current_output_octets)
     values (gen_random_uuid(), $1, $1, $2, $3, '10.1.2.3', '2001:db8:1::/64', $4, $4, $4, $5, $6,
       100, 20, 1000, 234, 5000000000)`,
    [
      routerId,
      `session-${number}`,
      `subscriber-${number % 3}`,
      new Date(startedAtMs),
      isOpen ? null : new Date(startedAtMs + 120_000),
      isOpen ? null : 1,
    ],
  );
}

const get = (path: string) => gateway.call('GET', path);
const sessions = async (query: string) =>
  (await get(`/v1/sessions?${query}`)).body['data'] as Json[];

test('a session is shown with its totals, over any reset of its counters', async () => {
  const [latest] = await sessions('limit=1');
  expect(latest).toMatchObject({
    acct_session_id: 'session-29',
    username: 'subscriber-2',
    router: 'r1',
    router_id: routerId,
    site: null,
    open: true,
    stopped_at: null,
    seconds: 120,
    input_octets: 1_234,
    output_octets: 5_000_000_000,
    framed_ip_address: '10.1.2.3',
    framed_ipv6_prefix: '2001:db8:1::/64',
  });
  expect((await get(`/v1/sessions/${String(latest?.['id'])}`)).body).toEqual(latest);
  expect((await get('/v1/sessions/0197a3c2-7d4e-7000-8000-5e3f9a1b2c3d')).status).toBe(404);
});

test('filters narrow the list', async () => {
  expect(await sessions('username=subscriber-1&limit=200')).toHaveLength(10);
  expect(await sessions('open=true')).toHaveLength(3);
  expect(await sessions('open=false')).toHaveLength(27);
  expect(await sessions('router=r1')).toHaveLength(30);
  expect(await sessions(`router=${routerId}`)).toHaveLength(30);
  expect(await sessions('router=r2')).toHaveLength(0);
  expect(await sessions('from=2026-01-11T00:00:00Z&to=2026-01-12T00:00:00Z')).toHaveLength(3);
  expect(await sessions(`username=${encodeURIComponent("' or true --")}`)).toHaveLength(0);
});

test('pages go on where they were while sessions begin', async () => {
  const seen: unknown[] = [];
  let cursor: string | null = null;
  do {
    const page: Reply = await get(
      `/v1/sessions?limit=7${cursor === null ? '' : `&cursor=${cursor}`}`,
    );
    seen.push(...(page.body['data'] as Json[]).map((session) => session['acct_session_id']));
    cursor = page.body['next_cursor'] as string | null;
    await insertSession(1_000 + seen.length, FIRST_MS + 100 * DAY_MS, true);
  } while (cursor !== null);
  expect(seen).toEqual(Array.from({ length: 30 }, (_, index) => `session-${29 - index}`));
  await gateway.postgres.query(
    `delete from access.sessions where acct_session_id like 'session-1___'`,
  );
});

test('usage is summed by day, hour and in total', async () => {
  const span = 'from=2026-01-10T00:00:00Z&to=2026-01-20T00:00:00Z';
  const byDay = (await get(`/v1/usage?${span}&group=day`)).body['data'] as Json[];
  expect(byDay).toHaveLength(10);
  expect(byDay[0]).toEqual({
    from: '2026-01-10T00:00:00.000Z',
    sessions: 3,
    seconds: 360,
    input_octets: 3_702,
    output_octets: 15_000_000_000,
  });
  const byHour = (await get(`/v1/usage?${span}&group=hour&username=subscriber-0`)).body[
    'data'
  ] as Json[];
  expect(byHour.map(({ from }) => from).slice(0, 2)).toEqual([
    '2026-01-10T00:00:00.000Z',
    '2026-01-11T00:00:00.000Z',
  ]);
  const { body } = await get(`/v1/usage?${span}&username=subscriber-0`);
  expect(body).toMatchObject({
    group: 'total',
    username: 'subscriber-0',
    data: [{ sessions: 10, seconds: 1_200 }],
  });
  expect((await get('/v1/usage?username=nobody')).body['data']).toEqual([]);
});

test('a span that makes no sense, or too many rows, is refused', async () => {
  expect(await get('/v1/usage?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z')).toMatchObject({
    status: 400,
    body: { errors: [{ parameter: 'from', detail: 'must be before to' }] },
  });
  expect(
    (await get('/v1/usage?from=2025-01-01T00:00:00Z&to=2026-01-01T00:00:00Z&group=hour')).status,
  ).toBe(400);
});
