// Usage: what sessions used, summed by the hour or day in which they began, in UTC.

import { z } from 'zod';
import { ProblemError } from '../../../runtime/http/problem.ts';
import { idOrName, iso, record, shownTimestamp, timestamp } from '../fields.ts';
import { invalidParameters } from '../problems.ts';
import { route } from '../route.ts';

const DAY_MS = 86_400_000;
const DEFAULT_MS = 30 * DAY_MS;
/** Bounds the rows of an answer: 744 hours, 732 days. */
const MAX_MS = { hour: 31 * DAY_MS, day: 732 * DAY_MS, total: 3_660 * DAY_MS };

const shown = z
  .strictObject({
    username: z.string().nullable(),
    group: z.enum(['hour', 'day', 'total']),
    from: shownTimestamp,
    to: shownTimestamp,
    data: z.array(
      z.strictObject({
        from: shownTimestamp,
        sessions: z.int(),
        seconds: z.int(),
        input_octets: z.int(),
        output_octets: z.int(),
      }),
    ),
  })
  .meta({ id: 'Usage' });

const readUsage = route({
  method: 'GET',
  path: '/v1/usage',
  tag: 'usage',
  summary: 'Sum what was used',
  description:
    'By hour (at most 31 days), day (at most two years) or in total, of one subscriber or of all, for sessions that began from `from` until before `to`; the last 30 days unless told otherwise. Hours and days without a session are left out.',
  permission: 'read',
  query: record({
    username: idOrName.optional(),
    from: timestamp.optional(),
    to: timestamp.optional(),
    group: z.enum(['hour', 'day', 'total']).default('total'),
  }),
  answers: { 200: shown },
  async handle({ query, stores, nowMs }) {
    const { username, group } = query;
    const toMs = query.to ?? nowMs;
    const fromMs = query.from ?? toMs - DEFAULT_MS;
    if (fromMs >= toMs) throw wrongTime('from', 'must be before to');
    if (toMs - fromMs > MAX_MS[group]) {
      throw wrongTime(
        'from',
        `must be at most ${MAX_MS[group] / DAY_MS} days before to for group=${group}`,
      );
    }
    const usage = await stores.sessions.usage({ username, fromMs, toMs, group });
    return {
      status: 200,
      body: {
        username: username ?? null,
        group,
        from: iso(fromMs),
        to: iso(toMs),
        data: usage.map((row) => ({
          from: iso(row.fromMs),
          sessions: row.sessions,
          seconds: row.seconds,
          input_octets: row.inputOctets,
          output_octets: row.outputOctets,
        })),
      },
    };
  },
});

export const usageRoutes = [readUsage];

function wrongTime(parameter: string, detail: string): ProblemError {
  return new ProblemError(invalidParameters([{ parameter, detail }]));
}
