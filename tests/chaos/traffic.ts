// Mixed traffic for the chaos tests, with a ledger: virtual routers log subscribers in, account
// Start, Interims and Stop, turn to another node when one is silent, as routers do, and write down
// what was acknowledged. Afterwards `settle` holds the database against the ledger.

import { randomBytes, randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { reportAccounting } from '../../src/services/client/account.ts';
import type { AccountingReport } from '../../src/services/client/account.ts';
import { tryLogin } from '../../src/services/client/login.ts';
import { macAddress } from '../../src/services/client/place.ts';
import { createRadiusClient } from '../../src/services/client/radius-client.ts';
import type { RadiusClient } from '../../src/services/client/radius-client.ts';
import { createSystemRuntime } from '../../src/runtime/system-runtime.ts';

const SECRET = 'testing123';
const SUBSCRIBERS = 40;

/** Desired state for `--apply`: one router on the loopback interface, subscribers u0 … with a plan. */
export const desiredState = {
  sites: [{ name: 'lab', timezone: 'UTC' }],
  routers: [{ name: 'r1', site: 'lab', address: '127.0.0.0/8', secret: SECRET }],
  plans: [{ name: 'free', rate: '2M/10M' }],
  subscribers: Array.from({ length: SUBSCRIBERS }, (_, i) => ({
    username: `u${i}`,
    password: `p${i}`,
    plan: 'free',
  })),
};

export type Node = { authPort: number; acctPort: number };

type Totals = { seconds: number; inputOctets: number; outputOctets: number };
type Entry = {
  username: string;
  /** The last record that was acknowledged, and the last that was sent: it may have arrived. */
  acknowledged: Totals | undefined;
  sent: Totals;
  isStopAcknowledged: boolean;
};

export type Ledger = {
  /** Begins every session id of this traffic, so that another's in the same database do not count. */
  run: string;
  sessions: Map<string, Entry>;
  acknowledgedRecords: number;
  logins: { accepted: number; rejected: number; unanswered: number };
  /** Answers that contradict what was asked: there must be none. */
  wrong: string[];
  /** The longest that a login waited for its answer, retransmissions to other nodes included. */
  slowestLoginMs: number;
};

export type Traffic = {
  readonly ledger: Ledger;
  /** Ends when every worker has had its last answer. */
  stop(): Promise<Ledger>;
};

const WORKERS = 24;
/** A router's first time-out; then it asks another node. */
const ANSWER_MS = 2_000;
const GIVE_UP_ACCOUNTING_MS = 60_000;

export async function startTraffic(options: {
  nodes: () => Node[];
  /** Short pauses make the load, long ones let a test breathe. */
  pauseMs?: number;
}): Promise<Traffic> {
  const runtime = createSystemRuntime({
    log: { level: 'silent', format: 'json' },
    fields: {},
    engine: 'dgram',
    processMetrics: false,
  });
  const ledger: Ledger = {
    run: randomBytes(4).toString('hex'),
    sessions: new Map(),
    acknowledgedRecords: 0,
    logins: { accepted: 0, rejected: 0, unanswered: 0 },
    wrong: [],
    slowestLoginMs: 0,
  };
  let isStopping = false;

  async function work(number: number): Promise<void> {
    await using client = await createRadiusClient(
      { address: '127.0.0.1', secret: SECRET, timeoutMs: ANSWER_MS, retransmitAfterMs: 900 },
      runtime,
    );
    const place = {
      nasIdentifier: `lab-${number}`,
      nasIpAddress: '127.0.0.1',
      calledStationId: `${macAddress(number)}:lab`,
      callingStationId: macAddress(1000 + number),
    };
    for (let visit = 0; !isStopping; visit++) {
      const subscriber = randomInt(SUBSCRIBERS);
      await logIn(client, place, subscriber, visit);
      await account(client, place, `${ledger.run}-${number}-${visit}`, `u${subscriber}`);
      await sleep(options.pauseMs ?? 5);
    }
  }

  async function logIn(
    client: RadiusClient,
    place: AccountingReport['place'],
    subscriber: number,
    visit: number,
  ): Promise<void> {
    const isRight = visit % 8 !== 7;
    const method = (['pap', 'chap', 'mschapv2'] as const)[visit % 3] ?? 'pap';
    const login = {
      username: `u${subscriber}`,
      password: isRight ? `p${subscriber}` : 'wrong',
      method,
      place,
    };
    const startedMs = performance.now();
    for (const node of options.nodes()) {
      const outcome = await tryLogin(client, node.authPort, login, runtime.random);
      if (outcome.kind === 'silence' || outcome.kind === 'busy') continue;
      if (outcome.kind !== (isRight ? 'accepted' : 'rejected')) {
        ledger.wrong.push(`${method} ${isRight ? 'right' : 'wrong'} password: ${outcome.kind}`);
      }
      if (isRight) {
        ledger.slowestLoginMs = Math.max(ledger.slowestLoginMs, performance.now() - startedMs);
        ledger.logins.accepted++;
      } else ledger.logins.rejected++;
      return;
    }
    ledger.logins.unanswered++;
  }

  async function account(
    client: RadiusClient,
    place: AccountingReport['place'],
    acctSessionId: string,
    username: string,
  ): Promise<void> {
    const totals = { seconds: 0, inputOctets: 0, outputOctets: 0 };
    const entry: Entry = {
      username,
      acknowledged: undefined,
      sent: { ...totals },
      isStopAcknowledged: false,
    };
    ledger.sessions.set(acctSessionId, entry);
    for (const kind of ['start', 'interim', 'interim', 'stop'] as const) {
      if (kind !== 'start') {
        totals.seconds += 1 + randomInt(300);
        totals.inputOctets += randomInt(3_000_000_000);
        totals.outputOctets += randomInt(3_000_000_000);
      }
      entry.sent = { ...totals };
      const report: AccountingReport = {
        kind,
        acctSessionId,
        multiSessionId: acctSessionId,
        username,
        framedIpAddress: '10.0.0.1',
        place,
        ...totals,
        eventAtMs: Date.now(),
      };
      if (!(await deliver(client, report))) return; // given up: it may have arrived, or not
      ledger.acknowledgedRecords++;
      entry.acknowledged = { ...totals };
      if (kind === 'stop') entry.isStopAcknowledged = true;
    }
  }

  /** To one node after the other, again and again, until one acknowledges. */
  async function deliver(client: RadiusClient, report: AccountingReport): Promise<boolean> {
    const deadlineMs = performance.now() + GIVE_UP_ACCOUNTING_MS;
    while (performance.now() < deadlineMs) {
      for (const node of options.nodes()) {
        const outcome = await reportAccounting(client, node.acctPort, report);
        if (outcome.kind === 'answer') return true;
      }
      if (isStopping) return false;
    }
    return false;
  }

  const working = Promise.all(Array.from({ length: WORKERS }, (_, number) => work(number)));
  return {
    ledger,
    async stop() {
      isStopping = true;
      await working;
      return ledger;
    },
  };
}

type StoredSession = {
  acct_session_id: string;
  username: string;
  open: boolean;
  seconds: number;
  input_octets: number;
  output_octets: number;
};

/**
 * What is wrong with the database, in sentences: nothing acknowledged may be lost, nothing counted
 * twice. `api` is the gateway of a node that sees the database.
 */
export async function findDifferences(
  ledger: Ledger,
  api: (path: string) => Promise<Response>,
): Promise<string[]> {
  const stored = (await readSessions(api)).filter(({ acct_session_id }) =>
    acct_session_id.startsWith(ledger.run),
  );
  const differences: string[] = [];
  const byId = Map.groupBy(stored, (session) => session.acct_session_id);

  for (const [id, { username, acknowledged, sent, isStopAcknowledged }] of ledger.sessions) {
    const rows = byId.get(id) ?? [];
    if (rows.length > 1) differences.push(`session ${id} is there ${rows.length} times`);
    const [row] = rows;
    if (row === undefined) {
      if (acknowledged !== undefined)
        differences.push(`session ${id} was acknowledged and is lost`);
      continue;
    }
    if (row.username !== username) differences.push(`session ${id} belongs to ${row.username}`);
    if (isStopAcknowledged && row.open) differences.push(`the Stop of session ${id} is lost`);
    const least = acknowledged ?? { seconds: 0, inputOctets: 0, outputOctets: 0 };
    const counted = [
      ['seconds', row.seconds, least.seconds, sent.seconds],
      ['input octets', row.input_octets, least.inputOctets, sent.inputOctets],
      ['output octets', row.output_octets, least.outputOctets, sent.outputOctets],
    ] as const;
    for (const [what, value, from, to] of counted) {
      if (value < from || value > to) {
        differences.push(`session ${id} has ${value} ${what}, not ${from} to ${to}`);
      }
    }
  }
  for (const id of byId.keys()) {
    if (!ledger.sessions.has(id)) differences.push(`session ${id} was never reported`);
  }
  return differences;
}

async function readSessions(api: (path: string) => Promise<Response>): Promise<StoredSession[]> {
  const sessions: StoredSession[] = [];
  let cursor: string | null = '';
  while (cursor !== null) {
    const after = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const response = await api(`/v1/sessions?limit=200${after}`);
    if (!response.ok) throw new Error(`reading sessions: ${response.status}`);
    const page = (await response.json()) as { data: StoredSession[]; next_cursor: string | null };
    sessions.push(...page.data);
    cursor = page.next_cursor;
  }
  return sessions;
}

/** Asks again and again until it is so; fails with the sentence when it is not so in time. */
export async function until(
  sentence: string,
  isSo: () => boolean | Promise<boolean>,
  withinMs = 60_000,
): Promise<void> {
  const deadlineMs = performance.now() + withinMs;
  while (!(await Promise.resolve(isSo()).catch(() => false))) {
    if (performance.now() > deadlineMs) throw new Error(`not in ${withinMs} ms: ${sentence}`);
    await sleep(100);
  }
}
