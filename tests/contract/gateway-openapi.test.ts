// The OpenAPI document and the running server say the same: every route is in it, and what each
// answers is what it promises.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { problemSchema } from '../../src/services/gateway/openapi.ts';
import { routes } from '../../src/services/gateway/routes.ts';
import { startGatewayUnderTest } from './gateway-under-test.ts';
import type { GatewayUnderTest, Json } from './gateway-under-test.ts';

let gateway: GatewayUnderTest;
let document: Json;
const answered = new Set<string>();

beforeAll(async () => {
  gateway = await startGatewayUnderTest();
  const reply = await gateway.call('GET', '/v1/openapi.json', { as: 'nobody' });
  document = reply.body;
});
afterAll(() => gateway[Symbol.asyncDispose]());

type Operation = {
  operationId: string;
  parameters: { name: string; in: string }[];
  requestBody?: { content: { 'application/json': { schema: Json; example?: unknown } } };
  responses: { [status: string]: Json };
};

function operations(): [string, Operation][] {
  return Object.entries(
    document['paths'] as { [path: string]: { [method: string]: Operation } },
  ).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): [string, Operation] => [
      `${method.toUpperCase()} ${path}`,
      operation,
    ]),
  );
}

test('every route of the server is in the document, and the other way round', () => {
  const registered = gateway.registered
    .filter(
      (route) =>
        route.includes(' /v1/') && !route.startsWith('HEAD ') && !route.includes('openapi.json'),
    )
    .map((route) => route.replaceAll(/:(\w+)/g, '{$1}'));
  expect(
    operations()
      .map(([route]) => route)
      .toSorted(),
  ).toEqual(registered.toSorted());
  expect(registered.length).toBeGreaterThan(35);
});

test('the document is OpenAPI 3.1 whose references lead somewhere', () => {
  expect(document).toMatchObject({
    openapi: '3.1.0',
    security: [{ apiKey: [] }],
    components: { securitySchemes: { apiKey: { type: 'http', scheme: 'bearer' } } },
  });
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(
    ([, to]) => to ?? '',
  );
  expect(references.length).toBeGreaterThan(50);
  for (const reference of new Set(references)) {
    const found = reference
      .slice(2)
      .split('/')
      .reduce<unknown>((at, part) => (at as Json)[part], document);
    expect(found).toEqual(expect.not.objectContaining({ $ref: expect.anything() }));
  }
  const ids = operations().map(([, { operationId }]) => operationId);
  expect(new Set(ids).size).toBe(ids.length);
});

