// The routes that every resource has: list, create, read, change, put, delete.

import { z } from 'zod';
import { ProblemError, badRequest, notFound } from '../../runtime/http/problem.ts';
import { decodeCursor, encodeCursor } from './cursor.ts';
import { cursor, idOrName, limit, listOf, optional, record } from './fields.ts';
import { invalidBody, preconditionFailed, stillReferenced, taken } from './problems.ts';
import { resolveReferences } from './references.ts';
import { isSame } from './resource.ts';
import type { Change, Input, Resource } from './resource.ts';
import type { Permission } from './roles.ts';
import { route } from './route.ts';
import type { Call, Route } from './route.ts';
import type { Stored, Stores, Written } from './stores.ts';

export function resourceRoutes<
  Shape extends z.ZodRawShape,
  Record extends Stored,
  Values extends object,
>(
  resource: Resource<Shape, Record, Values>,
  options: { write: Permission },
): { list: Route; create: Route; read: Route; change: Route; put: Route; remove: Route } {
  const { plural, singular, key, shown } = resource;
  const tag = plural;
  const path = `/v1/${plural}`;
  const onePath = `${path}/{${singular}}`;
  const params = record({ [singular]: idOrName });
  const article = `the ${singular}`;
  const bodies = bodiesOf(resource);

  const found = async (idOrKey: string, stores: Stores, lock?: 'lock'): Promise<Record> => {
    const record = await resource.collection(stores).find(idOrKey, lock);
    if (record === undefined)
      throw new ProblemError(notFound(`There is no ${singular} ${JSON.stringify(idOrKey)}.`));
    return record;
  };

  /** What the input makes of a record, written if that is anything new. */
  const write = async (
    input: Input<Shape>,
    present: Record | undefined,
    leftOut: Change<Record>['leftOut'],
    { stores, nowMs, newId }: Pick<Call<unknown, unknown, unknown>, 'stores' | 'nowMs' | 'newId'>,
  ): Promise<Record> => {
    const references = await resolveReferences(resource, [input], stores);
    const values = resource.change(input, { present, leftOut, nowMs, ...references });
    const collection = resource.collection(stores);
    if (present === undefined)
      return only(await collection.insert([{ ...values, id: newId() }]), singular);
    const isSecretSent = resource.secret !== undefined && input[resource.secret] !== undefined;
    if (!isSecretSent && isSame(values, resource.valuesOf(present))) return present;
    return only(await collection.update([{ ...values, id: present.id }]), singular);
  };

  const shownAs = (status: number, record: Record) => ({
    status,
    body: resource.show(record),
    version: record.version,
    ...(status === 201
      ? { location: `${path}/${encodeURIComponent(resource.nameOf(record))}` }
      : {}),
  });

  return {
    list: route({
      method: 'GET',
      path,
      tag,
      summary: `List ${plural}`,
      description: `In the order of ${key}. A page goes on where its cursor says, whatever is added meanwhile.`,
      permission: 'read',
      query: record({
        limit,
        cursor: cursor.optional(),
        ...Object.fromEntries(resource.filters.map((filter) => [filter, idOrName.optional()])),
      }),
      answers: { 200: listOf(shown) },
      async handle({ query, stores }) {
        const { limit, cursor, ...filters } = query as {
          limit: number;
          cursor?: string | undefined;
          [filter: string]: unknown;
        };
        const after = cursor === undefined ? undefined : decodeCursor(plural, 1, cursor);
        if (cursor !== undefined && after === undefined) throw new ProblemError(foreignCursor());
        const records = await resource.collection(stores).list({
          limit: limit + 1,
          after: after?.[0],
          filters: filters as { [name: string]: string | undefined },
        });
        const page = records.slice(0, limit);
        const last = page.at(-1);
        return {
          status: 200,
          body: {
            data: page.map(resource.show),
            next_cursor:
              records.length > limit && last !== undefined
                ? encodeCursor(plural, [resource.nameOf(last)])
                : null,
          },
        };
      },
    }),

    create: route({
      method: 'POST',
      path,
      tag,
      summary: `Create a ${singular}`,
      permission: options.write,
      body: bodies.create,
      answers: { 201: shown },
      example: resource.example,
      async handle(call) {
        return shownAs(201, await write(call.body as Input<Shape>, undefined, 'default', call));
      },
    }),

    read: route({
      method: 'GET',
      path: onePath,
      tag,
      summary: `Read a ${singular}, by id or ${key}`,
      permission: 'read',
      params,
      answers: { 200: shown },
      async handle({ params, stores }) {
        return shownAs(200, await found(params[singular] ?? '', stores));
      },
    }),

    change: route({
      method: 'PATCH',
      path: onePath,
      tag,
      summary: `Change what is sent of ${article}`,
      description:
        'What is left out stays. Null takes a value away. If-Match makes it fail when somebody was quicker.',
      permission: options.write,
      params,
      body: bodies.change,
      answers: { 200: shown },
      example: Object.fromEntries(Object.entries(resource.example).slice(-1)),
      async handle(call) {
        const present = await found(call.params[singular] ?? '', call.stores, 'lock');
        requireMatch(call.ifMatch, present.version);
        return shownAs(200, await write(call.body as Input<Shape>, present, 'kept', call));
      },
    }),

    put: route({
      method: 'PUT',
      path: onePath,
      tag,
      summary: `Create ${article} of this ${key}, or make it exactly this`,
      description:
        `What is left out takes its default${resource.secret === undefined ? '' : `, except ${resource.secret}, which stays`}. ` +
        '`If-None-Match: *` makes it fail when it exists already.',
      permission: options.write,
      params,
      body: bodies.put,
      answers: { 200: shown, 201: shown },
      example: Object.fromEntries(
        Object.entries(resource.example).filter(([field]) => field !== key),
      ),
      async handle(call) {
        const idOrKey = call.params[singular] ?? '';
        const present = await resource.collection(call.stores).find(idOrKey, 'lock');
        if (call.ifMatch !== undefined || call.ifNoneMatch !== undefined) {
          if (call.ifNoneMatch === '*' && present !== undefined) {
            throw new ProblemError(preconditionFailed(present.version));
          }
          requireMatch(call.ifMatch, present?.version);
        }
        const name = present === undefined ? idOrKey : resource.nameOf(present);
        const input = namedInput(resource, call.body as Input<Shape>, name);
        if (present === undefined) requireSecret(resource, input);
        return shownAs(
          present === undefined ? 201 : 200,
          await write(input, present, 'default', call),
        );
      },
    }),

    remove: route({
      method: 'DELETE',
      path: onePath,
      tag,
      summary: `Delete ${article}`,
      description:
        'Refused with 409 while others refer to it. Sessions stay: they are what happened.',
      permission: 'manage',
      params,
      answers: { 204: undefined },
      async handle({ params, stores, ifMatch }) {
        const present = await found(params[singular] ?? '', stores, 'lock');
        requireMatch(ifMatch, present.version);
        const outcome = await resource.collection(stores).delete(present.id);
        if (outcome === 'referenced') {
          throw new ProblemError(
            stillReferenced(await describeReferences(resource, present, stores)),
          );
        }
        return { status: 204 };
      },
    }),
  };
}

