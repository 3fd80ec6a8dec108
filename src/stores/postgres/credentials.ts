// What logins are checked against: subscribers by user name, else vouchers by code, with their plan
// and what has been used of it. One query for all logins that arrived together.

import type { Plan } from '../../domain/plan.ts';
import type { Credential } from '../../domain/subscriber.ts';
import type { Log } from '../../runtime/log.ts';
import type { SecretBox } from '../secret-box.ts';
import type { Queryable } from './connect.ts';

export type CredentialQueries = {
  /** In the order asked; undefined for a name that nobody has. */
  findCredentials(usernames: readonly string[]): Promise<(Credential | undefined)[]>;
  /** Sets the moment of the first use once, whoever comes first, and returns what is true then. */
  activateVoucher(id: string, atMs: number): Promise<VoucherDates>;
};

type VoucherDates = {
  activatedAtMs: number | undefined;
  expiresAtMs: number | undefined;
};

type CredentialRow = {
  asked: string;
  kind: 'subscriber' | 'voucher';
  id: string;
  username: string;
  sealed_password: Buffer | null;
  disabled: boolean;
  activated_at: number | null;
  expires_at: number | null;
  used_seconds: number | null;
  used_bytes: number | null;
  plan_id: string | null;
  plan_name: string | null;
  duration_seconds: number | null;
  data_bytes: number | null;
  upload_bits_per_second: number | null;
  download_bits_per_second: number | null;
  price_minor_units: number | null;
  price_currency: string | null;
  devices: number | null;
};

export function createCredentialQueries(
  postgres: Queryable,
  box: SecretBox,
  log: Log,
): CredentialQueries {
  /** One damaged secret must not take the login from all who ask at the same moment. */
  function readable(row: CredentialRow): Credential | undefined {
    try {
      return fromRow(row, box);
    } catch (error) {
      log.error('subscriber cannot log in: the password cannot be opened', { id: row.id, error });
      return undefined;
    }
  }

  return {
    async findCredentials(usernames) {
      const asked = [...new Set(usernames)].filter((username) => !username.includes('\0'));
      const rows = await postgres.query<CredentialRow>(FIND, [asked], { name: 'credentials' });
      const found = new Map<string, CredentialRow>();
      for (const row of rows) {
        // A subscriber may be called like a voucher: the subscriber comes first.
        if (row.kind === 'subscriber' || !found.has(row.asked)) found.set(row.asked, row);
      }
      return usernames.map((username) => {
        const row = found.get(username);
        return row === undefined ? undefined : readable(row);
      });
    },

    async activateVoucher(id, atMs) {
      const [row] = await postgres.query<{ activated_at: number; expires_at: number | null }>(
        ACTIVATE,
        [id, new Date(atMs)],
        { name: 'activate-voucher' },
      );
      return {
        activatedAtMs: row?.activated_at,
        expiresAtMs: row?.expires_at ?? undefined,
      };
    },
  };
}

function fromRow(row: CredentialRow, box: SecretBox): Credential {
  return {
    kind: row.kind,
    id: row.id,
    username: row.username,
    password:
      row.sealed_password === null
        ? Buffer.from(row.username)
        : box.open(row.sealed_password, `subscriber:${row.id}`),
    disabled: row.disabled,
    plan: planOf(row),
    activatedAtMs: row.activated_at ?? undefined,
    expiresAtMs: row.expires_at ?? undefined,
    usedSeconds: row.used_seconds ?? 0,
    usedBytes: row.used_bytes ?? 0,
  };
}

function planOf(row: CredentialRow): Plan | undefined {
  if (row.plan_id === null || row.plan_name === null) return undefined;
  return {
    id: row.plan_id,
    name: row.plan_name,
    durationSeconds: row.duration_seconds ?? undefined,
    dataBytes: row.data_bytes ?? undefined,
    uploadBitsPerSecond: row.upload_bits_per_second ?? undefined,
    downloadBitsPerSecond: row.download_bits_per_second ?? undefined,
    price:
      row.price_minor_units === null || row.price_currency === null
        ? undefined
        : { minorUnits: BigInt(row.price_minor_units), currency: row.price_currency },
    devices: row.devices ?? undefined,
  };
}

/** The largest number that arrives exactly; more than anybody can have used. */
const LARGEST = Number.MAX_SAFE_INTEGER;

/** Only for a plan that limits something: then, and only then, sessions are summed. */
const usedOf = (sessions: string) => `
  left join lateral (
    select least(coalesce(sum(x.settled_seconds + x.current_seconds), 0), ${LARGEST})::bigint as seconds,
      least(coalesce(sum(x.settled_input_octets + x.current_input_octets
        + x.settled_output_octets + x.current_output_octets), 0), ${LARGEST})::bigint as bytes
    from access.sessions x
    where (p.duration_seconds is not null or p.data_bytes is not null) and ${sessions}
  ) used on true`;

const PLAN_COLUMNS = `used.seconds as used_seconds, used.bytes as used_bytes, p.id as plan_id,
  p.name as plan_name, p.duration_seconds, p.data_bytes, p.upload_bits_per_second,
  p.download_bits_per_second, p.price_minor_units, p.price_currency, p.devices`;

/**
 * Sessions belong to a subscriber's plan by when they began. Routers report that moment in whole
 * seconds and with late clocks, so a minute before the plan still counts. A voucher has one plan and
 * one life: all its sessions count.
 */
const FIND = `
select asked.username as asked, 'subscriber' as kind, s.id, s.username, s.sealed_password, s.disabled,
  null::timestamptz as activated_at, s.expires_at, ${PLAN_COLUMNS}
from unnest($1::text[]) as asked (username)
join access.subscribers s on s.username = asked.username
left join access.plans p on p.id = s.plan_id
${usedOf(`upper(x.username) = upper(s.username) and x.username = s.username
      and x.started_at >= s.plan_started_at - interval '1 minute'`)}
union all
select asked.username, 'voucher', v.id, v.code, null, v.disabled,
  v.activated_at, v.expires_at, ${PLAN_COLUMNS}
from unnest($1::text[]) as asked (username)
join access.vouchers v on upper(v.code) = upper(asked.username)
join access.plans p on p.id = v.plan_id
${usedOf('v.activated_at is not null and upper(x.username) = upper(v.code)')}`;

/** The second of two waits for the first one's row and then finds it activated. */
const ACTIVATE = `
update access.vouchers set
  activated_at = coalesce(activated_at, $2),
  version = version + (activated_at is null)::integer,
  updated_at = case when activated_at is null then now() else updated_at end
where id = $1
returning activated_at, expires_at`;
