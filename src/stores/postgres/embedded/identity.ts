// As whom the embedded PostgreSQL runs. It refuses to be root, so root starts it as another user;
// and it must not outlive us, so the kernel is asked to interrupt it when we are gone.

import { execFileSync } from 'node:child_process';
import { chownSync, readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

export type Identity = {
  /** The command that runs `command` as the user that PostgreSQL runs as. */
  command(command: readonly string[]): [program: string, ...args: string[]];
  /** Makes that user the owner. */
  give(path: string): void;
};

type User = { uid: number; gid: number };

/**
 * `cluster`: the data, whose owner is kept. `paths`: everything that user must reach; where a parent
 * such as /root is closed to it, it gets the capability to search directories, and no other.
 */
export function chooseIdentity(cluster: string, paths: readonly string[]): Identity {
  const hasSetpriv = canRun('setpriv', ['--pdeathsig=INT', '--', 'true']);
  if (process.getuid?.() !== 0) {
    return {
      command: ([program = '', ...args]) =>
        hasSetpriv ? ['setpriv', '--pdeathsig=INT', '--', program, ...args] : [program, ...args],
      give: () => undefined,
    };
  }
  if (!hasSetpriv) {
    throw new Error(
      'PostgreSQL does not run as root, and changing the user needs the program setpriv ' +
        '(package util-linux). Install it, or start Evergate as another user.',
    );
  }
  const user = ownerOf(cluster) ?? systemUser();
  const privileges = [
    `--reuid=${user.uid}`,
    `--regid=${user.gid}`,
    '--clear-groups',
    '--no-new-privs',
    ...searchPrivileges(user, paths),
    '--pdeathsig=INT', // last: a change of user forgets it
  ];
  return {
    command: (command) => ['setpriv', ...privileges, '--', ...command],
    give: (path) => chownSync(path, user.uid, user.gid),
  };
}

function ownerOf(path: string): User | undefined {
  const found = statSync(path, { throwIfNoEntry: false });
  return found === undefined || found.uid === 0 ? undefined : { uid: found.uid, gid: found.gid };
}

/** initdb wants a user with a name, so a free number will not do. */
function systemUser(): User {
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  for (const wanted of ['postgres', 'nobody']) {
    const [, , uid, gid] = users.find(([name]) => name === wanted) ?? [];
    if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) };
  }
  throw new Error(
    'PostgreSQL does not run as root, and this machine has neither a user postgres nor nobody. ' +
      'Create one (useradd --system postgres), or start Evergate as another user.',
  );
}

function searchPrivileges(user: User, paths: readonly string[]): string[] {
  const closed = paths.flatMap(parentsOf).find((directory) => !mayEnter(user, directory));
  if (closed === undefined) return [];
  for (const capability of ['dac_read_search', 'dac_override']) {
    const privileges = [`--inh-caps=+${capability}`, `--ambient-caps=+${capability}`];
    const identity = [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups'];
    // Not `test -x`: access(2) disregards the capabilities of whoever is not root.
    if (canRun('setpriv', [...identity, ...privileges, '--', 'ls', '-d', `${closed}/.`])) {
      return privileges;
    }
  }
  throw new Error(
    `the user that PostgreSQL runs as (uid ${user.uid}) may not enter ${closed}. ` +
      `Choose a data directory elsewhere (--data /var/lib/evergate), or allow it: chmod o+x ${closed}`,
  );
}

function parentsOf(path: string): string[] {
  const parents: string[] = [];
  for (let at = path; at !== dirname(at); at = dirname(at)) parents.push(dirname(at));
  return parents;
}

function mayEnter(user: User, directory: string): boolean {
  const found = statSync(directory, { throwIfNoEntry: false });
  if (found === undefined) return true; // not made yet, and we shall make it open
  const shift = found.uid === user.uid ? 6 : found.gid === user.gid ? 3 : 0;
  return ((found.mode >> shift) & 1) === 1;
}

function canRun(program: string, args: string[]): boolean {
  try {
    execFileSync(program, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
