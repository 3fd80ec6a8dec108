// Brings the journal into the database: the reconciler behind promise 3.
// It takes what is there in order, writes it in large groups and then moves the checkpoint. Killed in
// between, it writes a group twice, which changes nothing. What cannot be read is set aside, not lost.

import type { AccountingFact } from '../../domain/accounting.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { decodeJournalEntry } from './journal-entry.ts';

export type ReplayableJournal = {
  /** Records that wait to be replayed. */
  readonly pendingRecords: number;
  takeBatch(limit: number): Promise<{ payloads: Buffer[]; commit(): Promise<void> } | undefined>;
  setAside(payload: Buffer, reason: string): Promise<void>;
};

/** Large groups fold the records of one session into one row. */
const GROUP = 2_000;
const IDLE_MS = 500;
const MAX_WAIT_MS = 5_000;
/** While routers bring more than this in a second, replay works for a quarter of the time … */
const BUSY_RECORDS_PER_SECOND = 1_000;
const PAUSE_WHILE_BUSY = 3;
/** … unless so much waits that the disk matters more. */
const URGENT_RECORDS = 2_000_000;

export function startJournalReplay(options: {
  journal: ReplayableJournal;
  write: (facts: AccountingFact[]) => Promise<void>;
  /** Records that routers have brought so far: while many come, the past leaves room for them. */
  recordsTaken?: () => number;
  runtime: Runtime;
}): AsyncDisposable {
  const { journal, write, recordsTaken = () => 0, runtime } = options;
  const { clock, log, metrics } = runtime;
  const replayed = metrics
    .counter(
      'evergate_journal_replayed_total',
      'Accounting records brought from the journal to the database.',
    )
    .labels({});
  const stopping = new AbortController();

  async function replayGroup(): Promise<boolean> {
    const batch = await journal.takeBatch(GROUP);
    if (batch === undefined) return false;
    const facts: AccountingFact[] = [];
    for (const payload of batch.payloads) {
      const decoded = decodeJournalEntry(payload);
      if (decoded.kind === 'fact') facts.push(decoded.fact);
      else await journal.setAside(payload, decoded.reason);
    }
    if (facts.length > 0) await write(facts);
    await batch.commit();
    replayed.add(facts.length);
    return true;
  }

  async function run(): Promise<void> {
    let failures = 0;
    while (!stopping.signal.aborted) {
      try {
        const startedAtMs = clock.monotonicMs();
        const takenBefore = recordsTaken();
        const didSomething = await replayGroup();
        failures = 0;
        const tookMs = clock.monotonicMs() - startedAtMs;
        const isBusy = recordsTaken() - takenBefore > (tookMs / 1000) * BUSY_RECORDS_PER_SECOND;
        if (!didSomething) await clock.sleep(IDLE_MS, stopping.signal);
        else if (isBusy && journal.pendingRecords < URGENT_RECORDS) {
          await clock.sleep(tookMs * PAUSE_WHILE_BUSY, stopping.signal);
        }
      } catch (error) {
        if (failures === 0) log.warn('the journal waits for the database', { error });
        failures++;
        await clock.sleep(Math.min(250 * 2 ** failures, MAX_WAIT_MS), stopping.signal);
      }
    }
  }

  const running = run();
  return {
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await running;
    },
  };
}
