// Routers, as the API keeps them. The secret is sealed before it is stored and is not part of a
// record: who needs it asks for it by name.

import { formatNetwork, parseNetwork } from '../../../domain/network-address.ts';
import type { MessageAuthenticatorRule, Router, RouterVendor } from '../../../domain/router.ts';
import type { SecretBox } from '../../secret-box.ts';
import type { Queryable } from '../connect.ts';
import { createTable, dateOf, storedFields } from './table.ts';
import type { Stored, Table } from './table.ts';

type RouterRecord = Stored & Omit<Router, 'secret'> & { site: string };

/** Without a secret, the present one stays. */
type RouterValues = Omit<Router, 'id' | 'secret'> & { secret: Buffer | undefined };

export type RouterStore = Table<RouterRecord, RouterValues> & {
  /** By id; those that do not exist are left out. */
  secrets(ids: string[]): Promise<Map<string, Buffer>>;
  /** Those at exactly these addresses, in canonical form. */
  atAddresses(addresses: string[]): Promise<{ name: string; address: string }[]>;
};

type Row = {
  name: string;
  site_id: string;
  site: string;
  address: string;
  vendor: string;
  coa_port: number;
  require_message_authenticator: MessageAuthenticatorRule;
  message_authenticator_seen_at: number | null;
  radsec_identity: string | null;
};

export function createRouters(queryable: Queryable, box: SecretBox): RouterStore {
  const table = createTable<Row, RouterRecord, RouterValues>(queryable, {
    table: 'access.routers',
    key: 'name',
    columns: `t.name, t.site_id, s.name as site, t.address::text as address, t.vendor, t.coa_port,
      t.require_message_authenticator, t.message_authenticator_seen_at, t.radsec_identity`,
    joins: 'join access.sites s on s.id = t.site_id',
    written: {
      name: 'text',
      site_id: 'uuid',
      address: 'cidr',
      sealed_secret: 'bytea',
      vendor: 'text',
      coa_port: 'integer',
      require_message_authenticator: 'text',
      message_authenticator_seen_at: 'timestamptz',
      radsec_identity: 'text',
    },
    keptWhenNull: ['sealed_secret'],
    filters: { site: 's.name' },
    toRecord: (row) => ({
      ...storedFields(row),
      name: row.name,
      siteId: row.site_id,
      site: row.site,
      address: canonical(row.address),
      vendor: row.vendor as RouterVendor,
      coaPort: row.coa_port,
      requireMessageAuthenticator: row.require_message_authenticator,
      messageAuthenticatorSeenAtMs: row.message_authenticator_seen_at ?? undefined,
      radsecIdentity: row.radsec_identity ?? undefined,
    }),
    toRow: (router) => ({
      name: router.name,
      site_id: router.siteId,
      address: router.address,
      sealed_secret:
        router.secret === undefined ? undefined : box.seal(router.secret, context(router.id)),
      vendor: router.vendor,
      coa_port: router.coaPort,
      require_message_authenticator: router.requireMessageAuthenticator,
      message_authenticator_seen_at: dateOf(router.messageAuthenticatorSeenAtMs),
      radsec_identity: router.radsecIdentity ?? null,
    }),
  });
  return {
    ...table,
    async secrets(ids) {
      const rows = await queryable.query<{ id: string; sealed_secret: Buffer }>(
        'select id, sealed_secret from access.routers where id = any($1::uuid[])',
        [ids],
      );
      return new Map(rows.map((row) => [row.id, box.open(row.sealed_secret, context(row.id))]));
    },
    async atAddresses(addresses) {
      const rows = await queryable.query<{ name: string; address: string }>(
        'select name, address::text as address from access.routers where address = any($1::cidr[])',
        [addresses],
      );
      return rows.map(({ name, address }) => ({ name, address: canonical(address) }));
    },
  };
}

/** A box is opened for the router that it was sealed for, and for no other. */
function context(id: string): string {
  return `router:${id}`;
}

/** PostgreSQL shortens IPv6 in its own way; ours is RFC 5952. */
function canonical(address: string): string {
  const parsed = parseNetwork(address);
  return parsed.kind === 'parsed' ? formatNetwork(parsed.value) : address;
}
