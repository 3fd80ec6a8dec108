// What a killed Evergate leaves behind: a PostgreSQL that is still stopping, or, where the kernel
// could not be asked to stop it, one that runs on; or only its postmaster.pid with a number that
// another process has by now. We hold the directory's lock, so whatever is here is ours to end.

import { readFileSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Runtime } from '../../../runtime/runtime.ts';
import { processStart } from './directory-lock.ts';

/** First patience, because the server is probably stopping already; then ever stronger words. */
const STAGES = [
  { signal: undefined, waitMs: 2_000 },
  { signal: 'SIGINT', waitMs: 15_000 },
  { signal: 'SIGQUIT', waitMs: 5_000 },
  { signal: 'SIGKILL', waitMs: 5_000 },
] as const;

/** Resolves when no process works on the data any more. */
export async function endOrphan(cluster: string, { clock, log }: Runtime): Promise<void> {
  const pidFile = join(cluster, 'postmaster.pid');
  if (readPid(pidFile) === undefined) return;
  for (const { signal, waitMs } of STAGES) {
    const deadlineMs = clock.monotonicMs() + waitMs;
    const working = processesOn(cluster);
    if (working.length > 0) {
      log.warn('an embedded database of an earlier run is still there', { pids: working, signal });
    }
    if (signal !== undefined) tell(working, readPid(pidFile), signal);
    while (clock.monotonicMs() < deadlineMs) {
      if (processesOn(cluster).length === 0) {
        // PostgreSQL takes any living process of this number for a server, even a dead one that
        // nobody has waited for; and that none of its children is left, we have just seen.
        rmSync(pidFile, { force: true });
        return;
      }
      await clock.sleep(20);
    }
  }
  throw new Error(`a PostgreSQL of an earlier run works on ${cluster} and cannot be ended`);
}

/** The postmaster passes it on; without a postmaster each of its children is told. */
function tell(pids: readonly number[], postmaster: number | undefined, signal: NodeJS.Signals) {
  const told = pids.filter((pid) => pid === postmaster);
  for (const pid of told.length > 0 ? told : pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // it has ended in this moment
    }
  }
}

/** Every process of a PostgreSQL server works in its data directory. */
function processesOn(cluster: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => worksIn(pid, cluster) && processStart(pid) !== undefined);
}

function worksIn(pid: number, directory: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === directory;
  } catch {
    return false; // gone, or another user's: not ours
  }
}

function readPid(pidFile: string): number | undefined {
  try {
    return Number.parseInt(readFileSync(pidFile, 'utf8'), 10);
  } catch {
    return undefined;
  }
}
