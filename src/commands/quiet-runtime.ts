// The runtime of commands that do one thing and print the result themselves.

import type { Runtime } from '../runtime/runtime.ts';
import { createSystemRuntime } from '../runtime/system-runtime.ts';

export function quietRuntime(engine: 'auto' | 'batched' | 'dgram' = 'auto'): Runtime {
  return createSystemRuntime({
    log: { level: 'silent', format: 'json' },
    fields: {},
    engine,
    processMetrics: false,
  });
}
