// Engines that a test needs: installed when missing and we may (root on Debian or Ubuntu), else the
// test fails and says what to install. It never skips: a skipped test proves nothing.

import { execFileSync, spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Where Debian keeps servers, for a user whose PATH has none of it. */
const SERVER_DIRECTORIES = ['/usr/sbin', '/sbin', '/usr/local/sbin'];
const INSTALL_TIMEOUT_MS = 300_000;

/** Returns when every program can be run. Several tests and processes may ask at once. */
export function ensureDebianPackage(
  packageNames: readonly string[],
  programs: readonly string[],
): void {
  const needed = programs.filter(isMissing);
  if (needed.length === 0) return;
  if (process.getuid?.() !== 0 || isMissing('apt-get')) {
    throw new Error(
      `this test needs ${needed.join(', ')}: install the Debian packages ${packageNames.join(' ')}`,
    );
  }
  const looks = programs.map((program) => `command -v ${program}`);
  install(packageNames, `{ ${looks.join(' && ')}; } >/dev/null`);
  const missing = programs.filter(isMissing);
  if (missing.length > 0) {
    throw new Error(
      `${packageNames.join(' ')} is installed, but there is no ${missing.join(', ')}`,
    );
  }
}

/** Returns when a program that is no package of this system finds its libraries. */
export function ensureDebianLibraries(packageNames: readonly string[], program: string): void {
  const names = packageNames.join(' ');
  if (canRun(program)) return;
  if (process.getuid?.() !== 0 || isMissing('apt-get')) {
    throw new Error(`${program} does not run: install the Debian packages ${names}`);
  }
  install(packageNames, `'${program}' --version >/dev/null 2>&1`);
  if (!canRun(program)) throw new Error(`${names} are installed, but ${program} does not run`);
}

/** The full path of a program, or undefined. */
export function findProgram(name: string): string | undefined {
  return [...(process.env['PATH'] ?? '').split(delimiter), ...SERVER_DIRECTORIES]
    .filter((directory) => directory !== '')
    .map((directory) => join(directory, name))
    .find(isExecutable);
}

function isMissing(program: string): boolean {
  return findProgram(program) === undefined;
}

function canRun(program: string): boolean {
  return spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * One installation at a time on this machine: whoever waited for the lock looks first whether the
 * other has installed it, with the shell command `isThere`. apt's own lock is waited for as well, in
 * case somebody else is at work.
 */
function install(packageNames: readonly string[], isThere: string): void {
  const names = packageNames.join(' ');
  const script = `
    ${isThere} && exit 0
    install() { apt-get -o DPkg::Lock::Timeout=240 install -y -q --no-upgrade --no-install-recommends ${names}; }
    install || { apt-get -o DPkg::Lock::Timeout=240 update -q && install; }
  `;
  const environment = {
    ...process.env,
    PATH: [process.env['PATH'] ?? '', ...SERVER_DIRECTORIES].join(delimiter),
    DEBIAN_FRONTEND: 'noninteractive',
    RUNLEVEL: '1', // the package's own service does not start
  };
  try {
    execFileSync('flock', ['/var/lock/evergate-tests-apt', 'sh', '-c', script], {
      env: environment,
      timeout: INSTALL_TIMEOUT_MS,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
  } catch (cause) {
    throw new Error(`installing the Debian packages ${names} failed`, { cause });
  }
}
