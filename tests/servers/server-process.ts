// A real server as a child process of a test or a benchmark: started, waited for, watched, frozen,
// killed and stopped by its process id, with everything it started itself. What kind of server it
// is, and when it is ready, its own file says (evergate.ts, freeradius.ts).

import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export type ServerProcess = AsyncDisposable & {
  readonly pid: number;
  /** Everything it wrote to standard output and standard error, at most the last 256 KiB. */
  output(): string;
  /** Undefined while it runs. */
  exit(): { code: number | null; signal: NodeJS.Signals | null } | undefined;
  /** Its process id and those of all it started, which started others in turn. */
  family(): number[];
  /** SIGTERM, then SIGKILL to the whole family after `graceMs`. Resolves with how it ended. */
  stop(graceMs?: number): Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  /** SIGKILL to this process alone: what it started must notice by itself. */
  kill(): Promise<void>;
  /** SIGKILL to the whole family at once, as a power cut would. */
  cutPower(): Promise<void>;
  /** SIGSTOP and SIGCONT to the whole family. */
  freeze(): void;
  thaw(): void;
};

export type ServerProcessOptions = {
  /** What messages call it. */
  name: string;
  command: string;
  args: string[];
  environment?: Record<string, string>;
  workingDirectory?: string;
  /** The only processor core that it and what it starts may use. */
  core?: number;
  /** Asked until it says true, fails for good by throwing, or the time is over. */
  isReady: (process: ServerProcess) => boolean | Promise<boolean>;
  readyWithinMs?: number;
};

const KEPT_OUTPUT_CHARACTERS = 256 * 1024;

/** Resolves when the server is ready; a server that exits before that is an error with its output. */
export async function startServerProcess(options: ServerProcessOptions): Promise<ServerProcess> {
  // The server dies with the test: an orphan would keep its ports and its memory.
  const chain = ['setpriv', '--pdeathsig', 'TERM', '--', options.command, ...options.args];
  if (options.core !== undefined) chain.unshift('taskset', '-c', String(options.core));
  const [program = '', ...args] = chain;
  const child = spawn(program, args, {
    cwd: options.workingDirectory,
    env: { ...process.env, ...options.environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });

  let output = '';
  const keep = (text: string) => {
    output = (output + text).slice(-KEPT_OUTPUT_CHARACTERS);
  };
  child.stdout.setEncoding('utf8').on('data', keep);
  child.stderr.setEncoding('utf8').on('data', keep);

  let ended: { code: number | null; signal: NodeJS.Signals | null } | undefined;
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once('error', (error) => {
      keep(`${error.message}\n`);
      ended ??= { code: null, signal: null };
      resolve(ended);
    });
    child.once('exit', (code, signal) => {
      ended ??= { code, signal };
      resolve(ended);
    });
  });

  const pid = child.pid ?? 0;
  const family = () => (pid === 0 ? [] : familyOf(pid));
  const cutPower = async () => {
    signal(family(), 'SIGKILL');
    await exited;
  };
  const server: ServerProcess = {
    pid,
    output: () => output,
    exit: () => ended,
    family,
    async stop(graceMs = 15_000) {
      const members = family();
      if (ended === undefined) {
        signal([pid], 'SIGCONT');
        signal([pid], 'SIGTERM');
        await Promise.race([exited, sleep(graceMs, undefined, { ref: false })]);
      }
      signal(members.filter(isAlive), 'SIGKILL');
      return await exited;
    },
    async kill() {
      signal([pid], 'SIGKILL');
      await exited;
    },
    cutPower,
    freeze: () => signal(family(), 'SIGSTOP'),
    thaw: () => signal(family(), 'SIGCONT'),
    async [Symbol.asyncDispose]() {
      await server.stop();
    },
  };

  const deadline = performance.now() + (options.readyWithinMs ?? 60_000);
  for (;;) {
    if (server.exit() !== undefined) {
      await sleep(100); // for the last of its output
      throw new Error(`${options.name} ended before it was ready:\n${output}`);
    }
    if (await options.isReady(server)) return server;
    if (performance.now() > deadline) {
      await cutPower();
      throw new Error(`${options.name} was not ready in time:\n${output}`);
    }
    await sleep(20);
  }
}

/** A process and its descendants, from /proc: children that made a session of their own included. */
export function familyOf(root: number): number[] {
  const parents = new Map<number, number>();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const stat = processStat(Number(entry));
    if (stat !== undefined && stat.state !== 'Z') parents.set(Number(entry), stat.parent);
  }
  const family = [root];
  for (const member of family) {
    for (const [pid, parent] of parents) if (parent === member) family.push(pid);
  }
  return family;
}

type ProcessStat = {
  state: string;
  parent: number;
  /** Its own, in clock ticks of 10 ms. */
  ticks: number;
  /** Those of children that have ended and were waited for. */
  childTicks: number;
};

/** Undefined if there is no such process any more. proc(5), /proc/pid/stat. */
export function processStat(pid: number): ProcessStat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The name, in brackets, may itself contain blanks and brackets.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const number = (index: number) => Number(fields[index] ?? 0);
  return {
    state: fields[0] ?? 'X',
    parent: number(1),
    ticks: number(11) + number(12),
    childTicks: number(13) + number(14),
  };
}

function isAlive(pid: number): boolean {
  const stat = processStat(pid);
  return stat !== undefined && stat.state !== 'Z';
}

function signal(pids: number[], name: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, name);
    } catch {
      // It has ended in the meantime, which is as good.
    }
  }
}
