// The problems that only the API has; those of every HTTP server are runtime/http/problem.ts.

import type { FieldError, Problem } from '../../runtime/http/problem.ts';
import type { Permission, Role } from './roles.ts';
import { leastRole } from './roles.ts';

export const invalidBody = (errors: FieldError[]): Problem => ({
  status: 422,
  type: 'invalid',
  title: 'The request is not valid',
  detail:
    errors.length === 1
      ? 'One value is not valid; nothing was changed.'
      : `${errors.length} values are not valid; nothing was changed.`,
  errors,
});

export const invalidParameters = (errors: FieldError[]): Problem => ({
  status: 400,
  type: 'invalid-parameters',
  title: 'The parameters are not valid',
  errors,
});

export const forbidden = (role: Role, permission: Permission): Problem => ({
  status: 403,
  type: 'forbidden',
  title: 'The role of this key may not do this',
  detail: `This needs the role ${leastRole(permission)}; the key has ${role}.`,
});

export const taken = (what: string, field: string): Problem => ({
  status: 409,
  type: 'already-exists',
  title: 'It exists already',
  detail: `Another ${what} has this ${field}.`,
  errors: [{ pointer: `/${field}`, detail: `another ${what} has this ${field}` }],
});

export const stillReferenced = (detail: string): Problem => ({
  status: 409,
  type: 'still-referenced',
  title: 'Others still need it',
  detail,
});

export const preconditionFailed = (version: number | undefined): Problem => ({
  status: 412,
  type: 'precondition-failed',
  title: 'It has changed in the meantime',
  detail:
    version === undefined
      ? 'It does not exist, so no ETag matches.'
      : `Its ETag is "${version}" now. Read it again, then decide.`,
});

export const keyOfOtherRequest = (): Problem => ({
  status: 422,
  type: 'idempotency-key-reused',
  title: 'The Idempotency-Key belongs to another request',
  detail:
    'This key came with another method, path or body before. Use a new key for a new request.',
});

export const stillRunning = (): Problem => ({
  status: 409,
  type: 'still-running',
  title: 'The same request is being carried out',
  detail: 'Send it again in a moment, with the same Idempotency-Key, for its answer.',
  retryAfterSeconds: 1,
});

export const tooManyRequests = (limitPerMinute: number, retryAfterSeconds: number): Problem => ({
  status: 429,
  type: 'too-many-requests',
  title: 'Too many requests',
  detail: `${limitPerMinute} per minute are allowed. POST /v1/apply changes many things at once.`,
  retryAfterSeconds,
});
