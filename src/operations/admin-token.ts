// The API key that `up` leaves in its data directory, so that `apply` and the first steps work
// without asking anybody. Whoever may read the file owns the machine anyway.

import {
  closeSync,
  fchmodSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Runtime } from '../runtime/runtime.ts';
import { createApiKeys } from '../stores/postgres/api-keys.ts';
import type { ApiKeyRole } from '../stores/postgres/api-keys.ts';
import type { OpenDatabase } from './database.ts';

export const ADMIN_TOKEN_FILE = 'admin.token';

/** The key in the file if the database knows it, else a new one, written to the file with mode 600. */
export async function ensureAdminToken(
  data: string,
  database: OpenDatabase,
  runtime: Runtime,
): Promise<string> {
  const file = join(data, ADMIN_TOKEN_FILE);
  const keys = createApiKeys(database.postgres, runtime);
  const present = readToken(file);
  if (present !== undefined && (await keys.findValid(present)) !== undefined) return present;

  const { key } = await keys.create({ name: `${ADMIN_TOKEN_FILE} of evergate up`, role: 'owner' });
  writeToken(file, key);
  return key;
}

export async function createTokenDirectly(
  database: OpenDatabase,
  wanted: { name: string; role: ApiKeyRole },
  runtime: Runtime,
): Promise<{ id: string; key: string }> {
  const { id, key } = await createApiKeys(database.postgres, runtime).create(wanted);
  return { id, key };
}

function readToken(file: string): string | undefined {
  try {
    const token = readFileSync(file, 'utf8').trim();
    return token === '' ? undefined : token;
  } catch {
    return undefined; // not there, or not ours to read: a new one is made
  }
}

/** Written beside it and renamed, so that nobody ever reads half a key. */
function writeToken(file: string, token: string): void {
  const temporary = `${file}.new`;
  const descriptor = openSync(temporary, 'w', 0o600);
  try {
    fchmodSync(descriptor, 0o600); // the file may have been there with another mode
    writeSync(descriptor, `${token}\n`);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(temporary, file);
}
