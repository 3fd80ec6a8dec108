// What the journal asks of the file system, so that tests can let the disk fail. Whatever resolves
// here is on stable storage.

import { constants } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { basename, dirname } from 'node:path';

export type JournalFiles = {
  /** Fails when the file exists. */
  create(path: string): Promise<DurableFile>;
};

export type DurableFile = {
  /** How many of the bytes were written: fewer when the disk filled up on the way. */
  write(bytes: Buffer, position: number): Promise<number>;
  truncate(bytes: number): Promise<void>;
  close(): Promise<void>;
};

const isLinux = process.platform === 'linux';
const { O_WRONLY, O_CREAT, O_EXCL, O_APPEND } = constants;
/** On Linux each write is its own fdatasync: one trip to the thread pool instead of two. */
const DURABLE = isLinux ? constants.O_DSYNC : 0;

export const systemFiles: JournalFiles = {
  async create(path) {
    const file = await open(path, O_WRONLY | O_CREAT | O_EXCL | DURABLE, 0o600);
    return {
      async write(bytes, position) {
        const { bytesWritten } = await file.write(bytes, 0, bytes.length, position);
        if (!isLinux) await file.datasync();
        return bytesWritten;
      },
      async truncate(bytes) {
        await file.truncate(bytes);
        await file.sync();
      },
      close: () => file.close(),
    };
  },
};

/** Creations, renames and removals in a directory last only after this. */
export async function syncDirectory(directory: string): Promise<void> {
  await using opened = await open(directory, 'r');
  await opened.sync();
}

/** The file has the old or the new content, never a part of it. */
export async function replaceFile(path: string, content: string): Promise<void> {
  const next = `${path}.next`;
  {
    await using file = await open(next, 'w', 0o600);
    await file.writeFile(content);
    await file.sync();
  }
  await rename(next, path);
  await syncDirectory(dirname(path));
}

export async function appendLine(path: string, line: string): Promise<void> {
  await using file = await open(path, O_WRONLY | O_CREAT | O_APPEND, 0o600);
  await file.writeFile(`${line}\n`);
  await file.sync();
  await syncDirectory(dirname(path));
}

const SUFFIX = '.journal';

/** `00000001.journal`: names in order are segments in order. */
export function segmentName(number: number): string {
  return `${String(number).padStart(8, '0')}${SUFFIX}`;
}

/** Undefined: not a segment. */
export function segmentNumber(path: string): number | undefined {
  const name = basename(path);
  return /^\d{8,}\.journal$/.test(name) ? Number(name.slice(0, -SUFFIX.length)) : undefined;
}
