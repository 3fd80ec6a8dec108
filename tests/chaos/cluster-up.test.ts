// `evergate cluster up` as people use it: from one command to logins on three nodes, through kills of
// its parts and of itself. Afterwards no process of it is left.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { startCluster } from '../servers/cluster.ts';
import { ensureDebianPackage } from '../servers/ensure-package.ts';
import { familyOf, processStat, startServerProcess } from '../servers/server-process.ts';
import type { ServerProcess } from '../servers/server-process.ts';
import { desiredState, until } from './traffic.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const EXECUTABLE = join(ROOT, 'bin/evergate');
const NODES = ['radius-1', 'radius-2', 'radius-3'];
const REDIS = ['redis-1', 'redis-2', 'sentinel-1', 'sentinel-2', 'sentinel-3'];
const NAMES = [...NODES, 'gateway', 'postgres', ...REDIS];

type Addresses = {
  pid: number;
  nodes: { name: string; pid: number; auth_port: number; acct_port: number; http_port: number }[];
  gateway: { url: string };
  state: { primary: string };
};
type Status = { parts: { name: string; state: string; pid: number | null; primary?: boolean }[] };

let directory = '';
/** The data of all tests: making it anew takes longer than anything else. */
let data = '';
let up: ServerProcess | undefined;

beforeAll(() => {
  ensureDebianPackage(['redis-server'], ['redis-server']);
  directory = mkdtempSync(join(tmpdir(), 'evergate-cluster-up-'));
  data = join(directory, 'cluster');
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));
beforeEach(() => {
  up = undefined;
});
afterEach(async () => {
  await up?.stop();
});

function evergate(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(EXECUTABLE, args, {
    encoding: 'utf8',
    cwd: directory,
    timeout: 60_000,
  });
  return { status, stdout, stderr };
}

async function clusterUp(...more: string[]): Promise<Addresses> {
  up = await startServerProcess({
    name: 'evergate cluster up',
    command: EXECUTABLE,
    args: ['cluster', 'up', '--json', '--apply', join(ROOT, 'examples/hotspot.yaml'), ...more],
    workingDirectory: directory,
    isReady: ({ output }) => output().includes('\n'),
    readyWithinMs: 90_000,
  });
  return JSON.parse(up.output()) as Addresses;
}

function status(): Status['parts'] {
  return (JSON.parse(evergate('cluster', 'status', '--json').stdout) as Status).parts;
}

function login(port: number | undefined) {
  return evergate('login', 'alice', 'wonderland', '--server', `127.0.0.1:${port}`).status;
}

function isAlive(pid: number): boolean {
  const stat = processStat(pid);
  return stat !== undefined && stat.state !== 'Z';
}

/** Everything that listens or works for the cluster, whoever its parent is by now. */
function processesNaming(text: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
        return command.includes(text) && isAlive(Number(pid)) ? [`${pid} ${command}`] : [];
      } catch {
        return []; // it has ended in this moment
      }
    });
}

test('one command, and three nodes answer; one is killed, the others go on, it comes back', async () => {
  const { nodes, state } = await clusterUp();
  const [first, second, third] = nodes;
  expect(nodes.map(({ auth_port }) => login(auth_port))).toEqual([0, 0, 0]);
  expect(status().map((part) => [part.name, part.state])).toEqual(
    NAMES.map((name) => [name, 'ready']),
  );
  expect(state.primary).toBe('redis-1');

  const killed = evergate('cluster', 'kill', 'radius-1');
  expect(killed).toMatchObject({ status: 0, stdout: `killed  radius-1  process ${first?.pid}\n` });
  expect(status()[0]).toMatchObject({ name: 'radius-1', state: 'down', pid: null });
  expect(login(second?.auth_port)).toBe(0);
  expect(login(third?.auth_port)).toBe(0);

  await until('radius-1 is ready again', () => status()[0]?.state === 'ready');
  expect(status()[0]?.pid).not.toBe(first?.pid);
  expect(login(first?.auth_port)).toBe(0);
});

test('a part can be frozen, thawed and started at once; a wrong name says the right ones', async () => {
  const { nodes } = await clusterUp('--no-restart');
  expect(evergate('cluster', 'freeze', 'postgres').status).toBe(0);
  expect(status().find(({ name }) => name === 'postgres')?.state).toBe('frozen');
  expect(evergate('cluster', 'thaw', 'postgres').status).toBe(0);
  await until('the database is back', () => status().every(({ state }) => state === 'ready'));

  for (const name of ['radius-2', 'postgres', 'sentinel-3']) {
    expect(evergate('cluster', 'kill', name).status).toBe(0);
    expect(status().find((part) => part.name === name)?.state).toBe('down');
    expect(evergate('cluster', 'start', name).status).toBe(0);
  }
  await until('all is well again', () => status().every(({ state }) => state === 'ready'));
  expect(login(nodes[1]?.auth_port)).toBe(0);

  const wrong = evergate('cluster', 'kill', 'radius-4');
  expect(wrong.status).toBe(1);
  expect(wrong.stderr).toBe(`evergate: the cluster has no radius-4; it has ${NAMES.join(', ')}\n`);
});

