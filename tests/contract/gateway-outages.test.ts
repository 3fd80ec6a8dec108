// The gateway while what it needs is away, and while it stops itself.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { startGatewayUnderTest } from './gateway-under-test.ts';
import type { GatewayUnderTest } from './gateway-under-test.ts';

/** For what must come true, however busy the machine is. */
const PATIENCE = { timeout: 20_000 };

let gateway: GatewayUnderTest;
beforeAll(async () => {
  gateway = await startGatewayUnderTest({ token: 'health-token' });
});
afterAll(() => gateway[Symbol.asyncDispose]());

const health = (path = '/health') =>
  gateway.call('GET', path, { as: 'nobody', headers: { authorization: 'Bearer health-token' } });
const newSite = (name: string) =>
  gateway.call('POST', '/v1/sites', {
    body: { name },
    headers: { 'idempotency-key': `site-${name}` },
  });

test('all is well at first, and the first page says where to go on', async () => {
  expect(await health()).toMatchObject({
    status: 200,
    body: {
      status: 'healthy',
      service: 'gateway',
      database: 'connected',
      redis: 'embedded',
      checks: [
        { name: 'database', status: 'pass' },
        { name: 'state', status: 'pass' },
      ],
    },
  });
  expect((await gateway.call('GET', '/health', { as: 'nobody' })).status).toBe(401);
  const page = await gateway.call('GET', '/', { as: 'nobody' });
  expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
  expect(page.text).toContain('href="/v1/openapi.json"');
});

test('with the database gone, every call is 503 and says when to come back; then all is well again', async () => {
  expect((await newSite('before')).status).toBe(201);
  await gateway.server.kill();
  await expect
    .poll(async () => (await gateway.call('GET', '/v1/sites')).status, PATIENCE)
    .toBe(503);
  const reply = await newSite('during');
  expect(reply).toMatchObject({ status: 503, body: { type: 'urn:evergate:problem:unavailable' } });
  expect(Number(reply.headers.get('retry-after'))).toBeGreaterThan(0);
  expect(reply.text).not.toMatch(/ECONN|127\.0\.0\.1|postgres/i);

  await expect.poll(async () => (await health()).body['database'], PATIENCE).toBe('disconnected');
  expect(await health()).toMatchObject({ status: 503, body: { status: 'unhealthy' } });
  const readiness = await health('/health/readiness');
  expect(readiness).toMatchObject({ status: 503, body: { status: 'not_ready' } });
  expect((await health('/health/liveness')).status).toBe(200);

  await gateway.server.start();
  await expect.poll(async () => (await newSite('during')).status, PATIENCE).toBe(201);
  expect((await newSite('before')).headers.get('idempotency-replayed')).toBe('true');
  await expect.poll(async () => (await health()).body['status'], PATIENCE).toBe('healthy');
});

test('a frozen database makes nobody wait for ever', async () => {
  gateway.server.freeze();
  try {
    const replies = await Promise.all([
      gateway.call('GET', '/v1/sites'),
      newSite('frozen'),
      health(),
    ]);
    expect(replies.map(({ status }) => status)).toEqual([503, 503, 503]);
  } finally {
    gateway.server.thaw();
  }
  await expect.poll(async () => (await newSite('frozen')).status, PATIENCE).toBe(201);
});

test('a stopping gateway finishes what it began', async () => {
  const stopping = await gateway.another();
  let answer: Promise<{ status: number }> = Promise.resolve({ status: 0 });
  let closed: Promise<void> = Promise.resolve();
  await gateway.postgres.transaction(async (blocking) => {
    await blocking.query('lock table access.sites in access exclusive mode');
    answer = stopping.call('POST', '/v1/sites', { body: { name: 'last' } });
    const isWaiting = async () =>
      (await gateway.postgres.query(`select 1 from pg_locks where not granted`)).length > 0;
    await expect.poll(isWaiting, PATIENCE).toBe(true);
    closed = Promise.resolve(stopping[Symbol.asyncDispose]());
    await expect
      .poll(
        () =>
          fetch(`${stopping.url}/healthz`).then(
            () => 'open',
            () => 'refused',
          ),
        PATIENCE,
      )
      .toBe('refused');
  });
  expect((await answer).status).toBe(201);
  await closed;
  expect((await gateway.call('GET', '/v1/sites/last')).status).toBe(200);
});
