// Who changed what, as it is committed: the triggers of 0001-access.sql announce it on one channel,
// and every node forgets what it had cached.

import type { Postgres } from './connect.ts';

const TABLES = ['sites', 'routers', 'plans', 'subscribers', 'vouchers'] as const;

export type Change = {
  /** `everything`: announcements may have been missed, so whatever is cached may be old. */
  table: (typeof TABLES)[number] | 'everything';
  /** The user name of a subscriber or the code of a voucher. */
  key?: string;
};

/** Begins with `everything`, as soon as announcements arrive: what was read before may be old. */
export function watchChanges(
  postgres: Postgres,
  listener: (change: Change) => void,
): AsyncDisposable {
  return postgres.listen({
    channel: 'evergate_access',
    onNotification: (payload) => listener(parseChange(payload)),
    onSubscribed: () => listener({ table: 'everything' }),
  });
}

/** `routers`, or `subscribers alice`: a name may hold spaces, so only the first one separates. */
function parseChange(payload: string): Change {
  const space = payload.indexOf(' ');
  const name = space === -1 ? payload : payload.slice(0, space);
  const table = TABLES.find((known) => known === name);
  if (table === undefined) return { table: 'everything' }; // a newer release announced it
  return space === -1 ? { table } : { table, key: payload.slice(space + 1) };
}
