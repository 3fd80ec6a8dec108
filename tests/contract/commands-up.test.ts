// `evergate up` as its operator runs it: a fresh directory, an applied file, logins, a second process
// on the same data, an orderly stop, a power cut.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { freeTcpPort, freeUdpPort } from '../servers/free-port.ts';
import { startServerProcess } from '../servers/server-process.ts';
import type { ServerProcess } from '../servers/server-process.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const EXECUTABLE = join(ROOT, 'bin/evergate');
const EXAMPLE = join(ROOT, 'examples/hotspot.yaml');

let directory = '';
let environment: Record<string, string> = {};

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'evergate-up-'));
  environment = {
    EVERGATE_DATA: join(directory, 'data'),
    EVERGATE_RADIUS_HOST: '127.0.0.1',
    EVERGATE_RADIUS_AUTH_PORT: String(await freeUdpPort()),
    EVERGATE_RADIUS_ACCT_PORT: String(await freeUdpPort()),
    EVERGATE_GATEWAY_HOST: '127.0.0.1',
    EVERGATE_GATEWAY_PORT: String(await freeTcpPort()),
    EVERGATE_RADIUS_REJECT_DELAY: '0s',
  };
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function run(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(EXECUTABLE, args, {
    encoding: 'utf8',
    cwd: directory,
    env: { ...process.env, ...environment },
    timeout: 60_000,
  });
  return { status, stdout, stderr };
}

function startUp(...args: string[]): Promise<ServerProcess> {
  return startServerProcess({
    name: 'evergate up',
    command: EXECUTABLE,
    args: ['up', ...args],
    environment,
    workingDirectory: directory,
    isReady: (process) => readyLine(process) !== undefined,
  });
}

type ReadyLine = { api: string; auth_port: number; acct_port: number; next: string[] };

function readyLine(process: ServerProcess): ReadyLine | undefined {
  const line = process
    .output()
    .split('\n')
    .find((candidate) => candidate.includes('"message":"ready"'));
  return line === undefined ? undefined : (JSON.parse(line) as ReadyLine);
}

function login(user: string, password: string, ...args: string[]) {
  const server = `127.0.0.1:${environment['EVERGATE_RADIUS_AUTH_PORT']}`;
  return run('login', user, password, '--server', server, '--json', ...args);
}

test('from a fresh directory to a login, as the first page of the manual says', async () => {
  await using up = await startUp();
  expect(statSync(join(directory, 'data/admin.token')).mode & 0o777).toBe(0o600);
  expect(statSync(join(directory, 'data/secrets.key')).mode & 0o777).toBe(0o600);

  const unknown = login('alice', 'wonderland', '--timeout', '0.3');
  expect(unknown.status).toBe(1);
  expect(unknown.stderr).toContain('`evergate apply` adds one');

  const applied = run('apply', EXAMPLE);
  expect(applied).toMatchObject({ status: 0, stderr: '' });
  expect(applied.stdout).toContain('5 changed, 0 were so already');
  expect(run('apply', EXAMPLE).stdout).toContain('nothing to change: 5 of 5 were so already');

  for (const method of ['pap', 'chap', 'mschapv2']) {
    const accepted = login('alice', 'wonderland', '--method', method);
    expect(accepted).toMatchObject({ status: 0, stderr: '' });
    expect(JSON.parse(accepted.stdout)).toMatchObject({
      outcome: 'accepted',
      method,
      message_authenticator: true,
      attributes: expect.arrayContaining([{ name: 'Session-Timeout', value: '3600' }]),
    });
  }
  const rejected = login('alice', 'looking-glass');
  expect(rejected.status).toBe(1);
  expect(JSON.parse(rejected.stdout)).toMatchObject({ outcome: 'rejected' });
  expect(rejected.stderr).toMatch(/^evergate: alice was rejected/);
  const stranger = login('alice', 'wonderland', '--secret', 'wrong', '--timeout', '0.3');
  expect(stranger).toMatchObject({ status: 1, stdout: '' });

  const exported = run('export');
  expect(exported.stdout).toContain('name: cafe-1');
  expect(exported.stdout).not.toContain('wonderland');
  expect(run('export', '--secrets').stdout).toContain('password: wonderland');

  const doctor = run('doctor', '--json');
  expect(doctor).toMatchObject({ status: 0, stderr: '' });
  const { checks } = JSON.parse(doctor.stdout) as { checks: { name: string; status: string }[] };
  const statusOf = Object.fromEntries(checks.map(({ name, status }) => [name, status]));
  expect(statusOf).toMatchObject({ database: 'ok', schema: 'ok', gateway: 'ok', radius: 'ok' });

  expect(await up.stop()).toEqual({ code: 0, signal: null });
});

