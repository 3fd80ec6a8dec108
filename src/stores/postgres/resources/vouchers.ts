// Vouchers, as the API keeps them. When a voucher was first used, the radius service writes.

import type { Queryable } from '../connect.ts';
import { createTable, dateOf, storedFields } from './table.ts';
import type { Stored, Table } from './table.ts';

export type VoucherRecord = Stored & {
  code: string;
  planId: string;
  plan: string;
  activatedAtMs: number | undefined;
  expiresAtMs: number | undefined;
  disabled: boolean;
};

export type VoucherValues = {
  code: string;
  planId: string;
  expiresAtMs: number | undefined;
  disabled: boolean;
};

type Row = {
  code: string;
  plan_id: string;
  plan: string;
  activated_at: number | null;
  expires_at: number | null;
  disabled: boolean;
};

export function createVouchers(queryable: Queryable): Table<VoucherRecord, VoucherValues> {
  return createTable<Row, VoucherRecord, VoucherValues>(queryable, {
    table: 'access.vouchers',
    key: 'code',
    columns: 't.code, t.plan_id, p.name as plan, t.activated_at, t.expires_at, t.disabled',
    joins: 'join access.plans p on p.id = t.plan_id',
    written: { code: 'text', plan_id: 'uuid', expires_at: 'timestamptz', disabled: 'boolean' },
    filters: { plan: 'p.name' },
    toRecord: (row) => ({
      ...storedFields(row),
      code: row.code,
      planId: row.plan_id,
      plan: row.plan,
      activatedAtMs: row.activated_at ?? undefined,
      expiresAtMs: row.expires_at ?? undefined,
      disabled: row.disabled,
    }),
    toRow: (voucher) => ({
      code: voucher.code,
      plan_id: voucher.planId,
      expires_at: dateOf(voucher.expiresAtMs),
      disabled: voucher.disabled,
    }),
  });
}
