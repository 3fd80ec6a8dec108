// Two million broken packets, and some broken dictionaries: nothing throws, hangs or grows. What is
// tried with each is in codec-fuzz.worker.ts. A failure prints its seed; EVERGATE_FUZZ_SEED replays it.

import { randomInt } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import type { FuzzFailure, FuzzJob } from './codec-fuzz.worker.ts';

const PACKETS = 2_000_000;
const DICTIONARIES = 20_000;
/** Far above what is in use at any time, far below what two million leaks would need. */
const MAX_HEAP_MB = 96;
/** A mutant takes microseconds; a thread that stands still for so long is stuck. */
const STUCK_AFTER_MS = 15_000;

test('broken packets and dictionaries never throw, hang or fill the memory', async () => {
  const seed = Number(process.env['EVERGATE_FUZZ_SEED'] ?? randomInt(2 ** 31));
  const progress = new SharedArrayBuffer(8);
  const job: FuzzJob = { seed, packets: PACKETS, dictionaries: DICTIONARIES, progress };
  const worker = new Worker(new URL('./codec-fuzz.worker.ts', import.meta.url), {
    workerData: job,
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
  });

  const result = await Promise.race([outcomeOf(worker), stuck(new Int32Array(progress))]);
  await worker.terminate();
  expect(result, `with EVERGATE_FUZZ_SEED=${seed}`).toBe('done');

  // Otherwise the mutations would be so wild that nothing behind the parser was tried.
  const [, wellFormed = 0] = new Int32Array(progress);
  expect(wellFormed, `with EVERGATE_FUZZ_SEED=${seed}`).toBeGreaterThan(PACKETS / 10);
});

/** Also an exhausted heap arrives here, as an error. */
function outcomeOf(worker: Worker): Promise<'done' | FuzzFailure | Error> {
  return new Promise((resolve) => {
    worker.once('message', resolve);
    worker.once('error', resolve);
  });
}

async function stuck(progress: Int32Array): Promise<string> {
  for (;;) {
    const before = Atomics.load(progress, 0);
    await new Promise((resolve) => {
      setTimeout(resolve, STUCK_AFTER_MS).unref();
    });
    const mutant = Atomics.load(progress, 0);
    if (mutant === before) return `stuck at mutant ${mutant}`;
  }
}
