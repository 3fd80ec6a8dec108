// What the contract tests of PostgreSQL have in common: the real clock, no log, metrics of their own,
// and waiting for a condition.

import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../src/runtime/clock.ts';
import { silentLog } from '../../src/runtime/log.ts';
import { createMetrics } from '../../src/runtime/metrics.ts';
import { systemRandom } from '../../src/runtime/random.ts';
import type { Runtime } from '../../src/runtime/runtime.ts';

export function contractRuntime(): Runtime {
  return {
    clock: systemClock(),
    random: systemRandom(),
    log: silentLog(),
    metrics: createMetrics({ processMetrics: false }),
    network: {
      bindUdp: () => Promise.reject(new Error('these tests need no UDP')),
      listenTls: () => Promise.reject(new Error('these tests need no TLS')),
    },
  };
}

/** Until it is true and does not throw; fails with the last error after `withinMs`. */
export async function eventually(condition: () => unknown, withinMs = 15_000): Promise<void> {
  const deadlineMs = performance.now() + withinMs;
  let lastError: unknown = new Error('the condition did not become true');
  while (performance.now() < deadlineMs) {
    try {
      if ((await condition()) !== false) return;
    } catch (error) {
      lastError = error;
    }
    await sleep(20);
  }
  throw lastError;
}

/** The value of a metric's sample, by the beginning of its line. */
export async function metric(runtime: Runtime, beginning: string): Promise<number> {
  const lines = (await runtime.metrics.text()).split('\n');
  const line = lines.find((candidate) => candidate.startsWith(beginning));
  return Number(line?.split(' ').at(-1) ?? 0);
}
