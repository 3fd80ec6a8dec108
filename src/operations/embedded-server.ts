// An embedded database that another process runs: for commands that look at it while `up` owns it.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The URL of the server in this data directory; undefined when none runs. */
export function runningEmbeddedUrl(data: string): string | undefined {
  let lines: string[];
  try {
    lines = readFileSync(join(data, 'postgres/cluster/postmaster.pid'), 'utf8').split('\n');
  } catch {
    return undefined; // never started, or stopped in order
  }
  // postmaster.pid: process id, data, start, port, socket directory, address, memory, status.
  const [pid, , , port, socketDirectory, , , status] = lines;
  if (!socketDirectory || status?.startsWith('ready') !== true || !isAlive(Number(pid))) {
    return undefined;
  }
  return `postgres://evergate@${encodeURIComponent(socketDirectory)}:${port}/evergate`;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'; // another user's
  }
}
