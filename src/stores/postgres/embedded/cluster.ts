// The data of the embedded PostgreSQL: who made it, and making it.

import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Binaries } from './binaries.ts';
import type { Identity } from './identity.ts';

export const USER = 'evergate';
export const DATABASE = 'evergate';

/** For a small machine. Written once, when the data is made: the operator may edit them. */
const INITIAL_SETTINGS = `
# Evergate's defaults for a small machine. Connections and logging are given on the command line.
max_connections = 60
shared_buffers = 128MB
max_wal_size = 512MB
checkpoint_timeout = 15min
max_parallel_workers_per_gather = 0
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
`;

/** Into a directory beside it, so that an interrupted initdb never looks like a finished one. */
export function makeCluster(
  directory: string,
  cluster: string,
  binaries: Binaries,
  identity: Identity,
): void {
  const making = join(directory, 'cluster.new');
  rmSync(making, { recursive: true, force: true });
  mkdirSync(making, { mode: 0o700 });
  identity.give(making);
  const run = (command: string[], input?: string) => {
    const [program, ...args] = identity.command(command);
    try {
      execFileSync(program, args, {
        cwd: making,
        env: environment(binaries, making),
        stdio: 'pipe',
        encoding: 'utf8',
        ...(input === undefined ? {} : { input }),
      });
    } catch (error) {
      const { stderr } = error as { stderr?: string };
      throw new Error(`${command[0]} failed: ${stderr?.trim() ?? ''}`, { cause: error });
    }
  };
  // Trust is sound here: the socket lies in a directory that only this user and root may enter.
  const initdb = [join(binaries.bin, 'initdb'), '-D', making, '-U', USER];
  // The C locale is on every machine, and its order never changes under the indexes.
  const contents = ['--data-checksums', '--encoding=UTF8', '--locale=C'];
  run(initdb.concat(contents, '--auth-local=trust', '--auth-host=reject'));
  appendFileSync(join(making, 'postgresql.conf'), INITIAL_SETTINGS);
  run(
    [join(binaries.bin, 'postgres'), '--single', '-D', making, 'postgres'],
    `create database ${DATABASE};\n`,
  );
  renameSync(making, cluster);
}

/** The major version that made the data; undefined if there is none yet. */
export function majorOf(cluster: string): number | undefined {
  if (!existsSync(cluster)) return undefined;
  const file = join(cluster, 'PG_VERSION');
  if (existsSync(file)) return Number.parseInt(readFileSync(file, 'utf8'), 10);
  if (readdirSync(cluster).length === 0) {
    rmSync(cluster, { recursive: true });
    return undefined;
  }
  throw new Error(`${cluster} holds files, but no PostgreSQL data (PG_VERSION is missing)`);
}

/** What PostgreSQL's programs are given: nothing of ours. */
export function environment(binaries: Binaries, home: string): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'], LC_ALL: 'C', HOME: home, ...binaries.environment };
}
