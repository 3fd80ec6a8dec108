// cluster.json: which processes belong to the cluster of a directory, written before and after each of
// them comes and goes. Whoever comes after a cluster that was killed ends what it left behind.

import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Runtime } from '../../runtime/runtime.ts';
import { familyOf, isAlive, signalAll } from './processes.ts';
import type { ProcessId } from './processes.ts';

export type ClusterState = {
  /** The process that looks after the others. */
  supervisor: ProcessId | undefined;
  portBase: number | undefined;
  parts: (ProcessId & { name: string })[];
};

const FILE = 'cluster.json';
const POLL_MS = 50;
/** First they may stop in order, as PostgreSQL wants to; then they must. */
const STAGES = [
  { signal: 'SIGINT', waitMs: 10_000 },
  { signal: 'SIGKILL', waitMs: 5_000 },
] as const;

/** Empty if there is none, or if it is damaged: the lock of the directory does not depend on it. */
export function readState(directory: string): ClusterState {
  try {
    return JSON.parse(readFileSync(join(directory, FILE), 'utf8')) as ClusterState;
  } catch {
    return { supervisor: undefined, portBase: undefined, parts: [] };
  }
}

export function writeState(directory: string, state: ClusterState): void {
  const file = join(directory, FILE);
  writeFileSync(`${file}.new`, `${JSON.stringify(state, undefined, 2)}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

/** Resolves with the names of those that had to be ended. The directory must be ours. */
export async function endLeftovers(directory: string, { clock }: Runtime): Promise<string[]> {
  const left = readState(directory).parts.filter(isAlive);
  const processes = left.flatMap(({ pid }) => familyOf(pid));
  signalAll(processes, 'SIGCONT');
  for (const { signal, waitMs } of STAGES) {
    // In order, whoever was started tells its own children; by force, each is told.
    signalAll(signal === 'SIGKILL' ? processes : left, signal);
    const deadlineMs = clock.monotonicMs() + waitMs;
    while (processes.some(isAlive) && clock.monotonicMs() < deadlineMs) await clock.sleep(POLL_MS);
  }
  const stubborn = processes.find(isAlive);
  if (stubborn !== undefined) {
    throw new Error(`process ${stubborn.pid} of an earlier cluster cannot be ended`);
  }
  return left.map(({ name }) => name);
}
