// `state.on_failure` on a real process whose Redis dies: `reject` is not ready and says why, `degrade`
// is ready and goes on. Life never depends on a store.

import { expect, test } from 'vitest';
import { startEvergate } from '../servers/evergate.ts';
import { startRedis } from '../servers/redis.ts';

type Readiness = { status: string; checks: { name: string; status: string }[] };

test.each([
  ['reject', 503, 'not_ready'],
  ['degrade', 200, 'ready'],
] as const)(
  'without its shared state a node that must %s answers readiness with %i',
  async (onFailure, code, status) => {
    await using redis = await startRedis();
    await using evergate = await startEvergate({
      environment: { EVERGATE_STATE_URL: redis.url, EVERGATE_STATE_ON_FAILURE: onFailure },
    });
    const readiness = async () => {
      const response = await evergate.http('/health/readiness');
      return { code: response.status, ...((await response.json()) as Readiness) };
    };
    expect(await readiness()).toMatchObject({ code: 200, status: 'ready' });

    await redis.kill();
    const stateIsWell = async () =>
      (await readiness()).checks.some((one) => one.name === 'state' && one.status === 'pass');
    await expect.poll(stateIsWell, { timeout: 15_000 }).toBe(false);
    await expect.poll(readiness, { timeout: 15_000 }).toMatchObject({ code, status });
    expect((await evergate.http('/health/liveness')).status).toBe(200);

    await redis.start();
    await expect.poll(readiness, { timeout: 15_000 }).toMatchObject({ code: 200, status: 'ready' });
  },
);
