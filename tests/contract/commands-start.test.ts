// A cluster by hand: a PostgreSQL that runs elsewhere, one key for all nodes, services in processes
// of their own. What one of them cannot have must not take it from the other.

import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freeTcpPort, freeUdpPort } from '../servers/free-port.ts';
import { startPostgres } from '../servers/postgres.ts';
import type { PostgresServer } from '../servers/postgres.ts';
import { startServerProcess } from '../servers/server-process.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const EXECUTABLE = join(ROOT, 'bin/evergate');

let postgres: PostgresServer;
let directory = '';
let environment: Record<string, string> = {};

beforeAll(async () => {
  postgres = await startPostgres();
  directory = mkdtempSync(join(tmpdir(), 'evergate-start-'));
  environment = {
    EVERGATE_DATA: join(directory, 'data'),
    EVERGATE_DATABASE_URL: postgres.url,
    EVERGATE_RADIUS_HOST: '127.0.0.1',
    EVERGATE_RADIUS_AUTH_PORT: String(await freeUdpPort()),
    EVERGATE_RADIUS_ACCT_PORT: String(await freeUdpPort()),
    EVERGATE_RADIUS_HTTP_PORT: String(await freeTcpPort()),
    EVERGATE_RADIUS_WORKERS: '1',
    EVERGATE_GATEWAY_HOST: '127.0.0.1',
    EVERGATE_HEALTH_HOST: '127.0.0.1',
    EVERGATE_GATEWAY_PORT: String(await freeTcpPort()),
  };
});
afterAll(async () => {
  await postgres[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

function run(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(EXECUTABLE, args, {
    encoding: 'utf8',
    cwd: directory,
    env: { ...process.env, ...environment },
    timeout: 60_000,
  });
  return { status, stdout, stderr };
}

function start(service: string, more: Record<string, string> = {}) {
  return startServerProcess({
    name: `evergate start ${service}`,
    command: EXECUTABLE,
    args: ['start', service],
    environment: { ...environment, ...more },
    workingDirectory: directory,
    isReady: (process) => process.output().includes('"message":"ready"'),
  });
}

test('from an empty database to a login, with radius and gateway apart', async () => {
  expect(JSON.parse(run('database', 'status', '--json').stdout)).toMatchObject({ applied: [] });
  expect(run('database', 'migrate')).toMatchObject({ status: 0, stderr: '' });
  expect(run('database', 'migrate').stdout).toBe('the schema is up to date\n');

  const withoutKey = run('start', 'radius');
  expect(withoutKey.status).toBe(1);
  expect(withoutKey.stderr).toMatch(
    /^evergate: there is no secrets key .*EVERGATE_SECRETS_KEY_FILE\n$/,
  );
  environment['EVERGATE_SECRETS_KEY'] = randomBytes(32).toString('hex');

  // No key exists anywhere yet: the first one comes straight from the database.
  environment['EVERGATE_TOKEN'] = run('token', 'create', '--role', 'owner').stdout.trim();
  expect(environment['EVERGATE_TOKEN']).toMatch(/^evg_/);

  await using gateway = await start('gateway');
  await using radius = await start('radius');
  expect(run('apply', join(ROOT, 'examples/hotspot.yaml'))).toMatchObject({ status: 0 });

  const login = () =>
    run(
      'login',
      'alice',
      'wonderland',
      '--server',
      `127.0.0.1:${environment['EVERGATE_RADIUS_AUTH_PORT']}`,
      '--timeout',
      '1',
    );
  await expect.poll(() => login().status, { timeout: 20_000 }).toBe(0);

  const health = await fetch(`http://127.0.0.1:${environment['EVERGATE_RADIUS_HTTP_PORT']}/health`);
  expect(await health.json()).toMatchObject({ service: 'radius', database: 'connected' });

  expect(await gateway.stop()).toEqual({ code: 0, signal: null });
  expect(login().status).toBe(0);
  expect(await radius.stop()).toEqual({ code: 0, signal: null });
});

test('a health port that is taken does not keep RADIUS from its work', async () => {
  environment['EVERGATE_SECRETS_KEY'] ??= randomBytes(32).toString('hex');
  await using gateway = await start('gateway');
  await using radius = await start('radius', {
    EVERGATE_RADIUS_HTTP_PORT: environment['EVERGATE_GATEWAY_PORT'] ?? '',
  });
  expect(gateway.exit()).toBeUndefined();
  expect(radius.output()).toContain('health and metrics cannot be served');
});
