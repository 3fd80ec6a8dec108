// The same datagrams through node:dgram, for platforms without the batched engine: twice the time per
// datagram, the same behaviour. Node cannot choose the address an answer leaves from, so a wildcard
// becomes one socket per address of this machine, looked up again every ten seconds.

import assert from 'node:assert';
import { createSocket } from 'node:dgram';
import type { RemoteInfo, Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { PATH_BYTES } from '../network.ts';
import type { DatagramBatch, DatagramSocket, UdpOptions } from '../network.ts';
import { SLOT_BYTES } from './batched.ts';
import {
  addressBytes,
  isIpv4,
  localAddress,
  sourceAddress,
  sourcePort,
  writePath,
} from './path.ts';

const BATCH = 64;
/** Datagrams that may wait for the kernel, as in the batched engine. */
const QUEUE = 512;
const RESCAN_MS = 10_000;
/** A port that is free on one of our addresses may be taken on another. */
const FREE_PORT_ATTEMPTS = 10;

/** An address of this machine; a link-local one means something on its interface alone. */
type Local = { address: string; bytes: Buffer; interfaceName: string; interfaceIndex: number };
type Bound = { socket: Socket; local: Local };
type Receive = (datagram: Buffer, sender: RemoteInfo, local: Local) => void;

export async function bindDgram(options: Required<UdpOptions>): Promise<DatagramSocket> {
  const batches = collectBatches(options.onBatch);
  const sockets = new Map<string, Bound>(); // by the local address, as Latin-1 text of its bytes
  const port = await bindEach(options, sockets, batches.add);
  const rescan = setInterval(() => void followAddresses(), RESCAN_MS);
  rescan.unref();
  let sendFailures = 0;
  let isClosed = false;

  async function followAddresses(): Promise<void> {
    const present = localAddresses(options.host);
    for (const [key, { socket }] of sockets) {
      if (present.some((local) => keyOf(local.bytes) === key)) continue;
      sockets.delete(key);
      socket.close();
    }
    for (const local of present) {
      if (isClosed || sockets.has(keyOf(local.bytes))) continue;
      // An address that cannot be bound yet is tried again next time.
      const socket = await bindOne(local, { ...options, port }, batches.add).catch(() => undefined);
      if (socket === undefined) continue;
      if (isClosed) socket.close();
      else sockets.set(keyOf(local.bytes), { socket, local });
    }
  }

  const afterSend = (error: Error | null) => {
    if (error !== null) sendFailures++;
  };

  return {
    port,
    engine: 'dgram',
    receiveBufferBytes: grantedBytes(sockets),
    send(path, datagram) {
      assert(path.length === PATH_BYTES && datagram.length <= SLOT_BYTES, 'a datagram that fits');
      const from = sockets.get(keyOf(localAddress(path))) ?? socketTowards(path, sockets);
      const port = sourcePort(path); // 0 comes from a forger, and Node would throw
      if (isClosed || from === undefined || port === 0 || isFull(from.socket)) {
        sendFailures++;
        return;
      }
      // A copy: the system keeps the memory of a datagram that it cannot send at once.
      const copy = Buffer.from(datagram);
      from.socket.send(copy, port, targetAddress(path, from.local), afterSend);
    },
    get sendFailures() {
      return sendFailures;
    },
    async [Symbol.asyncDispose]() {
      if (isClosed) return;
      isClosed = true;
      clearInterval(rescan);
      batches.stop();
      await Promise.all(Array.from(sockets.values(), ({ socket }) => close(socket)));
    },
  };
}

/** What arrives in one turn of the event loop, at most 64 datagrams at a time. */
function collectBatches(onBatch: UdpOptions['onBatch']): { add: Receive; stop(): void } {
  const batch: { -readonly [K in keyof DatagramBatch]: DatagramBatch[K] } = {
    count: 0,
    bytes: Buffer.alloc(BATCH * SLOT_BYTES),
    offsets: Uint32Array.from({ length: BATCH }, (_, i) => i * SLOT_BYTES),
    lengths: new Uint32Array(BATCH),
    paths: Buffer.alloc(BATCH * PATH_BYTES),
  };
  const paths = Array.from({ length: BATCH }, (_, i) =>
    batch.paths.subarray(i * PATH_BYTES, (i + 1) * PATH_BYTES),
  );
  let turnEnd: NodeJS.Immediate | undefined;
  let isStopped = false;

  function deliver(): void {
    clearImmediate(turnEnd);
    turnEnd = undefined;
    try {
      onBatch(batch);
    } finally {
      batch.count = 0;
    }
  }

  return {
    add(datagram, sender, local) {
      if (isStopped) return;
      const i = batch.count++;
      batch.lengths[i] = datagram.copy(batch.bytes, i * SLOT_BYTES, 0, SLOT_BYTES);
      writePath(paths[i] ?? assert.fail(), sender, local.bytes, local.interfaceIndex);
      if (batch.count === BATCH) deliver();
      else turnEnd ??= setImmediate(deliver);
    },
    stop() {
      isStopped = true;
      clearImmediate(turnEnd);
    },
  };
}

/** Binds every address to the same port and returns it; all or none. */
async function bindEach(
  options: Required<UdpOptions>,
  sockets: Map<string, Bound>,
  receive: Receive,
): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    let { port } = options;
    try {
      for (const local of localAddresses(options.host)) {
        const socket = await bindOne(local, { ...options, port }, receive);
        sockets.set(keyOf(local.bytes), { socket, local });
        ({ port } = socket.address());
      }
      return port;
    } catch (error) {
      await Promise.all(Array.from(sockets.values(), ({ socket }) => close(socket)));
      sockets.clear();
      if (options.port !== 0 || attempt === FREE_PORT_ATTEMPTS) throw error;
    }
  }
}

