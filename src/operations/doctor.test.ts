import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../runtime/clock.ts';
import { loadConfig } from '../runtime/config.ts';
import { createSystemRuntime } from '../runtime/system-runtime.ts';
import { examine } from './doctor.ts';
import { machineChecks } from './doctor/machine.ts';
import { isNewEnough, parseServerInfo, storeChecks } from './doctor/stores.ts';
import { runningEmbeddedUrl } from './embedded-server.ts';

let data = '';
beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'evergate-doctor-'));
});
afterEach(() => rmSync(data, { recursive: true }));

const runtime = createSystemRuntime({
  log: { level: 'silent', format: 'json' },
  fields: {},
  engine: 'dgram',
  processMetrics: false,
});

async function findings(environment: Record<string, string> = {}) {
  const { config } = loadConfig({ environment: { EVERGATE_DATA: data, ...environment } });
  const found = await examine(
    [...machineChecks(config, runtime), ...storeChecks(config, runtime)],
    runtime.clock,
  );
  return new Map(found.map((finding) => [finding.name, finding]));
}

test('a check that throws is a finding, and the others go on', async () => {
  const found = await examine(
    [
      { name: 'a', run: () => Promise.reject(new Error('asking', { cause: new Error('EIO') })) },
      { name: 'b', run: () => Promise.resolve({ status: 'ok', detail: 'fine' }) },
    ],
    systemClock(),
  );
  expect(found).toMatchObject([
    { name: 'a', status: 'wrong', detail: 'asking: EIO' },
    { name: 'b', status: 'ok' },
  ]);
});

describe('on a machine where nothing runs', () => {
  test('what cannot be checked yet says so, and nothing is wrong', async () => {
    const found = await findings();
    expect(found.get('runtime')?.status).toBe('ok');
    expect(found.get('data directory')?.status).toBe('ok');
    for (const name of ['secrets key', 'journal', 'database', 'schema', 'clock']) {
      expect(found.get(name)).toMatchObject({ status: 'skipped' });
    }
  });

  test('a key that others can read is wrong, with the command that mends it', async () => {
    const key = join(data, 'secrets.key');
    writeFileSync(key, 'x');
    chmodSync(key, 0o644);
    expect((await findings()).get('secrets key')).toMatchObject({
      status: 'wrong',
      hint: `chmod 600 ${key}`,
    });
  });

  test('a receive buffer larger than the kernel grants is a warning', async () => {
    const found = await findings({ EVERGATE_RADIUS_RECEIVE_BUFFER: '1GiB' });
    expect(found.get('receive buffer')).toMatchObject({
      status: 'warning',
      hint: expect.stringMatching(/^sysctl -w net\.core\.rmem_max=1073741824/),
    });
  });

  test('stores that are away are wrong once, and their passwords are not shown', async () => {
    const found = await findings({
      EVERGATE_DATABASE_URL: 'postgres://eve:hunter2@127.0.0.1:9/e',
      EVERGATE_STATE_URL: 'redis://:hunter2@127.0.0.1:9',
    });
    expect(found.get('database')).toMatchObject({ status: 'wrong' });
    expect(found.get('schema')).toMatchObject({ status: 'skipped' });
    expect(found.get('clock')).toMatchObject({ status: 'skipped' });
    expect(found.get('shared state')).toMatchObject({ status: 'wrong' });
    expect(JSON.stringify([...found.values()])).not.toContain('hunter2');
  });
});

test('a postmaster.pid of a process that is gone is no running database', () => {
  expect(runningEmbeddedUrl(data)).toBeUndefined();
});

test.each([
  ['redis_version:7.0.15\r\nos:Linux\r\n', { name: 'redis', version: [7, 0, 15] }],
  [
    'redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.1.0\r\n',
    { name: 'valkey', version: [8, 1, 0] },
  ],
])('%j is %j', (info, server) => {
  expect(parseServerInfo(info)).toEqual(server);
});

test.each([
  ['redis', [6, 2, 14], false],
  ['redis', [7, 0, 15], true],
  ['redis', [8, 0, 0], true],
  ['valkey', [7, 1, 9], false],
  ['valkey', [7, 2, 0], true],
  ['valkey', [8, 0, 1], true],
] as const)('%s %j is new enough: %s', (name, version, answer) => {
  expect(isNewEnough({ name, version: [...version] })).toBe(answer);
});
