// How certificates lie on disk: a certificate and its key in one directory, which appears at once or not
// at all; a single file is replaced at once. Private keys are for their owner alone.

import {
  chmodSync,
  closeSync,
  fchmodSync,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

export type NewFile = { name: string; content: string | Buffer; isSecret: boolean };

/** False: there is such a directory already, and it stays as it is. */
export function placeDirectory(directory: string, files: readonly NewFile[]): boolean {
  const making = makeBeside(directory);
  try {
    for (const file of files) writeWhole(join(making, file.name), file);
    chmodSync(making, 0o755);
    renameSync(making, directory); // fails when there is something in it
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOTEMPTY' || code === 'EEXIST') return false;
    throw new Error(`${directory} cannot be written`, { cause: error });
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
}

function makeBeside(path: string): string {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    return mkdtempSync(join(dirname(path), '.making-'));
  } catch (error) {
    throw new Error(`${path} cannot be written`, { cause: error });
  }
}

/** Whoever reads meanwhile sees the old content or the new. */
export function replaceFile(path: string, content: string): void {
  const making = makeBeside(path);
  try {
    const written = join(making, 'file');
    writeWhole(written, { content, isSecret: false });
    renameSync(written, path);
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
}

/** Undefined: there is none. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new Error(`${path} cannot be read`, { cause: error });
  }
}

function writeWhole(path: string, { content, isSecret }: Omit<NewFile, 'name'>): void {
  const mode = isSecret ? 0o600 : 0o644;
  const descriptor = openSync(path, 'wx', mode);
  try {
    fchmodSync(descriptor, mode); // whatever the umask says
    writeSync(descriptor, Buffer.from(content));
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
