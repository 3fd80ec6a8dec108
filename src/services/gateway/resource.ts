// What sites, routers, plans, subscribers and vouchers have in common, as one definition each
// (routes/<resource>.ts): from it come their routes (resource-routes.ts) and their part in apply.

import { isDeepStrictEqual } from 'node:util';
import type { z } from 'zod';
import type { Collection, Stored, Stores } from './stores.ts';

export type ResourceName = 'sites' | 'routers' | 'plans' | 'subscribers' | 'vouchers';

/** What a field that names another resource may name, by id and by name. */
export type References = Map<string, { id: string }>;

export type Change<Record> = {
  /** Undefined when it is new. */
  present: Record | undefined;
  /** Whether what the input leaves out stays as it is, or takes its default. */
  leftOut: 'kept' | 'default';
  sites: References;
  plans: References;
  nowMs: number;
};

export type Resource<Shape extends z.ZodRawShape, Record extends Stored, Values> = {
  plural: ResourceName;
  singular: string;
  /** The field that names one: unique, and good in a path. */
  key: string & keyof Shape;
  /** The fields that a body may have. Those needed for a new one are not optional. */
  shape: Shape;
  /** The field that is written and never shown; an existing one keeps its own when it is left out. */
  secret?: (string & keyof Shape) | undefined;
  /** Fields that must agree with each other. */
  check?: (input: Input<Shape>, context: z.core.$RefinementCtx) => void;
  /** The fields that name another resource. */
  references: { [field: string]: 'sites' | 'plans' };
  /** Those that hold on to it, and the filter that finds them. */
  referencedBy: { resource: ResourceName; filter: string }[];
  /** The fields by which a list can be narrowed. */
  filters: string[];
  shown: z.ZodType;
  collection(stores: Stores): Collection<Record, Values>;
  secrets?: (stores: Stores, ids: string[]) => Promise<Map<string, Buffer>>;
  nameOf(record: Record): string;
  /** As answers have it. */
  show(record: Record): { [field: string]: unknown };
  /** As a document for apply has it, without the secret. */
  export(record: Record): { [field: string]: unknown };
  valuesOf(record: Record): Values;
  /** What it is to be, from what was sent and what is there. */
  change(input: Input<Shape>, change: Change<Record>): Values;
  example: { [field: string]: unknown };
};

/** What a body says, parsed. Which fields must be there depends on the call. */
export type Input<Shape extends z.ZodRawShape> = Partial<{
  [Key in keyof Shape]: z.output<Shape[Key]> | undefined;
}>;

/** Whether carrying out the change would change anything but the secret. */
export function isSame<Values extends object>(one: Values, other: Values): boolean {
  const open = (values: Values) => ({ ...values, secret: undefined, password: undefined });
  return isDeepStrictEqual(open(one), open(other));
}

/** The sent value, or the present one if none was sent. Null is none at all. */
export function chosen<T>(sent: T | null | undefined, present: T | undefined): T | undefined {
  return sent === null ? undefined : (sent ?? present);
}
