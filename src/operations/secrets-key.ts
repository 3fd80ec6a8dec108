// The key that opens the sealed passwords and secrets in the database. It is made once, by the first
// `up`; making another one later would turn everything that is sealed into noise.

import type { Config } from '../runtime/config.ts';
import { verifySecretBox } from '../stores/postgres/sealed-secrets.ts';
import { createSecretBox, loadKey, loadOrCreateKey, parseKey } from '../stores/secret-box.ts';
import type { OpenDatabase } from './database.ts';

type Options = {
  /** This is the node that makes the key when nothing is sealed yet. */
  mayCreate: boolean;
};

/** Rejects when the key is missing, or is another one than what is sealed in the database. */
export async function openSecretsKey(
  secrets: Config['secrets'],
  database: OpenDatabase,
  options: Options,
): Promise<Buffer> {
  const key = await findKey(secrets, database, options);
  if (database.postgres.status() === 'connected') {
    await verifySecretBox(database.postgres, createSecretBox([key]));
  }
  return key;
}

async function findKey(
  secrets: Config['secrets'],
  database: OpenDatabase,
  { mayCreate }: Options,
): Promise<Buffer> {
  if (secrets.key !== undefined) return parseKey(secrets.key, 'secrets.key');
  const present = loadKey(secrets.keyFile);
  if (present !== undefined) return present;

  if (!mayCreate) {
    throw new Error(
      `there is no secrets key (looked for ${secrets.keyFile}). All nodes of a cluster need the same one: ` +
        'make it once with `openssl rand -hex 32` and give it to each as EVERGATE_SECRETS_KEY_FILE',
    );
  }
  if (await hasSealedSecrets(database)) {
    throw new Error(
      `the secrets key ${secrets.keyFile} is gone, but the database holds passwords sealed with it. ` +
        'Put it back from a backup; without it they cannot be read',
    );
  }
  return loadOrCreateKey(secrets.keyFile);
}

async function hasSealedSecrets({ postgres }: OpenDatabase): Promise<boolean> {
  const [row] = await postgres.query<{ sealed: boolean }>(
    'select exists (select from access.routers) or exists (select from access.subscribers) as sealed',
  );
  return row?.sealed === true;
}
