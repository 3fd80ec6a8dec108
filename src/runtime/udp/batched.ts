// The batched engine: batched.c through a small shared memory. Linux alone; network.ts falls back to
// dgram.ts elsewhere. Why it exists and what it costs: docs/decisions/0002-batched-datagrams.md.

import assert from 'node:assert';
import { fstatSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { markAsUntransferable } from 'node:worker_threads';
import { PATH_BYTES } from '../network.ts';
import type { DatagramBatch, DatagramSocket, UdpOptions } from '../network.ts';
import { pathTo } from './path.ts';

/** `shared_t` in batched.c has the same numbers. A datagram longer than a slot arrives cut. */
const BATCH = 64;
const QUEUE = 512;
export const SLOT_BYTES = 4160;

const RECEIVED_LENGTHS = 4 * 4;
const QUEUED_LENGTHS = RECEIVED_LENGTHS + BATCH * 4;
const RECEIVED_PATHS = QUEUED_LENGTHS + QUEUE * 4;
const QUEUED_PATHS = RECEIVED_PATHS + BATCH * PATH_BYTES;
const RECEIVED = QUEUED_PATHS + QUEUE * PATH_BYTES;
const QUEUED = RECEIVED + BATCH * SLOT_BYTES;
const SHARED_BYTES = QUEUED + QUEUE * SLOT_BYTES;

/** Positions in the first words of the memory. */
const HEAD = 0;
const TAIL = 1;
const FAILURES = 2;

type Opened = {
  handle: object;
  memory: ArrayBuffer;
  fd: number;
  port: number;
  receiveBufferBytes: number;
};

export type Native = {
  open(
    path: Buffer,
    reusePort: boolean,
    receiveBufferBytes: number,
    onBatch: (count: number) => void,
  ): Opened;
  flush(handle: object): void;
  close(handle: object): void;
  /** Spreads what arrives over the sockets of this port by Identifier and source. */
  spread(handle: object, sockets: number): void;
  /** Of the batched.c it was compiled from. */
  readonly sourceSha256: string;
};

/** The addon for this machine, or why there is none. */
export function loadNative(): Native | Error {
  try {
    const file = `./prebuilt/${process.platform}-${process.arch}.node`;
    return createRequire(import.meta.url)(file) as Native;
  } catch (cause) {
    return new Error('the batched engine does not load on this machine', { cause });
  }
}

export function bindBatched(
  native: Native,
  options: Required<UdpOptions>,
): DatagramSocket & { readonly fd: number } {
  const { handle, memory, fd, port, receiveBufferBytes } = native.open(
    pathTo(options.host, options.port),
    options.reusePort,
    options.receiveBufferBytes,
    (count) => {
      batch.count = count;
      options.onBatch(batch);
    },
  );
  assert(memory.byteLength === SHARED_BYTES, 'batched.ts and batched.c disagree about the memory');
  markAsUntransferable(memory);

  const words = new Uint32Array(memory, 0, 4);
  const queuedLengths = new Uint32Array(memory, QUEUED_LENGTHS, QUEUE);
  const queuedPaths = new Uint8Array(memory, QUEUED_PATHS, QUEUE * PATH_BYTES);
  const queued = new Uint8Array(memory, QUEUED, QUEUE * SLOT_BYTES);
  const batch: { -readonly [K in keyof DatagramBatch]: DatagramBatch[K] } = {
    count: 0,
    bytes: Buffer.from(memory, RECEIVED, BATCH * SLOT_BYTES),
    offsets: Uint32Array.from({ length: BATCH }, (_, i) => i * SLOT_BYTES),
    lengths: new Uint32Array(memory, RECEIVED_LENGTHS, BATCH),
    paths: Buffer.from(memory, RECEIVED_PATHS, BATCH * PATH_BYTES),
  };
  let isClosed = false;

  if (options.reusePort) spreadOverGroup(native, handle, fd);

  return {
    fd,
    port,
    receiveBufferBytes,
    engine: 'batched',
    send(path, datagram) {
      assert(path.length === PATH_BYTES && datagram.length <= SLOT_BYTES, 'a datagram that fits');
      const head = words[HEAD] ?? 0;
      const tail = words[TAIL] ?? 0;
      const waiting = (tail - head) >>> 0;
      if (isClosed || waiting === QUEUE) {
        words[FAILURES] = (words[FAILURES] ?? 0) + 1;
        return;
      }
      const slot = tail % QUEUE;
      queuedPaths.set(path, slot * PATH_BYTES);
      queued.set(datagram, slot * SLOT_BYTES);
      queuedLengths[slot] = datagram.length;
      words[TAIL] = tail + 1;
      if (waiting + 1 === BATCH) native.flush(handle);
    },
    get sendFailures() {
      return words[FAILURES] ?? 0;
    },
    [Symbol.asyncDispose]: () => {
      isClosed = true;
      native.close(handle);
      return Promise.resolve();
    },
  };
}

/**
 * The kernel's program needs to know how many sockets share the port. The number is read again after
 * each change, so that of several processes starting at once the last one to look is right. When a
 * process has ended, its share falls back to the kernel's spreading by source until the next start.
 */
function spreadOverGroup(native: Native, handle: object, fd: number): void {
  let sockets = 0;
  for (let counted = socketsOnThisPort(fd); counted !== sockets; counted = socketsOnThisPort(fd)) {
    sockets = counted;
    native.spread(handle, sockets);
  }
}

/** Our own line in the kernel's table is found by its inode; the others on the port have its address. */
function socketsOnThisPort(fd: number): number {
  const inode = String(fstatSync(fd).ino);
  for (const table of ['/proc/net/udp', '/proc/net/udp6']) {
    const lines = udpTable(table);
    const own = lines.find((line) => line.inode === inode);
    if (own === undefined) continue;
    return lines.filter((line) => line.localAddress === own.localAddress).length;
  }
  return 0; // no /proc: the kernel spreads by source
}

function udpTable(path: string): { localAddress: string | undefined; inode: string | undefined }[] {
  try {
    return readFileSync(path, 'latin1')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .map((columns) => ({ localAddress: columns[1], inode: columns[9] }));
  } catch {
    return []; // no IPv6, or no /proc in this container
  }
}
