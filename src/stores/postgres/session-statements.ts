// The rules of domain/session.ts in SQL; tests/contract/ proves the two equal. In the upsert `s` is the
// row as it is, and `excluded` the row as it would be if the record were the first: its updated_at is
// the moment of the record, its started_at when that says it began, its stopped_at is there if it is a Stop.

import { BATCH_COLUMNS, CIRCUMSTANCES, COUNTERS, FOLDED_COLUMN } from './accounting-batch.ts';

const COLUMN_VALUES: Record<string, string> = {
  ...Object.fromEntries(
    ['session_key', 'router_id', 'site_id', 'acct_session_id', 'username'].map((name) => [
      name,
      `r.${name}`,
    ]),
  ),
  ...Object.fromEntries(CIRCUMSTANCES.map(({ name }) => [name, `r.${name}`])),
  framed_ipv6_prefix: 'network(r.framed_ipv6_prefix)', // a prefix with bits after it is still one
  started_at: 'to_timestamp(r.began)',
  updated_at: 'to_timestamp(r.occurred)',
  counting_since: 'to_timestamp(r.began)',
  stopped_at: 'case when r.is_stop then to_timestamp(r.occurred) end',
  terminate_cause: 'r.terminate_cause',
  reported: 'r.reported',
  ...Object.fromEntries(COUNTERS.map(({ name }) => [`current_${name}`, `r.current_${name}`])),
};

/**
 * A counter went down although time went on, and the record can be of new counters: it does not say
 * how old the session is, or the session has grown older, or it began after the last we heard, with
 * the ten seconds' slack of the domain.
 */
const IS_RESET = `excluded.updated_at > s.updated_at and (
    excluded.current_input_octets < s.current_input_octets and excluded.reported & 2 <> 0 or
    excluded.current_output_octets < s.current_output_octets and excluded.reported & 4 <> 0) and (
    excluded.reported & 1 = 0 or excluded.current_seconds > s.current_seconds or
    excluded.started_at >= s.updated_at - interval '10 seconds')`;

const IS_FROM_BEFORE_RESET = `(s.settled_input_octets > 0 or s.settled_output_octets > 0)
      and excluded.updated_at < s.counting_since`;

/** What a counter may grow to and still be read exactly. */
const LARGEST_COUNT = Number.MAX_SAFE_INTEGER;

const UPDATES = [
  ...CIRCUMSTANCES.map(
    ({ name }) =>
      `${name} = case when excluded.updated_at >= s.updated_at
        then coalesce(excluded.${name}, s.${name}) else coalesce(s.${name}, excluded.${name}) end`,
  ),
  'started_at = least(s.started_at, excluded.started_at)',
  'updated_at = greatest(s.updated_at, excluded.updated_at)',
  `counting_since = case when ${IS_RESET} then excluded.updated_at else s.counting_since end`,
  'stopped_at = greatest(s.stopped_at, excluded.stopped_at)', // nulls do not count
  'terminate_cause = coalesce(excluded.terminate_cause, s.terminate_cause)',
  'reported = s.reported | excluded.reported',
  ...COUNTERS.flatMap(({ name }) => [
    `settled_${name} = case when ${IS_RESET}
      then least(s.settled_${name} + s.current_${name}, ${LARGEST_COUNT}) else s.settled_${name} end`,
    // A counter that the record did not state came as 0, which is never the greatest.
    `current_${name} = case when ${IS_RESET} then excluded.current_${name}
      when ${IS_FROM_BEFORE_RESET} then s.current_${name}
      else greatest(s.current_${name}, excluded.current_${name}) end`,
  ]),
];

/** Rows out of one array for each column. */
const insertFrom = (
  columns: readonly { name: string; type: string }[],
  values: Record<string, string>,
) => `
insert into access.sessions as s (${Object.keys(values).join(', ')})
select ${Object.values(values).join(', ')}
from unnest(${columns.map(({ type }, index) => `$${index + 1}::${type}[]`).join(', ')})
  as r(${columns.map(({ name }) => name).join(', ')})`;

/** Its parameters are the `arrayLiterals` of the records, of which no two are of one session. */
export const UPSERT_SESSIONS = `${insertFrom(BATCH_COLUMNS, COLUMN_VALUES)}
on conflict (session_key) do update set
  ${UPDATES.join(',\n  ')}`;

/** Its parameters are `foldedLiterals`. Gives the sessions that were new; of the others it changes nothing. */
export const INSERT_SESSIONS = `${insertFrom([...BATCH_COLUMNS, FOLDED_COLUMN], {
  ...COLUMN_VALUES,
  counting_since: 'to_timestamp(r.counting_since)',
})}
on conflict (session_key) do nothing
returning session_key`;

/**
 * A router here may be a whole range of addresses: a restart concerns the device that reported it,
 * and sessions of which we do not know the device. Locks in the order in which a batch takes them.
 */
export const CLOSE_ROUTER = `
with over as (
  select session_key from access.sessions
  where router_id = $1 and stopped_at is null and started_at < to_timestamp($2)
    and ($3::text is null or nas_identifier is null or nas_identifier = $3)
    and ($4::inet is null or nas_ip_address is null or nas_ip_address = $4)
  order by session_key for update
)
update access.sessions s set stopped_at = to_timestamp($2), terminate_cause = $5
from over where s.session_key = over.session_key
returning s.session_key, s.username`;
