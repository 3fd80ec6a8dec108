import { mkdtemp, readFile, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../runtime/clock.ts';
import { silentLog } from '../../runtime/log.ts';
import { createMetrics } from '../../runtime/metrics.ts';
import { systemRandom } from '../../runtime/random.ts';
import { systemFiles } from './files.ts';
import type { JournalFiles } from './files.ts';
import { openJournal } from './journal.ts';
import type { Journal, JournalOptions } from './journal.ts';

const directories: string[] = [];
afterAll(() => Promise.all(directories.map((path) => rm(path, { recursive: true }))));

async function newDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'evergate-journal-'));
  directories.push(directory);
  return directory;
}

function newRuntime(): JournalOptions['runtime'] {
  return {
    clock: systemClock(),
    random: systemRandom(),
    log: silentLog(),
    metrics: createMetrics({ processMetrics: false }),
  };
}

function open(directory: string, more: Partial<JournalOptions> = {}): Promise<Journal> {
  return openJournal({ directory, runtime: newRuntime(), ...more });
}

/** Always 8 bytes, so 28 with the frame. */
const text = (n: number) => Buffer.from(`r ${String(n).padStart(6, '0')}`);

async function appendTexts(journal: Journal, from: number, to: number): Promise<void> {
  for (let n = from; n < to; n++) await journal.append(text(n));
}

/** Takes and commits until nothing is left. */
async function drain(journal: Journal, limit = 100): Promise<string[]> {
  const all: string[] = [];
  for (;;) {
    const batch = await journal.takeBatch(limit);
    if (batch === undefined) return all;
    all.push(...batch.payloads.map(String));
    await batch.commit();
  }
}

const texts = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => String(text(from + i)));

async function onlySegment(directory: string): Promise<string> {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.journal'));
  expect(names).toHaveLength(1);
  return join(directory, names[0] ?? '');
}

test('what was appended comes back in order, also after reopening', async () => {
  const directory = await newDirectory();
  {
    await using journal = await open(directory);
    await Promise.all(Array.from({ length: 500 }, (_, n) => journal.append(text(n))));
    expect(journal.pendingRecords).toBe(500);
  }
  await using journal = await open(directory);
  expect(journal.pendingRecords).toBe(500);
  await appendTexts(journal, 500, 510);
  expect(await drain(journal, 7)).toEqual(texts(0, 510));
  expect(journal.pendingRecords).toBe(0);
});

test('an empty journal has no batch', async () => {
  await using journal = await open(await newDirectory());
  expect(await journal.takeBatch(10)).toBeUndefined();
});

test('a batch that was not committed comes again, also after reopening', async () => {
  const directory = await newDirectory();
  {
    await using journal = await open(directory);
    await appendTexts(journal, 0, 10);
    await (await journal.takeBatch(4))?.commit();
    expect((await journal.takeBatch(4))?.payloads.map(String)).toEqual(texts(4, 8));
    expect((await journal.takeBatch(4))?.payloads.map(String)).toEqual(texts(4, 8));
  }
  await using journal = await open(directory);
  expect(journal.pendingRecords).toBe(6);
  expect(await drain(journal)).toEqual(texts(4, 10));
});

test('a batch that is committed late does not bring later ones back', async () => {
  await using journal = await open(await newDirectory());
  await appendTexts(journal, 0, 10);
  const few = await journal.takeBatch(2);
  const many = await journal.takeBatch(8);
  await many?.commit();
  await few?.commit();
  expect(await drain(journal)).toEqual(texts(8, 10));
});

test('records can be replayed while others are appended', async () => {
  await using journal = await open(await newDirectory(), { segmentBytes: 2000 });
  const appending = appendTexts(journal, 0, 300);
  const all: string[] = [];
  while (all.length < 300) {
    all.push(...(await drain(journal, 13)));
    await nextTurn();
  }
  await appending;
  expect(all).toEqual(texts(0, 300));
});

