// eapol_test of hostap with TEAP, which Debian leaves out of its own: built once from Debian's source
// package and kept. Only this one program is built, with few options, so it takes seconds.
// Nothing below /etc is touched: the source comes by a list of sources of our own.

import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ensureDebianPackage, findProgram } from './ensure-package.ts';

const BUILD_TIMEOUT_MS = 300_000;
const OPENSSL_HEADER = '/usr/include/openssl/ssl.h';
const TOOLS = ['apt-get', 'dpkg-source', 'flock', 'gcc', 'make', 'pkg-config', 'xz'];
const PACKAGES = [
  'build-essential',
  'dpkg-dev',
  'libssl-dev',
  'pkg-config',
  'util-linux',
  'xz-utils',
];

/** The path of the program. The first call on a machine builds it; several processes may ask at once. */
export async function eapolTestWithTeap(): Promise<string> {
  ensureDebianPackage(['eapoltest'], ['eapol_test']);
  const directory = join(
    process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'),
    'evergate-tests',
  );
  const program = join(directory, `eapol_test-teap-${packageVersion()}-${recipeDigest()}`);
  if (existsSync(program)) return program;

  requireTools();
  mkdirSync(directory, { recursive: true });
  try {
    await promisify(execFile)('flock', [join(directory, 'lock'), 'sh', '-c', BUILD], {
      env: {
        PATH: process.env['PATH'] ?? '',
        HOME: homedir(),
        PROGRAM: program,
        DIRECTORY: directory,
        SOURCES: sources(),
        CONFIG,
        VERSION: packageVersion(),
      },
      timeout: BUILD_TIMEOUT_MS,
    });
  } catch (cause) {
    throw new Error(
      `building eapol_test with TEAP failed; it needs the Debian packages ${PACKAGES.join(' ')} and their mirror`,
      { cause },
    );
  }
  return program;
}

/** What hostap calls its features. The testing options let the client send outer TLVs of its own. */
const CONFIG = `
CONFIG_BACKEND=file
CONFIG_DRIVER_NONE=y
CONFIG_EAP_GTC=y
CONFIG_EAP_MD5=y
CONFIG_EAP_MSCHAPV2=y
CONFIG_EAP_PEAP=y
CONFIG_EAP_TEAP=y
CONFIG_EAP_TLS=y
CONFIG_EAP_TTLS=y
CONFIG_EAPOL_TEST=y
CONFIG_ELOOP=eloop
CONFIG_IEEE8021X_EAPOL=y
CONFIG_IPV6=y
CONFIG_L2_PACKET=none
CONFIG_MAIN=main
CONFIG_OS=unix
CONFIG_PKCS12=y
CONFIG_TESTING_OPTIONS=y
CONFIG_TLS=openssl
CONFIG_TLSV11=y
CONFIG_TLSV12=y
`;

/**
 * Whoever waited for the lock finds the program there. CFLAGS come in the environment: as an argument
 * of make they would replace the include paths that its makefile adds.
 */
const BUILD = `
set -eu
[ -x "$PROGRAM" ] && exit 0
work=$(mktemp -d "$DIRECTORY/build-XXXXXX")
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
apt source "wpa=$VERSION" || apt source wpa
cd wpa-*/wpa_supplicant
printf '%s' "$CONFIG" > .config
CFLAGS='-MMD -O1 -w' make -j2 eapol_test
mv eapol_test "$PROGRAM.new"
mv "$PROGRAM.new" "$PROGRAM"
`;

function sources(): string {
  const codename = osRelease('VERSION_CODENAME');
  if (osRelease('ID') !== 'debian' || codename === undefined) {
    throw new Error(
      'eapol_test with TEAP is built from the source package of Debian: run this there',
    );
  }
  const paragraph = (uri: string, suite: string) =>
    `Types: deb-src
URIs: http://deb.debian.org/${uri}
Suites: ${suite}
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
`;
  return [paragraph('debian', codename), paragraph('debian-security', `${codename}-security`)].join(
    '\n',
  );
}

/** `VERSION_CODENAME=bookworm`, with or without quotes. os-release(5). */
function osRelease(key: string): string | undefined {
  const text = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  return new RegExp(`^${key}="?([^"\\n]*)"?$`, 'm').exec(text)?.[1];
}

/** Of Debian's own eapol_test, which comes out of the same source package: `2:2.10-12+deb12u3`. */
function packageVersion(): string {
  const script = "dpkg-query -W -f '${source:Version}' eapoltest";
  return execFileSync('sh', ['-c', script], { encoding: 'utf8' }).trim();
}

function recipeDigest(): string {
  return createHash('sha256').update(CONFIG).update(BUILD).digest('hex').slice(0, 8);
}

function requireTools(): void {
  const isComplete = () =>
    existsSync(OPENSSL_HEADER) && TOOLS.every((tool) => findProgram(tool) !== undefined);
  if (isComplete()) return;
  if (process.getuid?.() === 0 && findProgram('apt-get') !== undefined) {
    execFileSync('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...PACKAGES], {
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
  }
  if (isComplete()) return;
  throw new Error(
    `building eapol_test with TEAP needs the Debian packages ${PACKAGES.join(' ')}: install them`,
  );
}
