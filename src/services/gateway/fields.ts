// The values that bodies and parameters are made of: what each may be, and in words that help. The
// same schemas check requests and describe them in the OpenAPI document.

import { z } from 'zod';
import { formatNetwork, parseNetwork } from '../../domain/network-address.ts';
import type { Parsed } from '../../domain/units.ts';

/** An object with these keys and no others. */
export function record<Shape extends z.ZodRawShape>(shape: Shape) {
  const keys = Object.keys(shape);
  const allowed = keys.length === 0 ? 'none is allowed' : `allowed are ${keys.join(', ')}`;
  return z.strictObject(shape, {
    error: (issue) => (issue.code === 'unrecognized_keys' ? allowed : undefined),
  });
}

/** Every key of the shape may be left out. */
export function optional<Shape extends z.ZodRawShape>(shape: Shape) {
  const entries = Object.entries(shape).map(([key, schema]) => [key, z.optional(schema)]);
  return Object.fromEntries(entries) as { [Key in keyof Shape]: z.ZodOptional<Shape[Key]> };
}

/** A text for people: no control characters, which would spoil lists, logs and headers. */
export function text(maxBytes: number) {
  return z
    .string()
    .min(1, 'must not be empty')
    .max(maxBytes, `must not have more than ${maxBytes} bytes`)
    .refine(
      (value) => Buffer.byteLength(value) <= maxBytes,
      `must not have more than ${maxBytes} bytes`,
    )
    .refine((value) => !/\p{Cc}/u.test(value), 'must not contain control characters')
    .refine((value) => value.isWellFormed(), 'must be well-formed Unicode');
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** A text that names one thing: it must not look like an id, since either can stand in a path. */
export function name(maxBytes: number) {
  return text(maxBytes)
    .refine((value) => value === value.trim(), 'must not begin or end with a blank')
    .refine((value) => !UUID.test(value), 'must not look like an id');
}

export const uuid = z
  .string()
  .regex(UUID, 'must be an id, such as 0197a3c2-7d4e-7000-8000-5e3f9a1b2c3d');

/** In a path or a reference: an id, or the name, username or code. */
export const idOrName = text(253);

const LAST_MS = Date.parse('9999-01-01T00:00:00Z');

export const timestamp = z.iso
  .datetime({ offset: true, error: 'must be a time such as 2030-01-31T12:00:00Z' })
  .transform((value) => Date.parse(value))
  // What PostgreSQL and JavaScript write alike: neither BC nor five digits of a year.
  .refine((timeMs) => timeMs >= 0 && timeMs < LAST_MS, 'must be a time from 1970 to 9998');

/** As answers print it. */
export const shownTimestamp = z.iso.datetime();

export function iso(timeMs: number): string {
  return new Date(timeMs).toISOString();
}

export function isoOrNull(timeMs: number | undefined): string | null {
  return timeMs === undefined ? null : iso(timeMs);
}

/** A text that a parser of domain/ turns into a value, or refuses with its own sentence. */
export function parsed<T>(parse: (written: string) => Parsed<T>, example: string) {
  return z
    .string({
      error: ({ input }) =>
        input === undefined ? undefined : `must be a text such as ${JSON.stringify(example)}`,
    })
    .meta({ examples: [example] })
    .transform((written, context): T => {
      const result = parse(written);
      if (result.kind === 'parsed') return result.value;
      context.addIssue({ code: 'custom', message: result.reason });
      return z.NEVER;
    });
}

export const network = parsed<string>((written) => {
  const result = parseNetwork(written);
  return result.kind === 'parsed' ? { kind: 'parsed', value: formatNetwork(result.value) } : result;
}, '10.0.0.0/8');

export const positiveInteger = z.int().min(1);

/** In a query, where everything is text. */
export const flag = z.enum(['true', 'false']).transform((value) => value === 'true');

export const limit = z.coerce
  .number('must be a whole number from 1 to 200')
  .int('must be a whole number from 1 to 200')
  .min(1, 'must be at least 1')
  .max(200, 'must be at most 200')
  .default(50);

export const cursor = z.string().max(2_000);

/** What every resource answers besides its own values. */
export const storedShape = {
  id: z.uuid(),
  version: z.int(),
  created_at: shownTimestamp,
  updated_at: shownTimestamp,
};

export function shownStored(stored: {
  id: string;
  version: number;
  createdAtMs: number;
  updatedAtMs: number;
}) {
  return {
    id: stored.id,
    version: stored.version,
    created_at: iso(stored.createdAtMs),
    updated_at: iso(stored.updatedAtMs),
  };
}

export function listOf<T extends z.ZodType>(item: T) {
  return z.strictObject({ data: z.array(item), next_cursor: z.string().nullable() });
}