test('replayed segments are deleted, and their numbers are not used again', async () => {
  const directory = await newDirectory();
  {
    await using journal = await open(directory, { segmentBytes: 500 });
    await appendTexts(journal, 0, 100);
    expect((await readdir(directory)).length).toBeGreaterThan(5);
    await drain(journal);
  }
  {
    await using journal = await open(directory);
    expect(await drain(journal)).toEqual([]);
    expect((await readdir(directory)).filter((name) => name.endsWith('.journal'))).toEqual([]);
    await appendTexts(journal, 0, 3);
    expect(await drain(journal)).toEqual(texts(0, 3));
  }
  await using journal = await open(directory);
  expect(await drain(journal)).toEqual([]);
});

test('two openers: the second is refused until the first has closed', async () => {
  const directory = await newDirectory();
  const first = await open(directory);
  await expect(open(directory)).rejects.toThrow('is open in another process');
  await first[Symbol.asyncDispose]();
  await using second = await open(directory);
  expect(second.pendingRecords).toBe(0);
});

test('a record beyond the limit of the journal is refused, and taken when replay has made room', async () => {
  await using journal = await open(await newDirectory(), { maxBytes: 3000, segmentBytes: 500 });
  const written = appendUntilRefused(journal);
  await expect(written).rejects.toThrow('is full: it may have 3000 bytes');
  const before = (await drain(journal)).length;
  expect(before).toBeGreaterThan(50);
  await journal.append(text(1));
  expect(await drain(journal)).toEqual(texts(1, 2));
});

async function appendUntilRefused(journal: Journal): Promise<never> {
  for (let n = 0; ; n++) await journal.append(text(n));
}

test('a record that is too large, and any record after closing, is refused with the reason', async () => {
  const journal = await open(await newDirectory());
  await expect(journal.append(Buffer.alloc(300_000))).rejects.toThrow('at most 262144 bytes');
  const last = journal.append(Buffer.alloc(262_144, 'x'));
  await journal[Symbol.asyncDispose]();
  await last; // what was appended before is written
  await expect(journal.append(text(1))).rejects.toThrow('is closed');
});

test('a record that can never be stored is kept for a person to look at', async () => {
  const directory = await newDirectory();
  await using journal = await open(directory);
  await journal.setAside(Buffer.from('poison'), 'no such router');
  const line = await readFile(join(directory, 'rejected.ndjson'), 'utf8');
  expect(JSON.parse(line)).toMatchObject({ reason: 'no such router', payload: 'cG9pc29u' });
});

test('a group is written while the next one gathers: few writes for many records', async () => {
  let writes = 0;
  const files: JournalFiles = {
    async create(path) {
      const file = await systemFiles.create(path);
      return {
        ...file,
        write: (bytes, position) => {
          writes++;
          return file.write(bytes, position);
        },
      };
    },
  };
  await using journal = await open(await newDirectory(), { files });
  await Promise.all(Array.from({ length: 1000 }, (_, n) => journal.append(text(n))));
  expect(writes).toBe(2); // the header and all of this turn
});

describe('when the disk fails', () => {
  /** A disk that writes `room` more bytes and then fails with `code`. */
  function failingDisk(disk: { room: number; code: string; truncates: boolean }): JournalFiles {
    const failure = () =>
      Object.assign(new Error(`${disk.code}: from the test`), { code: disk.code });
    return {
      async create(path) {
        if (disk.room === 0) throw failure();
        const file = await systemFiles.create(path);
        return {
          async write(bytes, position) {
            if (disk.room === 0) throw failure();
            const count = Math.min(bytes.length, disk.room);
            disk.room -= count;
            return await file.write(bytes.subarray(0, count), position);
          },
          truncate: (bytes) => (disk.truncates ? file.truncate(bytes) : Promise.reject(failure())),
          close: () => file.close(),
        };
      },
    };
  }

  test.each([
    { code: 'ENOSPC', truncates: true },
    { code: 'ENOSPC', truncates: false },
    { code: 'EIO', truncates: true },
    { code: 'EIO', truncates: false },
  ])(
    '$code (can truncate: $truncates): refused records are refused, all others are kept',
    async (kind) => {
      const directory = await newDirectory();
      const disk = { ...kind, room: 500 };
      const refusals = new Set<string>();
      const kept: string[] = [];
      {
        await using journal = await open(directory, { files: failingDisk(disk) });
        for (let n = 0; n < 60; n++) {
          if (n === 40) disk.room = 1e9;
          const ended = await journal.append(text(n)).then(
            () => 'kept',
            (error: Error) => error.message,
          );
          if (ended === 'kept') kept.push(String(text(n)));
          else refusals.add(ended);
        }
        expect([...refusals]).toEqual([`writing the journal in ${directory}`]);
        expect(kept.length).toBeLessThan(60);
        expect(kept.slice(-20)).toEqual(texts(40, 60));
        expect((await journal.takeBatch(1000))?.payloads.map(String).length).toBeGreaterThan(0);
      }
      await using journal = await open(directory);
      expect(await drain(journal)).toEqual(kept);
    },
  );

  test('all room may be gone from the beginning, and come back', async () => {
    const disk = { code: 'ENOSPC', room: 0, truncates: true };
    await using journal = await open(await newDirectory(), { files: failingDisk(disk) });
    await expect(journal.append(text(0))).rejects.toThrow('writing the journal');
    disk.room = 7; // not even the header
    await expect(journal.append(text(1))).rejects.toThrow('writing the journal');
    disk.room = 1000;
    await journal.append(text(2));
    expect(await drain(journal)).toEqual(texts(2, 3));
  });
});