test.each(['SIGINT', 'SIGTERM'] as const)('after %s no process is left', async (signal) => {
  await clusterUp();
  const family = familyOf(up?.pid ?? 0);
  expect(family.length).toBeGreaterThan(NAMES.length);
  process.kill(up?.pid ?? 0, signal);
  await until('the command has ended', () => up?.exit() !== undefined);
  expect(up?.exit()).toEqual({ code: 0, signal: null });
  expect(family.filter(isAlive)).toEqual([]);
  expect(evergate('cluster', 'status').status).toBe(1);
});

test('`cluster stop` stops it from outside, and again does nothing', async () => {
  await clusterUp();
  const family = familyOf(up?.pid ?? 0);
  expect(evergate('cluster', 'stop').stdout).toBe('the cluster in ./cluster is stopped\n');
  expect(family.filter(isAlive)).toEqual([]);
  const again = evergate('cluster', 'stop');
  expect(again).toMatchObject({ status: 0, stdout: 'no cluster runs in ./cluster\n' });
});

test('when the command itself is killed, with parts frozen, all end; the next start is as before', async () => {
  const { nodes } = await clusterUp();
  expect(evergate('cluster', 'freeze', 'radius-1').status).toBe(0);
  expect(evergate('cluster', 'freeze', 'postgres').status).toBe(0);
  const family = familyOf(up?.pid ?? 0);
  await up?.kill();
  const again = await clusterUp();
  expect(family.filter(isAlive)).toEqual([]);
  expect(again.nodes.map(({ auth_port }) => auth_port)).toEqual(
    nodes.map(({ auth_port }) => auth_port),
  );
  expect(again.nodes.map(({ auth_port }) => login(auth_port))).toEqual([0, 0, 0]);

  await up?.kill();
  await until('everything has ended by itself', () => processesNaming(data).length === 0);
});

test('a second cluster on the same directory is refused', async () => {
  await clusterUp();
  const second = evergate('cluster', 'up');
  expect(second.status).toBe(1);
  expect(second.stderr).toContain(`is in use by process ${up?.pid}`);
});

test('no password is on a command line, and files that hold one are for their owner alone', async () => {
  await clusterUp();
  const secrets = ['database.password', 'state.password', 'secrets.key']
    .map((name) => readFileSync(join(data, 'secrets', name), 'utf8').trim())
    .concat(readFileSync(join(data, 'admin.token'), 'utf8').trim());
  for (const secret of secrets) expect(processesNaming(secret)).toEqual([]);

  // A failover makes Redis and the Sentinels write their configuration anew.
  expect(evergate('cluster', 'kill', 'redis-1').status).toBe(0);
  await until('redis-2 is the primary', () => {
    return status().find(({ name }) => name === 'redis-2')?.primary === true;
  });
  const open = readdirSync(data, { recursive: true, encoding: 'utf8' })
    .filter((name) => !name.startsWith('postgres/'))
    .map((name) => join(data, name))
    .filter((path) => statSync(path).isFile() && (statSync(path).mode & 0o077) !== 0)
    .filter((path) => secrets.some((secret) => readFileSync(path, 'utf8').includes(secret)));
  expect(open).toEqual([]);
});

test('a port that is in use, and what is not possible, are said in one sentence', async () => {
  const server = createServer();
  await new Promise<void>((done) => void server.listen(0, '127.0.0.1', done));
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const taken = evergate('cluster', 'up', '--port-base', String(port));
  server.close();
  expect(taken.status).toBe(1);
  expect(taken.stderr).toBe(
    `evergate: tcp port ${port} is in use by another process: name another --port-base, or leave it out for free ports\n`,
  );
  expect(evergate('cluster', 'up', '--nodes', '0').status).toBe(2);
  expect(evergate('cluster', 'up', '--port-base', '65535').status).toBe(2);
  expect(evergate('cluster', 'up', '--apply', 'nowhere.yaml').status).toBe(1);
});

test('a part that cannot start shows the end of its log', async () => {
  const failed = spawnSync(EXECUTABLE, ['cluster', 'up'], {
    encoding: 'utf8',
    cwd: directory,
    env: { ...process.env, EVERGATE_RADIUS_WORKERS: 'many' },
    timeout: 60_000,
  });
  expect(failed.status).toBe(1);
  expect(failed.stderr).toContain('radius.workers is "many"');
  expect(failed.stderr).toMatch(
    /\nevergate: (radius-\d|gateway) ended before it was ready \(exit code 1\)\n$/,
  );
  expect(processesNaming(data)).toEqual([]);
});

test('tests have the same cluster as a value: the shared state moves when its primary dies', async () => {
  await using cluster = await startCluster({ nodes: 2, apply: desiredState });
  const primary = await cluster.redisPrimary();
  await primary.kill();
  await until('the replica is the primary', async () => {
    return (await cluster.redisPrimary()) !== primary;
  });
  const [node] = cluster.nodes;
  await until('the nodes use it', async () => {
    const health = (await (await node?.http('/health'))?.json()) as { status: string };
    return health.status === 'healthy';
  });
  const pid = node?.pid();
  await node?.restart();
  expect(node?.pid()).not.toBe(pid);
  expect((await cluster.api('/v1/sites')).status).toBe(200);
});
