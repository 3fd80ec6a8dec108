// Virtual hotspots: devices arrive at a given rate whatever the server does (an open loop), log in,
// account, roam to another router and leave. What was acknowledged is kept, so that it can be
// compared with what the database holds afterwards.

import assert from 'node:assert';
import type { Runtime } from '../../runtime/runtime.ts';
import { reportAccounting } from './account.ts';
import type { AccountingReport } from './account.ts';
import { LOGIN_METHODS } from './login.ts';
import { macAddress } from './place.ts';
import type { Place } from './place.ts';
import type { RadiusClient } from './radius-client.ts';
import { createSimulatedLogin } from './simulated-login.ts';
import type { SimulatedMethod } from './simulated-login.ts';

export type SimulationOptions = {
  routers: { name: string; address: string; client: RadiusClient }[];
  subscribers: { username: string; password: string }[];
  authPort: number;
  acctPort: number;
  loginsPerSecond: number;
  durationMs: number;
  /** The share of logins that get their password wrong, as people do. */
  wrongPasswords: number;
  /** Each login has one of these. */
  methods?: readonly SimulatedMethod[];
};

/** What a session's records were acknowledged to contain. */
export type AcknowledgedSession = {
  acctSessionId: string;
  username: string;
  isStopped: boolean;
  seconds: number;
  inputOctets: number;
  outputOctets: number;
};

type SimulationCounts = {
  /** Logins that should have begun and did not, because too many were under way. */
  skipped: number;
  accepted: number;
  /** With the wrong password, and so rightly. */
  rejected: number;
  /** With the right password rejected, with the wrong one accepted, or an answer that proves nothing. */
  wrong: number;
  /** No answer within the client's time. */
  silent: number;
  accountingSent: number;
  accountingAcknowledged: number;
  accountingSilent: number;
  roamed: number;
  open: number;
};

export type Simulation = {
  readonly counts: SimulationCounts;
  readonly acknowledged: ReadonlyMap<string, AcknowledgedSession>;
  /** The reason of the last wrong answer, for people. */
  readonly lastComplaint: string | undefined;
  /** Of logins that were answered, in milliseconds; at most the latest `KEPT_TIMES`. */
  readonly loginTimesMs: readonly number[];
  /** Resolves when every session has ended, or at the latest some seconds after the signal. */
  run(signal: AbortSignal): Promise<void>;
};

/** Visits under way at once; beyond it a new one is skipped and counted. */
const MAX_UNDER_WAY = 5_000;
/** Sessions that are ended side by side when the simulation is over. */
const MAX_ENDING = 200;
const KEPT_TIMES = 100_000;
const TICK_MS = 10;
const ROAMING_SHARE = 0.15;
const OCTETS_PER_SECOND = 250_000;

type Session = {
  subscriber: { username: string; password: string };
  multiSessionId: string;
  acctSessionId: string;
  place: Place;
  client: RadiusClient;
  framedIpAddress: string;
  startedMs: number;
};

