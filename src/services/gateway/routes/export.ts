// Export: the document that apply takes, as things are. Applying it changes nothing.

import { z } from 'zod';
import { ProblemError } from '../../../runtime/http/problem.ts';
import { flag, record } from '../fields.ts';
import { forbidden } from '../problems.ts';
import type { Resource } from '../resource.ts';
import { may } from '../roles.ts';
import { route } from '../route.ts';
import type { Stored, Stores } from '../stores.ts';
import { plans } from './plans.ts';
import { routers } from './routers.ts';
import { sites } from './sites.ts';
import { subscribers } from './subscribers.ts';
import { vouchers } from './vouchers.ts';

const PAGE = 1_000;

const items = z.array(z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])));

const exportDocument = route({
  method: 'GET',
  path: '/v1/export',
  tag: 'apply',
  summary: 'Everything as a document for apply',
  description:
    'Secrets of routers and passwords of subscribers are left out: applying the document leaves them as they are. An owner gets them with `secrets=true`.',
  permission: 'manage',
  query: record({ secrets: flag.optional() }),
  answers: {
    200: z
      .strictObject({
        sites: items,
        routers: items,
        plans: items,
        subscribers: items,
        vouchers: items,
      })
      .meta({ id: 'Document' }),
  },
  snapshot: true,
  async handle({ query, stores, caller }) {
    const withSecrets = query.secrets === true;
    if (withSecrets && !may(caller.role, 'read-secrets')) {
      throw new ProblemError(forbidden(caller.role, 'read-secrets'));
    }
    return {
      status: 200,
      body: {
        sites: await exportAll(sites, stores, withSecrets),
        routers: await exportAll(routers, stores, withSecrets),
        plans: await exportAll(plans, stores, withSecrets),
        subscribers: await exportAll(subscribers, stores, withSecrets),
        vouchers: await exportAll(vouchers, stores, withSecrets),
      },
    };
  },
});

export const exportRoutes = [exportDocument];

async function exportAll<Shape extends z.ZodRawShape, Record extends Stored, Values>(
  resource: Resource<Shape, Record, Values>,
  stores: Stores,
  withSecrets: boolean,
): Promise<object[]> {
  const exported: object[] = [];
  let after: string | undefined;
  for (;;) {
    const page = await resource.collection(stores).list({ limit: PAGE, after, filters: {} });
    const secrets =
      withSecrets && resource.secrets !== undefined
        ? await resource.secrets(
            stores,
            page.map(({ id }) => id),
          )
        : new Map<string, Buffer>();
    for (const record of page) {
      const secret = secrets.get(record.id)?.toString();
      exported.push(
        withoutNulls({
          ...resource.export(record),
          ...(resource.secret === undefined || secret === undefined
            ? {}
            : { [resource.secret]: secret }),
        }),
      );
    }
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return exported;
    after = resource.nameOf(last);
  }
}

/** Null is the default of every field that may be null, and easier to read when it is not there. */
function withoutNulls(fields: { [field: string]: unknown }): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
}
