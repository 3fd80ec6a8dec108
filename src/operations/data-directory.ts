// The data directory: everything that must survive on this machine lies in it.

import { accessSync, constants, mkdirSync, statSync } from 'node:fs';

/** Makes it if it is not there, for its owner alone. Throws a sentence that says what to do. */
export function prepareDataDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === false) {
      throw new Error(`the data directory ${path} is a file; name another one with --data`, {
        cause: error,
      });
    }
    throw new Error(
      `the data directory ${path} cannot be written by this user; give it to the user, or name another one with --data`,
      { cause: error },
    );
  }
}
