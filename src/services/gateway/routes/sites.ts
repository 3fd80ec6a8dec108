// Sites: places with routers.

import { z } from 'zod';
import { OUTAGE_POLICIES } from '../../../domain/site.ts';
import { name, shownStored, storedShape, text } from '../fields.ts';
import type { Resource } from '../resource.ts';
import type { SiteRecord, SiteValues } from '../stores.ts';

const shape = {
  name: name(100),
  timezone: text(100)
    .refine(isTimezone, 'must be an IANA time zone, such as Africa/Kampala')
    .meta({ examples: ['Africa/Kampala'] })
    .optional(),
  outage: z.enum(OUTAGE_POLICIES).optional(),
};

export const sites: Resource<typeof shape, SiteRecord, SiteValues> = {
  plural: 'sites',
  singular: 'site',
  key: 'name',
  shape,
  references: {},
  referencedBy: [{ resource: 'routers', filter: 'site' }],
  filters: [],
  shown: z
    .strictObject({
      ...storedShape,
      name: z.string(),
      timezone: z.string(),
      outage: z.enum(OUTAGE_POLICIES),
    })
    .meta({ id: 'Site' }),
  collection: (stores) => stores.sites,
  nameOf: (site) => site.name,
  show: (site) => ({ ...shownStored(site), ...sites.export(site) }),
  export: ({ name, timezone, outage }) => ({ name, timezone, outage }),
  valuesOf: ({ name, timezone, outage }) => ({ name, timezone, outage }),
  change(input, { present, leftOut }) {
    const kept = leftOut === 'kept' ? present : undefined;
    return {
      name: input.name ?? present?.name ?? '',
      timezone: input.timezone ?? kept?.timezone ?? 'UTC',
      outage: input.outage ?? kept?.outage ?? 'closed',
    };
  },
  example: { name: 'cafe-1', timezone: 'Africa/Kampala', outage: 'basic' },
};

function isTimezone(value: string): boolean {
  try {
    const { timeZone } = new Intl.DateTimeFormat('en', { timeZone: value }).resolvedOptions();
    return /^[A-Za-z]/.test(timeZone); // `+03:00` is an offset, which has no summer time
  } catch {
    return false;
  }
}
