// Subscribers, as the API keeps them. The password is sealed, not hashed, because CHAP and MS-CHAP
// need it; it is not part of a record: who needs it asks for it by name.

import type { SecretBox } from '../../secret-box.ts';
import type { Queryable } from '../connect.ts';
import { createTable, dateOf, storedFields } from './table.ts';
import type { Stored, Table } from './table.ts';

type SubscriberRecord = Stored & {
  username: string;
  planId: string | undefined;
  plan: string | undefined;
  planStartedAtMs: number;
  expiresAtMs: number | undefined;
  disabled: boolean;
};

/** Without a password, the present one stays. */
type SubscriberValues = {
  username: string;
  password: Buffer | undefined;
  planId: string | undefined;
  planStartedAtMs: number;
  expiresAtMs: number | undefined;
  disabled: boolean;
};

export type SubscriberStore = Table<SubscriberRecord, SubscriberValues> & {
  /** By id; those that do not exist are left out. */
  secrets(ids: string[]): Promise<Map<string, Buffer>>;
};

type Row = {
  username: string;
  plan_id: string | null;
  plan: string | null;
  plan_started_at: number;
  expires_at: number | null;
  disabled: boolean;
};

export function createSubscribers(queryable: Queryable, box: SecretBox): SubscriberStore {
  const table = createTable<Row, SubscriberRecord, SubscriberValues>(queryable, {
    table: 'access.subscribers',
    key: 'username',
    columns: 't.username, t.plan_id, p.name as plan, t.plan_started_at, t.expires_at, t.disabled',
    joins: 'left join access.plans p on p.id = t.plan_id',
    written: {
      username: 'text',
      sealed_password: 'bytea',
      plan_id: 'uuid',
      plan_started_at: 'timestamptz',
      expires_at: 'timestamptz',
      disabled: 'boolean',
    },
    keptWhenNull: ['sealed_password'],
    filters: { plan: 'p.name' },
    toRecord: (row) => ({
      ...storedFields(row),
      username: row.username,
      planId: row.plan_id ?? undefined,
      plan: row.plan ?? undefined,
      planStartedAtMs: row.plan_started_at,
      expiresAtMs: row.expires_at ?? undefined,
      disabled: row.disabled,
    }),
    toRow: (subscriber) => ({
      username: subscriber.username,
      sealed_password:
        subscriber.password === undefined
          ? undefined
          : box.seal(subscriber.password, context(subscriber.id)),
      plan_id: subscriber.planId,
      plan_started_at: dateOf(subscriber.planStartedAtMs),
      expires_at: dateOf(subscriber.expiresAtMs),
      disabled: subscriber.disabled,
    }),
  });
  return {
    ...table,
    async secrets(ids) {
      const rows = await queryable.query<{ id: string; sealed_password: Buffer }>(
        'select id, sealed_password from access.subscribers where id = any($1::uuid[])',
        [ids],
      );
      return new Map(rows.map((row) => [row.id, box.open(row.sealed_password, context(row.id))]));
    },
  };
}

/** A box is opened for the subscriber that it was sealed for, and for no other. */
function context(id: string): string {
  return `subscriber:${id}`;
}
