// The programs of Redis and of Valkey, so that a test can run the same servers of either. Redis is
// installed. Valkey is used if it is there; if not, Debian's is unpacked into the tests' cache:
// Debian 12 has it as a backport only, and its list of sources in /etc is not ours to change.

import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ensureDebianLibraries, ensureDebianPackage, findProgram } from './ensure-package.ts';

export const ENGINES = ['Redis', 'Valkey'] as const;
export type Engine = (typeof ENGINES)[number];

/** A Sentinel is the server with `--sentinel`. */
export type RedisPrograms = { server: string; cli: string };

/** Less than a test's own time-out, which would not say what was being waited for. */
const FETCH_TIMEOUT_MS = 100_000;

/** Full paths. Several tests and processes may ask at once. */
export async function programsOf(engine: Engine): Promise<RedisPrograms> {
  const name = engine.toLowerCase();
  const [server, cli] = [findProgram(`${name}-server`), findProgram(`${name}-cli`)];
  if (server !== undefined && cli !== undefined) return { server, cli };
  if (engine === 'Valkey') return await (unpacked ??= unpackValkey());
  ensureDebianPackage(['redis-server'], ['redis-server', 'redis-cli']);
  return await programsOf(engine);
}

let unpacked: Promise<RedisPrograms> | undefined;

async function unpackValkey(): Promise<RedisPrograms> {
  const release = debianRelease();
  if (release === undefined || findProgram('apt-get') === undefined) {
    throw new Error(
      'this test needs valkey-server and valkey-cli, 7.2 or newer: install Valkey, or run this on Debian',
    );
  }
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'evergate-tests');
  const directory = join(cache, `valkey-${release}-${process.arch}`);
  if (!existsSync(directory)) await fetchValkey(cache, directory, release);
  const server = join(directory, 'usr/bin/valkey-server');
  const depends = readFileSync(join(directory, 'depends'), 'utf8');
  ensureDebianLibraries(librariesIn(depends), server);
  return { server, cli: join(directory, 'usr/bin/valkey-cli') };
}

async function fetchValkey(cache: string, directory: string, release: string): Promise<void> {
  mkdirSync(cache, { recursive: true });
  try {
    await promisify(execFile)('flock', [join(cache, 'lock'), 'sh', '-c', FETCH], {
      env: {
        ...process.env,
        CACHE: cache,
        DIRECTORY: directory,
        SOURCES: sourcesOf(release),
      },
      timeout: FETCH_TIMEOUT_MS,
    });
  } catch (cause) {
    throw new Error(
      `fetching Valkey for this test failed; it needs http://deb.debian.org/debian with ${release}-backports, ` +
        'or valkey-server and valkey-cli installed',
      { cause },
    );
  }
}

/**
 * Whoever waited for the lock finds the directory there; it gets its name when it is complete. A later
 * Debian has Valkey in its own suite. None of this needs root.
 */
const FETCH = `
set -eu
[ -d "$DIRECTORY" ] && exit 0
work=$(mktemp -d "$CACHE/fetch-XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir -p lists/partial archives/partial
printf '%s' "$SOURCES" > evergate.sources
apt() {
  apt-get -q -o Dir::Etc::sourcelist="$work/evergate.sources" -o Dir::Etc::sourceparts=/dev/null \\
    -o Dir::State::lists="$work/lists" -o Dir::Cache="$work" -o Dir::Cache::archives="$work/archives" \\
    -o APT::Sandbox::User=root "$@"
}
apt update
apt download valkey-server valkey-tools
for package in *.deb; do dpkg-deb -x "$package" unpacked; done
dpkg-deb -f valkey-tools_*.deb Depends > unpacked/depends
mv unpacked "$DIRECTORY"
`;

function sourcesOf(release: string): string {
  return `Types: deb
URIs: http://deb.debian.org/debian
Suites: ${release} ${release}-backports
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
`;
}

/** `bookworm`; undefined where this is no Debian. os-release(5). */
function debianRelease(): string | undefined {
  const text = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  const value = (key: string) => new RegExp(`^${key}="?([^"\\n]*)"?$`, 'm').exec(text)?.[1];
  return value('ID') === 'debian' ? value('VERSION_CODENAME') : undefined;
}

/** `adduser, libatomic1 (>= 4.8), libc6 (>= 2.34)`: the names that are libraries. */
function librariesIn(depends: string): string[] {
  return depends
    .split(',')
    .map((dependency) => dependency.trim().split(' ')[0] ?? '')
    .filter((name) => name.startsWith('lib'));
}
