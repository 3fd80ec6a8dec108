// Who goes online: a subscriber with a password and a plan, or whoever holds a voucher.

import type { Plan } from './plan.ts';

/** What a login is checked against: read from PostgreSQL, kept for a while in each node's memory. */
export type Credential = {
  kind: 'subscriber' | 'voucher';
  id: string;
  /** As stored: the user name of a subscriber, the code of a voucher. */
  username: string;
  /** UTF-8. For a voucher the code itself. */
  password: Buffer;
  disabled: boolean;
  plan: Plan | undefined;
  /** Vouchers only: when the first login used it; undefined is unused. */
  activatedAtMs: number | undefined;
  /** After this moment no login; undefined is never. */
  expiresAtMs: number | undefined;
  /** What accounting has counted under this plan, when it was read. */
  usedSeconds: number;
  usedBytes: number;
};
