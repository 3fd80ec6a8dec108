// Names of sites and plans in what was sent, found in the store; a name that nothing has is an error
// of the field that has it.

import type { z } from 'zod';
import { ProblemError } from '../../runtime/http/problem.ts';
import type { FieldError } from '../../runtime/http/problem.ts';
import { invalidBody } from './problems.ts';
import type { References, Resource } from './resource.ts';
import type { Stored, Stores } from './stores.ts';

export type ResolvedReferences = { sites: References; plans: References };

type WithReferences = Pick<Resource<z.ZodRawShape, Stored, object>, 'references'>;

/** Throws a problem that names every field whose site or plan does not exist. */
export async function resolveReferences(
  resource: WithReferences,
  inputs: object[],
  stores: Stores,
): Promise<ResolvedReferences> {
  const resolved = await findReferences([{ resource, inputs }], stores);
  const errors = inputs.flatMap((input) => missingReferences(resource, input, resolved, ''));
  if (errors.length > 0) throw new ProblemError(invalidBody(errors));
  return resolved;
}

export async function findReferences(
  groups: { resource: WithReferences; inputs: object[] }[],
  stores: Stores,
): Promise<ResolvedReferences> {
  const wanted = { sites: new Set<string>(), plans: new Set<string>() };
  for (const { resource, inputs } of groups) {
    for (const input of inputs) {
      for (const { kind, name } of referencesOf(resource, input)) wanted[kind].add(name);
    }
  }
  const [sites, plans] = await Promise.all([
    wanted.sites.size === 0 ? [] : stores.sites.findMany([...wanted.sites]),
    wanted.plans.size === 0 ? [] : stores.plans.findMany([...wanted.plans]),
  ]);
  return { sites: byIdAndName(sites), plans: byIdAndName(plans) };
}

export function missingReferences(
  resource: WithReferences,
  input: object,
  { sites, plans }: ResolvedReferences,
  pointer: string,
): FieldError[] {
  return referencesOf(resource, input)
    .filter(({ kind, name }) => !{ sites, plans }[kind].has(name))
    .map(({ field, kind, name }) => ({
      pointer: `${pointer}/${field}`,
      detail: `there is no ${kind === 'sites' ? 'site' : 'plan'} ${JSON.stringify(name)}`,
    }));
}

function referencesOf(resource: WithReferences, input: object) {
  const fields: { [field: string]: unknown } = { ...input };
  return Object.entries(resource.references).flatMap(([field, kind]) => {
    const name = fields[field];
    return typeof name === 'string' ? [{ field, kind, name }] : [];
  });
}

function byIdAndName(records: (Stored & { name: string })[]): References {
  return new Map(
    records.flatMap((record) => [[record.id, record] as const, [record.name, record] as const]),
  );
}
