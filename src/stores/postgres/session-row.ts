// A row of access.sessions as the domain's Session.

import type { Session } from '../../domain/session.ts';

export const SESSION_COLUMNS = [
  'session_key',
  'router_id',
  'site_id',
  'acct_session_id',
  'multi_session_id',
  'username',
  'calling_station_id',
  'called_station_id',
  'nas_identifier',
  'host(nas_ip_address) as nas_ip_address',
  'nas_port',
  'nas_port_id',
  'host(framed_ip_address) as framed_ip_address',
  'framed_ipv6_prefix',
  'started_at',
  'updated_at',
  'counting_since',
  'stopped_at',
  'terminate_cause',
  'settled_seconds',
  'current_seconds',
  'settled_input_octets',
  'current_input_octets',
  'settled_output_octets',
  'current_output_octets',
  'settled_input_packets',
  'current_input_packets',
  'settled_output_packets',
  'current_output_packets',
] as const;

export type SessionRow = {
  session_key: string;
  router_id: string;
  site_id: string;
  acct_session_id: string;
  multi_session_id: string | null;
  username: string;
  calling_station_id: string | null;
  called_station_id: string | null;
  nas_identifier: string | null;
  nas_ip_address: string | null;
  nas_port: number | null;
  nas_port_id: string | null;
  framed_ip_address: string | null;
  framed_ipv6_prefix: string | null;
  started_at: number;
  updated_at: number;
  counting_since: number;
  stopped_at: number | null;
  terminate_cause: number | null;
  settled_seconds: number;
  current_seconds: number;
  settled_input_octets: number;
  current_input_octets: number;
  settled_output_octets: number;
  current_output_octets: number;
  settled_input_packets: number;
  current_input_packets: number;
  settled_output_packets: number;
  current_output_packets: number;
};

export function sessionFromRow(row: SessionRow): Session {
  return {
    sessionKey: row.session_key,
    routerId: row.router_id,
    siteId: row.site_id,
    acctSessionId: row.acct_session_id,
    multiSessionId: row.multi_session_id ?? undefined,
    username: row.username,
    callingStationId: row.calling_station_id ?? undefined,
    calledStationId: row.called_station_id ?? undefined,
    nasIdentifier: row.nas_identifier ?? undefined,
    nasIpAddress: row.nas_ip_address ?? undefined,
    nasPort: row.nas_port ?? undefined,
    nasPortId: row.nas_port_id ?? undefined,
    framedIpAddress: row.framed_ip_address ?? undefined,
    framedIpv6Prefix: row.framed_ipv6_prefix ?? undefined,
    startedAtMs: row.started_at,
    updatedAtMs: row.updated_at,
    countingSinceMs: row.counting_since,
    stoppedAtMs: row.stopped_at ?? undefined,
    terminateCause: row.terminate_cause ?? undefined,
    seconds: { settled: row.settled_seconds, current: row.current_seconds },
    inputOctets: { settled: row.settled_input_octets, current: row.current_input_octets },
    outputOctets: { settled: row.settled_output_octets, current: row.current_output_octets },
    inputPackets: { settled: row.settled_input_packets, current: row.current_input_packets },
    outputPackets: { settled: row.settled_output_packets, current: row.current_output_packets },
  };
}