/** The schema of a new one, of a change, and of a put: they differ in what must be there. */
function bodiesOf<Shape extends z.ZodRawShape, Record extends Stored, Values>(
  resource: Resource<Shape, Record, Values>,
) {
  const { shape, key, secret, check } = resource;
  const mayBeLeftOut = secret === undefined ? [key] : [key, secret];
  const put = Object.fromEntries(
    Object.entries(shape).map(([field, schema]) => [
      field,
      mayBeLeftOut.includes(field) ? z.optional(schema) : schema,
    ]),
  );
  const checked = (schema: z.ZodType): z.ZodType =>
    check === undefined
      ? schema
      : schema.superRefine((input, context) => check(input as Input<Shape>, context));
  return {
    create: checked(record(shape)),
    change: checked(record(optional(shape))),
    put: checked(record(put)),
  };
}

/** The name in the path is the name; one in the body as well must be the same. */
function namedInput<Shape extends z.ZodRawShape, Record extends Stored, Values>(
  { key, shape }: Resource<Shape, Record, Values>,
  input: Input<Shape>,
  name: string,
): Input<Shape> {
  const inBody: unknown = input[key];
  if (inBody !== undefined && inBody !== name) {
    throw new ProblemError(
      invalidBody([{ pointer: `/${key}`, detail: 'is not the one in the path; PATCH renames' }]),
    );
  }
  const good = (shape[key] as z.ZodType).safeParse(name);
  if (!good.success) {
    const detail = good.error.issues[0]?.message ?? 'is not possible';
    throw new ProblemError(badRequest(`The ${key} in the path ${detail}.`));
  }
  return { ...input, [key]: name };
}

function requireSecret<Shape extends z.ZodRawShape, Record extends Stored, Values>(
  { secret }: Resource<Shape, Record, Values>,
  input: Input<Shape>,
): void {
  if (secret === undefined || input[secret] !== undefined) return;
  throw new ProblemError(invalidBody([{ pointer: `/${secret}`, detail: 'this is missing' }]));
}

/** RFC 9110 §13.1.1. Our ETags are strong, so a weak one matches nothing. */
function requireMatch(ifMatch: string | undefined, version: number | undefined): void {
  if (ifMatch === undefined) return;
  const wanted = ifMatch.split(',').map((tag) => tag.trim());
  const matches =
    version !== undefined && (wanted.includes('*') || wanted.includes(`"${version}"`));
  if (!matches) throw new ProblemError(preconditionFailed(version));
}

async function describeReferences<Shape extends z.ZodRawShape, Record extends Stored, Values>(
  resource: Resource<Shape, Record, Values>,
  present: Record,
  stores: Stores,
): Promise<string> {
  const name = resource.nameOf(present);
  const holders: string[] = [];
  for (const { resource: plural, filter } of resource.referencedBy) {
    const some = await stores[plural].list({
      limit: 3,
      after: undefined,
      filters: { [filter]: name },
    });
    const names = some.map((one) =>
      'name' in one ? one.name : 'code' in one ? one.code : one.username,
    );
    if (names.length > 0) holders.push(`${plural} such as ${names.join(', ')}`);
  }
  return `${resource.singular} ${name} is still needed by ${holders.join(' and ')}. Delete or move them first.`;
}

function only<Record>(written: Written<Record>, what: string): Record {
  if (written.kind === 'taken') throw new ProblemError(taken(what, written.field));
  const [record] = written.records;
  if (record === undefined) throw new Error(`a ${what} was written, but no row came back`);
  return record;
}

export function foreignCursor() {
  return badRequest(
    'The cursor is not one of this list; take next_cursor from its last page as it is.',
  );
}
