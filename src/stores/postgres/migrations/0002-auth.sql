-- API keys, and the answers that an Idempotency-Key repeats.

create schema auth;

create table auth.api_keys (
  id uuid primary key,
  name text not null,
  role text not null check (role in ('owner', 'manager', 'support', 'read-only')),
  -- SHA-256 of the key: the key has 256 random bits, so a slow hash would add nothing.
  key_hash bytea not null unique,
  created_at timestamptz not null default now(),
  last_used_at timestamptz,
  expires_at timestamptz,
  revoked_at timestamptz
);

create table access.idempotency_keys (
  api_key_id uuid not null,
  key text not null,
  -- SHA-256 of method, path and body: the same key with another request is a mistake of the caller.
  request_hash bytea not null,
  -- Null while the first request is being carried out.
  status integer,
  headers jsonb,
  body text,
  created_at timestamptz not null default now(),
  primary key (api_key_id, key)
);

create index idempotency_keys_by_age on access.idempotency_keys (created_at);
