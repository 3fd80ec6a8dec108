import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AccountingRecord } from './accounting.ts';
import { mergeRecord, total } from './session.ts';
import type { Session } from './session.ts';

const BEGAN_AT_MS = 1_000_000;

/** What a router reports so many seconds after the session began. */
function record(
  kind: AccountingRecord['kind'],
  seconds: number,
  octets: number | undefined,
  changes: Partial<AccountingRecord> = {},
): AccountingRecord {
  const occurredAtMs = BEGAN_AT_MS + seconds * 1000;
  return {
    kind,
    sessionKey: '00000000-0000-0000-0000-000000000001',
    routerId: 'r1',
    siteId: 's1',
    acctSessionId: 'a',
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
    occurredAtMs,
    receivedAtMs: occurredAtMs,
    sessionSeconds: kind === 'start' ? undefined : seconds,
    inputOctets: octets,
    outputOctets: octets === undefined ? undefined : 2 * octets,
    inputPackets: undefined,
    outputPackets: undefined,
    terminateCause: kind === 'stop' ? 1 : undefined,
    ...changes,
  };
}

function merge(records: readonly AccountingRecord[]): Session {
  let session: Session | undefined;
  for (const each of records) session = mergeRecord(session, each);
  if (session === undefined) throw new Error('no records');
  return session;
}

const start = record('start', 0, undefined);
const interims = [60, 120, 180].map((seconds) => record('interim', seconds, seconds * 10));
const stop = record('stop', 200, 2_000);
const life = [start, ...interims, stop];

test('whatever the order and the repetitions, the session is the same', () => {
  const inAnyOrder = fc
    .shuffledSubarray(life, { minLength: life.length })
    .chain((all) =>
      fc.array(fc.constantFrom(...life), { maxLength: 5 }).map((more) => [...all, ...more]),
    );
  fc.assert(
    fc.property(inAnyOrder, (records) => {
      const session = merge(records);
      expect(total(session.inputOctets)).toBe(2_000);
      expect(total(session.outputOctets)).toBe(4_000);
      expect(total(session.seconds)).toBe(200);
      expect(session.startedAtMs).toBe(BEGAN_AT_MS);
      expect(session.stoppedAtMs).toBe(BEGAN_AT_MS + 200_000);
      expect(session.terminateCause).toBe(1);
    }),
  );
});

test('a session first heard of at its Stop has all that the Stop says', () => {
  const session = merge([stop]);
  expect(total(session.inputOctets)).toBe(2_000);
  expect(session.startedAtMs).toBe(BEGAN_AT_MS);
});

test('an interim after the Stop does not open the session again', () => {
  const session = merge([start, stop, record('interim', 240, 2_500)]);
  expect(session.stoppedAtMs).toBe(BEGAN_AT_MS + 200_000);
  expect(total(session.inputOctets)).toBe(2_500);
});

test('a Stop without counters takes nothing away', () => {
  const bare = record('stop', 200, undefined, { sessionSeconds: undefined });
  const session = merge([start, ...interims, bare]);
  expect(total(session.inputOctets)).toBe(1_800);
  expect(total(session.seconds)).toBe(180);
});

test('a Start that comes after its Stop fills in only what is missing', () => {
  const late = { ...start, callingStationId: 'from the start', framedIpAddress: '10.5.0.1' };
  const known = { ...stop, framedIpAddress: '10.5.0.2' };
  const session = merge([known, late]);
  expect(session).toMatchObject({
    callingStationId: 'from the start',
    framedIpAddress: '10.5.0.2',
    stoppedAtMs: stop.occurredAtMs,
  });
});

describe('a reset', () => {
  test('of the octets while the session time goes on: what had been counted is settled', () => {
    const session = merge([start, ...interims, record('interim', 240, 50)]);
    expect(session.inputOctets).toEqual({ settled: 1_800, current: 50 });
    expect(total(merge([...life.slice(0, 4), record('stop', 240, 50)]).inputOctets)).toBe(1_850);
  });

  test('of everything: the router restarted and gave the session its old id', () => {
    const anew = record('interim', 600, 70, { sessionSeconds: 300 });
    const session = merge([start, ...interims, anew]);
    expect(session.inputOctets).toEqual({ settled: 1_800, current: 70 });
    expect(total(session.seconds)).toBe(480);
  });

  test('is not seen in what is older than the latest record', () => {
    const session = merge([
      start,
      interims[2] as AccountingRecord,
      interims[0] as AccountingRecord,
    ]);
    expect(session.inputOctets).toEqual({ settled: 0, current: 1_800 });
  });

  test('is not seen in an old packet of a router that does not say when it was', () => {
    const again = { ...interims[0], occurredAtMs: BEGAN_AT_MS + 200_000 } as AccountingRecord;
    const session = merge([start, ...interims, again]);
    expect(session.inputOctets).toEqual({ settled: 0, current: 1_800 });
  });

  test('what comes late from before it is not counted on top', () => {
    const session = merge([
      start,
      interims[2] as AccountingRecord,
      record('interim', 240, 50),
      interims[1] as AccountingRecord,
    ]);
    expect(total(session.inputOctets)).toBe(1_850);
  });
});

test('a Start that travelled long does not make its Stop old', () => {
  const late = { ...start, occurredAtMs: BEGAN_AT_MS + 300_000 };
  expect(total(merge([late, stop]).inputOctets)).toBe(2_000);
});
