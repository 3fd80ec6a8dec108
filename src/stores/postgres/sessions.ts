// What routers report, merged into one row per session: the rules of domain/session.ts `mergeRecord`
// said in SQL (session-statements.ts), for a whole batch in one statement. What cannot be stored is set
// aside, so that it never holds up the rest.

import type { AccountingFact, AccountingRecord, RouterRestart } from '../../domain/accounting.ts';
import type { Session } from '../../domain/session.ts';
import { describeError } from '../../runtime/log.ts';
import { timeOrderedId } from '../../runtime/random.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { arrayLiterals, foldedLiterals, sanitize, withoutNul } from './accounting-batch.ts';
import type { Queryable } from './connect.ts';
import { isDataError, sqlState } from './errors.ts';
import { sessionFromRow, SESSION_COLUMNS } from './session-row.ts';
import type { SessionRow } from './session-row.ts';
import { foldFromStart } from './session-folding.ts';
import type { FoldedRecord } from './session-folding.ts';
import { CLOSE_ROUTER, INSERT_SESSIONS, UPSERT_SESSIONS } from './session-statements.ts';

export type SessionQueries = {
  /**
   * Resolves when every fact is committed, or set aside in `rejected_accounting` because it can never
   * be. Rejects with `PostgresUnavailable` when the database is away or slow: some facts may have been
   * stored then, and all of them may be given again.
   */
  writeAccounting(
    facts: readonly AccountingFact[],
    options?: { timeoutMs?: number },
  ): Promise<void>;
  /** Calls with the sessions that the restart of a router has ended, when that is committed. */
  onSessionsEnded(listener: (sessions: EndedSession[]) => void): void;
  /** Sessions that have not stopped, as far as we have heard. */
  listOpenSessions(filter?: { username?: string }): Promise<Session[]>;
  countOpenSessions(): Promise<number>;
};

type EndedSession = { sessionKey: string; username: string };

/** RFC 2866 §5.10: the router restarted, so the session cannot be there any more. */
const TERMINATE_CAUSE_NAS_REBOOT = 11;

const MAX_DEADLOCK_RETRIES = 5;

export function createSessionQueries(postgres: Queryable, runtime: Runtime): SessionQueries {
  const rejected = runtime.metrics
    .counter('evergate_accounting_rejected_total', 'Accounting facts that can never be stored.')
    .labels({});

  const endedListeners: ((sessions: EndedSession[]) => void)[] = [];

  type WriteOptions = { timeoutMs?: number };

  async function writeAccounting(facts: readonly AccountingFact[], options: WriteOptions = {}) {
    for (const step of stepsOf(facts)) {
      await write(step, options);
    }
  }

  /** A step that the database refuses is halved until the fact at fault is found and set aside. */
  async function write(step: Step, options: WriteOptions): Promise<void> {
    try {
      switch (step.kind) {
        case 'restart':
          return await close(step.restart, options);
        case 'records':
          return await upsert(step.records, options);
        case 'folded':
          return await insertOrMerge(step.sessions, options);
      }
    } catch (error) {
      if (!canNeverBeStored(error)) throw error;
      if (step.kind === 'restart') return reject(step.restart, error);
      if (step.kind === 'folded') return mergeOneByOne(step.sessions, options);
      const [only] = step.records;
      if (step.records.length > 1 || only === undefined) {
        const middle = Math.ceil(step.records.length / 2);
        await write({ kind: 'records', records: step.records.slice(0, middle) }, options);
        return write({ kind: 'records', records: step.records.slice(middle) }, options);
      }
      try {
        await upsert([sanitize(only)], options);
      } catch (stillError) {
        if (!canNeverBeStored(stillError)) throw stillError;
        await reject(only, stillError);
      }
    }
  }

  async function insertOrMerge(sessions: readonly FoldedSession[], options: WriteOptions) {
    const inserted = await withoutDeadlock(() =>
      postgres.query<{ session_key: string }>(
        INSERT_SESSIONS,
        foldedLiterals(sessions.map(({ folded }) => folded)),
        { name: 'accounting-sessions', ...options },
      ),
    );
    const isNew = new Set(inserted.map((row) => row.session_key));
    const known = sessions.filter(({ folded }) => !isNew.has(folded.sessionKey));
    if (known.length > 0) await mergeOneByOne(known, options);
  }

  async function mergeOneByOne(sessions: readonly FoldedSession[], options: WriteOptions) {
    for (const step of wavesOf(sessions.map(({ records }) => records))) await write(step, options);
  }

  async function upsert(records: readonly AccountingRecord[], options: WriteOptions) {
    await withoutDeadlock(() =>
      postgres.query(UPSERT_SESSIONS, arrayLiterals(records), { name: 'accounting', ...options }),
    );
  }

  async function close(restart: RouterRestart, options: WriteOptions) {
    const ended = await withoutDeadlock(() =>
      postgres.query<{ session_key: string; username: string }>(
        CLOSE_ROUTER,
        [
          restart.routerId,
          restart.occurredAtMs / 1000,
          // Written as it was when its sessions were stored.
          restart.nasIdentifier === undefined ? null : withoutNul(restart.nasIdentifier),
          restart.nasIpAddress ?? null,
          TERMINATE_CAUSE_NAS_REBOOT,
        ],
        { name: 'router-restart', ...options },
      ),
    );
    if (ended.length === 0) return;
    const sessions = ended.map((row) => ({ sessionKey: row.session_key, username: row.username }));
    for (const listener of endedListeners) listener(sessions);
  }

  async function reject(fact: AccountingFact, error: unknown) {
    const nowMs = runtime.clock.nowMs();
    const reason = describeError(error);
    await postgres.query(
      `insert into access.rejected_accounting (id, received_at, reason, fact)
       values ($1, to_timestamp($2), $3, $4)`,
      [timeOrderedId(runtime.random, nowMs), nowMs / 1000, reason, toJson(fact)],
      { name: 'rejected-accounting' },
    );
    rejected.add();
    runtime.log.error('accounting record set aside: it can never be stored', { reason });
  }

  return {
    writeAccounting,
    onSessionsEnded: (listener) => void endedListeners.push(listener),

    async listOpenSessions({ username } = {}) {
      const columns = SESSION_COLUMNS.join(', ');
      const rows = await postgres.query<SessionRow>(
        username === undefined
          ? `select ${columns} from access.sessions where stopped_at is null`
          : `select ${columns} from access.sessions
             where stopped_at is null and upper(username) = upper($1) and username = $1`,
        username === undefined ? [] : [username],
        { timeoutMs: 30_000 },
      );
      return rows.map(sessionFromRow);
    },

    async countOpenSessions() {
      const [row] = await postgres.query<{ count: number }>(
        'select count(*) from access.sessions where stopped_at is null',
        [],
        { name: 'open-sessions', timeoutMs: 10_000 },
      );
      return row?.count ?? 0;
    },
  };
}

