// Real PostgreSQL servers for tests: one cluster per server, on a free port of the loopback
// interface and on a Unix socket, in a temporary directory, copied from a template in 60 ms.
// They can lose power, freeze, and come back, as servers do.

import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ensureDebianPackage } from './ensure-package.ts';
import { freeTcpPort } from './free-port.ts';

export type PostgresServer = AsyncDisposable & {
  /** Over TCP, with a password. */
  readonly url: string;
  /** Over the Unix socket, without. */
  readonly socketUrl: string;
  readonly socketDirectory: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  readonly dataDirectory: string;
  /** The postmaster and its children: what CPU time is counted over. */
  pids(): number[];
  /** As a power cut: every process gets SIGKILL. */
  kill(): Promise<void>;
  /** SIGSTOP to every process: connections stay open and nothing answers. */
  freeze(): void;
  thaw(): void;
  /** Makes a standby a primary. */
  promote(): Promise<void>;
  /** Fast shutdown. */
  stop(): Promise<void>;
  start(): Promise<void>;
};

export type PostgresServerOptions = {
  /** Lines for postgresql.conf, such as `synchronous_commit = off`. */
  settings?: readonly string[];
  /** A standby that waits for a primary: answers queries, refuses writes, can be promoted. */
  isStandby?: boolean;
  /** The CPU core to stay on. */
  core?: number;
};

const USER = 'evergate';
const PASSWORD = 'test password: %/@';
const DATABASE = 'evergate';
const START_WITHIN_MS = 30_000;

