// A node of the simulated cluster: the radius service itself, on a runtime that belongs to this
// incarnation. A crash takes the runtime away; a start gives it a new one and the same disk.

import { createHash } from 'node:crypto';
import { eapGtc } from '../../src/protocols/eap/gtc.ts';
import { eapMd5 } from '../../src/protocols/eap/md5.ts';
import { eapMsChapV2 } from '../../src/protocols/eap/mschapv2.ts';
import { silentLog } from '../../src/runtime/log.ts';
import type { Log } from '../../src/runtime/log.ts';
import { createMetrics } from '../../src/runtime/metrics.ts';
import type { Runtime } from '../../src/runtime/runtime.ts';
import type { Seal } from '../../src/services/radius/eap/record.ts';
import { runRadius } from '../../src/services/radius/radius.ts';
import type { Radius, RadiusOptions } from '../../src/services/radius/radius.ts';
import { withFallback } from '../../src/stores/state/degrade.ts';
import type { Chance } from './chance.ts';
import type { SimulatedDatabase } from './database.ts';
import { createDisk, openJournal } from './journal.ts';
import type { Disk, JournalFlaw } from './journal.ts';
import { beginLife, lifeClock } from './life.ts';
import type { Life } from './life.ts';
import type { SimulatedNetwork } from './network.ts';
import type { Scheduler } from './scheduler.ts';
import type { SimulatedState } from './shared-state.ts';

export type SimulatedNode = {
  readonly name: string;
  readonly address: string;
  readonly disk: Disk;
  readonly isUp: boolean;
  /** When it last lost its memory, by a crash or a stop; -Infinity: never. */
  readonly endedAtMs: number;
  /** How wrong its idea of the date is. */
  readonly wall: { offsetMs: number };
  start(): void;
  crash(): void;
  pause(durationMs: number): void;
  /** An orderly stop, as at an upgrade. */
  stop(): Promise<void>;
};

export type NodeSurroundings = {
  scheduler: Scheduler;
  chance: Chance;
  network: SimulatedNetwork;
  database: SimulatedDatabase;
  state: SimulatedState;
  journalFlaw: JournalFlaw;
  /** What no node should ever say: errors of the log, and a start that failed. */
  complain: (complaint: string) => void;
};

const NODE_OPTIONS: Omit<RadiusOptions, 'node' | 'host'> = {
  authPort: 1812,
  acctPort: 1813,
  reusePort: false,
  receiveBufferBytes: 1 << 20,
  requireMessageAuthenticator: 'auto',
  rateLimitPerMinute: 0,
  rejectDelayMs: 500,
  duplicateWindowMs: 30_000,
  credentialMaxAgeMs: 60_000,
  staleCredentialsMaxMs: 24 * 3_600_000,
  accountingDurability: 'database',
  accountingSlowAfterMs: 250,
  eapMethods: [eapMsChapV2, eapMd5, eapGtc],
  eapPacketBytes: 1_200,
  peer: undefined,
};

export function createNode(
  name: string,
  address: string,
  changes: Partial<RadiusOptions>,
  surroundings: NodeSurroundings,
): SimulatedNode {
  const { scheduler, chance, network, database, state, complain } = surroundings;
  const options: RadiusOptions = { ...NODE_OPTIONS, ...changes, node: name, host: address };
  const disk = createDisk(chance.fork());
  const wall = { offsetMs: 0 };
  let life: Life | undefined;
  let running: Radius | undefined;
  let endedAtMs = -Infinity;

  function end() {
    if (life !== undefined) endedAtMs = scheduler.nowMs;
    life?.end();
    life = undefined;
    running = undefined;
  }

  function runtimeOf(ofLife: Life): Runtime {
    return {
      clock: lifeClock(scheduler, ofLife, wall),
      random: chance.fork(),
      network: network.at(address, ofLife),
      log: complainingLog((complaint) => complain(`${name}: ${complaint}`)),
      metrics: createMetrics({ processMetrics: false }),
    };
  }

  return {
    name,
    address,
    disk,
    wall,
    get isUp() {
      return life !== undefined;
    },
    get endedAtMs() {
      return endedAtMs;
    },

    start() {
      const mine = beginLife(scheduler);
      life = mine;
      const runtime = runtimeOf(mine);
      const fallback = withFallback(state.connect(name, mine), { onFailure: 'degrade', runtime });
      const stores = {
        ...database.connect(name, mine),
        journal: openJournal(disk, mine, scheduler, chance.fork(), surroundings.journalFlaw),
        state: fallback,
        box: seal,
        isStateShared: true,
        isStateAway: () => fallback.isDegraded(),
        canStateBeAway: true,
        onStateRecovered(listener: () => void) {
          fallback.onRecovered(listener);
          state.onReconnected(mine, listener);
        },
      };
      runRadius(options, stores, runtime).then(
        (radius) => {
          if (life === mine) running = radius;
        },
        (error: unknown) => complain(`${name} did not start: ${String(error)}`),
      );
    },

    crash() {
      end();
      disk.crash();
    },

    pause: (durationMs) => life?.pause(durationMs),

    async stop() {
      await running?.[Symbol.asyncDispose]();
      end();
    },
  };
}

/** Not secret, but it opens under the right context alone, as the real one. */
const seal: Seal = {
  seal: (plaintext, context) => Buffer.concat([digest(context), plaintext]),
  open(box, context) {
    if (!box.subarray(0, 16).equals(digest(context))) throw new Error('another context');
    return box.subarray(16);
  },
};

function digest(context: string): Buffer {
  return createHash('md5').update(context).digest();
}

function complainingLog(complain: (complaint: string) => void): Log {
  const log: Log = {
    ...silentLog(),
    error: (message, fields) => complain(`${message} ${String(fields?.['error'])}`),
    with: () => log,
  };
  return log;
}
