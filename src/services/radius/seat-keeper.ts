// Keeps seats and accounting together: a Start or Interim holds the seat, a Stop gives it back.
// The upkeep happens after the accounting is answered; if it fails, the seat's time to live repairs
// it. A shared state that came back empty is filled again from the open sessions of the database.

import { identifyDevice } from '../../domain/device.ts';
import type { Device } from '../../domain/device.ts';
import type { AccountingFact, AccountingRecord } from '../../domain/accounting.ts';
import type { Credential } from '../../domain/subscriber.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { CredentialCache } from './credential-cache.ts';
import { HELD_MS } from './seats.ts';
import type { Seats } from './seats.ts';

export type SeatKeeper = {
  reserve(username: string, device: Device, seats: number): Promise<boolean>;
  /** Never throws and never waits: the record is durable already. */
  follow(fact: AccountingFact): void;
  /** Gives back the seats of sessions that ended without a Stop, as when their router restarted. */
  ended(sessions: readonly { username: string; sessionKey: string }[]): Promise<void>;
  /** Takes the seats of sessions that are open in the database. */
  restore(): Promise<void>;
};

type OpenSession = Pick<
  AccountingRecord,
  'username' | 'sessionKey' | 'callingStationId' | 'nasPort' | 'nasPortId' | 'routerId'
>;
/** `updatedAtMs`: the latest moment that a record speaks of. */
export type ReportedSession = OpenSession & { updatedAtMs: number };

/** What a record means for the seat. */
const NEWS = { start: 'start', interim: 'goes-on', stop: 'over' } as const;
type News = (typeof NEWS)[keyof typeof NEWS];

/** Upkeep under way at once; beyond this the time to live of the seats has to do. */
const MAX_UNDER_WAY = 10_000;

export function createSeatKeeper(options: {
  seats: Seats;
  credentials: CredentialCache;
  listOpenSessions: () => Promise<ReportedSession[]>;
  runtime: Runtime;
}): SeatKeeper {
  const { seats, credentials, listOpenSessions, runtime } = options;
  const skipped = runtime.metrics
    .counter('evergate_seat_upkeep_failures_total', 'Seats left to their time to live.')
    .labels({});
  let underWay = 0;

  /** Undefined where there is nothing to wait for, as with most plans. */
  function update(
    session: OpenSession,
    credential: Credential | null,
    news: News,
  ): Promise<void> | undefined {
    const plan = credential?.plan;
    if (credential === null || plan === undefined) return undefined;
    if (plan.devices === undefined) return undefined;
    const { sessionKey } = session;
    const { username } = credential; // as stored: a voucher's code may be typed in any case
    if (news === 'over') return seats.release(username, sessionKey, plan.devices);
    const heldBy = { sessionKey, isStart: news === 'start' };
    return seats.hold(username, identifyDevice(session), heldBy, plan.devices);
  }

  /** An old entry will do: the number of devices of a plan hardly ever changes. */
  function updateOf(session: OpenSession, news: News): Promise<void> | undefined {
    const known = credentials.peek(session.username);
    if (known !== undefined) return update(session, known, news);
    return loadAndUpdate(session, news);
  }

  async function loadAndUpdate(session: OpenSession, news: News): Promise<void> {
    await update(session, await credentials.find(session.username), news);
  }

  return {
    reserve: (username, device, count) => seats.reserve(username, device, count),

    follow(fact) {
      if (fact.kind === 'router-restart' || fact.username === '') return;
      if (fact.kind === 'stop' && hasUsedMuch(credentials.peek(fact.username), fact)) {
        credentials.refresh(fact.username);
      }
      if (underWay >= MAX_UNDER_WAY) return skipped.add();
      const updating = updateOf(fact, NEWS[fact.kind]);
      if (updating === undefined) return;
      underWay++;
      updating
        .catch(() => skipped.add())
        .finally(() => {
          underWay--;
        });
    },

    async ended(sessions) {
      for (const { username, sessionKey } of sessions) {
        const devices = (await credentials.find(username))?.plan?.devices;
        if (devices !== undefined) await seats.release(username, sessionKey, devices);
      }
    },

    async restore() {
      // A router that lost its power never sent a Stop: what was silent for long holds no seat.
      const sinceMs = runtime.clock.nowMs() - HELD_MS;
      for (const session of await listOpenSessions()) {
        if (session.updatedAtMs >= sinceMs) await updateOf(session, 'goes-on');
      }
    },
  };
}

/**
 * Of what the plan has left, so that the next login must know of it. Less than that may wait until
 * the credential is read again anyway.
 */
function hasUsedMuch(known: Credential | null | undefined, stop: AccountingRecord): boolean {
  const plan = known?.plan;
  if (known === null || known === undefined || plan === undefined) return false;
  const isMuch = (limit: number | undefined, usedBefore: number, usedNow: number) =>
    limit !== undefined && usedNow > MUCH * (limit - usedBefore);
  const octets = (stop.inputOctets ?? 0) + (stop.outputOctets ?? 0);
  return (
    isMuch(plan.durationSeconds, known.usedSeconds, stop.sessionSeconds ?? 0) ||
    isMuch(plan.dataBytes, known.usedBytes, octets)
  );
}

const MUCH = 0.01;
