// A session, and how an accounting record changes it. RFC 2866; the counter rules are ours.
//
// The rule is a merge, not an addition: counters are totals, so a record may come twice, late or in
// any order and the result is the same. A counter that goes down although time went on has been
// reset by the router: what it had counted is settled, and counting goes on from there. Not so when
// the session's own time went down too and the record cannot be of new counters: a router that does
// not say when things happened has sent something old again.
// src/stores/postgres/sessions.ts says the same in SQL; tests/contract/ proves them equal.

import type { AccountingRecord } from './accounting.ts';

/** One counter that the router may reset while the session lives. */
export type Counter = {
  /** Counted before the last reset. */
  settled: number;
  /** The highest total reported since. */
  current: number;
};

export type Session = {
  sessionKey: string;
  routerId: string;
  siteId: string;
  acctSessionId: string;
  multiSessionId: string | undefined;
  username: string;
  callingStationId: string | undefined;
  calledStationId: string | undefined;
  nasIdentifier: string | undefined;
  nasIpAddress: string | undefined;
  nasPort: number | undefined;
  nasPortId: string | undefined;
  framedIpAddress: string | undefined;
  framedIpv6Prefix: string | undefined;
  startedAtMs: number;
  /** The latest moment a record speaks of. */
  updatedAtMs: number;
  /** When the present counters began: the start, or the last reset. */
  countingSinceMs: number;
  stoppedAtMs: number | undefined;
  terminateCause: number | undefined;
  seconds: Counter;
  inputOctets: Counter;
  outputOctets: Counter;
  inputPackets: Counter;
  outputPackets: Counter;
};

export function total(counter: Counter): number {
  return counter.settled + counter.current;
}

/** Records travel, and session times are whole seconds: so much earlier may new counters seem to begin. */
const RESET_SLACK_MS = 10_000;

/** The session after a record. `session` is undefined when the record is the first we hear of it. */
export function mergeRecord(session: Session | undefined, record: AccountingRecord): Session {
  if (session === undefined) return firstHeardOf(record);
  const at = record.occurredAtMs;
  const hasFallen =
    (record.inputOctets ?? Infinity) < session.inputOctets.current ||
    (record.outputOctets ?? Infinity) < session.outputOctets.current;
  const isReset = at > session.updatedAtMs && hasFallen && canBeOfNewCounters(session, record);
  const isFromBeforeReset = hasBeenReset(session) && at < session.countingSinceMs;
  const count = (counter: Counter, value: number | undefined): Counter => {
    if (isReset) return { settled: total(counter), current: value ?? 0 };
    if (value === undefined) return counter;
    if (isFromBeforeReset) return counter;
    return { settled: counter.settled, current: Math.max(counter.current, value) };
  };

  // What a record says about the session's circumstances counts if it is the newest; a Start that
  // comes after its Stop fills in only what is missing.
  const isNewest = at >= session.updatedAtMs;
  const latest = <T>(old: T | undefined, said: T | undefined): T | undefined =>
    isNewest ? (said ?? old) : (old ?? said);

  return {
    ...session,
    multiSessionId: latest(session.multiSessionId, record.multiSessionId),
    callingStationId: latest(session.callingStationId, record.callingStationId),
    calledStationId: latest(session.calledStationId, record.calledStationId),
    nasIdentifier: latest(session.nasIdentifier, record.nasIdentifier),
    nasIpAddress: latest(session.nasIpAddress, record.nasIpAddress),
    nasPort: latest(session.nasPort, record.nasPort),
    nasPortId: latest(session.nasPortId, record.nasPortId),
    framedIpAddress: latest(session.framedIpAddress, record.framedIpAddress),
    framedIpv6Prefix: latest(session.framedIpv6Prefix, record.framedIpv6Prefix),
    startedAtMs: Math.min(session.startedAtMs, beganAtMs(record)),
    updatedAtMs: Math.max(session.updatedAtMs, at),
    countingSinceMs: isReset ? at : session.countingSinceMs,
    // An interim after the Stop is late news of a session that has ended: it does not open it again.
    stoppedAtMs:
      record.kind === 'stop' ? Math.max(session.stoppedAtMs ?? 0, at) : session.stoppedAtMs,
    terminateCause:
      record.kind === 'stop'
        ? (record.terminateCause ?? session.terminateCause)
        : session.terminateCause,
    seconds: count(session.seconds, record.sessionSeconds),
    inputOctets: count(session.inputOctets, record.inputOctets),
    outputOctets: count(session.outputOctets, record.outputOctets),
    inputPackets: count(session.inputPackets, record.inputPackets),
    outputPackets: count(session.outputPackets, record.outputPackets),
  };
}

/** Its session time went on, or it began to count after the last we heard. */
function canBeOfNewCounters(session: Session, record: AccountingRecord): boolean {
  if (record.sessionSeconds === undefined) return true;
  if (record.sessionSeconds > session.seconds.current) return true;
  return beganAtMs(record) >= session.updatedAtMs - RESET_SLACK_MS;
}

function hasBeenReset({ inputOctets, outputOctets }: Session): boolean {
  return inputOctets.settled > 0 || outputOctets.settled > 0;
}

/** When the session began, as far as this record knows. */
function beganAtMs(record: AccountingRecord): number {
  return record.occurredAtMs - (record.sessionSeconds ?? 0) * 1000;
}

function firstHeardOf(record: AccountingRecord): Session {
  const from = (value: number | undefined): Counter => ({ settled: 0, current: value ?? 0 });
  return {
    sessionKey: record.sessionKey,
    routerId: record.routerId,
    siteId: record.siteId,
    acctSessionId: record.acctSessionId,
    multiSessionId: record.multiSessionId,
    username: record.username,
    callingStationId: record.callingStationId,
    calledStationId: record.calledStationId,
    nasIdentifier: record.nasIdentifier,
    nasIpAddress: record.nasIpAddress,
    nasPort: record.nasPort,
    nasPortId: record.nasPortId,
    framedIpAddress: record.framedIpAddress,
    framedIpv6Prefix: record.framedIpv6Prefix,
    startedAtMs: beganAtMs(record),
    updatedAtMs: record.occurredAtMs,
    countingSinceMs: beganAtMs(record),
    stoppedAtMs: record.kind === 'stop' ? record.occurredAtMs : undefined,
    terminateCause: record.kind === 'stop' ? record.terminateCause : undefined,
    seconds: from(record.sessionSeconds),
    inputOctets: from(record.inputOctets),
    outputOctets: from(record.outputOctets),
    inputPackets: from(record.inputPackets),
    outputPackets: from(record.outputPackets),
  };
}
