// API keys: an owner makes and revokes them. A key is shown once, when it is made.

import { z } from 'zod';
import { ProblemError, notFound } from '../../../runtime/http/problem.ts';
import { decodeCursor, encodeCursor } from '../cursor.ts';
import {
  cursor,
  iso,
  isoOrNull,
  limit,
  listOf,
  record,
  shownTimestamp,
  text,
  timestamp,
  uuid,
} from '../fields.ts';
import { invalidBody } from '../problems.ts';
import { foreignCursor } from '../resource-routes.ts';
import { ROLES } from '../roles.ts';
import { route } from '../route.ts';
import type { ApiKeyRecord } from '../stores.ts';

const shape = {
  id: z.uuid(),
  name: z.string(),
  role: z.enum(ROLES),
  created_at: shownTimestamp,
  last_used_at: shownTimestamp.nullable(),
  expires_at: shownTimestamp.nullable(),
  revoked_at: shownTimestamp.nullable(),
};
const shown = z.strictObject(shape).meta({ id: 'ApiKey' });
const shownWithKey = z
  .strictObject({ ...shape, key: z.string().meta({ description: 'Shown this once.' }) })
  .meta({ id: 'NewApiKey' });

const createKey = route({
  method: 'POST',
  path: '/v1/api-keys',
  tag: 'api-keys',
  summary: 'Create an API key',
  permission: 'manage-keys',
  body: record({
    name: text(100),
    role: z.enum(ROLES),
    expires_at: timestamp.nullable().optional(),
  }),
  answers: { 201: shownWithKey },
  example: { name: 'billing', role: 'support' },
  async handle({ body, stores, nowMs }) {
    const expiresAtMs = body.expires_at ?? undefined;
    if (expiresAtMs !== undefined && expiresAtMs <= nowMs) {
      throw new ProblemError(
        invalidBody([{ pointer: '/expires_at', detail: 'must be in the future' }]),
      );
    }
    const { key, ...created } = await stores.apiKeys.create({
      name: body.name,
      role: body.role,
      expiresAtMs,
    });
    return { status: 201, body: { ...show(created), key }, location: `/v1/api-keys/${created.id}` };
  },
});

const listKeys = route({
  method: 'GET',
  path: '/v1/api-keys',
  tag: 'api-keys',
  summary: 'List API keys, the oldest first, revoked ones too',
  permission: 'manage-keys',
  query: record({ limit, cursor: cursor.optional() }),
  answers: { 200: listOf(shown) },
  async handle({ query: { limit, cursor }, stores }) {
    const [after] = cursor === undefined ? [] : (decodeCursor('api-keys', 1, cursor) ?? ['']);
    if (after !== undefined && !uuid.safeParse(after).success)
      throw new ProblemError(foreignCursor());
    const records = await stores.apiKeys.list({ limit: limit + 1, after });
    const page = records.slice(0, limit);
    const last = page.at(-1);
    return {
      status: 200,
      body: {
        data: page.map(show),
        next_cursor:
          records.length > limit && last !== undefined ? encodeCursor('api-keys', [last.id]) : null,
      },
    };
  },
});

const readKey = route({
  method: 'GET',
  path: '/v1/api-keys/{api_key}',
  tag: 'api-keys',
  summary: 'Read about an API key',
  permission: 'manage-keys',
  params: record({ api_key: uuid }),
  answers: { 200: shown },
  async handle({ params, stores }) {
    const found = await stores.apiKeys.find(params.api_key);
    if (found === undefined) throw new ProblemError(noSuchKey(params.api_key));
    return { status: 200, body: show(found) };
  },
});

const revokeKey = route({
  method: 'DELETE',
  path: '/v1/api-keys/{api_key}',
  tag: 'api-keys',
  summary: 'Revoke an API key',
  description:
    'At once on the gateway that is asked, within 10 seconds on all. It stays in the list.',
  permission: 'manage-keys',
  params: record({ api_key: uuid }),
  answers: { 204: undefined },
  changesKeys: true,
  async handle({ params, stores }) {
    const isRevoked = await stores.apiKeys.revoke(params.api_key);
    if (!isRevoked) throw new ProblemError(noSuchKey(params.api_key));
    return { status: 204 };
  },
});

export const apiKeyRoutes = [listKeys, createKey, readKey, revokeKey];

function show(key: ApiKeyRecord): z.output<typeof shown> {
  return {
    id: key.id,
    name: key.name,
    role: key.role,
    created_at: iso(key.createdAtMs),
    last_used_at: isoOrNull(key.lastUsedAtMs),
    expires_at: isoOrNull(key.expiresAtMs),
    revoked_at: isoOrNull(key.revokedAtMs),
  };
}

function noSuchKey(id: string) {
  return notFound(`There is no API key with the id ${id}.`);
}