test('a bad file names key and line, changes nothing, and stops `up` too', async () => {
  const bad = join(directory, 'bad.yaml');
  writeFileSync(
    bad,
    `sites: [{ name: a, timezone: UTC }]
routers:
  - { name: r, site: a, secret: "12345678", address: 10.0.0.300 }
`,
  );
  await using up = await startUp();
  const refused = run('apply', bad);
  expect(refused).toMatchObject({ status: 1, stdout: '' });
  expect(refused.stderr).toMatch(
    /^evergate: nothing was changed\. \S*bad\.yaml:3:54: routers\[0\]\.address: "10\.0\.0\.300" is not an address; allowed is .*\n$/,
  );
  expect(run('export').stdout).toContain('sites: []');
  await up.stop();

  const started = run('up', '--apply', bad);
  expect(started.status).toBe(1);
  expect(started.stderr).toMatch(/^evergate: nothing was changed\. .*bad\.yaml:3:54/);
});

test('`up --apply` is ready only when the file is applied', async () => {
  await using _up = await startUp('--apply', EXAMPLE);
  expect(login('alice', 'wonderland').status).toBe(0);
});

test('port 0 takes free ports and says which', async () => {
  for (const key of ['RADIUS_AUTH', 'RADIUS_ACCT', 'GATEWAY'])
    environment[`EVERGATE_${key}_PORT`] = '0';
  await using up = await startUp();
  const ready = readyLine(up);
  expect(ready?.api).toMatch(/^http:\/\/127\.0\.0\.1:[1-9]\d+\/v1$/);
  expect(ready?.auth_port).toBeGreaterThan(0);
  expect(ready?.next.join('\n')).toContain(`--server 127.0.0.1:${ready?.auth_port}`);
  environment['EVERGATE_URL'] = String(ready?.api.replace('/v1', ''));
  expect(run('apply', EXAMPLE).status).toBe(0);
});

describe('what is in the way is said in one sentence', () => {
  test('another process on the same data', async () => {
    await using up = await startUp();
    const second = run('up');
    expect(second.status).toBe(1);
    expect(second.stderr).toMatch(
      new RegExp(`^evergate: .*data/postgres is in use by process ${up.pid}\\. .*--data\\.\n$`),
    );
    const elsewhere = run('up', '--data', join(directory, 'other'));
    expect(elsewhere.status).toBe(1);
    expect(elsewhere.stderr).toMatch(/^evergate: tcp port \d+ is in use by another process: .*\n$/);

    environment['EVERGATE_GATEWAY_PORT'] = '0';
    const udp = run('up', '--data', join(directory, 'other'));
    expect(udp.status).toBe(1);
    expect(udp.stderr).toMatch(
      /^evergate: udp 127\.0\.0\.1:\d+ is in use by another process: .*\n$/,
    );
  });

  test('a data directory that is a file', () => {
    const path = join(directory, 'file');
    writeFileSync(path, '');
    const { status, stderr } = run('up', '--data', path);
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /^evergate: the data directory .* is a file; name another one with --data/,
    );
  });

  test('a secrets key that is gone while passwords are sealed with it', async () => {
    await using up = await startUp('--apply', EXAMPLE);
    await up.stop();
    rmSync(join(directory, 'data/secrets.key'));
    const { status, stderr } = run('up');
    expect(status).toBe(1);
    expect(stderr).toMatch(/secrets\.key is gone, but the database holds passwords sealed with it/);
  });

  test('a database that is not there', () => {
    environment['EVERGATE_DATABASE_URL'] = 'postgres://nobody:hunter2@127.0.0.1:9/none';
    const { status, stderr } = run('database', 'status');
    expect(status).toBe(1);
    expect(stderr).toMatch(/^evergate: .*127\.0\.0\.1:9/);
    expect(stderr).not.toContain('hunter2');
  });
});

