// The tables as kysely sees them: the same names as in migrations/, and the types of values.ts.
// Generated columns, defaults and checks are the migrations' business.

import type { ColumnType, Generated } from 'kysely';

/** Read as milliseconds since 1970; written as a Date. */
type Timestamp = ColumnType<number, Date, Date>;
type NullableTimestamp = ColumnType<number | null, Date | null | undefined, Date | null>;
type TimestampWithDefault = ColumnType<number, Date | undefined, Date>;

export type Database = {
  'access.sites': SitesTable;
  'access.routers': RoutersTable;
  'access.plans': PlansTable;
  'access.subscribers': SubscribersTable;
  'access.vouchers': VouchersTable;
  'access.sessions': SessionsTable;
  'access.rejected_accounting': RejectedAccountingTable;
  'access.idempotency_keys': IdempotencyKeysTable;
  'auth.api_keys': ApiKeysTable;
};

type Row = {
  id: string;
  version: Generated<number>;
  created_at: TimestampWithDefault;
  updated_at: TimestampWithDefault;
};

type SitesTable = Row & {
  name: string;
  timezone: string;
  outage: Generated<'closed' | 'basic' | 'open'>;
};

type RoutersTable = Row & {
  site_id: string;
  name: string;
  address: string;
  sealed_secret: Buffer;
  vendor: Generated<string>;
  coa_port: Generated<number>;
  require_message_authenticator: Generated<'auto' | 'yes' | 'no'>;
  message_authenticator_seen_at: NullableTimestamp;
  radsec_identity: string | null;
};

export type PlansTable = Row & {
  name: string;
  duration_seconds: number | null;
  data_bytes: number | null;
  upload_bits_per_second: number | null;
  download_bits_per_second: number | null;
  price_minor_units: number | null;
  price_currency: string | null;
  devices: number | null;
};

type SubscribersTable = Row & {
  username: string;
  sealed_password: Buffer;
  plan_id: string | null;
  plan_started_at: TimestampWithDefault;
  expires_at: NullableTimestamp;
  disabled: Generated<boolean>;
};

type VouchersTable = Row & {
  code: string;
  plan_id: string;
  activated_at: NullableTimestamp;
  expires_at: NullableTimestamp;
  disabled: Generated<boolean>;
};

type SessionsTable = {
  session_key: string;
  router_id: string;
  site_id: string;
  acct_session_id: string;
  multi_session_id: string | null;
  username: string;
  calling_station_id: string | null;
  called_station_id: string | null;
  nas_identifier: string | null;
  nas_ip_address: string | null;
  nas_port: number | null;
  nas_port_id: string | null;
  framed_ip_address: string | null;
  framed_ipv6_prefix: string | null;
  started_at: Timestamp;
  updated_at: Timestamp;
  counting_since: Timestamp;
  stopped_at: NullableTimestamp;
  terminate_cause: number | null;
  reported: Generated<number>;
  settled_seconds: Generated<number>;
  current_seconds: Generated<number>;
  settled_input_octets: Generated<number>;
  current_input_octets: Generated<number>;
  settled_output_octets: Generated<number>;
  current_output_octets: Generated<number>;
  settled_input_packets: Generated<number>;
  current_input_packets: Generated<number>;
  settled_output_packets: Generated<number>;
  current_output_packets: Generated<number>;
};

type RejectedAccountingTable = {
  id: string;
  received_at: Timestamp;
  reason: string;
  fact: unknown;
};

type IdempotencyKeysTable = {
  api_key_id: string;
  key: string;
  request_hash: Buffer;
  status: number | null;
  headers: unknown;
  body: string | null;
  created_at: TimestampWithDefault;
};

type ApiKeysTable = {
  id: string;
  name: string;
  role: 'owner' | 'manager' | 'support' | 'read-only';
  key_hash: Buffer;
  created_at: TimestampWithDefault;
  last_used_at: NullableTimestamp;
  expires_at: NullableTimestamp;
  revoked_at: NullableTimestamp;
};
