// What a server and everything it started have used: processor time and memory, from /proc.
// Time of children that have ended is counted through the parent that waited for them.

import { readFileSync } from 'node:fs';
import { familyOf, processStat } from '../servers/server-process.ts';

const TICK_MICROSECONDS = 10_000;

export function cpuMicrosecondsOf(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of families(pids)) {
    const stat = processStat(pid);
    if (stat !== undefined) ticks += stat.ticks + stat.childTicks;
  }
  return ticks * TICK_MICROSECONDS;
}

/**
 * Memory with shared pages divided among those who share them: PostgreSQL's processes share their
 * buffers, and adding up what each sees would count those many times.
 */
export function residentKiBOf(pids: readonly number[]): number {
  let sum = 0;
  for (const pid of families(pids)) sum += proportionalKiB(pid);
  return sum;
}

function families(pids: readonly number[]): Set<number> {
  return new Set(pids.flatMap(familyOf));
}

function proportionalKiB(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    return Number(/^Pss:\s+(\d+)/m.exec(text)?.[1] ?? 0);
  } catch {
    return 0;
  }
}
