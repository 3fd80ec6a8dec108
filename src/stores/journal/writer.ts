// Appending with group commit. A write begins when the one before has ended, and takes all that was
// appended meanwhile: no wait at low load, hundreds of records per write at high load, no timer.

import assert from 'node:assert';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Runtime } from '../../runtime/runtime.ts';
import { segmentName, syncDirectory } from './files.ts';
import type { DurableFile, JournalFiles } from './files.ts';
import {
  FRAME_HEADER_BYTES,
  MAX_PAYLOAD_BYTES,
  SEGMENT_HEADER_BYTES,
  segmentHeader,
  writeFrame,
} from './frame.ts';
import { pendingRecords } from './segments.ts';
import type { JournalMetrics, JournalState, Segment } from './segments.ts';

/** What may wait in memory for the disk. Beyond it the disk is too slow, and the router should retry. */
const GROUP_BYTES = 4 * 1024 * 1024;
const FIRST_GROUP_BYTES = 64 * 1024;

export type WriterOptions = {
  state: JournalState;
  runtime: Pick<Runtime, 'clock' | 'random' | 'log'>;
  metrics: JournalMetrics;
  files: JournalFiles;
  segmentBytes: number;
  maxBytes: number;
};

export type JournalWriter = {
  append(payload: Uint8Array): Promise<void>;
  /** Writes what was appended, then refuses. */
  close(): Promise<void>;
};

/** Records that are written together and share one promise. */
type Group = {
  bytes: Buffer;
  used: number;
  firstSequence: number;
  records: number;
  written: PromiseWithResolvers<void>;
};

export function createWriter(options: WriterOptions): JournalWriter {
  const { state, runtime, metrics } = options;
  const { directory } = state;
  const salt = runtime.random.bytes(4).readUInt32BE();
  let group = emptyGroup(Buffer.allocUnsafe(FIRST_GROUP_BYTES));
  let spare: Buffer = Buffer.allocUnsafe(FIRST_GROUP_BYTES);
  let current: { segment: Segment; file: DurableFile } | undefined;
  let isWriting = false;
  let isClosed = false;
  let isFailing = false;
  let idle = Promise.resolve();

  function append(payload: Uint8Array): Promise<void> {
    const refusal = whyRefused(payload.length);
    if (refusal !== undefined) {
      metrics.refused.add();
      return Promise.reject(new Error(refusal));
    }
    makeRoom(group, FRAME_HEADER_BYTES + payload.length);
    if (group.records === 0) group.firstSequence = state.sequence;
    group.used = writeFrame(group.bytes, group.used, { payload, sequence: state.sequence, salt });
    group.records++;
    state.sequence++;
    if (!isWriting) {
      isWriting = true;
      const { promise, resolve } = Promise.withResolvers<void>();
      idle = promise;
      runtime.clock.soon(() => void writeGroups().then(resolve)); // with all of this turn
    }
    return group.written.promise;
  }

  function whyRefused(payloadBytes: number): string | undefined {
    const frameBytes = FRAME_HEADER_BYTES + payloadBytes;
    if (isClosed) return `the journal in ${directory} is closed`;
    if (payloadBytes > MAX_PAYLOAD_BYTES) {
      return `a journal record has at most ${MAX_PAYLOAD_BYTES} bytes, this one ${payloadBytes}`;
    }
    if (group.used + frameBytes > GROUP_BYTES) {
      return `the disk of the journal in ${directory} is too slow: ${group.used} bytes wait for it`;
    }
    if (state.bytes + group.used + frameBytes > options.maxBytes) {
      return `the journal in ${directory} is full: it may have ${options.maxBytes} bytes, and replay into the database does not keep up`;
    }
    return undefined;
  }

  async function writeGroups(): Promise<void> {
    while (group.records > 0) {
      const taken = group;
      group = emptyGroup(spare);
      await writeGroup(taken);
      spare = taken.bytes;
    }
    isWriting = false;
  }

  async function writeGroup(taken: Group): Promise<void> {
    const startedMs = runtime.clock.monotonicMs();
    try {
      const { segment, file } = await segmentFor(taken.used);
      await writeAll(file, taken.bytes.subarray(0, taken.used), segment.bytes);
      segment.bytes += taken.used;
      state.bytes += taken.used;
      state.durableSequence = taken.firstSequence + taken.records;
    } catch (cause) {
      await restore(cause);
      metrics.refused.add(taken.records);
      taken.written.reject(new Error(`writing the journal in ${directory}`, { cause }));
      return;
    }
    metrics.latency.observe((runtime.clock.monotonicMs() - startedMs) / 1000);
    metrics.appended.add(taken.records);
    metrics.show({ bytes: state.bytes, pendingRecords: pendingRecords(state) });
    if (isFailing) runtime.log.info('the journal is written again', { directory });
    isFailing = false;
    taken.written.resolve();
  }

  async function segmentFor(bytes: number): Promise<{ segment: Segment; file: DurableFile }> {
    const isFull =
      current !== undefined &&
      current.segment.bytes > SEGMENT_HEADER_BYTES &&
      current.segment.bytes + bytes > options.segmentBytes;
    if (isFull) await seal();
    current ??= await startSegment();
    return current;
  }

  async function startSegment(): Promise<{ segment: Segment; file: DurableFile }> {
    const number = Math.max(state.segments.at(-1)?.number ?? 0, state.replayed.segment) + 1;
    const path = join(directory, segmentName(number));
    const file = await options.files.create(path);
    try {
      await writeAll(file, segmentHeader(salt), 0);
      await syncDirectory(directory);
    } catch (error) {
      await file.close().catch(ignore);
      await rm(path, { force: true }).catch(ignore); // recovery ignores what remains of it
      throw error;
    }
    const segment = { number, path, salt, bytes: SEGMENT_HEADER_BYTES, isSealed: false };
    state.segments.push(segment);
    state.bytes += segment.bytes;
    return { segment, file };
  }

  async function seal(): Promise<void> {
    if (current === undefined) return;
    const { segment, file } = current;
    current = undefined;
    segment.isSealed = true;
    await file.close().catch(ignore); // every write was durable already
  }

  /**
   * After a failed write the file ends where it was good. A full disk may have room later, in the same
   * file. After any other error the kernel may have dropped pages, so we never write to this file again.
   */
  async function restore(cause: unknown): Promise<void> {
    if (!isFailing) runtime.log.error('the journal is not written', { directory, error: cause });
    isFailing = true;
    if (current === undefined) return;
    try {
      await current.file.truncate(current.segment.bytes);
      if (!isDiskFull(cause)) await seal();
    } catch {
      await seal();
    }
  }

  return {
    append,
    async close() {
      isClosed = true;
      await idle;
      await seal();
    },
  };
}

async function writeAll(file: DurableFile, bytes: Buffer, position: number): Promise<void> {
  let written = 0;
  while (written < bytes.length) {
    const count = await file.write(bytes.subarray(written), position + written);
    assert(count > 0, 'a write that writes nothing fails');
    written += count;
  }
}

function emptyGroup(bytes: Buffer): Group {
  return { bytes, used: 0, firstSequence: 0, records: 0, written: Promise.withResolvers<void>() };
}

function makeRoom(group: Group, bytes: number): void {
  if (group.used + bytes <= group.bytes.length) return;
  const larger = Buffer.allocUnsafe(Math.max(group.bytes.length * 2, group.used + bytes));
  group.bytes.copy(larger, 0, 0, group.used);
  group.bytes = larger;
}

function isDiskFull(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'ENOSPC' || code === 'EDQUOT';
}

function ignore(): void {}
