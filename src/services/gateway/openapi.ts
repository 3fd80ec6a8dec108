// The OpenAPI 3.1 document, put together from the routes and the very schemas that check requests.
// https://spec.openapis.org/oas/v3.1.1.html

import { z } from 'zod';
import type { Route } from './route.ts';
import { leastRole } from './roles.ts';

type Json = { [key: string]: unknown };

export const problemSchema = z
  .strictObject({
    type: z.string().meta({ examples: ['urn:evergate:problem:invalid'] }),
    title: z.string(),
    status: z.int(),
    detail: z.string().optional(),
    instance: z.string(),
    request_id: z.string(),
    errors: z
      .array(
        z.union([
          z.strictObject({ pointer: z.string(), detail: z.string() }),
          z.strictObject({ parameter: z.string(), detail: z.string() }),
        ]),
      )
      .optional(),
  })
  .meta({ id: 'Problem', description: 'RFC 9457. `errors` names every field that is wrong.' });

export function openApiDocument(routes: Route[], version: string): Json {
  const schemas: Json = {};
  const paths: { [path: string]: Json } = {};
  toJsonSchema(problemSchema, 'output', schemas);
  for (const route of routes) {
    paths[route.path] = {
      ...paths[route.path],
      [route.method.toLowerCase()]: operation(route, schemas),
    };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Evergate',
      version,
      description:
        'Network access that stays on. JSON, snake_case. Lists come in pages: `next_cursor` of one is `cursor` of the next. Errors are problem documents. An unsafe call that carries an `Idempotency-Key` is carried out once, however often it is sent within 24 hours.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    security: [{ apiKey: [] }],
    tags: [...new Set(routes.map(({ tag }) => tag))].map((name) => ({ name })),
    paths,
    components: {
      schemas,
      responses: {
        Problem: {
          description: 'It was refused, or could not be done; nothing was changed.',
          content: {
            'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } },
          },
        },
      },
      securitySchemes: {
        apiKey: {
          type: 'http',
          scheme: 'bearer',
          description: 'An API key: `evergate token create --role ROLE` makes one.',
        },
      },
    },
  };
}

function operation(route: Route, schemas: Json): Json {
  const isUnsafe = route.method !== 'GET';
  const problems = [
    400,
    401,
    403,
    429,
    503,
    ...(isUnsafe ? [409, 422] : []),
    ...(route.path.includes('{') ? [404] : []),
  ];
  if (['PUT', 'PATCH', 'DELETE'].includes(route.method)) problems.push(412);
  return {
    operationId: operationId(route),
    tags: [route.tag],
    summary: route.summary,
    description: [route.description, `Least role: ${leastRole(route.permission)}.`]
      .filter((line) => line !== undefined)
      .join('\n\n'),
    parameters: [
      ...parameters('path', route.params, schemas),
      ...parameters('query', route.query, schemas),
      ...headers(route),
    ],
    ...(route.body === undefined
      ? {}
      : {
          requestBody: {
            required: true,
            content: {
              'application/json': {
                schema: toJsonSchema(route.body, 'input', schemas),
                ...(route.example === undefined ? {} : { example: route.example }),
              },
            },
          },
        }),
    responses: {
      ...Object.fromEntries(
        Object.entries(route.answers).map(([status, schema]) => [
          status,
          success(route, schema, schemas),
        ]),
      ),
      ...Object.fromEntries(
        problems
          .toSorted((one, other) => one - other)
          .map((status) => [String(status), { $ref: '#/components/responses/Problem' }]),
      ),
    },
  };
}

function success(route: Route, schema: z.ZodType | undefined, schemas: Json): Json {
  if (schema === undefined) return { description: 'Done.' };
  return {
    description: route.summary,
    content: { 'application/json': { schema: toJsonSchema(schema, 'output', schemas) } },
  };
}

function parameters(place: 'path' | 'query', schema: z.ZodType, schemas: Json): Json[] {
  const { properties = {}, required = [] } = toJsonSchema(schema, 'input', schemas) as {
    properties?: { [name: string]: Json };
    required?: string[];
  };
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    schema,
  }));
}

function headers(route: Route): Json[] {
  const header = (name: string, description: string) => ({
    name,
    in: 'header',
    required: false,
    description,
    schema: { type: 'string' },
  });
  return [
    ...(route.method === 'GET'
      ? []
      : [header('Idempotency-Key', 'The same request with the same key is carried out once.')]),
    ...(['PUT', 'PATCH', 'DELETE'].includes(route.method)
      ? [header('If-Match', 'The ETag it must still have.')]
      : []),
    ...(route.method === 'PUT' ? [header('If-None-Match', '`*`: it must not exist yet.')] : []),
  ];
}

/** `list_sites`, `create_site` …: stable names for generated clients. */
function operationId({ method, path }: Route): string {
  const parts = path.split('/').slice(2);
  const what = parts.map((part) => part.replaceAll(/[{}]/g, '').replaceAll('-', '_')).join('_by_');
  return `${method.toLowerCase()}_${what}`;
}

/** Schemas with a name of their own go to `components`, and are referred to. */
function toJsonSchema(schema: z.ZodType, io: 'input' | 'output', schemas: Json): Json {
  const {
    $schema: _,
    $defs = {},
    ...converted
  } = z.toJSONSchema(schema, { io }) as Json & {
    $defs?: Json;
  };
  for (const [name, definition] of Object.entries($defs)) schemas[name] = moved(definition);
  return moved(converted) as Json;
}

function moved(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(moved);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, child]) =>
      key === '$ref' && typeof child === 'string'
        ? [key, child.replace('#/$defs/', '#/components/schemas/')]
        : [key, moved(child)],
    ),
  );
}
