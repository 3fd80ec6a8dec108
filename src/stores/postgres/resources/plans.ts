// Plans, as the API keeps them.

import type { Plan } from '../../../domain/plan.ts';
import type { Queryable } from '../connect.ts';
import type { PlansTable } from '../schema.ts';
import { createTable, storedFields } from './table.ts';
import type { Stored, Table } from './table.ts';

export type PlanRecord = Stored & Plan;
export type PlanValues = Omit<Plan, 'id'>;

type Row = Pick<
  PlansTable,
  | 'name'
  | 'duration_seconds'
  | 'data_bytes'
  | 'upload_bits_per_second'
  | 'download_bits_per_second'
  | 'price_minor_units'
  | 'price_currency'
  | 'devices'
>;

export function createPlans(queryable: Queryable): Table<PlanRecord, PlanValues> {
  return createTable<Row, PlanRecord, PlanValues>(queryable, {
    table: 'access.plans',
    key: 'name',
    columns: `t.name, t.duration_seconds, t.data_bytes, t.upload_bits_per_second,
      t.download_bits_per_second, t.price_minor_units, t.price_currency, t.devices`,
    written: {
      name: 'text',
      duration_seconds: 'bigint',
      data_bytes: 'bigint',
      upload_bits_per_second: 'bigint',
      download_bits_per_second: 'bigint',
      price_minor_units: 'bigint',
      price_currency: 'text',
      devices: 'integer',
    },
    toRecord: (row) => ({
      ...storedFields(row),
      name: row.name,
      durationSeconds: row.duration_seconds ?? undefined,
      dataBytes: row.data_bytes ?? undefined,
      uploadBitsPerSecond: row.upload_bits_per_second ?? undefined,
      downloadBitsPerSecond: row.download_bits_per_second ?? undefined,
      price:
        row.price_minor_units === null || row.price_currency === null
          ? undefined
          : { minorUnits: BigInt(row.price_minor_units), currency: row.price_currency },
      devices: row.devices ?? undefined,
    }),
    toRow: (plan) => ({
      name: plan.name,
      duration_seconds: plan.durationSeconds,
      data_bytes: plan.dataBytes,
      upload_bits_per_second: plan.uploadBitsPerSecond,
      download_bits_per_second: plan.downloadBitsPerSecond,
      price_minor_units: plan.price?.minorUnits,
      price_currency: plan.price?.currency,
      devices: plan.devices,
    }),
  });
}
