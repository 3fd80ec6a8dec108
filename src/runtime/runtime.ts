// What every process needs, handed over as one argument. Time, chance, the network and the log come
// from here and from nowhere else: that is why tests/simulation/ can run a cluster in one process.

import type { Clock } from './clock.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { Network } from './network.ts';
import type { Random } from './random.ts';

export type Runtime = {
  clock: Clock;
  random: Random;
  network: Network;
  log: Log;
  metrics: Metrics;
};
