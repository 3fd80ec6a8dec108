// Replaying: records in the order in which they were appended, at least once. Progress is a small
// checkpoint file; segments behind it are deleted. Damage is set aside and never blocks the rest.

import { constants } from 'node:fs';
import { mkdir, open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Log } from '../../runtime/log.ts';
import { replaceFile, segmentName, syncDirectory } from './files.ts';
import { MAX_FRAME_BYTES, SEGMENT_HEADER_BYTES, frameAt, nextRecord } from './frame.ts';
import { pendingRecords } from './segments.ts';
import type { JournalMetrics, JournalState, Position, Segment } from './segments.ts';

/** Read at once. A frame and the beginning of the next fit, so damage can be told from a short read. */
const CHUNK_BYTES = 4 * MAX_FRAME_BYTES;

export type JournalBatch = {
  payloads: Buffer[];
  /**
   * Call when the records are where they belong. Without it the next batch begins with them again, as
   * it does after a crash in the moments until this resolves. Does not reject.
   */
  commit(): Promise<void>;
};

type Chunk = {
  segment: number;
  start: number;
  /** What was asked for: the bytes end before it if the file lost its end. */
  end: number;
  bytes: Buffer;
  /** It was all that the segment had at the time. */
  reachesEnd: boolean;
};
type Found = { payloads: Buffer[]; at: number; sequence: number };

export function createReader(options: { state: JournalState; metrics: JournalMetrics; log: Log }): {
  takeBatch(limit: number): Promise<JournalBatch | undefined>;
} {
  const { state, metrics, log } = options;
  const checkpointPath = join(state.directory, 'checkpoint.json');
  let chunk: Chunk | undefined;
  let committing = Promise.resolve();

  async function takeBatch(limit: number): Promise<JournalBatch | undefined> {
    await committing;
    let position = state.replayed;
    for (;;) {
      const segment = state.segments.find(({ number }) => number >= position.segment);
      if (segment === undefined) return undefined;
      if (segment.number > position.segment) {
        position = { segment: segment.number, offset: SEGMENT_HEADER_BYTES };
      }
      if (position.offset >= segment.bytes) {
        if (!segment.isSealed) return undefined;
        position = { segment: segment.number + 1, offset: SEGMENT_HEADER_BYTES };
        if (state.segments.at(-1) === segment) return endOfJournal(position);
        continue;
      }
      const found = await readRecords(segment, position.offset, limit);
      position = { segment: segment.number, offset: found.at };
      if (found.payloads.length > 0) return batchOf(found, position);
    }
  }

  /** Only damage or nothing was left: the position moves on, so that the files can go. */
  async function endOfJournal(position: Position): Promise<undefined> {
    await moveTo(position, state.durableSequence, 0);
    return undefined;
  }

  function batchOf(found: Found, position: Position): JournalBatch {
    return {
      payloads: found.payloads,
      commit() {
        committing = committing.then(() =>
          moveTo(position, found.sequence + 1, found.payloads.length),
        );
        return committing;
      },
    };
  }

  /**
   * The files go first: on a full disk that makes room for the checkpoint. A crash between the two is
   * harmless, for replay begins with the oldest segment that is there.
   */
  async function moveTo(position: Position, sequence: number, records: number): Promise<void> {
    if (!isBefore(state.replayed, position)) return; // committed twice, or after a later one
    state.replayed = position;
    state.replayedSequence = sequence;
    metrics.replayed.add(records);
    await removeReplayed();
    metrics.show({ bytes: state.bytes, pendingRecords: pendingRecords(state) });
    try {
      await replaceFile(checkpointPath, checkpointText(position, sequence));
    } catch (error) {
      log.warn('the progress of the replay was not written: a crash would repeat it', { error });
    }
  }

  async function removeReplayed(): Promise<void> {
    for (let first = state.segments[0]; first !== undefined; first = state.segments[0]) {
      const { segment, offset } = state.replayed;
      const isDone =
        first.number < segment ||
        (first.number === segment && first.isSealed && offset >= first.bytes);
      if (!isDone) return;
      state.segments.shift();
      state.bytes -= first.bytes;
      await rm(first.path).catch((error: unknown) => {
        // The next opening removes it: the checkpoint has passed it.
        log.warn('a replayed segment of the journal was not removed', { error });
      });
    }
  }

  async function readRecords(segment: Segment, offset: number, limit: number): Promise<Found> {
    const found: Found = { payloads: [], at: offset, sequence: state.replayedSequence };
    let { bytes, start, end, reachesEnd } = await chunkAt(segment, offset);
    let at = offset - start;
    while (found.payloads.length < limit && at < bytes.length) {
      const frame = frameAt(bytes, at, segment.salt);
      if (frame.kind === 'record') {
        found.payloads.push(frame.payload);
        found.sequence = frame.sequence;
        at = frame.end;
      } else if (found.payloads.length > 0) {
        break; // these first; then this place is looked at with enough bytes behind it
      } else if (!reachesEnd && at > 0) {
        chunk = undefined;
        ({ bytes, start, end, reachesEnd } = await chunkAt(segment, start + at));
        at = 0;
      } else {
        const next = endOfDamage(bytes, at, segment.salt, reachesEnd);
        await setDamageAside(segment, start + at, bytes.subarray(at, next));
        at = next;
      }
    }
    found.at = at < bytes.length ? start + at : end;
    return found;
  }

  /** The bytes from `offset` on, as far as one read goes; the last ones are kept for the next batch. */
  async function chunkAt(segment: Segment, offset: number): Promise<Chunk> {
    if (chunk !== undefined && chunk.segment === segment.number) {
      const { start, bytes } = chunk;
      if (offset >= start && offset < start + bytes.length) return chunk;
    }
    const length = Math.min(segment.bytes - offset, CHUNK_BYTES);
    await using file = await open(segment.path, constants.O_RDONLY);
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(length), 0, length, offset);
    if (bytesRead < length) {
      log.error('a segment of the journal lacks its end', { path: segment.path });
    }
    chunk = {
      segment: segment.number,
      start: offset,
      end: offset + length,
      bytes: buffer.subarray(0, bytesRead),
      reachesEnd: offset + length >= segment.bytes || bytesRead < length,
    };
    return chunk;
  }

  async function setDamageAside(segment: Segment, offset: number, bytes: Buffer): Promise<void> {
    const folder = join(state.directory, 'corrupt');
    const path = join(
      folder,
      `${segmentName(segment.number)}-${offset}-${segment.salt.toString(16)}`,
    );
    await mkdir(folder, { recursive: true, mode: 0o700 });
    try {
      await writeFile(path, bytes, { flag: 'wx', mode: 0o600, flush: true });
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return; // counted before
      throw error;
    }
    await syncDirectory(folder);
    metrics.corrupt.add();
    log.error('a damaged part of the journal was set aside', { path, bytes: bytes.length });
  }

  return { takeBatch };
}

function endOfDamage(bytes: Buffer, at: number, salt: number, reachesEnd: boolean): number {
  const next = nextRecord(bytes, at + 1, salt);
  if (next < bytes.length || reachesEnd) return next;
  return Math.max(at + 1, bytes.length - MAX_FRAME_BYTES); // a record may begin in the last bytes
}

export type Checkpoint = Position & { sequence: number };

function checkpointText(position: Position, sequence: number): string {
  return `${JSON.stringify({ ...position, sequence } satisfies Checkpoint)}\n`;
}

function isBefore(a: Position, b: Position): boolean {
  return a.segment < b.segment || (a.segment === b.segment && a.offset < b.offset);
}
