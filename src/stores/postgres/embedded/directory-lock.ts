// A directory belongs to one process at a time. Node has no flock, so the lock is a chain of files:
// lock.1, lock.2, … The highest number holds. Who finds its holder dead makes the next one, and only
// one can: link(2) fails if the name exists. The highest is never removed, only marked as released;
// otherwise two who had both seen a dead holder could both win.

import { linkSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export type DirectoryLock = Disposable;

/** The directory is in use. `pid` is the process that holds it. */
export class DirectoryInUse extends Error {
  override name = 'DirectoryInUse';
  readonly pid: number;

  constructor(directory: string, pid: number) {
    const holder = pid === process.pid ? 'this process itself' : `process ${pid}`;
    super(
      `${directory} is in use by ${holder}. One data directory belongs to one Evergate: ` +
        'stop that one first, or choose another directory with --data.',
    );
    this.pid = pid;
  }
}

type Holder = { pid: number; startedAt: string | undefined; isReleased: boolean };

const MAX_TRIES = 100;
let takenCount = 0;

/** Throws `DirectoryInUse` if a living process holds the directory. The directory must exist. */
export function lockDirectory(directory: string): DirectoryLock {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const highest = Math.max(0, ...generations(directory));
    const holder = highest === 0 ? undefined : readHolder(lockPath(directory, highest));
    if (holder !== undefined && isHeld(holder)) throw new DirectoryInUse(directory, holder.pid);
    if (!take(directory, highest + 1)) continue; // somebody else was quicker: look again

    for (const older of generations(directory).filter((number) => number <= highest)) {
      rmSync(lockPath(directory, older), { force: true });
    }
    return {
      [Symbol.dispose]() {
        const file = write(directory, { ...self(), isReleased: true });
        renameSync(file, lockPath(directory, highest + 1));
      },
    };
  }
  throw new Error(`${directory} could not be locked: other processes come and go too fast`);
}

/** When a process started, by the clock that numbers its kernel's ticks; undefined if it is gone. */
export function processStart(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const state = fields[0];
    if (state === 'Z' || state === 'X') return undefined; // dead, and only not yet waited for
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${fields[19]}@${boot}`;
  } catch {
    return undefined;
  }
}

/** `startedAt` tells the process from a later one that has been given the same number. */
function isHeld(holder: Holder): boolean {
  if (holder.isReleased) return false;
  if (process.platform === 'linux') return processStart(holder.pid) === holder.startedAt;
  try {
    return process.kill(holder.pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function self(): Holder {
  return { pid: process.pid, startedAt: processStart(process.pid), isReleased: false };
}

function generations(directory: string): number[] {
  return readdirSync(directory)
    .map((name) => /^lock\.(\d+)$/.exec(name)?.[1])
    .filter((number) => number !== undefined)
    .map(Number);
}

function lockPath(directory: string, generation: number): string {
  return join(directory, `lock.${generation}`);
}

function write(directory: string, holder: Holder): string {
  takenCount++;
  const file = join(directory, `lock.new-${holder.pid}-${takenCount}`);
  writeFileSync(file, `${JSON.stringify(holder)}\n`);
  return file;
}

/** The file appears with its contents, or not at all. */
function take(directory: string, generation: number): boolean {
  const file = write(directory, self());
  try {
    linkSync(file, lockPath(directory, generation));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(file, { force: true });
  }
}

/** Undefined for a file that is gone, or that a power cut has emptied: nobody holds it. */
function readHolder(path: string): Holder | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Holder;
  } catch {
    return undefined;
  }
}
