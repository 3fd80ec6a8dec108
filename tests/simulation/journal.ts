// The journal of a simulated node. Its disk outlives the process: what was synced before a crash is
// there at the next start, what was written and not yet synced may be or may not.

import type { RadiusStores } from '../../src/services/radius/radius.ts';
import type { Chance } from './chance.ts';
import type { Life } from './life.ts';
import type { Scheduler } from './scheduler.ts';

/** How to break it on purpose. `acknowledges-early`: does not wait for the disk. */
export type JournalFlaw = 'none' | 'acknowledges-early';

export type Disk = {
  readonly synced: Buffer[];
  /** Written, waiting for the disk. */
  unsynced: Buffer[];
  readonly setAside: Buffer[];
  /** Entries before this have reached the database. */
  checkpoint: number;
  /** The machine's idea of what survives, at the moment of the crash. */
  crash(): void;
};

export function createDisk(chance: Chance): Disk {
  const disk: Disk = {
    synced: [],
    unsynced: [],
    setAside: [],
    checkpoint: 0,
    crash() {
      const survive = chance.between(0, disk.unsynced.length);
      disk.synced.push(...disk.unsynced.slice(0, survive));
      disk.unsynced = [];
    },
  };
  return disk;
}

export function openJournal(
  disk: Disk,
  life: Life,
  scheduler: Scheduler,
  chance: Chance,
  flaw: JournalFlaw = 'none',
): RadiusStores['journal'] {
  async function sync(payload: Buffer): Promise<void> {
    disk.unsynced.push(payload);
    await scheduler.sleep(chance.between(1, 8));
    const at = disk.unsynced.indexOf(payload);
    if (at === -1) return; // the node crashed, and this is nobody's call any more
    // One sync takes all that was written before it.
    disk.synced.push(...disk.unsynced.splice(0, at + 1));
  }

  async function moveCheckpoint(to: number): Promise<void> {
    await scheduler.sleep(chance.between(1, 5));
    if (life.isAlive) disk.checkpoint = to;
  }

  return {
    get pendingRecords() {
      return disk.synced.length - disk.checkpoint;
    },
    append(payload) {
      const synced = sync(Buffer.from(payload));
      return flaw === 'acknowledges-early' ? Promise.resolve() : life.await(synced);
    },
    takeBatch(limit) {
      const from = disk.checkpoint;
      const payloads = disk.synced.slice(from, from + limit);
      if (payloads.length === 0) return Promise.resolve(undefined);
      const commit = () => life.await(moveCheckpoint(from + payloads.length));
      return Promise.resolve({ payloads, commit });
    },
    setAside(payload) {
      disk.setAside.push(payload);
      return Promise.resolve();
    },
  };
}
