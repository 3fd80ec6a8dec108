// Where accounting becomes durable before it is answered (promise 3).
//
// Records that arrive while one commit is under way share the next: a quiet server commits each at
// once, a busy one hundreds together, and no timer delays anybody. When the database is away or
// slower than `slowAfterMs`, the same records go to the node's fsynced journal instead, are answered,
// and are replayed later. A record may then be written twice: the merge rules of domain/session.ts
// make the second time change nothing.

import type { AccountingFact } from '../../domain/accounting.ts';
import type { Clock } from '../../runtime/clock.ts';
import { describeError } from '../../runtime/describe-error.ts';
import type { Runtime } from '../../runtime/runtime.ts';

type AccountingEntry = {
  fact: AccountingFact;
  /** What the journal keeps: the record as it came, see journal-entry.ts. Made only when needed. */
  encode: () => Buffer;
};

export type AccountingSink = AsyncDisposable & {
  /** Resolves when the record is durable; rejects if it could not be made so: then do not answer. */
  store(entry: AccountingEntry): Promise<void>;
  readonly waiting: number;
  /** Records taken since the start. */
  readonly taken: number;
  /** The last record of the last minute could not be stored anywhere: routers repeat it in vain. */
  whyFailing(): string | undefined;
};

type Waiting = { entry: AccountingEntry; done: () => void; failed: (error: unknown) => void };

/** Records in one commit: more gains nothing and makes everybody wait longer. */
const MAX_GROUP = 256;
/** Commits under way at once: the second one fills the gap in which the first one's answer travels … */
const MAX_COMMITS = 2;
/** … if so many wait for it: a small one would cost the database more than the waiting costs them. */
const WORTH_A_SECOND_COMMIT = 128;
/** Records waiting: beyond this a request is not answered, and the router repeats it. */
const MAX_WAITING = 50_000;
/** While the database is away, one commit in so many milliseconds finds out whether it is back. */
const PROBE_MS = 1_000;
/** A failure older than this says nothing about now. */
const FAILING_MS = 60_000;

/** More records wait than the bound allows. */
export class AccountingOverload extends Error {
  override name = 'AccountingOverload';
}

export function createAccountingSink(options: {
  /** `database`: commit, and the journal when that fails; `journal`: the journal, replayed at once. */
  durability: 'database' | 'journal';
  slowAfterMs: number;
  write: (facts: AccountingFact[]) => Promise<void>;
  append: (payload: Buffer) => Promise<void>;
  runtime: Runtime;
}): AccountingSink {
  const { durability, slowAfterMs, write, append, runtime } = options;
  const { clock, log, metrics } = runtime;
  let queue: Waiting[] = [];
  let commits = 0;
  let taken = 0;
  let isDraining = false;
  /** Until then the database is believed to be away, and records go straight to the journal. */
  let awayUntilMs = 0;
  let lastFailure: { error: unknown; atMs: number } | undefined;

  const stored = metrics.counter(
    'evergate_accounting_records_total',
    'Accounting records made durable, by place.',
  );
  const inDatabase = stored.labels({ place: 'database' });
  const inJournal = stored.labels({ place: 'journal' });
  const failures = metrics
    .counter('evergate_accounting_failures_total', 'Accounting records that could not be stored.')
    .labels({});
  metrics.measured(
    'evergate_accounting_waiting',
    'Accounting records waiting to become durable.',
    () => queue.length,
  );

  function toJournal(group: Waiting[]) {
    for (const waiting of group) {
      append(waiting.entry.encode()).then(() => {
        inJournal.add();
        waiting.done();
      }, waiting.failed);
    }
  }

  async function commit(group: Waiting[]): Promise<void> {
    const written = write(group.map((waiting) => waiting.entry.fact));
    try {
      await within(clock, slowAfterMs, written);
      if (awayUntilMs !== 0) log.info('the database takes accounting again');
      awayUntilMs = 0;
      inDatabase.add(group.length);
      for (const waiting of group) waiting.done();
    } catch (error) {
      written.catch(() => undefined); // it may still succeed, or fail, later: neither changes the answer
      if (awayUntilMs === 0) log.warn('accounting goes to the journal', { error });
      awayUntilMs = clock.monotonicMs() + PROBE_MS;
      toJournal(group);
    }
  }

  function takeGroup(): Waiting[] {
    if (queue.length <= MAX_GROUP) {
      const group = queue;
      queue = [];
      return group;
    }
    return queue.splice(0, MAX_GROUP);
  }

  function mayCommit(): boolean {
    if (commits === 0) return queue.length > 0;
    return commits < MAX_COMMITS && queue.length >= WORTH_A_SECOND_COMMIT;
  }

  function next() {
    isDraining = false;
    while (mayCommit()) {
      if (durability === 'journal' || clock.monotonicMs() < awayUntilMs) {
        toJournal(takeGroup());
        continue;
      }
      // A probe of a database that was away takes one small group; the others need not wait for it.
      if (awayUntilMs !== 0) {
        awayUntilMs = clock.monotonicMs() + PROBE_MS;
        void commit(queue.splice(0, 1));
        continue;
      }
      commits++;
      void commit(takeGroup()).finally(() => {
        commits--;
        next();
      });
    }
  }

  return {
    store(entry) {
      if (queue.length >= MAX_WAITING) {
        failures.add();
        return Promise.reject(
          new AccountingOverload(`${String(queue.length)} accounting records are waiting`),
        );
      }
      taken++;
      return new Promise((resolve, reject) => {
        queue.push({
          entry,
          done() {
            lastFailure = undefined;
            resolve();
          },
          failed(error) {
            lastFailure = { error, atMs: clock.monotonicMs() };
            failures.add();
            reject(error instanceof Error ? error : new Error(String(error)));
          },
        });
        // Not at once: what else this turn brings shares the commit.
        if (!isDraining && mayCommit()) {
          isDraining = true;
          clock.soon(next);
        }
      });
    },

    whyFailing() {
      if (lastFailure === undefined) return undefined;
      const isRecent = clock.monotonicMs() - lastFailure.atMs < FAILING_MS;
      return isRecent ? describeError(lastFailure.error) : undefined;
    },

    get taken() {
      return taken;
    },
    get waiting() {
      return queue.length;
    },

    async [Symbol.asyncDispose]() {
      while (queue.length > 0 || commits > 0) await clock.sleep(5);
    },
  };
}

/** The promise's outcome, or a rejection after `limitMs`. */
function within<T>(clock: Clock, limitMs: number, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(limitMs, () =>
      reject(new Error(`the database did not commit within ${String(limitMs)} ms`)),
    );
    promise.then(resolve, reject).finally(() => timer[Symbol.dispose]());
  });
}
