// Nothing of a cluster outlives the process that started it, however that ended. Each child asks the
// kernel for a signal when its parent is gone; and because a frozen PostgreSQL would not hear it, and
// not every machine has setpriv, a small shell waits for the end of its input, which is our end.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ProcessId } from './processes.ts';

export type Guard = AsyncDisposable & {
  /** When we are gone, this process is thawed, asked to stop, and after five seconds killed. */
  watch(process: ProcessId): void;
};

/** Each line of its input is a process: its number, and its start time, field 22 of /proc/pid/stat. */
const SCRIPT = `# Ends the processes of a cluster when the process that started them is gone.
trap '' HUP INT TERM
known=
while read -r pid start; do known="$known $pid:$start"; done
tell() {
  told=no
  for entry in $known; do
    pid=\${entry%%:*}
    read -r stat < "/proc/$pid/stat" || continue
    set -- \${stat##*) }
    [ "$1" != Z ] && [ "\${20}" = "\${entry#*:}" ] || continue
    kill "-$signal" "$pid"
    told=yes
  done
}
signal=CONT; tell
signal=INT; tell
for _ in 1 2 3 4 5 6 7 8 9 10; do
  signal=0; tell
  [ $told = no ] && exit
  sleep 0.5
done
signal=KILL; tell
`;

/** `directory`: where its script may lie; it must be private. */
export function startGuard(directory: string): Guard {
  const script = join(directory, 'guard.sh');
  writeFileSync(script, SCRIPT, { mode: 0o600 });
  const shell = spawn('sh', [script], {
    detached: true, // Ctrl-C goes to the whole group of a terminal, and is not meant for it
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const ended = once(shell, 'close').catch(() => undefined);
  shell.stdin.on('error', () => undefined); // somebody killed it: the kernel's signal is still there
  return {
    watch: ({ pid, start }) => void shell.stdin.write(`${pid} ${start.split('@')[0]}\n`),
    async [Symbol.asyncDispose]() {
      shell.stdin.end();
      await ended;
    },
  };
}

/** The command, killed by the kernel when the thread that spawns it is gone; where setpriv exists. */
export function guarded(command: readonly [string, ...string[]]): [string, ...string[]] {
  hasSetpriv ??= spawnSync('setpriv', ['--pdeathsig=KILL', '--', 'true']).status === 0;
  return hasSetpriv ? ['setpriv', '--pdeathsig=KILL', '--', ...command] : [...command];
}

let hasSetpriv: boolean | undefined;
