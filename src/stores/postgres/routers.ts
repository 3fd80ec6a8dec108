// The routers as the radius service needs them: all at once, with their secrets opened.

import type { MessageAuthenticatorRule, Router, RouterVendor } from '../../domain/router.ts';
import type { Log } from '../../runtime/log.ts';
import type { SecretBox } from '../secret-box.ts';
import type { Queryable } from './connect.ts';

export type RouterQueries = {
  listRouters(): Promise<Router[]>;
  /** Keeps the first moment it was told. */
  markMessageAuthenticatorSeen(routerId: string, atMs: number): Promise<void>;
};

type RouterRow = {
  id: string;
  name: string;
  site_id: string;
  address: string;
  sealed_secret: Buffer;
  vendor: RouterVendor;
  coa_port: number;
  require_message_authenticator: MessageAuthenticatorRule;
  message_authenticator_seen_at: number | null;
  radsec_identity: string | null;
};

export function createRouterQueries(postgres: Queryable, box: SecretBox, log: Log): RouterQueries {
  return {
    async listRouters() {
      const rows = await postgres.query<RouterRow>(
        `select id, name, site_id, address, sealed_secret, vendor, coa_port,
           require_message_authenticator, message_authenticator_seen_at, radsec_identity
         from access.routers order by id`,
        [],
        { name: 'routers', timeoutMs: 10_000 },
      );
      return rows.flatMap((row) => {
        try {
          return [fromRow(row, box)];
        } catch (error) {
          // One damaged secret must not take the service from all the other routers.
          log.error('router is left out: its secret cannot be opened', { router: row.name, error });
          return [];
        }
      });
    },

    async markMessageAuthenticatorSeen(routerId, atMs) {
      await postgres.query(
        `update access.routers set message_authenticator_seen_at = $2
         where id = $1 and message_authenticator_seen_at is null`,
        [routerId, new Date(atMs)],
        { name: 'message-authenticator-seen' },
      );
    },
  };
}

function fromRow(row: RouterRow, box: SecretBox): Router {
  return {
    id: row.id,
    name: row.name,
    siteId: row.site_id,
    address: row.address,
    secret: box.open(row.sealed_secret, `router:${row.id}`),
    vendor: row.vendor,
    coaPort: row.coa_port,
    requireMessageAuthenticator: row.require_message_authenticator,
    messageAuthenticatorSeenAtMs: row.message_authenticator_seen_at ?? undefined,
    radsecIdentity: row.radsec_identity ?? undefined,
  };
}