test('after a power cut it starts again with all it knew, and keeps its API key', async () => {
  await using first = await startUp('--apply', EXAMPLE);
  const token = readFileSync(join(directory, 'data/admin.token'), 'utf8');
  await first.cutPower();

  await using _second = await startUp();
  expect(readFileSync(join(directory, 'data/admin.token'), 'utf8')).toBe(token);
  expect(login('alice', 'wonderland').status).toBe(0);
});

test('an API key file that was removed is made again', async () => {
  await using first = await startUp();
  await first.stop();
  rmSync(join(directory, 'data/admin.token'));
  await using _second = await startUp();
  expect(run('export').status).toBe(0);
});

test('while it stops it is not ready; two signals at once are one wish, a later one ends it', async () => {
  environment['EVERGATE_SHUTDOWN_DELAY'] = '1m';
  await using up = await startUp();
  process.kill(up.pid, 'SIGINT');
  process.kill(up.pid, 'SIGTERM'); // as npm repeats it
  await expect.poll(() => up.output()).toContain('"message":"stopping"');
  const api = readyLine(up)?.api.replace('/v1', '');
  const readiness = await fetch(`${api}/health/readiness`);
  expect(readiness.status).toBe(503);

  const endAgain = () => {
    if (up.exit() === undefined) process.kill(up.pid, 'SIGINT');
    return up.exit();
  };
  await expect.poll(endAgain, { timeout: 20_000 }).toEqual({ code: 1, signal: null });
});

test('keys are created through the gateway, and without one straight in the database', async () => {
  await using _up = await startUp();
  const created = run('token', 'create', '--role', 'read-only', '--json');
  const { key } = JSON.parse(created.stdout) as { key: string };
  environment['EVERGATE_TOKEN'] = key;
  const forbidden = run('apply', EXAMPLE);
  expect(forbidden).toMatchObject({ status: 1, stdout: '' });
  expect(forbidden.stderr).toMatch(/^evergate: this API key may not do that/);

  const direct = run('token', 'create', '--role', 'owner', '--direct');
  environment['EVERGATE_TOKEN'] = direct.stdout.trim();
  expect(run('apply', EXAMPLE).status).toBe(0);
});

test('simulate logs in, accounts, and finds in the database what was acknowledged', async () => {
  await using _up = await startUp();
  const server = `127.0.0.1:${environment['EVERGATE_RADIUS_AUTH_PORT']}`;
  const acctPort = environment['EVERGATE_RADIUS_ACCT_PORT'] ?? '';
  const size = ['--rate', '20', '--duration', '3', '--subscribers', '100'];
  const where = ['--server', server, '--acct-port', acctPort];
  const { status, stdout, stderr } = run('simulate', ...where, ...size, '--json');
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const summary = JSON.parse(stdout) as {
    logins: Record<string, number>;
    database: Record<string, number>;
  };
  expect(summary.logins['accepted']).toBeGreaterThan(20);
  expect(summary.logins).toMatchObject({ wrong: 0, unanswered: 0 });
  expect(summary.database).toMatchObject({ lost: 0, twice: 0, too_little: 0, too_much: 0 });
  expect(summary.database['sessions']).toBe(summary.logins['accepted']);
});
