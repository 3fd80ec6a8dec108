// Sessions: what happened, the latest first. They are written by the radius service alone.

import { z } from 'zod';
import { ProblemError, notFound } from '../../../runtime/http/problem.ts';
import { decodeCursor, encodeCursor } from '../cursor.ts';
import {
  cursor,
  flag,
  idOrName,
  iso,
  isoOrNull,
  limit,
  listOf,
  record,
  shownTimestamp,
  timestamp,
  uuid,
} from '../fields.ts';
import { foreignCursor } from '../resource-routes.ts';
import { route } from '../route.ts';
import type { SessionPosition, SessionRecord } from '../stores.ts';

const shown = z
  .strictObject({
    id: z.uuid(),
    username: z.string(),
    router: z.string().nullable().meta({ description: 'Null when the router is gone.' }),
    router_id: z.uuid(),
    site: z.string().nullable(),
    site_id: z.uuid(),
    acct_session_id: z.string(),
    calling_station_id: z.string().nullable(),
    called_station_id: z.string().nullable(),
    framed_ip_address: z.string().nullable(),
    framed_ipv6_prefix: z.string().nullable(),
    open: z.boolean(),
    started_at: shownTimestamp,
    updated_at: shownTimestamp,
    stopped_at: shownTimestamp.nullable(),
    terminate_cause: z.int().nullable().meta({ description: 'RFC 2866 §5.10' }),
    seconds: z.int(),
    input_octets: z.int().meta({ description: 'From the subscriber: upload.' }),
    output_octets: z.int().meta({ description: 'To the subscriber: download.' }),
    input_packets: z.int(),
    output_packets: z.int(),
  })
  .meta({ id: 'Session' });

const listSessions = route({
  method: 'GET',
  path: '/v1/sessions',
  tag: 'sessions',
  summary: 'List sessions, the latest first',
  permission: 'read',
  query: record({
    limit,
    cursor: cursor.optional(),
    username: idOrName.optional(),
    router: idOrName.optional(),
    open: flag.optional(),
    from: timestamp.optional(),
    to: timestamp.optional(),
  }),
  answers: { 200: listOf(shown) },
  async handle({ query, stores }) {
    const { limit, username, router, open } = query;
    const records = await stores.sessions.list({
      limit: limit + 1,
      after: query.cursor === undefined ? undefined : positionOf(query.cursor),
      filter: { username, router, open, fromMs: query.from, toMs: query.to },
    });
    const page = records.slice(0, limit);
    const last = page.at(-1)?.position;
    return {
      status: 200,
      body: {
        data: page.map(show),
        next_cursor:
          records.length > limit && last !== undefined
            ? encodeCursor('sessions', [last.startedAt, last.sessionKey])
            : null,
      },
    };
  },
});

const readSession = route({
  method: 'GET',
  path: '/v1/sessions/{session}',
  tag: 'sessions',
  summary: 'Read a session',
  permission: 'read',
  params: record({ session: uuid }),
  answers: { 200: shown },
  async handle({ params, stores }) {
    const session = await stores.sessions.find(params.session);
    if (session === undefined)
      throw new ProblemError(notFound(`There is no session ${params.session}.`));
    return { status: 200, body: show(session) };
  },
});

export const sessionRoutes = [listSessions, readSession];

function show(session: SessionRecord): z.output<typeof shown> {
  return {
    id: session.sessionKey,
    username: session.username,
    router: session.router ?? null,
    router_id: session.routerId,
    site: session.site ?? null,
    site_id: session.siteId,
    acct_session_id: session.acctSessionId,
    calling_station_id: session.callingStationId ?? null,
    called_station_id: session.calledStationId ?? null,
    framed_ip_address: session.framedIpAddress ?? null,
    framed_ipv6_prefix: session.framedIpv6Prefix ?? null,
    open: session.stoppedAtMs === undefined,
    started_at: iso(session.startedAtMs),
    updated_at: iso(session.updatedAtMs),
    stopped_at: isoOrNull(session.stoppedAtMs),
    terminate_cause: session.terminateCause ?? null,
    seconds: session.seconds,
    input_octets: session.inputOctets,
    output_octets: session.outputOctets,
    input_packets: session.inputPackets,
    output_packets: session.outputPackets,
  };
}

function positionOf(cursor: string): SessionPosition {
  const [startedAt, sessionKey] = decodeCursor('sessions', 2, cursor) ?? [];
  const isPosition =
    startedAt !== undefined &&
    sessionKey !== undefined &&
    /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?\+00$/.test(startedAt) &&
    uuid.safeParse(sessionKey).success;
  if (!isPosition) throw new ProblemError(foreignCursor());
  return { startedAt, sessionKey };
}
