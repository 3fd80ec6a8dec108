// Whether the key at hand opens the database's sealed secrets: a wrong key is found at the start,
// with one clear sentence, and not at somebody's login.

import { SecretBoxError } from '../secret-box.ts';
import type { SecretBox } from '../secret-box.ts';
import type { Queryable } from './connect.ts';

/** One of each kind is enough: all are sealed under the same keys, except during a rotation. */
const SAMPLE = `
  (select 'router:' || id as context, sealed_secret as box from access.routers limit 1)
  union all
  (select 'subscriber:' || id, sealed_password from access.subscribers limit 1)`;

/** Rejects when the database holds secrets that the box cannot open. */
export async function verifySecretBox(postgres: Queryable, box: SecretBox): Promise<void> {
  const samples = await postgres.query<{ context: string; box: Buffer }>(SAMPLE);
  for (const sample of samples) {
    try {
      box.open(sample.box, sample.context);
    } catch (error) {
      if (!(error instanceof SecretBoxError)) throw error;
      throw new Error(
        'the secrets key is not the one that sealed the passwords and secrets in the database: ' +
          'put the right key back from its backup',
        { cause: error },
      );
    }
  }
}
