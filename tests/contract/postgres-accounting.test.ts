// Promise 3 at the database: what SQL makes of accounting records is what domain/session.ts says,
// in whatever order, however often and from wherever they come.

import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { AccountingFact, AccountingRecord } from '../../src/domain/accounting.ts';
import { mergeRecord } from '../../src/domain/session.ts';
import type { Session } from '../../src/domain/session.ts';
import { connectPostgres } from '../../src/stores/postgres/connect.ts';
import type { Postgres } from '../../src/stores/postgres/connect.ts';
import { PostgresUnavailable } from '../../src/stores/postgres/errors.ts';
import { migrate } from '../../src/stores/postgres/migrate.ts';
import { SESSION_COLUMNS, sessionFromRow } from '../../src/stores/postgres/session-row.ts';
import type { SessionRow } from '../../src/stores/postgres/session-row.ts';
import { createSessionQueries } from '../../src/stores/postgres/sessions.ts';
import type { SessionQueries } from '../../src/stores/postgres/sessions.ts';
import { startPostgres } from '../servers/postgres.ts';
import type { PostgresServer } from '../servers/postgres.ts';
import { contractRuntime, metric } from './postgres-runtime.ts';

const runtime = contractRuntime();
const START_MS = Date.UTC(2026, 0, 1);
const ROUTER = '00000000-0000-4000-8000-00000000000a';
const SITE = '00000000-0000-4000-8000-00000000000b';

let server: PostgresServer;
let postgres: Postgres;
let sessions: SessionQueries;

beforeAll(async () => {
  server = await startPostgres();
  postgres = await connectPostgres({ url: server.url }, runtime);
  await migrate(postgres);
  sessions = createSessionQueries(postgres, runtime);
});