type FoldedSession = { folded: FoldedRecord; records: readonly AccountingRecord[] };

type Step =
  | { kind: 'records'; records: AccountingRecord[] }
  | { kind: 'folded'; sessions: FoldedSession[] }
  | { kind: 'restart'; restart: RouterRestart };

/**
 * One statement touches a row once, and a merge is not associative: two records of one session are
 * folded beforehand or go into two steps, in their order, and a restart comes after what was reported
 * before it. Records of different sessions do not disturb each other, so nearly every batch is one
 * step. In a step the keys are sorted: two writers lock the rows that both want in the same order.
 */
function stepsOf(facts: readonly AccountingFact[]): Step[] {
  const steps: Step[] = [];
  let bySession = new Map<string, AccountingRecord[]>();
  const flush = () => {
    const folded: FoldedSession[] = [];
    const others: AccountingRecord[][] = [];
    for (const records of bySession.values()) {
      const row = foldFromStart(records);
      if (row === undefined) others.push(records);
      else folded.push({ folded: row, records });
    }
    if (folded.length > 0) {
      folded.sort((one, other) => (one.folded.sessionKey < other.folded.sessionKey ? -1 : 1));
      steps.push({ kind: 'folded', sessions: folded });
    }
    steps.push(...wavesOf(others));
    bySession = new Map();
  };
  for (const fact of facts) {
    if (fact.kind === 'router-restart') {
      flush();
      steps.push({ kind: 'restart', restart: fact });
      continue;
    }
    const records = bySession.get(fact.sessionKey);
    if (records === undefined) bySession.set(fact.sessionKey, [fact]);
    else records.push(fact);
  }
  flush();
  return steps;
}

/** The first records of all sessions, then the second ones, and so on. */
function wavesOf(sessions: readonly (readonly AccountingRecord[])[]): Step[] {
  const waves: AccountingRecord[][] = [];
  for (const records of sessions) {
    records.forEach((record, wave) => (waves[wave] ??= []).push(record));
  }
  return waves.map((records) => ({
    kind: 'records',
    records: records.sort((one, other) => (one.sessionKey < other.sessionKey ? -1 : 1)),
  }));
}

/** Two writers with a router's restart between them can still meet: one is told to try again. */
async function withoutDeadlock<T>(run: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await run();
    } catch (error) {
      const isDeadlock = sqlState(error) === '40P01' || sqlState(error) === '40001';
      if (!isDeadlock || tries > MAX_DEADLOCK_RETRIES) throw error;
    }
  }
}

/** A value that does not fit; 21000: two spellings of one session key; 54: too long for an index. */
function canNeverBeStored(error: unknown): boolean {
  const state = sqlState(error);
  if (state === '21000' || state?.startsWith('54') === true) return true;
  return isDataError(error) || error instanceof TypeError || error instanceof RangeError;
}

function toJson(fact: AccountingFact): string {
  return JSON.stringify(fact, (_, value: unknown) =>
    typeof value === 'string' ? withoutNul(value) : value,
  );
}
