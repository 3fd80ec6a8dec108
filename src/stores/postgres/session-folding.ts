// Several records of one session in one batch, as after an outage: where the batch has the session
// from its Start on, they are folded here into the one row that they come to, and the database is asked
// once. That is right only if the database does not know the session yet; so the row is inserted where
// there is none, and else the records are merged one after the other.

import type { AccountingRecord } from '../../domain/accounting.ts';
import { mergeRecord } from '../../domain/session.ts';
import type { Session } from '../../domain/session.ts';

/** A row to be, in the form of the record that would make it, with two moments of its own. */
export type FoldedRecord = AccountingRecord & { beganAtMs: number; countingSinceMs: number };

/** Undefined: these records must be merged one by one. They are of one session, in their order. */
export function foldFromStart(records: readonly AccountingRecord[]): FoldedRecord | undefined {
  const [first] = records;
  if (first?.kind !== 'start' || records.length < 2) return undefined;
  let session: Session | undefined;
  for (const record of records) session = mergeRecord(session, record);
  if (session === undefined || !isSayable(session)) return undefined;

  const { stoppedAtMs, startedAtMs, countingSinceMs } = session;
  const stated = (value: number, of: (record: AccountingRecord) => number | undefined) =>
    records.some((record) => of(record) !== undefined) ? value : undefined;
  return {
    ...session,
    kind: stoppedAtMs === undefined ? 'interim' : 'stop',
    occurredAtMs: session.updatedAtMs,
    receivedAtMs: first.receivedAtMs,
    beganAtMs: startedAtMs,
    countingSinceMs,
    sessionSeconds: stated(session.seconds.current, (record) => record.sessionSeconds),
    inputOctets: stated(session.inputOctets.current, (record) => record.inputOctets),
    outputOctets: stated(session.outputOctets.current, (record) => record.outputOctets),
    inputPackets: stated(session.inputPackets.current, (record) => record.inputPackets),
    outputPackets: stated(session.outputPackets.current, (record) => record.outputPackets),
  };
}

/** One record can say it: nothing was reset, and if it stopped, that was the last of it. */
function isSayable(session: Session): boolean {
  const { seconds, inputOctets, outputOctets, inputPackets, outputPackets } = session;
  const counters = [seconds, inputOctets, outputOctets, inputPackets, outputPackets];
  if (counters.some((counter) => counter.settled > 0)) return false;
  return session.stoppedAtMs === undefined || session.stoppedAtMs === session.updatedAtMs;
}
