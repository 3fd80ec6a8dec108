// What `evergate doctor` says of a real shared state.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { startRedis } from '../servers/redis.ts';

test.each([
  ['Redis', /^redis 7\.\d+\.\d+, /],
  ['Valkey', /^valkey [789]\.\d+\.\d+, /],
] as const)('a %s that answers is found to be well, with its version', async (engine, detail) => {
  await using redis = await startRedis({ engine });
  const data = mkdtempSync(join(tmpdir(), 'evergate-doctor-'));
  const { stdout } = spawnSync(
    resolve(import.meta.dirname, '../../bin/evergate'),
    ['doctor', '--json', '--data', data],
    { env: { ...process.env, EVERGATE_STATE_URL: redis.url }, encoding: 'utf8' },
  );
  rmSync(data, { recursive: true, force: true });
  expect(JSON.parse(stdout)).toMatchObject({
    checks: expect.arrayContaining([
      expect.objectContaining({
        name: 'shared state',
        status: 'ok',
        detail: expect.stringMatching(detail) as string,
      }),
    ]) as unknown[],
  });
});
