// The database that comes with `evergate up`: a private PostgreSQL as a child process, reached over
// a Unix socket and nothing else. It starts, is watched, restarted when it dies, and stops with us,
// however we stop. The rules of its directory:
//   lock.N    which Evergate owns it          cluster/   PostgreSQL's data
//   socket/   the socket, if its path fits    lib/       library links for the packaged programs

import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, realpathSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Runtime } from '../../runtime/runtime.ts';
import { findBinaries } from './embedded/binaries.ts';
import { DATABASE, USER, majorOf, makeCluster } from './embedded/cluster.ts';
import { lockDirectory } from './embedded/directory-lock.ts';
import { chooseIdentity } from './embedded/identity.ts';
import type { Identity } from './embedded/identity.ts';
import { endOrphan } from './embedded/orphan.ts';
import { superviseServer } from './embedded/server.ts';

export type EmbeddedPostgres = AsyncDisposable & {
  /** For `connectPostgres`. */
  readonly url: string;
  /** `15.18` */
  readonly version: string;
  readonly binaries: 'machine' | 'package';
  /** Changes when the server had to be restarted; undefined while it is down. */
  readonly pid: number | undefined;
};

export type EmbeddedOptions = {
  /** Made if it is not there. Everything is below it, except the socket if the path is too long. */
  directory: string;
  runtime: Runtime;
  /** Undefined: the machine's, else the package's. */
  binaries?: 'machine' | 'package';
};

/** sun_path holds 108 bytes with its final zero; PostgreSQL adds the name to the directory. */
const LONGEST_SOCKET_DIRECTORY = 107 - '/.s.PGSQL.5432'.length;

/** Resolves when the server takes connections. Throws `DirectoryInUse` if another process owns it. */
export async function startEmbeddedPostgres(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const { runtime } = options;
  await using opened = new AsyncDisposableStack();
  mkdirSync(options.directory, { recursive: true });
  const directory = realpathSync(options.directory);
  opened.use(lockDirectory(directory));

  const cluster = join(directory, 'cluster');
  const binaries = findBinaries({
    madeByMajor: majorOf(cluster),
    only: options.binaries,
    linkDirectory: join(directory, 'lib'),
  });
  const socketDirectory = chooseSocketDirectory(directory);
  // PostgreSQL's user must pass through: only the way, not the list of what lies there.
  if (process.getuid?.() === 0) chmodSync(directory, statSync(directory).mode | 0o011);
  const identity = chooseIdentity(cluster, [cluster, socketDirectory, binaries.bin]);
  makeSocketDirectory(socketDirectory, identity);
  opened.defer(() => rmSync(socketDirectory, { recursive: true, force: true }));
  if (!existsSync(cluster)) makeCluster(directory, cluster, binaries, identity);
  await endOrphan(cluster, runtime);

  const server = opened.use(
    await superviseServer({ cluster, socketDirectory, binaries, identity, runtime }),
  );
  runtime.log.info('embedded database started', {
    version: binaries.version,
    programs: binaries.bin,
    pid: server.pid(),
  });
  const closing = opened.move();
  return {
    url: `postgres://${USER}@${encodeURIComponent(socketDirectory)}/${DATABASE}`,
    version: binaries.version,
    binaries: binaries.from,
    get pid() {
      return server.pid();
    },
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
}

/** Below the data if the path fits, else one of the same name each time, where there is a short path. */
function chooseSocketDirectory(directory: string): string {
  const name = `evergate-${createHash('sha256').update(directory).digest('hex').slice(0, 16)}`;
  const places = [join(directory, 'socket'), join(realpathSync(tmpdir()), name)];
  // Only root may write there, so nobody can be in the way.
  if (process.getuid?.() === 0 && existsSync('/run')) places.splice(1, 0, join('/run', name));
  const fits = (path: string) => Buffer.byteLength(path) <= LONGEST_SOCKET_DIRECTORY;
  return places.find(fits) ?? join('/tmp', name);
}

/** Private: whoever can reach the socket is the owner of the database. */
function makeSocketDirectory(path: string, identity: Identity): void {
  rmSync(path, { recursive: true, force: true });
  mkdirSync(path, { mode: 0o700 });
  identity.give(path);
}
