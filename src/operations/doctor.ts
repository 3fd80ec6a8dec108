// `evergate doctor`: what is wrong with this machine, this configuration and these stores, and what
// to do about it. Each check is bounded in time and never throws; each finding is one line.

import { describeError } from '../runtime/describe-error.ts';
import type { Clock } from '../runtime/clock.ts';

export type Finding = {
  /** `wrong` makes the command exit with 1. `skipped` says why there was nothing to check. */
  status: 'ok' | 'warning' | 'wrong' | 'skipped';
  detail: string;
  /** What to do. */
  hint?: string;
};

export type Check = { name: string; run(): Promise<Finding> };
export type Examination = Finding & { name: string; durationMs: number };

const CHECK_TIMEOUT_MS = 15_000;

/** Side by side: a database that hangs does not keep the others waiting. */
export function examine(checks: readonly Check[], clock: Clock): Promise<Examination[]> {
  return Promise.all(
    checks.map(async ({ name, run }) => {
      const startedMs = clock.monotonicMs();
      const finding = await within(clock, run());
      return { name, ...finding, durationMs: Math.round(clock.monotonicMs() - startedMs) };
    }),
  );
}

async function within(clock: Clock, running: Promise<Finding>): Promise<Finding> {
  const stop = new AbortController();
  const late: Finding = {
    status: 'wrong',
    detail: `no result within ${CHECK_TIMEOUT_MS / 1000} s`,
  };
  try {
    return await Promise.race([
      running,
      clock.sleep(CHECK_TIMEOUT_MS, stop.signal).then(() => late),
    ]);
  } catch (error) {
    return { status: 'wrong', detail: describeError(error) };
  } finally {
    stop.abort();
  }
}
