// What the gateway needs to be remembered, as types. start.ts hands over what keeps it.
// Inside a transaction everything happens or nothing does.

import type { Plan } from '../../domain/plan.ts';
import type { Router } from '../../domain/router.ts';
import type { Site } from '../../domain/site.ts';
import type { Role } from './roles.ts';

/** `version` grows with every change: it is the ETag. */
export type Stored = { id: string; version: number; createdAtMs: number; updatedAtMs: number };

export type SiteValues = Omit<Site, 'id'>;
/** Without a secret, the present one stays. */
export type RouterValues = Omit<Router, 'id' | 'secret'> & { secret: Buffer | undefined };
export type PlanValues = Omit<Plan, 'id'>;
/** Without a password, the present one stays. */
export type SubscriberValues = {
  username: string;
  password: Buffer | undefined;
  planId: string | undefined;
  planStartedAtMs: number;
  expiresAtMs: number | undefined;
  disabled: boolean;
};
export type VoucherValues = {
  code: string;
  planId: string;
  expiresAtMs: number | undefined;
  disabled: boolean;
};

export type SiteRecord = Stored & SiteValues;
export type RouterRecord = Stored & Omit<RouterValues, 'secret'> & { site: string };
export type PlanRecord = Stored & PlanValues;
export type SubscriberRecord = Stored &
  Omit<SubscriberValues, 'password'> & { plan: string | undefined };
export type VoucherRecord = Stored &
  VoucherValues & { plan: string; activatedAtMs: number | undefined };

export type Written<Record> =
  | { kind: 'written'; records: Record[] }
  /** Somebody else has the value of this field. */
  | { kind: 'taken'; field: string; value: string | undefined };

export type Collection<Record, Values> = {
  /** By id or by the unique name; locked ones wait for nobody else until the transaction ends. */
  find(idOrKey: string, lock?: 'lock'): Promise<Record | undefined>;
  findMany(idsOrKeys: string[], lock?: 'lock'): Promise<Record[]>;
  list(page: {
    limit: number;
    after: string | undefined;
    filters: { [name: string]: string | undefined };
  }): Promise<Record[]>;
  insert(rows: (Values & { id: string })[]): Promise<Written<Record>>;
  update(rows: (Values & { id: string })[]): Promise<Written<Record>>;
  delete(id: string): Promise<'deleted' | 'missing' | 'referenced'>;
};

type SecretCollection<Record, Values> = Collection<Record, Values> & {
  secrets(ids: string[]): Promise<Map<string, Buffer>>;
};

type RouterCollection = SecretCollection<RouterRecord, RouterValues> & {
  /** Those at exactly these addresses, in canonical form. */
  atAddresses(addresses: string[]): Promise<{ name: string; address: string }[]>;
};

export type SessionPosition = { startedAt: string; sessionKey: string };

export type SessionRecord = {
  sessionKey: string;
  routerId: string;
  router: string | undefined;
  siteId: string;
  site: string | undefined;
  acctSessionId: string;
  username: string;
  callingStationId: string | undefined;
  calledStationId: string | undefined;
  framedIpAddress: string | undefined;
  framedIpv6Prefix: string | undefined;
  startedAtMs: number;
  updatedAtMs: number;
  stoppedAtMs: number | undefined;
  terminateCause: number | undefined;
  seconds: number;
  inputOctets: number;
  outputOctets: number;
  inputPackets: number;
  outputPackets: number;
  position: SessionPosition;
};

type UsageRecord = {
  fromMs: number;
  sessions: number;
  seconds: number;
  inputOctets: number;
  outputOctets: number;
};

type SessionStore = {
  find(sessionKey: string): Promise<SessionRecord | undefined>;
  list(page: {
    limit: number;
    after: SessionPosition | undefined;
    filter: {
      username: string | undefined;
      router: string | undefined;
      open: boolean | undefined;
      fromMs: number | undefined;
      toMs: number | undefined;
    };
  }): Promise<SessionRecord[]>;
  usage(filter: {
    username: string | undefined;
    fromMs: number;
    toMs: number;
    group: 'hour' | 'day' | 'total';
  }): Promise<UsageRecord[]>;
};

export type ApiKeyRecord = {
  id: string;
  name: string;
  role: Role;
  createdAtMs: number;
  lastUsedAtMs: number | undefined;
  expiresAtMs: number | undefined;
  revokedAtMs: number | undefined;
};

type ApiKeyStore = {
  create(wanted: {
    name: string;
    role: Role;
    expiresAtMs: number | undefined;
  }): Promise<ApiKeyRecord & { key: string }>;
  findValid(key: string): Promise<ApiKeyRecord | undefined>;
  noteUse(id: string): Promise<void>;
  find(id: string): Promise<ApiKeyRecord | undefined>;
  list(page: { limit: number; after: string | undefined }): Promise<ApiKeyRecord[]>;
  revoke(id: string): Promise<boolean>;
};

export type StoredAnswer = { status: number; headers: Record<string, string>; body: string };
export type RequestIdentity = { apiKeyId: string; key: string; requestHash: Buffer };

type IdempotencyStore = {
  claim(
    request: RequestIdentity,
  ): Promise<
    | { kind: 'first' }
    | { kind: 'repeated'; answer: StoredAnswer }
    | { kind: 'other-request' }
    | { kind: 'running' }
  >;
  complete(request: RequestIdentity, answer: StoredAnswer): Promise<void>;
};

export type Stores = {
  sites: Collection<SiteRecord, SiteValues>;
  routers: RouterCollection;
  plans: Collection<PlanRecord, PlanValues>;
  subscribers: SecretCollection<SubscriberRecord, SubscriberValues>;
  vouchers: Collection<VoucherRecord, VoucherValues>;
  sessions: SessionStore;
  apiKeys: ApiKeyStore;
  idempotency: IdempotencyStore;
  /** Until the transaction ends, nobody else holds this lock. */
  lock(name: string): Promise<void>;
};

export type Database = {
  /** Each call on its own. */
  stores: Stores;
  transaction<T>(run: (stores: Stores) => Promise<T>): Promise<T>;
  /** One moment, to read many things that must agree. */
  snapshot<T>(run: (stores: Stores) => Promise<T>): Promise<T>;
};