async function bindOne(
  local: Local,
  options: Required<UdpOptions>,
  receive: Receive,
): Promise<Socket> {
  const isV6 = isIP(local.address) === 6;
  const socket = createSocket({
    type: isV6 ? 'udp6' : 'udp4',
    ipv6Only: isV6,
    reusePort: options.reusePort,
    // Every address is a number already: nothing to look up, and the send happens in this turn.
    lookup: (address, _family, found) => found(null, address, isV6 ? 6 : 4),
  });
  socket.on('message', (datagram, sender) => receive(datagram, sender, local));
  const listening = once(socket, 'listening'); // asked first: without a look-up it happens at once
  socket.bind({ port: options.port, address: withZone(local.address, local), exclusive: true });
  try {
    await listening;
  } catch (error) {
    socket.close();
    throw error;
  }
  socket.on('error', () => undefined); // a passing error of one datagram; those we send are counted
  try {
    socket.setRecvBufferSize(options.receiveBufferBytes);
    socket.setSendBufferSize(options.receiveBufferBytes); // why: set_buffers in batched.c
  } catch {
    // More than this system allows: `receiveBufferBytes` says what there is.
  }
  return socket;
}

function localAddresses(host: string): Local[] {
  const ours = Object.entries(networkInterfaces()).flatMap(([interfaceName, addresses = []]) =>
    addresses.map((entry) => ({
      address: entry.address,
      bytes: addressBytes(entry.address),
      interfaceName,
      interfaceIndex: entry.family === 'IPv6' ? entry.scopeid : 0,
    })),
  );
  if (host === '::') return ours;
  if (host === '0.0.0.0') return ours.filter((local) => isIP(local.address) === 4);
  const [address = '', interfaceName = ''] = host.split('%');
  const bytes = addressBytes(address);
  const known = ours.find((local) => local.bytes.equals(bytes));
  return [known ?? { address, bytes, interfaceName, interfaceIndex: 0 }];
}

/** For a path that names no address of ours: loopback reaches loopback, the others reach the rest. */
function socketTowards(path: Uint8Array, sockets: Map<string, Bound>): Bound | undefined {
  const sameFamily = [...sockets.values()].filter(
    ({ local }) => isIpv4(local.bytes) === isIpv4(path),
  );
  const loopback = isLoopback(sourceAddress(path));
  return sameFamily.find(({ local }) => isLoopback(local.address) === loopback) ?? sameFamily.at(0);
}

function isFull(socket: Socket): boolean {
  return socket.getSendQueueCount() >= QUEUE;
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.');
}

function targetAddress(path: Uint8Array, local: Local): string {
  return withZone(sourceAddress(path), local);
}

function withZone(address: string, local: Local): string {
  return /^fe[89ab]/.test(address) ? `${address}%${local.interfaceName}` : address;
}

function keyOf(address: Uint8Array): string {
  return String.fromCharCode(...address);
}

/** Linux doubles what it grants, for its own bookkeeping. */
function grantedBytes(sockets: Map<string, Bound>): number {
  const granted = sockets.values().next().value?.socket.getRecvBufferSize() ?? 0;
  return process.platform === 'linux' ? granted / 2 : granted;
}

async function close(socket: Socket): Promise<void> {
  const closed = once(socket, 'close');
  socket.close();
  await closed;
}
