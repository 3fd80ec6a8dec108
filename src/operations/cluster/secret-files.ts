// Files that hold a secret: for their owner alone, and never half written.

import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { Random } from '../../runtime/random.ts';

export function writeSecretFile(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600, flush: true });
  renameSync(`${path}.new`, path);
}

/** The password in the file; a new one if there is none. Letters and digits only: it goes into URLs. */
export function readOrMakePassword(path: string, random: Random): string {
  if (!existsSync(path)) writeSecretFile(path, `${random.bytes(24).toString('hex')}\n`);
  return readFileSync(path, 'utf8').trim();
}
