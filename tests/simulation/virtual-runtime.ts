// A runtime in virtual time for unit tests: nothing happens until the test lets time pass.

import { silentLog } from '../../src/runtime/log.ts';
import { createMetrics } from '../../src/runtime/metrics.ts';
import type { Runtime } from '../../src/runtime/runtime.ts';
import { createChance } from './chance.ts';
import { beginLife, lifeClock } from './life.ts';
import { createNetwork } from './network.ts';
import { createScheduler } from './scheduler.ts';
import type { Scheduler } from './scheduler.ts';

export type VirtualRuntime = Runtime & { scheduler: Scheduler };

export function virtualRuntime(scheduler: Scheduler = createScheduler()): VirtualRuntime {
  const chance = createChance(1);
  const life = beginLife(scheduler);
  return {
    scheduler,
    clock: lifeClock(scheduler, life, { offsetMs: 0 }),
    random: chance,
    network: createNetwork(scheduler, chance).at('10.0.0.1', life),
    log: silentLog(),
    metrics: createMetrics({ processMetrics: false }),
  };
}
