// A route of the API as a value: who may call it, what it takes, what it answers and what it does.
// serve-route.ts carries it out; openapi.ts describes it; nothing else knows about HTTP.

import type { z } from 'zod';
import type { Random } from '../../runtime/random.ts';
import type { Caller } from './callers.ts';
import { record } from './fields.ts';
import type { Permission } from './roles.ts';
import type { Stores } from './stores.ts';

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export type Answer = {
  status: number;
  body?: unknown;
  /** The version of what is in the body. */
  version?: number;
  location?: string;
};

export type Call<Params, Query, Body> = {
  params: Params;
  query: Query;
  body: Body;
  /** The header If-Match, if there is one. */
  ifMatch: string | undefined;
  ifNoneMatch: string | undefined;
  caller: Caller;
  /** Of the transaction that the call runs in, when it may change something. */
  stores: Stores;
  nowMs: number;
  random: Random;
  newId(): string;
};

export type Route = {
  method: Method;
  /** As OpenAPI writes it: `/v1/sites/{site}`. */
  path: string;
  tag: string;
  summary: string;
  description?: string;
  permission: Permission;
  params: z.ZodType;
  query: z.ZodType;
  body: z.ZodType | undefined;
  /** By status; undefined is an answer without a body. */
  answers: { [status: number]: z.ZodType | undefined };
  /** An example of the body that is sent. */
  example?: unknown;
  bodyLimitBytes?: number;
  /** Everything it reads is of one moment. */
  snapshot?: true;
  /** After it was carried out, keys must be asked for again. */
  changesKeys?: true;
  handle(call: Call<unknown, unknown, unknown>): Promise<Answer>;
};

const nothing = record({});

/** Fills in what a route does not take, and keeps the types of its schemas for `handle`. */
export function route<
  Params extends z.ZodType = typeof nothing,
  Query extends z.ZodType = typeof nothing,
  Body extends z.ZodType = z.ZodUndefined,
>(
  definition: Omit<Route, 'params' | 'query' | 'body' | 'handle'> & {
    params?: Params;
    query?: Query;
    body?: Body;
    handle(call: Call<z.output<Params>, z.output<Query>, z.output<Body>>): Promise<Answer>;
  },
): Route {
  return {
    ...definition,
    params: definition.params ?? nothing,
    query: definition.query ?? nothing,
    body: definition.body,
    // serve-route.ts has parsed all three with these very schemas.
    handle: definition.handle,
  };
}