test('every operation says what it takes, what it answers and how it fails', () => {
  for (const [route, operation] of operations()) {
    const inPath = [...route.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    const parameters = operation.parameters.filter((parameter) => parameter.in === 'path');
    expect(parameters.map(({ name }) => name)).toEqual(inPath);
    const statuses = Object.keys(operation.responses);
    expect(statuses).toContainEqual(expect.stringMatching(/^2/));
    expect(statuses).toEqual(expect.arrayContaining(['400', '401', '403', '429', '503']));
  }
});

test('every body that creates something has an example', () => {
  const without = operations().filter(
    ([route, { requestBody }]) =>
      route.startsWith('POST') && requestBody?.content['application/json'].example === undefined,
  );
  expect(without).toEqual([]);
});

test('a secret can be written and is never described in an answer', () => {
  const { schemas } = document['components'] as { schemas: { [name: string]: Json } };
  for (const name of ['Router', 'Subscriber']) {
    expect(Object.keys(schemas[name]?.['properties'] as Json)).not.toContain('secret');
    expect(Object.keys(schemas[name]?.['properties'] as Json)).not.toContain('password');
  }
});

/** Calls, and holds the answer to the schema that the document was made from. */
async function answerOf(method: string, path: string, at: string, body?: unknown): Promise<Json> {
  const route = routes.find((candidate) => candidate.method === method && candidate.path === path);
  if (route === undefined) throw new Error(`there is no route ${method} ${path}`);
  const reply = await gateway.call(method, at, body === undefined ? {} : { body });
  if (!(reply.status in route.answers)) throw new Error(`${method} ${at}: ${reply.text}`);
  const schema = route.answers[reply.status];
  (schema ?? z.strictObject({})).parse(reply.body);
  answered.add(`${method} ${path}`);
  return reply.body;
}

test('every route answers live as it is described', async () => {
  for (const { method, path, example } of routes) {
    if (method !== 'POST' || ['/v1/apply', '/v1/api-keys'].includes(path)) continue;
    await answerOf('POST', path, path, example); // sites before routers, plans before subscribers
  }
  const names = {
    sites: 'cafe-1',
    routers: 'r1',
    plans: 'hour',
    subscribers: 'alice',
    vouchers: 'ABCD-EFGH',
  };
  await answerOf('POST', '/v1/vouchers', '/v1/vouchers', { code: 'ABCD-EFGH', plan: 'hour' });
  for (const [plural, name] of Object.entries(names)) {
    const path = `/v1/${plural}`;
    const one = `${path}/{${plural.slice(0, -1)}}`;
    await answerOf('GET', path, `${path}?limit=1`);
    await answerOf('GET', one, `${path}/${name}`);
    for (const method of ['PATCH', 'PUT']) {
      const { example } =
        routes.find((route) => route.method === method && route.path === one) ?? {};
      await answerOf(method, one, `${path}/${name}`, example);
    }
  }
  const apply = routes.find(({ path }) => path === '/v1/apply');
  await answerOf('POST', '/v1/apply', '/v1/apply', apply?.example);
  await answerOf('GET', '/v1/export', '/v1/export?secrets=true');

  const key = await answerOf('POST', '/v1/api-keys', '/v1/api-keys', {
    name: 'x',
    role: 'support',
  });
  await answerOf('GET', '/v1/api-keys', '/v1/api-keys');
  await answerOf('GET', '/v1/api-keys/{api_key}', `/v1/api-keys/${String(key['id'])}`);
  await answerOf('DELETE', '/v1/api-keys/{api_key}', `/v1/api-keys/${String(key['id'])}`);

  await gateway.postgres.query(
    `insert into access.sessions (session_key, router_id, site_id, acct_session_id, username, started_at, updated_at, counting_since)
     select gen_random_uuid(), id, site_id, 's', 'alice', now(), now(), now() from access.routers`,
  );
  const sessions = await answerOf('GET', '/v1/sessions', '/v1/sessions');
  const [session] = sessions['data'] as { id: string }[];
  await answerOf('GET', '/v1/sessions/{session}', `/v1/sessions/${session?.id}`);
  await answerOf('GET', '/v1/usage', '/v1/usage?group=day');

  // What others need goes last.
  await gateway.postgres.query('delete from access.vouchers where code <> $1', ['ABCD-EFGH']);
  for (const plural of ['vouchers', 'subscribers', 'plans', 'routers', 'sites'] as const) {
    await answerOf(
      'DELETE',
      `/v1/${plural}/{${plural.slice(0, -1)}}`,
      `/v1/${plural}/${names[plural]}`,
    );
  }
  expect([...answered].toSorted()).toEqual(
    routes.map(({ method, path }) => `${method} ${path}`).toSorted(),
  );
});

test('problems are as they are described', async () => {
  const replies = [
    await gateway.call('GET', '/v1/sites', { as: 'nobody' }),
    await gateway.call('POST', '/v1/sites', { as: 'support', body: {} }),
    await gateway.call('POST', '/v1/sites', { body: {} }),
    await gateway.call('GET', '/v1/sites/none'),
    await gateway.call('GET', '/v1/sites?limit=x'),
    await gateway.call('DELETE', '/v1/sites'),
  ];
  expect(replies.map(({ status }) => status)).toEqual([401, 403, 422, 404, 400, 405]);
  for (const { body, headers } of replies) {
    problemSchema.parse(body);
    expect(headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
    expect(body['request_id']).toBe(headers.get('x-request-id'));
  }
});
