// The journal: accounting that the database could not take yet. Promise 3 of the design: an
// acknowledged record is never lost. An append resolves when the record is on the disk; replay hands
// records out in order until they are committed, at least once: whoever stores them ignores repeats.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Runtime } from '../../runtime/runtime.ts';
import { appendLine, systemFiles } from './files.ts';
import type { JournalFiles } from './files.ts';
import { lockDirectory } from './lock.ts';
import { createReader } from './reader.ts';
import type { JournalBatch } from './reader.ts';
import { recover } from './recovery.ts';
import { journalMetrics, pendingRecords } from './segments.ts';
import { createWriter } from './writer.ts';

export type JournalOptions = {
  /** Of this process alone; created when it is not there. */
  directory: string;
  runtime: Pick<Runtime, 'clock' | 'random' | 'log' | 'metrics'>;
  /** A replayed segment is deleted as a whole. */
  segmentBytes?: number;
  /** Beyond it `append` rejects: a disk full of accounting takes the database and the log with it. */
  maxBytes?: number;
  /** The disk; tests let it fail. */
  files?: JournalFiles;
};

export type Journal = AsyncDisposable & {
  /** Resolves when the record is durable; rejects when it is not, and may not be acknowledged then. */
  append(payload: Uint8Array): Promise<void>;
  /** At most `limit` records that are not committed, the oldest first; undefined: there is none. */
  takeBatch(limit: number): Promise<JournalBatch | undefined>;
  /** For a record that can never be stored: keeps it in `rejected.ndjson` for a person to look at. */
  setAside(payload: Uint8Array, reason: string): Promise<void>;
  /** Durable and not replayed; after damage or failed writes too high, until later ones are replayed. */
  readonly pendingRecords: number;
};

const SEGMENT_BYTES = 16 * 1024 * 1024;
const MAX_BYTES = 10 * 1024 * 1024 * 1024;

export async function openJournal(options: JournalOptions): Promise<Journal> {
  const { directory, runtime } = options;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  using opening = new DisposableStack();
  opening.use(lockDirectory(directory));

  const metrics = journalMetrics(runtime.metrics);
  const state = await recover({ directory, metrics, log: runtime.log });
  metrics.show({ bytes: state.bytes, pendingRecords: pendingRecords(state) });
  const reader = createReader({ state, metrics, log: runtime.log });
  const writer = createWriter({
    state,
    runtime,
    metrics,
    files: options.files ?? systemFiles,
    segmentBytes: options.segmentBytes ?? SEGMENT_BYTES,
    maxBytes: options.maxBytes ?? MAX_BYTES,
  });

  const lock = opening.move();
  return {
    append: writer.append,
    takeBatch: reader.takeBatch,
    async setAside(payload, reason) {
      const at = new Date(runtime.clock.nowMs()).toISOString();
      const base64 = Buffer.from(payload).toString('base64');
      const line = JSON.stringify({ at, reason, payload: base64 });
      await appendLine(join(directory, 'rejected.ndjson'), line);
      metrics.rejected.add();
      runtime.log.error('a journal record was set aside', { directory, reason });
    },
    get pendingRecords() {
      return pendingRecords(state);
    },
    async [Symbol.asyncDispose]() {
      await writer.close();
      metrics.show({ bytes: 0, pendingRecords: 0 });
      lock.dispose();
    },
  };
}