afterAll(async () => {
  await postgres[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

beforeEach(async () => {
  await postgres.query('truncate access.sessions, access.rejected_accounting');
});

function keyOf(number: number): string {
  return `00000000-0000-4000-8000-${number.toString(16).padStart(12, '0')}`;
}

function record(said: Partial<AccountingRecord> = {}): AccountingRecord {
  return {
    kind: 'interim',
    sessionKey: keyOf(1),
    routerId: ROUTER,
    siteId: SITE,
    acctSessionId: '8000001',
    multiSessionId: undefined,
    username: 'alice',
    callingStationId: undefined,
    calledStationId: undefined,
    nasIdentifier: undefined,
    nasIpAddress: undefined,
    nasPort: undefined,
    nasPortId: undefined,
    framedIpAddress: undefined,
    framedIpv6Prefix: undefined,
    occurredAtMs: START_MS,
    receivedAtMs: START_MS,
    sessionSeconds: undefined,
    inputOctets: undefined,
    outputOctets: undefined,
    inputPackets: undefined,
    outputPackets: undefined,
    terminateCause: undefined,
    ...said,
  };
}

async function storedSessions(): Promise<Session[]> {
  const rows = await postgres.query<SessionRow>(
    `select ${SESSION_COLUMNS.join(', ')} from access.sessions order by session_key`,
  );
  return rows.map(sessionFromRow);
}

/** What should be stored: the facts one after the other, by the rules of the domain. */
function folded(facts: readonly AccountingFact[]): Session[] {
  const known = new Map<string, Session>();
  for (const fact of facts) {
    if (fact.kind !== 'router-restart') {
      known.set(fact.sessionKey, mergeRecord(known.get(fact.sessionKey), fact));
      continue;
    }
    for (const [key, session] of known) {
      const isOver =
        session.routerId === fact.routerId &&
        session.stoppedAtMs === undefined &&
        session.startedAtMs < fact.occurredAtMs;
      if (isOver) {
        known.set(key, { ...session, stoppedAtMs: fact.occurredAtMs, terminateCause: 11 });
      }
    }
  }
  return [...known.values()].toSorted((one, other) => (one.sessionKey < other.sessionKey ? -1 : 1));
}

const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
// Half seconds, over a time in which the slack of ten seconds matters and in which it does not.
const time = fc.integer({ min: 0, max: 80 }).map((halves) => START_MS + halves * 500);
const count = maybe(fc.integer({ min: 0, max: 20 }));
const word = maybe(fc.constantFrom('a', 'B-2', 'null', 'two words', 'quote"d\\', '', 'ü,{}', 'x'));

const anyRecord = fc
  .record({
    kind: fc.constantFrom('start', 'interim', 'interim', 'stop'),
    sessionKey: fc.integer({ min: 1, max: 3 }).map(keyOf),
    acctSessionId: fc.constantFrom('1', 'NULL'),
    username: fc.constantFrom('alice', 'bob'),
    multiSessionId: word,
    callingStationId: word,
    calledStationId: word,
    nasIdentifier: word,
    nasPortId: word,
    nasPort: count,
    nasIpAddress: maybe(fc.constantFrom('10.0.0.1', '2001:db8::1')),
    framedIpAddress: maybe(fc.constantFrom('10.1.0.1', '10.1.0.2')),
    framedIpv6Prefix: maybe(fc.constantFrom('2001:db8::/64', '2001:db8:1::/56')),
    occurredAtMs: time,
    sessionSeconds: count,
    inputOctets: count,
    outputOctets: count,
    inputPackets: count,
    outputPackets: count,
    terminateCause: count,
  })
  .map((said) => record(said as Partial<AccountingRecord>));

const anyRestart = time.map((occurredAtMs): AccountingFact => ({
  kind: 'router-restart',
  routerId: ROUTER,
  nasIdentifier: undefined,
  nasIpAddress: undefined,
  occurredAtMs,
  receivedAtMs: occurredAtMs,
}));

describe('writing accounting', () => {
  test('any sequence in any batches gives what merging one record after the other gives', async () => {
    const anyFact = fc.oneof(
      { weight: 12, arbitrary: anyRecord },
      { weight: 1, arbitrary: anyRestart },
    );
    const batches = fc.array(fc.array(anyFact, { minLength: 1, maxLength: 12 }), { maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(batches, async (given) => {
        await postgres.query('truncate access.sessions');
        for (const batch of given) await sessions.writeAccounting(batch);
        expect(await storedSessions()).toEqual(folded(given.flat()));
      }),
      { numRuns: 200 },
    );
    const rejected = await postgres.query('select from access.rejected_accounting');
    expect(rejected).toEqual([]);
  });

  test('a batch that is written again changes nothing', async () => {
    const batch = [1, 2, 3].map((k) =>
      record({ occurredAtMs: START_MS + k * 1_000, inputOctets: k * 10, sessionSeconds: k }),
    );
    await sessions.writeAccounting(batch);
    const once = await storedSessions();
    await sessions.writeAccounting(batch);
    await sessions.writeAccounting(batch.toReversed());
    expect(await storedSessions()).toEqual(once);
  });

  test('two writers with the same sessions do not deadlock, and nothing is lost', async () => {
    const busy = contractRuntime();
    await using other = await connectPostgres({ url: server.url }, busy);
    await using another = await connectPostgres({ url: server.url }, busy);
    const writers = [createSessionQueries(other, busy), createSessionQueries(another, busy)];
    const ROUNDS = 30;
    const SESSIONS = 100;
    await Promise.all(
      writers.map(async (writer, which) => {
        for (let round = 1; round <= ROUNDS; round++) {
          const keys = Array.from({ length: SESSIONS }, (_, number) => number);
          const shuffled = which === 0 ? keys : keys.toReversed();
          await writer.writeAccounting(
            shuffled.map((number) =>
              record({
                sessionKey: keyOf(number),
                occurredAtMs: START_MS + round * 1_000,
                // Each writer knows another counter best.
                inputOctets: round * 10 + which,
                outputOctets: round * 10 + 1 - which,
              }),
            ),
          );
        }
      }),
    );
    const stored = await storedSessions();
    expect(stored).toHaveLength(SESSIONS);
    for (const session of stored) {
      expect(session.inputOctets.settled + session.inputOctets.current).toBeGreaterThanOrEqual(301);
      expect(session.updatedAtMs).toBe(START_MS + ROUNDS * 1_000);
    }
    expect(await metric(busy, 'evergate_database_errors_total')).toBe(0);
  });

  test('writers and restarts of the same router at once all succeed', async () => {
    const keys = Array.from({ length: 60 }, (_, number) => keyOf(number));
    const write = (round: number) =>
      sessions.writeAccounting(
        keys.map((sessionKey) => record({ sessionKey, occurredAtMs: START_MS + round })),
      );
    const restart = (round: number) =>
      sessions.writeAccounting([
        { ...record(), kind: 'router-restart', occurredAtMs: START_MS + 10 + round },
      ]);
    for (let round = 0; round < 20; round++) {
      await Promise.all([write(round), restart(round), write(round), restart(round)]);
    }
    const stored = await storedSessions();
    expect(stored.every((session) => session.terminateCause === 11)).toBe(true);
  });

  test('a restart closes the sessions of a device whose name ends in a NUL', async () => {
    const nasIdentifier = 'hall\0';
    await sessions.writeAccounting([record({ nasIdentifier })]);
    const at = START_MS + 10;
    await sessions.writeAccounting([
      { ...record({ nasIdentifier }), kind: 'router-restart', occurredAtMs: at },
    ]);
    expect(await sessions.countOpenSessions()).toBe(0);
  });

  test('a restart closes the sessions of the device that restarted, not of its neighbours', async () => {
    const devices = ['10.0.0.1', '10.0.0.2', undefined];
    await sessions.writeAccounting([
      ...devices.map((nasIpAddress, number) =>
        record({ sessionKey: keyOf(number), nasIpAddress, inputOctets: 7 }),
      ),
      record({ sessionKey: keyOf(8), routerId: SITE, nasIpAddress: '10.0.0.1' }),
      record({ sessionKey: keyOf(9), nasIpAddress: '10.0.0.1', occurredAtMs: START_MS + 5_000 }),
      {
        kind: 'router-restart',
        routerId: ROUTER,
        nasIdentifier: 'r1',
        nasIpAddress: '10.0.0.1',
        occurredAtMs: START_MS + 5_000,
        receivedAtMs: START_MS + 5_000,
      },
    ]);
    const stored = await storedSessions();
    expect(stored.map((session) => session.stoppedAtMs)).toEqual([
      START_MS + 5_000,
      undefined,
      START_MS + 5_000,
      undefined,
      undefined,
    ]);
    expect(stored[0]?.inputOctets).toEqual({ settled: 0, current: 7 });
    expect(await sessions.countOpenSessions()).toBe(3);
    const open = await sessions.listOpenSessions({ username: 'alice' });
    expect(open.map((session) => session.sessionKey).toSorted()).toEqual([
      keyOf(1),
      keyOf(8),
      keyOf(9),
    ]);
    expect(await sessions.listOpenSessions({ username: 'ALICE' })).toEqual([]);
  });
});

describe('a record that cannot be stored', () => {
  test('is set aside with its reason, and all others are stored', async () => {
    const good = Array.from({ length: 20 }, (_, number) => record({ sessionKey: keyOf(number) }));
    const poison = [
      record({ sessionKey: 'not a uuid' }),
      record({ sessionKey: keyOf(50), occurredAtMs: Number.NaN }),
      record({ sessionKey: keyOf(51), routerId: 'gone"\0' }),
    ];
    const batch = good.flatMap((fact, index) => [fact, ...poison.slice(index - 5, index - 4)]);
    await sessions.writeAccounting([...batch, ...poison]);

    expect(await storedSessions()).toHaveLength(20);
    const rejected = await postgres.query<{ reason: string; fact: { username: string } }>(
      'select reason, fact from access.rejected_accounting order by id',
    );
    expect(rejected.length).toBeGreaterThanOrEqual(3);
    expect(rejected.every(({ reason, fact }) => reason !== '' && fact.username === 'alice')).toBe(
      true,
    );
    expect(await metric(runtime, 'evergate_accounting_rejected_total')).toBe(rejected.length);
  });

  test('is stored without the part that no column can hold, where there is such a part', async () => {
    await sessions.writeAccounting([
      record({
        sessionKey: keyOf(1),
        username: 'nul\0in the middle',
        nasIpAddress: '10.0.0.999',
        framedIpv6Prefix: '2001:db8::1/64',
        inputOctets: 2 ** 64,
        outputOctets: 2 ** 53,
        inputPackets: -1,
        terminateCause: 4_294_967_295,
        kind: 'stop',
      }),
    ]);
    const [stored] = await storedSessions();
    expect(stored).toMatchObject({
      username: 'nul\uFFFDin the middle',
      nasIpAddress: undefined,
      framedIpv6Prefix: '2001:db8::/64',
      inputOctets: { settled: 0, current: Number.MAX_SAFE_INTEGER },
      outputOctets: { settled: 0, current: Number.MAX_SAFE_INTEGER },
      terminateCause: 4_294_967_295,
    });
  });

  test('leaves alone what is only the fault of the server', async () => {
    await postgres.query('alter table access.sessions rename to hidden');
    try {
      await expect(sessions.writeAccounting([record()])).rejects.toThrow('does not exist');
    } finally {
      await postgres.query('alter table access.hidden rename to sessions');
    }
    server.freeze();
    try {
      const writing = sessions.writeAccounting([record()], { timeoutMs: 200 });
      await expect(writing).rejects.toThrow(PostgresUnavailable);
    } finally {
      server.thaw();
    }
    expect(await postgres.query('select from access.rejected_accounting').catch(() => [])).toEqual(
      [],
    );
  });
});
