// A real process is killed while it appends, again and again, in the same directory. Every record that
// it reported as appended is replayed afterwards, in order; a real full disk loses none either.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/runtime/clock.ts';
import { silentLog } from '../../src/runtime/log.ts';
import { createMetrics } from '../../src/runtime/metrics.ts';
import { systemRandom } from '../../src/runtime/random.ts';
import { openJournal } from '../../src/stores/journal/journal.ts';
import type { Journal, JournalOptions } from '../../src/stores/journal/journal.ts';

const url = (path: string) => JSON.stringify(new URL(`../../src/${path}`, import.meta.url).href);

/** Appends numbers with 64 outstanding; prints each when it is durable. */
const appender = `
  import { writeSync } from 'node:fs';
  import { openJournal } from ${url('stores/journal/journal.ts')};
  import { systemClock } from ${url('runtime/clock.ts')};
  import { silentLog } from ${url('runtime/log.ts')};
  import { createMetrics } from ${url('runtime/metrics.ts')};
  import { systemRandom } from ${url('runtime/random.ts')};
  const [directory, first] = process.argv.slice(-2);
  const runtime = { clock: systemClock(), random: systemRandom(), log: silentLog(),
    metrics: createMetrics({ processMetrics: false }) };
  const journal = await openJournal({ directory, runtime, segmentBytes: 100_000 });
  let next = Number(first);
  async function appendForever() {
    for (;;) {
      const n = next++;
      await journal.append(Buffer.from(n + ' '.repeat(n % 700)));
      writeSync(1, n + '\\n');
    }
  }
  for (let i = 0; i < 64; i++) void appendForever();
`;

function open(directory: string, more: Partial<JournalOptions> = {}): Promise<Journal> {
  const runtime: JournalOptions['runtime'] = {
    clock: systemClock(),
    random: systemRandom(),
    log: silentLog(),
    metrics: createMetrics({ processMetrics: false }),
  };
  return openJournal({ directory, runtime, ...more });
}

async function replayAll(journal: Journal): Promise<number[]> {
  const numbers: number[] = [];
  for (;;) {
    const batch = await journal.takeBatch(500);
    if (batch === undefined) return numbers;
    numbers.push(...batch.payloads.map(Number));
    await batch.commit();
  }
}

/** The numbers that the process reported before it was killed. */
async function appendUntilKilled(directory: string, first: number, runMs: number) {
  const args = ['--input-type=module', '-e', appender, '--', directory, String(first)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk) => (output += String(chunk)));
  while (output === '' && child.exitCode === null) await sleep(5);
  await sleep(runMs);
  child.kill('SIGKILL');
  await once(child, 'close');
  return output.split('\n').slice(0, -1).map(Number);
}

test('no record that was reported as appended is lost when the process is killed', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'evergate-journal-kill-'));
  try {
    const acknowledged = new Set<number>();
    const replayed: number[] = [];
    for (let round = 0; round < 12; round++) {
      const first = round * 1_000_000;
      const numbers = await appendUntilKilled(directory, first, 20 + round * 37);
      expect(numbers.length).toBeGreaterThan(0);
      for (const n of numbers) acknowledged.add(n);
      if (round % 3 !== 2) continue; // let several crashes pile up
      await using journal = await open(directory);
      replayed.push(...(await replayAll(journal)));
    }
    expect(replayed).toEqual(replayed.toSorted((a, b) => a - b));
    expect(new Set(replayed).size).toBe(replayed.length);
    expect([...acknowledged.difference(new Set(replayed))]).toEqual([]);
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('a real disk that is full refuses records, keeps those it took, and goes on when there is room', async () => {
  const disk = await mkdtemp(join(tmpdir(), 'evergate-small-disk-'));
  mountSmallDisk(disk);
  try {
    await using journal = await open(join(disk, 'journal'), { segmentBytes: 200_000 });
    const kept: number[] = [];
    const appendUntilFull = async (from: number): Promise<unknown> => {
      for (let n = from; ; n++) {
        try {
          await journal.append(Buffer.from(n + ' '.repeat(3000)));
        } catch (error) {
          return error;
        }
        kept.push(n);
      }
    };
    const isFull = { cause: { code: 'ENOSPC' } };
    expect(await appendUntilFull(0)).toMatchObject(isFull);
    expect(await appendUntilFull(10_000)).toMatchObject(isFull);
    expect(kept.length).toBeGreaterThan(200);

    const batch = await journal.takeBatch(kept.length);
    expect(batch?.payloads.map(Number)).toEqual(kept.splice(0, batch?.payloads.length));
    await batch?.commit();
    expect(await appendUntilFull(20_000)).toMatchObject(isFull);
    expect(kept.length).toBeGreaterThan(50);
    expect(await replayAll(journal)).toEqual(kept);
  } finally {
    execFileSync('umount', [disk]);
    await rm(disk, { recursive: true });
  }
});

function mountSmallDisk(path: string): void {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) {
    throw new Error('this test mounts a disk of 1 MiB: run it as root on Linux');
  }
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', path]);
}
