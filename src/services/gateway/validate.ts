// From what zod found wrong to what the caller can mend: every error at once, each with the place
// where it is and a sentence about it.

import type { z } from 'zod';
import type { FieldError } from '../../runtime/http/problem.ts';

/** More would not be read. */
const MAX_ERRORS = 100;

/** Errors in a body, with JSON pointers (RFC 6901). */
export function bodyErrors(error: z.ZodError): FieldError[] {
  return flatten(error).map(({ path, detail }) => ({ pointer: pointerTo(path), detail }));
}

/** Errors in path or query parameters, with their names. */
export function parameterErrors(error: z.ZodError): FieldError[] {
  return flatten(error).map(({ path, detail }) => ({
    parameter: path.map(String).join('.'),
    detail,
  }));
}

function pointerTo(path: PropertyKey[]): string {
  return path
    .map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`)
    .join('');
}

function flatten(error: z.ZodError): { path: PropertyKey[]; detail: string }[] {
  return error.issues
    .flatMap((issue) => {
      if (issue.code === 'unrecognized_keys') {
        const detail = `there is no such key here; ${issue.message}`;
        return issue.keys.map((key) => ({ path: [...issue.path, key], detail }));
      }
      return [{ path: issue.path, detail: sentence(issue) }];
    })
    .slice(0, MAX_ERRORS);
}

function sentence(issue: z.core.$ZodIssue): string {
  if (issue.message.endsWith('received undefined')) return 'this is missing';
  return issue.message.replace(/^Invalid (?:input|option): /, '');
}
