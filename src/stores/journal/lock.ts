// One process per journal directory. Node cannot lock a file, but its SQLite can: the kernel drops the
// lock with the process, however that ends, so nothing stale can keep a node from starting. A pid
// in a file could not tell: containers that share a disk do not share process numbers.

import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

const SQLITE_BUSY = 5;

export function lockDirectory(directory: string): Disposable {
  const database = new DatabaseSync(join(directory, 'lock'));
  try {
    database.exec('PRAGMA journal_mode = OFF; BEGIN EXCLUSIVE');
  } catch (cause) {
    database.close();
    const isBusy = cause instanceof Error && 'errcode' in cause && cause.errcode === SQLITE_BUSY;
    throw new Error(
      isBusy
        ? `the journal in ${directory} is open in another process: give each its own directory`
        : `locking the journal in ${directory}`,
      { cause },
    );
  }
  return { [Symbol.dispose]: () => database.close() };
}
