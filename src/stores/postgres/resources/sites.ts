// Sites, as the API keeps them.

import type { OutagePolicy, Site } from '../../../domain/site.ts';
import type { Queryable } from '../connect.ts';
import { createTable, storedFields } from './table.ts';
import type { Stored, Table } from './table.ts';

export type SiteRecord = Stored & Site;
export type SiteValues = Omit<Site, 'id'>;

type Row = { name: string; timezone: string; outage: OutagePolicy };

export function createSites(queryable: Queryable): Table<SiteRecord, SiteValues> {
  return createTable<Row, SiteRecord, SiteValues>(queryable, {
    table: 'access.sites',
    key: 'name',
    columns: 't.name, t.timezone, t.outage',
    written: { name: 'text', timezone: 'text', outage: 'text' },
    toRecord: (row) => ({
      ...storedFields(row),
      name: row.name,
      timezone: row.timezone,
      outage: row.outage,
    }),
    toRow: ({ name, timezone, outage }) => ({ name, timezone, outage }),
  });
}
