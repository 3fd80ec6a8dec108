// Processes of this machine, from /proc: who started whom, who is stopped, who holds a port. A number
// alone names no process, because numbers are given again: its start time belongs to it.

import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { processStart } from '../../stores/postgres/embedded/directory-lock.ts';

export type ProcessId = {
  pid: number;
  /** Kernel ticks and boot, as `processStart` says them. */
  start: string;
};

/** Undefined if there is no such process any more. */
export function identify(pid: number): ProcessId | undefined {
  const start = processStart(pid);
  return start === undefined ? undefined : { pid, start };
}

export function isAlive({ pid, start }: ProcessId): boolean {
  return processStart(pid) === start;
}

/** Whoever has ended in the meantime is left out, also when another process has its number now. */
export function signalAll(processes: readonly ProcessId[], signal: NodeJS.Signals): void {
  for (const process_ of processes.filter(isAlive)) {
    try {
      process.kill(process_.pid, signal);
    } catch {
      // It has ended in this moment.
    }
  }
}

/** A process and all that it started, which started others in turn; those in sessions of their own too. */
export function familyOf(root: number): ProcessId[] {
  const parents = new Map<number, number>();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const parent = statOf(Number(entry))?.parent;
    if (parent !== undefined) parents.set(Number(entry), parent);
  }
  const family = [root];
  for (const member of family) {
    for (const [pid, parent] of parents) if (parent === member) family.push(pid);
  }
  return family.flatMap((pid) => identify(pid) ?? []);
}

/** Stopped by SIGSTOP. */
export function isFrozen(pid: number): boolean {
  return statOf(pid)?.state === 'T';
}

export type ListeningPorts = { tcp?: readonly number[]; udp?: readonly number[] };

/** Whether this very process listens there: a stranger on the same port would answer too. */
export function holdsPorts(pid: number, { tcp = [], udp = [] }: ListeningPorts): boolean {
  const sockets = socketsOf(pid);
  const holds = (kind: 'tcp' | 'udp', port: number) =>
    inodesOf(kind, port).some((inode) => sockets.has(inode));
  return tcp.every((port) => holds('tcp', port)) && udp.every((port) => holds('udp', port));
}

function socketsOf(pid: number): Set<string> {
  const directory = `/proc/${pid}/fd`;
  const inodes = new Set<string>();
  for (const descriptor of readdirSync(directory)) {
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`${directory}/${descriptor}`))?.[1];
      if (inode !== undefined) inodes.add(inode);
    } catch {
      // It was closed in this moment.
    }
  }
  return inodes;
}

/** proc_net(5): number, local address, remote address, state, …, and the inode as tenth. */
function inodesOf(kind: 'tcp' | 'udp', port: number): string[] {
  const ending = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const isListening = kind === 'tcp' ? '0A' : '07';
  return readFileSync(`/proc/net/${kind}`, 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local, , state]) => local?.endsWith(ending) === true && state === isListening)
    .flatMap((fields) => fields[9] ?? []);
}

/** proc(5), /proc/pid/stat. The name, in brackets, may itself contain blanks and brackets. */
function statOf(pid: number): { state: string; parent: number } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state = 'X', parent] = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return state === 'Z' || state === 'X' ? undefined : { state, parent: Number(parent) };
  } catch {
    return undefined;
  }
}