export function createSimulation(options: SimulationOptions, runtime: Runtime): Simulation {
  const { routers, authPort, acctPort, loginsPerSecond, durationMs } = options;
  const { clock, random } = runtime;
  const methods = options.methods ?? LOGIN_METHODS;
  const logIn = createSimulatedLogin(runtime);
  assert(routers.length > 0 && options.subscribers.length > 0);

  const counts: SimulationCounts = {
    skipped: 0,
    accepted: 0,
    rejected: 0,
    wrong: 0,
    silent: 0,
    accountingSent: 0,
    accountingAcknowledged: 0,
    accountingSilent: 0,
    roamed: 0,
    open: 0,
  };
  const acknowledged = new Map<string, AcknowledgedSession>();
  const loginTimesMs: number[] = [];
  let lastComplaint: string | undefined;

  const offline = options.subscribers.map((subscriber, number) => ({ ...subscriber, number }));
  const visits = new Set<Promise<void>>();
  const ending = new AbortController();
  // Short enough that there is nearly always somebody offline who can log in.
  const sessionMs = Math.min(durationMs / 2, (options.subscribers.length / loginsPerSecond) * 500);
  let sessionsBegun = 0;

  function pick<T>(from: readonly T[]): T {
    const chosen = from[Math.floor(random.fraction() * from.length)];
    assert(chosen !== undefined);
    return chosen;
  }

  function placeOf(router: { name: string; address: string }, device: number): Place {
    return {
      nasIdentifier: router.name,
      nasIpAddress: router.address,
      calledStationId: `${macAddress(0xff_0000)}:${router.name}`,
      callingStationId: macAddress(device + 1),
    };
  }

  async function visit(subscriber: (typeof offline)[number]): Promise<void> {
    const isWrong = random.fraction() < options.wrongPasswords;
    const router = pick(routers);
    const multiSessionId = random.bytes(6).toString('hex');
    let session = await begin(subscriber, router, isWrong, multiSessionId);
    if (session === undefined) return;

    const staysMs = sessionMs * (0.5 + random.fraction());
    if (routers.length > 1 && random.fraction() < ROAMING_SHARE) {
      await stay(session, staysMs / 2);
      await end(session);
      const next = pick(routers.filter((other) => other !== router));
      session = await begin(subscriber, next, false, multiSessionId);
      if (session === undefined) return;
      counts.roamed++;
    }
    await stay(session, staysMs / 2);
    await end(session);
  }

  async function begin(
    subscriber: (typeof offline)[number],
    router: SimulationOptions['routers'][number],
    isWrong: boolean,
    multiSessionId: string,
  ): Promise<Session | undefined> {
    const { username, number } = subscriber;
    const place = placeOf(router, number);
    const password = isWrong ? `${subscriber.password}-mistyped` : subscriber.password;
    const method = pick(methods);
    const outcome = await logIn(router.client, authPort, { username, password, method, place });
    if (outcome.kind === 'busy') {
      counts.skipped++;
      return undefined;
    }
    if (outcome.kind === 'silence') {
      counts.silent++;
      if (outcome.forged > 0) lastComplaint = 'answers were signed with another secret';
      return undefined;
    }
    loginTimesMs.push(outcome.roundTripMs);
    if (loginTimesMs.length > 2 * KEPT_TIMES) loginTimesMs.splice(0, KEPT_TIMES);
    if (isWrong && outcome.kind === 'rejected') {
      counts.rejected++;
      return undefined;
    }
    if (isWrong || outcome.kind !== 'accepted') {
      counts.wrong++;
      const because = outcome.kind === 'accepted' ? '' : outcome.why;
      lastComplaint = isWrong
        ? `${username} was let in with the wrong password (${method})`
        : `${username} was not let in (${method}): ${because}`;
      return undefined;
    }

    counts.accepted++;
    counts.open++;
    sessionsBegun++;
    const session: Session = {
      subscriber,
      multiSessionId,
      acctSessionId: `${multiSessionId}-${sessionsBegun}`,
      place,
      client: router.client,
      framedIpAddress: `10.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}`,
      startedMs: clock.monotonicMs(),
    };
    await report(session, 'start');
    return session;
  }

  /** One interim halfway. */
  async function stay(session: Session, staysMs: number): Promise<void> {
    await clock.sleep(staysMs / 2, ending.signal);
    if (ending.signal.aborted) return;
    await report(session, 'interim');
    await clock.sleep(staysMs / 2, ending.signal);
  }

  const endings = createTurnstile(MAX_ENDING);

  async function end(session: Session): Promise<void> {
    await endings(() => report(session, 'stop'));
    counts.open--;
  }

  async function report(session: Session, kind: AccountingReport['kind']): Promise<void> {
    const { acctSessionId, client } = session;
    const seconds = Math.floor((clock.monotonicMs() - session.startedMs) / 1000);
    const totals = {
      seconds,
      inputOctets: Math.floor((seconds * OCTETS_PER_SECOND) / 4),
      outputOctets: seconds * OCTETS_PER_SECOND,
    };
    const { username } = session.subscriber;
    counts.accountingSent++;
    const outcome = await reportAccounting(client, acctPort, {
      kind,
      ...totals,
      acctSessionId,
      multiSessionId: session.multiSessionId,
      username,
      framedIpAddress: session.framedIpAddress,
      place: session.place,
      eventAtMs: clock.nowMs(),
    });
    if (outcome.kind !== 'answer') {
      counts.accountingSilent++;
      return;
    }
    counts.accountingAcknowledged++;
    acknowledged.set(acctSessionId, {
      acctSessionId,
      username,
      isStopped: kind === 'stop',
      ...(kind === 'start' ? { seconds: 0, inputOctets: 0, outputOctets: 0 } : totals),
    });
  }

  function arrive(): void {
    const index = Math.floor(random.fraction() * offline.length);
    const subscriber = offline[index];
    if (subscriber === undefined || visits.size >= MAX_UNDER_WAY) {
      counts.skipped++;
      return;
    }
    offline[index] = offline[offline.length - 1] ?? subscriber;
    offline.pop();
    const visiting: Promise<void> = visit(subscriber).finally(() => {
      offline.push(subscriber);
      visits.delete(visiting);
    });
    visits.add(visiting);
  }

  return {
    counts,
    acknowledged,
    loginTimesMs,
    get lastComplaint() {
      return lastComplaint;
    },

    async run(signal) {
      const startedMs = clock.monotonicMs();
      let arrived = 0;
      const arriving = clock.every(TICK_MS, () => {
        const due = ((clock.monotonicMs() - startedMs) / 1000) * loginsPerSecond;
        for (; arrived < due; arrived++) arrive();
      });
      await clock.sleep(durationMs, signal);
      arriving[Symbol.dispose]();
      ending.abort();
      await Promise.all(visits);
    },
  };
}

/** Lets so many in at a time; the others wait their turn. */
function createTurnstile(places: number) {
  const queue: (() => void)[] = [];
  let free = places;
  return async <T>(work: () => Promise<T>): Promise<T> => {
    if (free > 0) free--;
    else await new Promise<void>((resolve) => queue.push(resolve));
    try {
      return await work();
    } finally {
      const next = queue.shift();
      if (next === undefined) free++;
      else next();
    }
  };
}

/** The time that this share of the values does not exceed; 0 when there are none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
