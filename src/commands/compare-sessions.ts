// What a simulation was promised, against what the API says the database holds.

import type { Clock } from '../runtime/clock.ts';
import type { AcknowledgedSession } from '../services/client/simulation.ts';
import type { Gateway } from './gateway-client.ts';

export type Comparison = {
  isRight: boolean;
  acknowledged: number;
  /** Session ids. */
  lost: string[];
  twice: string[];
  tooLittle: string[];
  tooMuch: string[];
};

type StoredSession = {
  acct_session_id: string;
  username: string;
  open: boolean;
  seconds: number;
  input_octets: number;
  output_octets: number;
};
type Page = { data: StoredSession[]; next_cursor: string | null };

const PAGE_LIMIT = 200;
/** Records that went to the journal reach the database a little later. */
const PATIENCE_MS = 15_000;
const AGAIN_AFTER_MS = 1_000;
/** The server's clock may be a little behind ours. */
const CLOCK_MARGIN_MS = 60_000;

export async function compareWithDatabase(
  gateway: Gateway,
  acknowledged: ReadonlyMap<string, AcknowledgedSession>,
  startedAtMs: number,
  clock: Clock,
): Promise<Comparison> {
  const deadlineMs = clock.monotonicMs() + PATIENCE_MS;
  for (;;) {
    const stored = await readSessions(gateway, startedAtMs - CLOCK_MARGIN_MS);
    const comparison = compareSessions(acknowledged, stored);
    if (comparison.isRight || clock.monotonicMs() > deadlineMs) return comparison;
    await clock.sleep(AGAIN_AFTER_MS);
  }
}

export function compareSessions(
  acknowledged: ReadonlyMap<string, AcknowledgedSession>,
  stored: readonly StoredSession[],
): Comparison {
  const byId = Map.groupBy(stored, (session) => session.acct_session_id);
  const found = { lost: [], twice: [], tooLittle: [], tooMuch: [] } as Record<
    'lost' | 'twice' | 'tooLittle' | 'tooMuch',
    string[]
  >;
  for (const [id, promised] of acknowledged) {
    const [session, second] = byId.get(id) ?? [];
    if (session === undefined) found.lost.push(id);
    else if (second !== undefined) found.twice.push(id);
    else if (hasLess(session, promised)) found.tooLittle.push(id);
    // A record that was sent after the last acknowledged one may have arrived as well.
    else if (promised.isStopped && hasMore(session, promised)) found.tooMuch.push(id);
  }
  const isRight = Object.values(found).every((ids) => ids.length === 0);
  return { isRight, acknowledged: acknowledged.size, ...found };
}

function hasLess(session: StoredSession, promised: AcknowledgedSession): boolean {
  return (
    session.seconds < promised.seconds ||
    session.input_octets < promised.inputOctets ||
    session.output_octets < promised.outputOctets ||
    (promised.isStopped && session.open)
  );
}

function hasMore(session: StoredSession, promised: AcknowledgedSession): boolean {
  return (
    session.seconds > promised.seconds ||
    session.input_octets > promised.inputOctets ||
    session.output_octets > promised.outputOctets
  );
}

async function readSessions(gateway: Gateway, fromMs: number): Promise<StoredSession[]> {
  const sessions: StoredSession[] = [];
  const from = encodeURIComponent(new Date(fromMs).toISOString());
  let cursor = '';
  for (;;) {
    const path = `/v1/sessions?limit=${PAGE_LIMIT}&from=${from}${cursor}`;
    const page = (await gateway.request('GET', path)) as Page;
    sessions.push(...page.data);
    if (page.next_cursor === null) return sessions;
    cursor = `&cursor=${encodeURIComponent(page.next_cursor)}`;
  }
}
