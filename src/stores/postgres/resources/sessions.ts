// Sessions and usage, as the API reads them. Who writes them is stores/postgres/sessions.ts.

import type { Queryable } from '../connect.ts';

type SessionRecord = {
  sessionKey: string;
  routerId: string;
  /** Undefined when the router is gone. */
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
  /** Where it stands in the order of the list: a place to continue from. */
  position: SessionPosition;
};

/** To the microsecond, which milliseconds would lose. */
type SessionPosition = { startedAt: string; sessionKey: string };

type SessionFilter = {
  username: string | undefined;
  /** Name or id. */
  router: string | undefined;
  open: boolean | undefined;
  fromMs: number | undefined;
  toMs: number | undefined;
};

type UsageFilter = {
  username: string | undefined;
  fromMs: number;
  toMs: number;
  group: 'hour' | 'day' | 'total';
};

type UsageRecord = {
  /** The beginning of the hour or day in UTC; of the time asked for when it is the total. */
  fromMs: number;
  sessions: number;
  seconds: number;
  inputOctets: number;
  outputOctets: number;
};

export type SessionStore = {
  find(sessionKey: string): Promise<SessionRecord | undefined>;
  /** The latest first. */
  list(page: {
    limit: number;
    after: SessionPosition | undefined;
    filter: SessionFilter;
  }): Promise<SessionRecord[]>;
  /** What sessions used that began in the time: `fromMs` belongs to it, `toMs` does not. */
  usage(filter: UsageFilter): Promise<UsageRecord[]>;
};

const SELECT = `
  select s.session_key, s.router_id, r.name as router, s.site_id, i.name as site, s.acct_session_id,
    s.username, s.calling_station_id, s.called_station_id, host(s.framed_ip_address) as framed_ip_address,
    s.framed_ipv6_prefix::text as framed_ipv6_prefix, s.started_at, s.started_at::text as position,
    s.updated_at, s.stopped_at, s.terminate_cause,
    s.settled_seconds + s.current_seconds as seconds,
    s.settled_input_octets + s.current_input_octets as input_octets,
    s.settled_output_octets + s.current_output_octets as output_octets,
    s.settled_input_packets + s.current_input_packets as input_packets,
    s.settled_output_packets + s.current_output_packets as output_packets
  from access.sessions s
  left join access.routers r on r.id = s.router_id
  left join access.sites i on i.id = s.site_id`;

type Row = {
  session_key: string;
  router_id: string;
  router: string | null;
  site_id: string;
  site: string | null;
  acct_session_id: string;
  username: string;
  calling_station_id: string | null;
  called_station_id: string | null;
  framed_ip_address: string | null;
  framed_ipv6_prefix: string | null;
  started_at: number;
  position: string;
  updated_at: number;
  stopped_at: number | null;
  terminate_cause: number | null;
  seconds: number;
  input_octets: number;
  output_octets: number;
  input_packets: number;
  output_packets: number;
};

const TIMEOUT_MS = 20_000;

export function createSessions(queryable: Queryable): SessionStore {
  return {
    async find(sessionKey) {
      const [row] = await queryable.query<Row>(`${SELECT} where s.session_key = $1`, [sessionKey]);
      return row === undefined ? undefined : toRecord(row);
    },

    async list({ limit, after, filter }) {
      const values: unknown[] = [];
      const parameter = (value: unknown) => `$${values.push(value)}`;
      const conditions: string[] = [];
      if (after !== undefined) {
        const { startedAt, sessionKey } = after;
        conditions.push(
          `(s.started_at, s.session_key) < (${parameter(startedAt)}::timestamptz, ${parameter(sessionKey)}::uuid)`,
        );
      }
      if (filter.username !== undefined) {
        conditions.push(`s.username = ${parameter(filter.username)}`);
      }
      if (filter.router !== undefined) {
        // By name only while the router exists; by id also afterwards.
        const router = parameter(filter.router);
        conditions.push(
          `s.router_id::text = coalesce((select id::text from access.routers where name = ${router}), ${router})`,
        );
      }
      if (filter.open !== undefined) {
        conditions.push(`s.stopped_at is ${filter.open ? '' : 'not'} null`);
      }
      if (filter.fromMs !== undefined) {
        conditions.push(`s.started_at >= ${parameter(new Date(filter.fromMs))}`);
      }
      if (filter.toMs !== undefined) {
        conditions.push(`s.started_at < ${parameter(new Date(filter.toMs))}`);
      }
      const where = conditions.length === 0 ? '' : `where ${conditions.join(' and ')}`;
      const rows = await queryable.query<Row>(
        `${SELECT} ${where} order by s.started_at desc, s.session_key desc limit ${parameter(limit)}`,
        values,
        { timeoutMs: TIMEOUT_MS },
      );
      return rows.map(toRecord);
    },

    async usage({ username, fromMs, toMs, group }) {
      const bucket = {
        hour: `date_trunc('hour', started_at)`,
        day: `date_trunc('day', started_at)`,
        total: `$1::timestamptz`,
      }[group];
      const rows = await queryable.query<{
        start: number;
        sessions: number;
        seconds: number;
        input_octets: number;
        output_octets: number;
      }>(
        `select ${bucket} as start, count(*) as sessions,
           sum(settled_seconds + current_seconds)::bigint as seconds,
           sum(settled_input_octets + current_input_octets)::bigint as input_octets,
           sum(settled_output_octets + current_output_octets)::bigint as output_octets
         from access.sessions
         where started_at >= $1 and started_at < $2 and ($3::text is null or username = $3)
         group by 1 order by 1`,
        [new Date(fromMs), new Date(toMs), username ?? null],
        { timeoutMs: TIMEOUT_MS },
      );
      return rows.map((row) => ({
        fromMs: row.start,
        sessions: row.sessions,
        seconds: row.seconds,
        inputOctets: row.input_octets,
        outputOctets: row.output_octets,
      }));
    },
  };
}

function toRecord(row: Row): SessionRecord {
  return {
    sessionKey: row.session_key,
    routerId: row.router_id,
    router: row.router ?? undefined,
    siteId: row.site_id,
    site: row.site ?? undefined,
    acctSessionId: row.acct_session_id,
    username: row.username,
    callingStationId: row.calling_station_id ?? undefined,
    calledStationId: row.called_station_id ?? undefined,
    framedIpAddress: row.framed_ip_address ?? undefined,
    framedIpv6Prefix: row.framed_ipv6_prefix ?? undefined,
    startedAtMs: row.started_at,
    updatedAtMs: row.updated_at,
    stoppedAtMs: row.stopped_at ?? undefined,
    terminateCause: row.terminate_cause ?? undefined,
    seconds: row.seconds,
    inputOctets: row.input_octets,
    outputOctets: row.output_octets,
    inputPackets: row.input_packets,
    outputPackets: row.output_packets,
    position: { startedAt: row.position, sessionKey: row.session_key },
  };
}
