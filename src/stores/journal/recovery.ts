// Opening what an earlier process left, however it ended. Only the last segment can have a torn tail:
// a write that the crash cut off, and that nobody was told had succeeded. It is cut.

import { mkdir, open, readFile, readdir, rename, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import type { Log } from '../../runtime/log.ts';
import { segmentName, segmentNumber, syncDirectory } from './files.ts';
import { SEGMENT_HEADER_BYTES, frameAt, nextRecord, saltOf } from './frame.ts';
import type { Checkpoint } from './reader.ts';
import type { JournalMetrics, JournalState, Segment } from './segments.ts';

type Options = { directory: string; metrics: JournalMetrics; log: Log };

export async function recover(options: Options): Promise<JournalState> {
  const { directory } = options;
  const checkpoint = await readCheckpoint(options);
  const segments: Segment[] = [];
  for (const number of await segmentNumbers(directory)) {
    const segment = await openSegment(options, number);
    if (segment === undefined) continue;
    if (isReplayed(segment, checkpoint)) await rm(segment.path);
    else segments.push(segment);
  }
  const sequence = await endOfLast(options, segments, checkpoint.sequence);
  await syncDirectory(directory);
  return {
    directory,
    segments,
    replayed: { segment: checkpoint.segment, offset: checkpoint.offset },
    bytes: segments.reduce((sum, segment) => sum + segment.bytes, 0),
    sequence,
    durableSequence: sequence,
    replayedSequence: checkpoint.sequence,
  };
}

/** Without one, or with a damaged one, replay begins with the oldest record: at least once, not at most. */
async function readCheckpoint({ directory, log }: Options): Promise<Checkpoint> {
  const beginning: Checkpoint = { segment: 0, offset: 0, sequence: 0 };
  const text = await readFile(join(directory, 'checkpoint.json'), 'utf8').catch(() => undefined);
  if (text === undefined) return beginning;
  try {
    const { segment, offset, sequence } = JSON.parse(text) as Partial<Checkpoint>;
    if (isCount(segment) && isCount(offset) && isCount(sequence)) {
      return { segment, offset, sequence };
    }
  } catch {
    // The same as a wrong number in it.
  }
  log.warn('the checkpoint of the journal is damaged: replay begins anew', { directory });
  return beginning;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

async function segmentNumbers(directory: string): Promise<number[]> {
  return (await readdir(directory))
    .map(segmentNumber)
    .filter((number) => number !== undefined)
    .toSorted((a, b) => a - b);
}

/** Undefined: nothing that could be replayed is in it. */
async function openSegment(options: Options, number: number): Promise<Segment | undefined> {
  const path = join(options.directory, segmentName(number));
  const { size } = await stat(path);
  const salt = saltOf(await firstBytes(path));
  if (salt !== undefined) return { number, path, salt, bytes: size, isSealed: true };
  if (size <= SEGMENT_HEADER_BYTES) {
    await rm(path); // the crash came while it was begun
    return undefined;
  }
  const folder = join(options.directory, 'corrupt');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await rename(path, join(folder, segmentName(number)));
  await syncDirectory(folder);
  options.metrics.corrupt.add();
  options.log.error('a segment of the journal without a readable header was set aside', { path });
  return undefined;
}

async function firstBytes(path: string): Promise<Buffer> {
  await using file = await open(path, 'r');
  const { buffer, bytesRead } = await file.read(Buffer.alloc(SEGMENT_HEADER_BYTES));
  return buffer.subarray(0, bytesRead);
}

function isReplayed(segment: Segment, checkpoint: Checkpoint): boolean {
  if (segment.bytes <= SEGMENT_HEADER_BYTES) return true;
  if (segment.number !== checkpoint.segment) return segment.number < checkpoint.segment;
  return checkpoint.offset >= segment.bytes;
}

/** Cuts the torn tail and returns the sequence that the next record gets. */
async function endOfLast(
  { log, metrics }: Options,
  segments: Segment[],
  atLeast: number,
): Promise<number> {
  const last = segments.at(-1);
  if (last === undefined) return atLeast;
  const bytes = await readFile(last.path);
  let sequence = atLeast;
  let at = SEGMENT_HEADER_BYTES;
  while (at < bytes.length) {
    const frame = frameAt(bytes, at, last.salt);
    if (frame.kind === 'record') {
      sequence = Math.max(sequence, frame.sequence + 1);
      at = frame.end;
      continue;
    }
    const next = nextRecord(bytes, at + 1, last.salt);
    if (next === bytes.length && isTorn(bytes, at, last.salt)) {
      await cut(last, at);
      metrics.torn.add();
      log.warn('the journal ended in a torn record, which was cut', {
        path: last.path,
        bytes: bytes.length - at,
      });
      return sequence;
    }
    at = next; // damage before good records stays for the reader, which sets it aside
  }
  return sequence;
}

/** A frame that is whole but wrong was once right; one that is not all there, or is blank, never was. */
function isTorn(bytes: Buffer, at: number, salt: number): boolean {
  return frameAt(bytes, at, salt).kind === 'cut' || bytes.subarray(at).every((byte) => byte === 0);
}

async function cut(segment: Segment, at: number): Promise<void> {
  await truncate(segment.path, at);
  await using file = await open(segment.path, 'r');
  await file.sync();
  segment.bytes = at;
}
