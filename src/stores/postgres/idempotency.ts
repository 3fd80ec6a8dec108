// Idempotency keys: one request, one effect, however often it is sent. The claim, the change and the
// answer are written in one transaction: a crash before its commit leaves nothing behind, so that
// the next try is the first. Two at once meet at an advisory lock, which dies with its transaction.
// Bodies are sealed: an answer may hold what is shown once, such as a new API key.

import type { SecretBox } from '../secret-box.ts';
import type { Queryable } from './connect.ts';

export type StoredAnswer = { status: number; headers: Record<string, string>; body: string };

export type Claim =
  /** Carry it out, then `complete`. */
  | { kind: 'first' }
  | { kind: 'repeated'; answer: StoredAnswer }
  /** The key belongs to another request. */
  | { kind: 'other-request' }
  /** Somebody is carrying it out at this moment. */
  | { kind: 'running' };

export type RequestIdentity = { apiKeyId: string; key: string; requestHash: Buffer };

const KEPT = '24 hours';
/** A claim without an answer that was committed all the same may be taken over after this time. */
const STALE = '60 seconds';

/** `transaction`: the one that makes the change. */
export function createIdempotency(transaction: Queryable, box: SecretBox) {
  return {
    async claim({ apiKeyId, key, requestHash }: RequestIdentity): Promise<Claim> {
      const [lock] = await transaction.query<{ locked: boolean }>(
        'select pg_try_advisory_xact_lock(hashtextextended($1, 0)) as locked',
        [`idempotency ${apiKeyId} ${key}`],
      );
      if (lock?.locked !== true) return { kind: 'running' };

      const claimed = await transaction.query(
        `insert into access.idempotency_keys as k (api_key_id, key, request_hash)
         values ($1, $2, $3)
         on conflict (api_key_id, key) do update
           set request_hash = excluded.request_hash, created_at = now(),
               status = null, headers = null, body = null
           where k.created_at < now() - interval '${KEPT}'
              or (k.status is null and k.created_at < now() - interval '${STALE}')
         returning key`,
        [apiKeyId, key, requestHash],
      );
      if (claimed.length > 0) return { kind: 'first' };

      const [row] = await transaction.query<{
        request_hash: Buffer;
        status: number | null;
        headers: Record<string, string> | null;
        body: string | null;
      }>(
        `select request_hash, status, headers, body from access.idempotency_keys
         where api_key_id = $1 and key = $2`,
        [apiKeyId, key],
      );
      if (row === undefined) return { kind: 'running' }; // pruned in this moment: ask again
      if (!row.request_hash.equals(requestHash)) return { kind: 'other-request' };
      if (row.status === null) return { kind: 'running' };
      const sealed = Buffer.from(row.body ?? '', 'base64');
      const body = box.open(sealed, context({ apiKeyId, key })).toString();
      return { kind: 'repeated', answer: { status: row.status, headers: row.headers ?? {}, body } };
    },

    async complete(request: RequestIdentity, answer: StoredAnswer): Promise<void> {
      const sealed = box.seal(Buffer.from(answer.body), context(request)).toString('base64');
      await transaction.query(
        `update access.idempotency_keys set status = $3, headers = $4, body = $5
         where api_key_id = $1 and key = $2`,
        [request.apiKeyId, request.key, answer.status, JSON.stringify(answer.headers), sealed],
      );
    },
  };
}

function context({ apiKeyId, key }: { apiKeyId: string; key: string }): string {
  return `answer:${apiKeyId}:${key}`;
}

/** Forgets what is older than 24 hours, at most 10,000 at a time. Resolves with how many. */
export async function pruneIdempotency(queryable: Queryable): Promise<number> {
  const rows = await queryable.query(
    `delete from access.idempotency_keys where (api_key_id, key) in (
       select api_key_id, key from access.idempotency_keys
       where created_at < now() - interval '${KEPT}' order by created_at limit 10000)
     returning 1`,
    [],
    { timeoutMs: 20_000 },
  );
  return rows.length;
}
