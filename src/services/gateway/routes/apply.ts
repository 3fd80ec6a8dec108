// Apply: a document says what is to be, and one transaction makes it so, or nothing. What the
// document does not name is left alone, and so is every field that it leaves out of what exists;
// nothing is ever deleted. Applying twice changes nothing the second time.

import { z } from 'zod';
import { ProblemError } from '../../../runtime/http/problem.ts';
import type { FieldError, Problem } from '../../../runtime/http/problem.ts';
import { flag, record } from '../fields.ts';
import { invalidBody, taken } from '../problems.ts';
import { findReferences, missingReferences } from '../references.ts';
import type { ResolvedReferences } from '../references.ts';
import { isSame } from '../resource.ts';
import type { Input, Resource, ResourceName } from '../resource.ts';
import { route } from '../route.ts';
import type { Call } from '../route.ts';
import type { Stored, Stores } from '../stores.ts';
import { plans } from './plans.ts';
import { routers } from './routers.ts';
import { sites } from './sites.ts';
import { subscribers } from './subscribers.ts';
import { vouchers } from './vouchers.ts';

const MAX_ITEMS = 100_000;
const BODY_LIMIT_BYTES = 16 * 1024 * 1024;

const documentBody = record({
  sites: itemsOf(sites),
  routers: itemsOf(routers),
  plans: itemsOf(plans),
  subscribers: itemsOf(subscribers),
  vouchers: itemsOf(vouchers),
});

const counts = z.strictObject({ created: z.int(), changed: z.int(), unchanged: z.int() });
const CHANGES = ['created', 'changed', 'unchanged'] as const;

const shown = z
  .strictObject({
    dry_run: z.boolean(),
    sites: counts,
    routers: counts,
    plans: counts,
    subscribers: counts,
    vouchers: counts,
    changes: z.array(
      z.strictObject({
        kind: z.enum(['site', 'router', 'plan', 'subscriber', 'voucher']),
        name: z.string(),
        change: z.enum(CHANGES),
      }),
    ),
  })
  .meta({ id: 'Applied' });

const applyDocument = route({
  method: 'POST',
  path: '/v1/apply',
  tag: 'apply',
  summary: 'Make a document true',
  description:
    'Sites, routers, plans, subscribers and vouchers, all or nothing, in one transaction. What is not in the document stays as it is; an optional field that is left out keeps its value, or takes its default when the thing is new. `dry_run=true` says what would change.',
  permission: 'manage',
  query: record({ dry_run: flag.optional() }),
  body: documentBody,
  bodyLimitBytes: BODY_LIMIT_BYTES,
  answers: { 200: shown },
  example: {
    sites: [sites.example],
    routers: [routers.example],
    plans: [plans.example],
    subscribers: [subscribers.example],
    vouchers: [vouchers.example],
  },
  async handle({ body, query, stores, nowMs, newId }) {
    // One at a time: two documents about the same things would otherwise refuse each other.
    await stores.lock('apply');
    const parts = [
      await readPart(sites, body.sites, stores, newId),
      await readPart(plans, body.plans, stores, newId),
      await readPart(routers, body.routers, stores, newId),
      await readPart(subscribers, body.subscribers, stores, newId),
      await readPart(vouchers, body.vouchers, stores, newId),
    ];

    const references = await findReferences(parts, stores);
    for (const { resource, added } of parts) {
      if (resource.plural !== 'sites' && resource.plural !== 'plans') continue;
      for (const [name, id] of added) references[resource.plural].set(name, { id });
    }

    const errors = parts.flatMap((part) => part.errorsWith(references));
    errors.push(...(await takenAddresses(body.routers ?? [], stores)));
    if (errors.length > 0) throw new ProblemError(invalidBody(errors.slice(0, 100)));

    const isDryRun = query.dry_run === true;
    const applied: Applied[] = [];
    for (const part of parts) applied.push(...(await part.write(references, nowMs, isDryRun)));
    return { status: 200, body: summary(applied, isDryRun) };
  },
});

export const applyRoutes = [applyDocument];

type Applied = {
  plural: ResourceName;
  kind: string;
  name: string;
  change: (typeof CHANGES)[number];
};

/** One list of the document, with what is there of it already. */
type Part = {
  resource: Pick<Resource<z.ZodRawShape, Stored, object>, 'plural' | 'references'>;
  inputs: object[];
  /** The ids of those that are new, by name. */
  added: Map<string, string>;
  errorsWith(references: ResolvedReferences): FieldError[];
  write(references: ResolvedReferences, nowMs: number, isDryRun: boolean): Promise<Applied[]>;
};

