// The real world as one value: this process's clock, chance, network, log and metrics.

import { systemClock } from './clock.ts';
import { createLog } from './log.ts';
import type { Fields, LogLevel } from './log.ts';
import { createMetrics } from './metrics.ts';
import { systemRandom } from './random.ts';
import type { Runtime } from './runtime.ts';
import { systemNetwork } from './udp/network.ts';

export type SystemRuntimeOptions = {
  log: { level: LogLevel; format: 'auto' | 'text' | 'json' };
  /** On every line of a log that machines read. */
  fields: Fields;
  engine: 'auto' | 'batched' | 'dgram';
  /** Memory, CPU and event loop of the process: in one thread of it. */
  processMetrics: boolean;
};

export function createSystemRuntime(options: SystemRuntimeOptions): Runtime {
  const { level } = options.log;
  const isText = isReadable(options.log.format);
  return {
    clock: systemClock(),
    random: systemRandom(),
    network: systemNetwork({ engine: options.engine }),
    log: createLog({
      level,
      format: isText ? 'text' : 'json',
      fields: isText ? {} : options.fields,
    }),
    metrics: createMetrics({ processMetrics: options.processMetrics }),
  };
}

/** True when people read the log: told so, or it is `auto` and standard output is a terminal. */
export function isReadable(format: 'auto' | 'text' | 'json'): boolean {
  return format === 'text' || (format === 'auto' && process.stdout.isTTY);
}
