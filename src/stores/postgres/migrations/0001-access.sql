-- Sites, routers, plans, subscribers, vouchers and sessions.
-- Written for the oldest server we support, PostgreSQL 15. Forward only.
--
-- Ids are UUID version 7, made by the application. `version` grows with every change of a row: it is
-- the ETag of the API. Sealed columns hold AES-256-GCM boxes whose key is kept outside the database.

create schema access;

create table access.sites (
  id uuid primary key,
  name text not null unique,
  timezone text not null,
  outage text not null default 'closed' check (outage in ('closed', 'basic', 'open')),
  version bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create table access.routers (
  id uuid primary key,
  site_id uuid not null references access.sites (id),
  name text not null unique,
  address cidr not null unique,
  sealed_secret bytea not null,
  vendor text not null default 'generic',
  coa_port integer not null default 3799 check (coa_port between 1 and 65535),
  require_message_authenticator text not null default 'auto'
    check (require_message_authenticator in ('auto', 'yes', 'no')),
  -- The latch of 'auto': set by the first valid Message-Authenticator, cleared by an operator.
  message_authenticator_seen_at timestamptz,
  version bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create table access.plans (
  id uuid primary key,
  name text not null unique,
  duration_seconds bigint check (duration_seconds > 0),
  data_bytes bigint check (data_bytes > 0),
  upload_bits_per_second bigint check (upload_bits_per_second > 0),
  download_bits_per_second bigint check (download_bits_per_second > 0),
  price_minor_units bigint check (price_minor_units >= 0),
  price_currency text check (price_currency ~ '^[A-Z]{3}$'),
  devices integer check (devices > 0),
  version bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  check ((price_minor_units is null) = (price_currency is null))
);

create table access.subscribers (
  id uuid primary key,
  username text not null unique,
  sealed_password bytea not null,
  plan_id uuid references access.plans (id),
  -- Usage counts towards the plan from here.
  plan_started_at timestamptz not null default now(),
  expires_at timestamptz,
  disabled boolean not null default false,
  version bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create table access.vouchers (
  id uuid primary key,
  code text not null unique,
  plan_id uuid not null references access.plans (id),
  activated_at timestamptz,
  expires_at timestamptz,
  disabled boolean not null default false,
  version bigint not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

-- People type codes in any case: no two codes may differ in nothing else.
create unique index vouchers_by_code on access.vouchers (upper(code));

-- One row per session, whatever came of it. No foreign keys: a record of what happened must be
-- storable after the router or the subscriber is gone. domain/session.ts has the merge rules.
create table access.sessions (
  session_key uuid primary key,
  router_id uuid not null,
  site_id uuid not null,
  acct_session_id text not null,
  multi_session_id text,
  username text not null,
  calling_station_id text,
  called_station_id text,
  nas_identifier text,
  nas_ip_address inet,
  nas_port bigint,
  nas_port_id text,
  framed_ip_address inet,
  framed_ipv6_prefix cidr,
  started_at timestamptz not null,
  updated_at timestamptz not null,
  counting_since timestamptz not null,
  stopped_at timestamptz,
  terminate_cause bigint,
  -- Which counters the router has stated so far: 1 seconds, 2 and 4 input and output octets, 8 and 16
  -- input and output packets. A counter that was never stated is 0 below, and so is one that is 0.
  reported smallint not null default 0,
  settled_seconds bigint not null default 0,
  current_seconds bigint not null default 0,
  settled_input_octets bigint not null default 0,
  current_input_octets bigint not null default 0,
  settled_output_octets bigint not null default 0,
  current_output_octets bigint not null default 0,
  settled_input_packets bigint not null default 0,
  current_input_packets bigint not null default 0,
  settled_output_packets bigint not null default 0,
  current_output_packets bigint not null default 0
) with (fillfactor = 70); -- room to update a row in place while its session lives

create index sessions_by_start on access.sessions (started_at, session_key);
-- In capitals, because a voucher's code may be typed differently at each login. Whoever wants one exact
-- name asks for both: upper(username) = upper($1) and username = $1.
create index sessions_by_username on access.sessions (upper(username), started_at);
-- The price of a Stop: it leaves this index, so its row cannot be updated in place (HOT). Without the
-- index nobody would find the few open sessions among the many that are over.
create index sessions_open_by_router on access.sessions (router_id, started_at) where stopped_at is null;

-- An accounting fact that can never be stored, kept with its reason instead of blocking the others.
create table access.rejected_accounting (
  id uuid primary key,
  received_at timestamptz not null,
  reason text not null,
  fact jsonb not null
);

-- Who changed what is announced to every node, so that caches forget at once. The payload names the
-- table and the key: `routers`, `plans`, `subscribers alice`, `vouchers ABCD-EFGH`.
create function access.announce_change() returns trigger language plpgsql as $$
declare
  key text := '';
begin
  if tg_table_name = 'subscribers' then
    key := ' ' || case when tg_op = 'DELETE' then old.username else new.username end;
    if tg_op = 'UPDATE' and old.username is distinct from new.username then
      perform pg_notify('evergate_access', 'subscribers ' || old.username);
    end if;
  elsif tg_table_name = 'vouchers' then
    key := ' ' || case when tg_op = 'DELETE' then old.code else new.code end;
  end if;
  perform pg_notify('evergate_access', tg_table_name || key);
  return null;
end $$;

create trigger announce after insert or update or delete on access.sites
  for each row execute function access.announce_change();
create trigger announce after insert or update or delete on access.routers
  for each row execute function access.announce_change();
create trigger announce after insert or update or delete on access.plans
  for each row execute function access.announce_change();
create trigger announce after insert or update or delete on access.subscribers
  for each row execute function access.announce_change();
create trigger announce after insert or update or delete on access.vouchers
  for each row execute function access.announce_change();