async function readPart<Shape extends z.ZodRawShape, Record extends Stored, Values extends object>(
  resource: Resource<Shape, Record, Values>,
  sent: unknown[] | undefined,
  stores: Stores,
  newId: Call<unknown, unknown, unknown>['newId'],
): Promise<Part> {
  const { plural, singular, key, secret } = resource;
  const inputs = (sent ?? []) as Input<Shape>[]; // parsed with the schema of itemsOf
  const named = inputs.map((input, index) => ({ input, index, name: String(input[key]) }));
  const names = named.map(({ name }) => name);
  const collection = resource.collection(stores);
  const records = names.length === 0 ? [] : await collection.findMany(names, 'lock');
  const present = new Map(records.map((record) => [resource.nameOf(record), record]));
  const added = new Map(names.filter((name) => !present.has(name)).map((name) => [name, newId()]));

  /** Codes of vouchers may not differ in their case alone, which no name shows beforehand. */
  function takenBy({ field, value }: { field: string; value: string | undefined }): Problem {
    const problem = taken(singular, field);
    const index = names.findIndex((name) => name.toUpperCase() === value?.toUpperCase());
    if (field !== key || index === -1) return problem;
    const detail = `another ${singular} has this ${field}, which may not differ from it in case alone`;
    return { ...problem, errors: [{ pointer: `/${plural}/${index}/${key}`, detail }] };
  }

  return {
    resource,
    inputs,
    added,

    errorsWith(references) {
      const seen = new Set<string>();
      return named.flatMap(({ input, index, name }) => {
        const pointer = `/${plural}/${index}`;
        const errors = missingReferences(resource, input, references, pointer);
        if (seen.has(name)) {
          errors.push({
            pointer: `${pointer}/${key}`,
            detail: `${JSON.stringify(name)} is there twice`,
          });
        }
        seen.add(name);
        if (secret !== undefined && input[secret] === undefined && added.has(name)) {
          errors.push({
            pointer: `${pointer}/${secret}`,
            detail: `this is missing: ${singular} ${name} is new`,
          });
        }
        return errors;
      });
    },

    async write(references, nowMs, isDryRun) {
      const secrets = await presentSecrets(resource, records, stores);
      const created: (Values & { id: string })[] = [];
      const changed: (Values & { id: string })[] = [];
      const applied = named.map(({ input, name }): Applied => {
        const record = present.get(name);
        const values = resource.change(input, {
          present: record,
          leftOut: 'kept',
          nowMs,
          ...references,
        });
        if (record === undefined) {
          created.push({ ...values, id: added.get(name) ?? newId() });
          return { plural, kind: singular, name, change: 'created' };
        }
        const sentSecret: unknown = secret === undefined ? undefined : input[secret];
        const isSecretNew =
          typeof sentSecret === 'string' && secrets.get(record.id)?.toString() !== sentSecret;
        if (!isSecretNew && isSame(values, resource.valuesOf(record))) {
          return { plural, kind: singular, name, change: 'unchanged' };
        }
        changed.push({ ...values, id: record.id });
        return { plural, kind: singular, name, change: 'changed' };
      });
      if (isDryRun) return applied;
      for (const [rows, write] of [
        [changed, collection.update], // first: a new router may take the address that one leaves
        [created, collection.insert],
      ] as const) {
        if (rows.length === 0) continue;
        const written = await write(rows);
        if (written.kind === 'taken') throw new ProblemError(takenBy(written));
      }
      return applied;
    },
  };
}

/** Only of those whose secret may have to be compared. */
async function presentSecrets<Shape extends z.ZodRawShape, Record extends Stored, Values>(
  resource: Resource<Shape, Record, Values>,
  records: Record[],
  stores: Stores,
): Promise<Map<string, Buffer>> {
  if (resource.secrets === undefined || records.length === 0) return new Map();
  return await resource.secrets(
    stores,
    records.map(({ id }) => id),
  );
}

/** Two routers cannot be told apart by one address. */
async function takenAddresses(
  sent: { name: string; address: string }[],
  stores: Stores,
): Promise<FieldError[]> {
  const inDocument = new Map(sent.map(({ name, address }) => [name, address]));
  const holders = new Map(
    (await stores.routers.atAddresses(sent.map(({ address }) => address)))
      // A router that the document moves elsewhere gives its address up.
      .filter(({ name, address }) => (inDocument.get(name) ?? address) === address)
      .map(({ name, address }) => [address, name]),
  );
  return sent.flatMap(({ name, address }, index) => {
    const holder = holders.get(address);
    holders.set(address, holder ?? name);
    if (holder === undefined || holder === name) return [];
    return [
      { pointer: `/routers/${index}/address`, detail: `router ${holder} has ${address} already` },
    ];
  });
}

function itemsOf<Shape extends z.ZodRawShape, Record extends Stored, Values>(
  resource: Resource<Shape, Record, Values>,
) {
  const { shape, secret, check } = resource;
  // A secret that is there already need not be in every document.
  const fields: z.ZodRawShape =
    secret === undefined ? shape : { ...shape, [secret]: (shape[secret] as z.ZodType).optional() };
  const schema = record(fields) as unknown as z.ZodObject<Shape>;
  const checked =
    check === undefined
      ? schema
      : schema.superRefine((input, context) => check(input as Input<Shape>, context));
  return z.array(checked).max(MAX_ITEMS, `must not have more than ${MAX_ITEMS} entries`).optional();
}

function summary(applied: Applied[], isDryRun: boolean): z.output<typeof shown> {
  const count = (plural: ResourceName) => {
    const of = (change: Applied['change']) =>
      applied.filter((one) => one.plural === plural && one.change === change).length;
    return { created: of('created'), changed: of('changed'), unchanged: of('unchanged') };
  };
  return {
    dry_run: isDryRun,
    sites: count('sites'),
    routers: count('routers'),
    plans: count('plans'),
    subscribers: count('subscribers'),
    vouchers: count('vouchers'),
    changes: applied.map(({ kind, name, change }) => ({ kind: kind as 'site', name, change })),
  };
}