export async function startPostgres(options: PostgresServerOptions = {}): Promise<PostgresServer> {
  const bin = postgresBin();
  const directory = mkdtempSync(join(tmpdir(), 'evergate-postgres-'));
  execFileSync('cp', ['-a', template(bin), join(directory, 'data')]);
  giveToPostgres(directory);
  chmodSync(directory, 0o755);
  const dataDirectory = join(directory, 'data');
  const port = await freeTcpPort();
  appendFileSync(
    join(dataDirectory, 'postgresql.conf'),
    [
      '',
      "listen_addresses = '127.0.0.1'",
      `port = ${port}`,
      `unix_socket_directories = '${directory}'`,
      "log_line_prefix = '%m [%p] '",
      ...(options.settings ?? []),
      '',
    ].join('\n'),
  );

  if (options.isStandby === true) {
    writeFileSync(join(dataDirectory, 'standby.signal'), '');
    giveToPostgres(dataDirectory);
  }

  let server: ChildProcess | undefined;
  let output = '';

  async function start() {
    const [command = '', ...args] = asPostgres([join(bin, 'postgres'), '-D', dataDirectory]);
    const pinned =
      options.core === undefined
        ? { command, args }
        : { command: 'taskset', args: ['-c', String(options.core), command, ...args] };
    // Memory of a killed server stays "in use" until its children have noticed: then try again.
    const deadlineMs = Date.now() + START_WITHIN_MS;
    for (;;) {
      output = '';
      const child = spawn(pinned.command, pinned.args, {
        cwd: directory,
        env: { PATH: process.env['PATH'], LC_ALL: 'C.UTF-8', HOME: directory },
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        output = (output + text).slice(-8_000);
      });
      server = child;
      if (await isReadyBeforeExit(child, dataDirectory, deadlineMs)) return;
      if (Date.now() > deadlineMs || !output.includes('is still in use')) {
        throw new Error(`PostgreSQL did not start:\n${output}`);
      }
      await sleep(100);
    }
  }

  const pids = () => (server?.pid === undefined ? [] : [server.pid, ...childrenOf(server.pid)]);
  const signalAll = (signal: NodeJS.Signals) => {
    for (const pid of pids()) {
      try {
        process.kill(pid, signal);
      } catch {
        // it has ended in this moment
      }
    }
  };
  const ended = () =>
    server === undefined || server.exitCode !== null || server.signalCode !== null
      ? Promise.resolve()
      : new Promise<void>((resolve) => server?.once('exit', () => resolve()));
  const stop = async () => {
    server?.kill('SIGINT');
    await ended();
  };

  await start();
  return {
    url: `postgres://${USER}:${encodeURIComponent(PASSWORD)}@127.0.0.1:${port}/${DATABASE}`,
    socketUrl: `postgres://${USER}@${encodeURIComponent(directory)}:${port}/${DATABASE}`,
    socketDirectory: directory,
    port,
    user: USER,
    database: DATABASE,
    dataDirectory,
    pids,
    async kill() {
      const exit = ended();
      signalAll('SIGKILL');
      await exit;
    },
    freeze: () => signalAll('SIGSTOP'),
    thaw: () => signalAll('SIGCONT'),
    promote() {
      const [program = '', ...args] = asPostgres([
        join(bin, 'pg_ctl'),
        'promote',
        '-w',
        '-D',
        dataDirectory,
      ]);
      execFileSync(program, args, { cwd: directory, stdio: 'ignore' });
      return Promise.resolve();
    },
    stop,
    start,
    async [Symbol.asyncDispose]() {
      signalAll('SIGCONT');
      await stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** The newest PostgreSQL of this machine, installed when it has none. */
export function postgresBin(): string {
  const newest = () => {
    const root = '/usr/lib/postgresql';
    const versions = existsSync(root) ? readdirSync(root).map(Number) : [];
    return versions
      .toSorted((one, other) => other - one)
      .map((version) => join(root, String(version), 'bin'))
      .find((bin) => existsSync(join(bin, 'initdb')));
  };
  const present = newest();
  if (present !== undefined) return present;
  ensureDebianPackage(['postgresql'], ['pg_ctlcluster']);
  const installed = newest();
  if (installed === undefined) {
    throw new Error('these tests need a PostgreSQL server: install the Debian package postgresql');
  }
  return installed;
}

/** An initialised cluster, made once per machine and copied for every server. */
function template(bin: string): string {
  const version = execFileSync(join(bin, 'postgres'), ['--version'], { encoding: 'utf8' });
  const number = /[\d.]+/.exec(version)?.[0];
  const name = `evergate-postgres-template-1-${process.getuid?.()}-${number}`;
  const ready = join(tmpdir(), name);
  if (existsSync(ready)) return ready;

  const making = mkdtempSync(join(tmpdir(), 'evergate-postgres-making-'));
  const passwordFile = join(making, 'password');
  writeFileSync(passwordFile, PASSWORD);
  giveToPostgres(making);
  const data = join(making, 'data');
  const environment = { PATH: process.env['PATH'], LC_ALL: 'C.UTF-8', HOME: making };
  const run = (command: string[], input?: string) => {
    const [program = '', ...args] = asPostgres(command);
    execFileSync(program, args, { cwd: making, env: environment, stdio: 'pipe', input });
  };
  const initdb = [join(bin, 'initdb'), '-D', data, '-U', USER, `--pwfile=${passwordFile}`];
  const authentication = ['--auth-local=trust', '--auth-host=scram-sha-256'];
  const contents = ['--data-checksums', '--no-sync', '--locale=C.UTF-8', '--encoding=UTF8'];
  run(initdb.concat(authentication, contents));
  run(
    [join(bin, 'postgres'), '--single', '-D', data, 'postgres'],
    `create database ${DATABASE};\n`,
  );
  try {
    renameSync(data, ready);
  } catch (error) {
    if (!existsSync(ready)) throw error; // else another test process was quicker
  }
  rmSync(making, { recursive: true, force: true });
  return ready;
}

const isRoot = process.getuid?.() === 0;

/** PostgreSQL refuses to run as root. It stops when its parent is gone, however that went. */
function asPostgres(command: string[]): string[] {
  const identity = isRoot ? ['--reuid=postgres', '--regid=postgres', '--init-groups'] : [];
  return ['setpriv', ...identity, '--pdeathsig=INT', '--', ...command];
}

function giveToPostgres(path: string) {
  if (isRoot) execFileSync('chown', ['-R', 'postgres:postgres', path]);
}

async function isReadyBeforeExit(child: ChildProcess, dataDirectory: string, deadlineMs: number) {
  while (child.exitCode === null && child.signalCode === null && Date.now() < deadlineMs) {
    const lines = readIfThere(join(dataDirectory, 'postmaster.pid')).split('\n');
    if (Number(lines[0]) === child.pid && lines[7]?.startsWith('ready') === true) return true;
    await sleep(10);
  }
  return false;
}

function childrenOf(pid: number): number[] {
  return readIfThere(`/proc/${pid}/task/${pid}/children`)
    .split(' ')
    .filter((child) => child !== '')
    .map(Number);
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