describe('after a crash', () => {
  test('at whatever byte the file ends, what was durable before it is there, in order', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 }), { maxLength: 6 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        async (groups, where) => {
          const directory = await newDirectory();
          const durable: { end: number; records: number }[] = [];
          const payloads = groups.flat().map((payload) => Buffer.from(payload).toString('hex'));
          {
            await using journal = await open(directory);
            let records = 0;
            for (const group of groups.filter(({ length }) => length > 0)) {
              await Promise.all(group.map((payload) => journal.append(payload)));
              records += group.length;
              durable.push({ end: (await stat(await onlySegment(directory))).size, records });
            }
          }
          if (payloads.length === 0) return;
          const path = await onlySegment(directory);
          const size = Math.round((await stat(path)).size * where);
          await truncate(path, size);

          await using journal = await open(directory);
          await journal.append(Buffer.from('after'));
          const found: string[] = [];
          for (
            let batch;
            (batch = await journal.takeBatch(5)) !== undefined;
            await batch.commit()
          ) {
            found.push(...batch.payloads.map((payload) => payload.toString('hex')));
          }
          const acknowledged = durable.findLast(({ end }) => end <= size)?.records ?? 0;
          expect(found.pop()).toBe(Buffer.from('after').toString('hex'));
          expect(found).toEqual(payloads.slice(0, found.length));
          expect(found.length).toBeGreaterThanOrEqual(acknowledged);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('a torn tail is cut and counted', async () => {
    const directory = await newDirectory();
    await leave(directory, 3);
    const path = await onlySegment(directory);
    const whole = await readFile(path);
    await writeFile(path, whole.subarray(0, -2));
    const runtime = newRuntime();
    await using journal = await open(directory, { runtime });
    expect(await drain(journal)).toEqual(texts(0, 2));
    expect(await runtime.metrics.text()).toContain('records_total{outcome="torn"} 1');
  });

  test('blank blocks at the end are a torn tail too', async () => {
    const directory = await newDirectory();
    await leave(directory, 3);
    const path = await onlySegment(directory);
    await writeFile(path, Buffer.concat([await readFile(path), Buffer.alloc(4096)]));
    await using journal = await open(directory);
    await appendTexts(journal, 3, 5);
    expect(await drain(journal)).toEqual(texts(0, 5));
    expect(await readdir(directory)).not.toContain('corrupt');
  });

  test.each([
    ['in its payload', 16 + 28 * 2 + 25],
    ['in its length', 16 + 28 * 2 + 9],
    ['in its marker', 16 + 28 * 2],
  ])('a record that is damaged %s is set aside, the others are there', async (_, at) => {
    const directory = await newDirectory();
    await leave(directory, 6);
    const path = await onlySegment(directory);
    const bytes = await readFile(path);
    bytes.writeUInt8((bytes.readUInt8(at) + 1) & 0xff, at);
    await writeFile(path, bytes);
    const runtime = newRuntime();
    await using journal = await open(directory, { runtime });
    expect(await drain(journal)).toEqual([...texts(0, 2), ...texts(3, 6)]);
    const [name, ...others] = await readdir(join(directory, 'corrupt'));
    expect(name).toMatch(/^00000001\.journal-72-[0-9a-f]+$/);
    expect(others).toEqual([]);
    expect(await runtime.metrics.text()).toContain('records_total{outcome="corrupt"} 1');
    expect(journal.pendingRecords).toBe(0);
  });

  test('damage of any kind anywhere loses only the records that it touches', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(16 + 28 * 20 - 1),
        fc.uint8Array({ minLength: 1, maxLength: 60 }),
        async (at, noise) => {
          const directory = await newDirectory();
          await leave(directory, 20);
          const path = await onlySegment(directory);
          const bytes = await readFile(path);
          const whole = Buffer.from(bytes);
          bytes.set(noise.subarray(0, bytes.length - at), at);
          await writeFile(path, bytes);
          const untouched = texts(0, 20).filter((_, n) => {
            const begin = 16 + n * 28;
            const same = bytes.subarray(begin, begin + 28);
            return same.equals(whole.subarray(begin, begin + 28));
          });
          await using journal = await open(directory);
          const headerIsWhole = bytes.subarray(0, 16).equals(whole.subarray(0, 16));
          expect(await drain(journal)).toEqual(headerIsWhole ? untouched : []);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('a damaged segment of several reads does not hide the records behind it', async () => {
    const directory = await newDirectory();
    const large = Buffer.alloc(200_000, 'x');
    {
      await using journal = await open(directory);
      for (let n = 0; n < 20; n++) await journal.append(Buffer.concat([text(n), large]));
    }
    const path = await onlySegment(directory);
    const bytes = await readFile(path);
    bytes.fill(7, 300_000, 3_500_000);
    await writeFile(path, bytes);
    await using journal = await open(directory);
    const found = (await drain(journal)).map((record) => record.slice(0, record.indexOf('x')));
    expect(found).toEqual([...texts(0, 1), ...texts(18, 20)]);
  });

  test('a damaged checkpoint means that everything is replayed again', async () => {
    const directory = await newDirectory();
    {
      await using journal = await open(directory);
      await appendTexts(journal, 0, 5);
      await (await journal.takeBatch(3))?.commit();
    }
    await writeFile(join(directory, 'checkpoint.json'), '{"segment":1,"offs');
    await using journal = await open(directory);
    expect(await drain(journal)).toEqual(texts(0, 5));
  });

  test('a commit that was cut off before its rename has not happened', async () => {
    const directory = await newDirectory();
    await leave(directory, 5);
    await writeFile(join(directory, 'checkpoint.json.next'), '{"segment":1,"offset":100000,');
    await using journal = await open(directory);
    expect(await drain(journal)).toEqual(texts(0, 5));
  });

  test('a commit that was cut off after it deleted segments repeats at most the rest', async () => {
    const directory = await newDirectory();
    const checkpoint = join(directory, 'checkpoint.json');
    {
      await using journal = await open(directory, { segmentBytes: 16 + 28 * 2 });
      await appendTexts(journal, 0, 6); // two in each segment
      await (await journal.takeBatch(1))?.commit();
      const older = await readFile(checkpoint);
      await (await journal.takeBatch(1))?.commit();
      await (await journal.takeBatch(1))?.commit();
      await writeFile(checkpoint, older);
    }
    await using journal = await open(directory);
    expect(await drain(journal)).toEqual(texts(2, 6));
  });

  test('a commit that was cut off before its segments were deleted has happened', async () => {
    const directory = await newDirectory();
    await leave(directory, 5);
    const path = await onlySegment(directory);
    const bytes = await readFile(path);
    {
      await using journal = await open(directory);
      await drain(journal);
    }
    await writeFile(path, bytes);
    await using journal = await open(directory);
    expect(await drain(journal)).toEqual([]);
  });

  /** Records 0 to count - 1 in one segment, 28 bytes each. */
  async function leave(directory: string, count: number): Promise<void> {
    await using journal = await open(directory);
    await appendTexts(journal, 0, count);
  }
});
