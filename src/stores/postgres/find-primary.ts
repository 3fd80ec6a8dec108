// Which of several servers is the primary: asked of all at once, with a deadline each.

import type { Clock } from '../../runtime/clock.ts';
import { describeError } from '../../runtime/log.ts';
import { describeHost } from './address.ts';
import type { PostgresAddress, PostgresHost } from './address.ts';
import { connectClient, withinDeadline } from './connection-pool.ts';
import { PostgresUnavailable, sqlState } from './errors.ts';

type Answer =
  | { kind: 'primary'; host: PostgresHost; timeline: number }
  | { kind: 'replica'; host: PostgresHost }
  | { kind: 'away'; host: PostgresHost; error: unknown };

/** After the first primary has answered, the others get this long to claim that they are newer. */
const RIVAL_GRACE_MS = 100;

/** The write-ahead log's file name begins with the timeline, which grows with every promotion. */
const QUESTION = `select case
  when pg_is_in_recovery() or current_setting('default_transaction_read_only')::boolean then null
  else pg_walfile_name(pg_current_wal_lsn())
end as wal_file`;

export async function findPrimary(
  address: PostgresAddress,
  options: { applicationName: string; timeoutMs: number; clock: Clock },
): Promise<PostgresHost> {
  const answers: Answer[] = [];
  const asked = address.hosts.map(async (host) => {
    const answer = await ask(address, host, options);
    answers.push(answer);
    if (answer.kind !== 'primary') throw new PostgresUnavailable('not a primary');
  });
  await Promise.race([
    Promise.allSettled(asked),
    Promise.any(asked).then(
      () => options.clock.sleep(RIVAL_GRACE_MS),
      () => undefined,
    ),
  ]);

  const primaries = answers
    .filter((answer) => answer.kind === 'primary')
    .toSorted((one, other) => other.timeline - one.timeline);
  const [newest] = primaries;
  if (newest !== undefined) return newest.host;

  const causes = answers.flatMap((answer) => (answer.kind === 'away' ? [answer.error] : []));
  throw new PostgresUnavailable(
    `no PostgreSQL primary: ${answers.map(describeAnswer).join('; ')}`,
    { cause: causes.find(isPermanent) },
  );
}

/** Trying again cannot help: the configuration is wrong. */
export function isPermanent(error: unknown): boolean {
  const state = sqlState(error);
  return state !== undefined && (state.startsWith('28') || state === '3D000');
}

async function ask(
  address: PostgresAddress,
  host: PostgresHost,
  options: { applicationName: string; timeoutMs: number; clock: Clock },
): Promise<Answer> {
  try {
    const { client, destroy } = await connectClient(address, host, options);
    try {
      const asking = client.query<{ wal_file: string | null }>(QUESTION);
      const { rows } = await withinDeadline(options.clock, options.timeoutMs, asking, destroy);
      const walFile = rows[0]?.wal_file ?? undefined;
      if (walFile === undefined) return { kind: 'replica', host };
      return { kind: 'primary', host, timeline: Number.parseInt(walFile.slice(0, 8), 16) };
    } finally {
      // Half a second of politeness, without anybody waiting for it.
      const lastCall = options.clock.after(500, destroy);
      void client.end().finally(() => lastCall[Symbol.dispose]());
    }
  } catch (error) {
    return { kind: 'away', host, error };
  }
}

function describeAnswer(answer: Answer): string {
  const name = describeHost(answer.host);
  return answer.kind === 'away'
    ? `${name}: ${describeError(answer.error)}`
    : `${name} is a ${answer.kind}`;
}
