// API keys: `evg_` and 256 random bits, of which only the SHA-256 is kept. Who may do what with a
// role is services/gateway/roles.ts. `evergate token create` uses this without a gateway.

import { createHash } from 'node:crypto';
import { timeOrderedId } from '../../runtime/random.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { Queryable } from './connect.ts';

export type ApiKeyRole = 'owner' | 'manager' | 'support' | 'read-only';

export type ApiKeyRecord = {
  id: string;
  name: string;
  role: ApiKeyRole;
  createdAtMs: number;
  /** To the minute: writing it at every request would cost more than it tells. */
  lastUsedAtMs: number | undefined;
  expiresAtMs: number | undefined;
  revokedAtMs: number | undefined;
};

export type NewApiKey = { name: string; role: ApiKeyRole; expiresAtMs?: number | undefined };

type Row = {
  id: string;
  name: string;
  role: ApiKeyRole;
  created_at: number;
  last_used_at: number | null;
  expires_at: number | null;
  revoked_at: number | null;
};

const COLUMNS = 'id, name, role, created_at, last_used_at, expires_at, revoked_at';

/** `key` is shown this once; afterwards nobody knows it but its owner. */
export async function createApiKey(
  queryable: Queryable,
  { random, clock }: Pick<Runtime, 'random' | 'clock'>,
  wanted: NewApiKey,
): Promise<ApiKeyRecord & { key: string }> {
  const key = `evg_${random.bytes(32).toString('base64url')}`;
  const expiresAt = wanted.expiresAtMs === undefined ? null : new Date(wanted.expiresAtMs);
  const [row] = await queryable.query<Row>(
    `insert into auth.api_keys (id, name, role, key_hash, expires_at)
     values ($1, $2, $3, $4, $5) returning ${COLUMNS}`,
    [timeOrderedId(random, clock.nowMs()), wanted.name, wanted.role, apiKeyHash(key), expiresAt],
  );
  if (row === undefined) throw new Error('an API key was inserted, but no row came back');
  return { ...toRecord(row), key };
}

export function apiKeyHash(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}

export function createApiKeys(queryable: Queryable, runtime: Pick<Runtime, 'random' | 'clock'>) {
  return {
    create: (wanted: NewApiKey) => createApiKey(queryable, runtime, wanted),

    /** Undefined for a key that is unknown, revoked or past its time. */
    async findValid(key: string): Promise<ApiKeyRecord | undefined> {
      const [row] = await queryable.query<Row>(
        `select ${COLUMNS} from auth.api_keys
         where key_hash = $1 and revoked_at is null and (expires_at is null or expires_at > now())`,
        [apiKeyHash(key)],
        { name: 'find_api_key' },
      );
      return row === undefined ? undefined : toRecord(row);
    },

    async noteUse(id: string): Promise<void> {
      await queryable.query(
        `update auth.api_keys set last_used_at = now()
         where id = $1 and (last_used_at is null or last_used_at < now() - interval '1 minute')`,
        [id],
      );
    },

    async find(id: string): Promise<ApiKeyRecord | undefined> {
      const [row] = await queryable.query<Row>(
        `select ${COLUMNS} from auth.api_keys where id = $1`,
        [id],
      );
      return row === undefined ? undefined : toRecord(row);
    },

    /** The oldest first; revoked ones too: who had access is worth knowing. */
    async list(page: { limit: number; after: string | undefined }): Promise<ApiKeyRecord[]> {
      const rows = await queryable.query<Row>(
        `select ${COLUMNS} from auth.api_keys
         where $1::uuid is null or id > $1 order by id limit $2`,
        [page.after ?? null, page.limit],
      );
      return rows.map(toRecord);
    },

    /** False if there is no such key; a key that is revoked already stays as it is. */
    async revoke(id: string): Promise<boolean> {
      const rows = await queryable.query(
        `update auth.api_keys set revoked_at = coalesce(revoked_at, now()) where id = $1 returning id`,
        [id],
      );
      return rows.length > 0;
    },
  };
}

function toRecord(row: Row): ApiKeyRecord {
  return {
    id: row.id,
    name: row.name,
    role: row.role,
    createdAtMs: row.created_at,
    lastUsedAtMs: row.last_used_at ?? undefined,
    expiresAtMs: row.expires_at ?? undefined,
    revokedAtMs: row.revoked_at ?? undefined,
  };
}
