// What the contract tests of the shared state hand over: the system's clock, metrics of their own, and
// a log that can be read; and the configuration with DESIGN.md's defaults.

import { systemClock } from '../../src/runtime/clock.ts';
import { describeError } from '../../src/runtime/log.ts';
import type { Fields, Log } from '../../src/runtime/log.ts';
import { createMetrics } from '../../src/runtime/metrics.ts';

export function testRuntime() {
  const lines: { message: string; [field: string]: unknown }[] = [];
  const write = (message: string, fields: Fields = {}) => {
    const error = 'error' in fields ? { error: describeError(fields['error']) } : {};
    lines.push({ message, ...fields, ...error });
  };
  const log: Log = { debug: write, info: write, warn: write, error: write, with: () => log };
  return { clock: systemClock(), log, metrics: createMetrics({ processMetrics: false }), lines };
}

export function redisConfig(url: string) {
  return {
    url,
    keyPrefix: 'evergate:',
    connectionTimeoutMs: 2_000,
    commandTimeoutMs: 200,
    maxRetries: 3,
  };
}
