// Both engines keep the same promises. The other side is plain node:dgram, which shares no code with
// the batched engine.

import { createHash } from 'node:crypto';
import { createSocket } from 'node:dgram';
import type { RemoteInfo } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { PATH_BYTES } from '../network.ts';
import type { DatagramBatch, DatagramSocket, UdpOptions } from '../network.ts';
import { loadNative } from './batched.ts';
import { systemNetwork } from './network.ts';
import { pathTo, sourceAddress, sourcePort } from './path.ts';

const isLinux = process.platform === 'linux';
const engines = isLinux ? (['batched', 'dgram'] as const) : (['dgram'] as const);

describe.each(engines)('the %s engine', (engine) => {
  const network = systemNetwork({ engine });

  /** Sends everything back to where it came from. */
  async function echo(options: Partial<UdpOptions> = {}): Promise<DatagramSocket> {
    const socket: DatagramSocket = await network.bindUdp({
      host: '127.0.0.1',
      port: 0,
      onBatch: (batch) => {
        for (let i = 0; i < batch.count; i++) socket.send(pathAt(batch, i), bytesAt(batch, i));
      },
      ...options,
    });
    return socket;
  }

  test('answers 10,000 datagrams that come in bursts, each intact', async () => {
    await using server = await echo();
    await using client = await peer();
    const sent = Array.from({ length: 10_000 }, (_, i) => Buffer.alloc(1 + (i % 300), `${i},`));
    for (let from = 0; from < sent.length; from += 200) {
      for (const datagram of sent.slice(from, from + 200)) client.send(datagram, server.port);
      await client.received(Math.min(from + 200, sent.length));
    }
    expect(client.texts().toSorted()).toEqual(sent.map(String).toSorted());
    expect(server.sendFailures).toBe(0);
    expect(server.engine).toBe(engine);
  });

  test('answers from the address that was asked, also when bound to 0.0.0.0', async () => {
    await using server = await echo({ host: '0.0.0.0' });
    await using client = await peer();
    const addresses = ipv4Addresses();
    if (engine === 'batched') addresses.push('127.0.0.5'); // works, but is in no list of addresses
    for (const [i, address] of addresses.entries()) {
      client.send(Buffer.from(address), server.port, address);
      await client.received(i + 1);
    }
    expect(client.datagrams.map(({ sender }) => sender.address)).toEqual(addresses);
  });

  test('answers over IPv6', async () => {
    await using server = await echo({ host: '::1' });
    await using client = await peer('::1');
    client.send(Buffer.from('six'), server.port, '::1');
    await client.received(1);
    expect(client.datagrams[0]).toMatchObject({ text: 'six', sender: { address: '::1' } });
  });

  test('a socket on :: answers IPv4 and IPv6 and shows IPv4 senders as IPv4', async () => {
    const senders: string[] = [];
    await using server = await echo({
      host: '::',
      onBatch: (batch) => {
        for (let i = 0; i < batch.count; i++) {
          senders.push(sourceAddress(batch.paths, i * PATH_BYTES));
          server.send(pathAt(batch, i), bytesAt(batch, i));
        }
      },
    });
    await using four = await peer('127.0.0.1');
    await using six = await peer('::1');
    const asked = engine === 'batched' ? '127.0.0.9' : '127.0.0.1';
    four.send(Buffer.from('four'), server.port, asked);
    await four.received(1);
    six.send(Buffer.from('six'), server.port, '::1');
    await six.received(1);
    expect(four.datagrams[0]).toMatchObject({ text: 'four', sender: { address: asked } });
    expect(six.datagrams[0]).toMatchObject({ text: 'six', sender: { address: '::1' } });
    expect(senders).toEqual(['127.0.0.1', '::1']);
  });

  test('shows the sender of each datagram', async () => {
    await using client = await peer();
    const seen = Promise.withResolvers<[string, number]>();
    await using server = await echo({
      onBatch: ({ paths }) => seen.resolve([sourceAddress(paths), sourcePort(paths)]),
    });
    client.send(Buffer.from('x'), server.port);
    expect(await seen.promise).toEqual(['127.0.0.1', client.port]);
  });

  test('an oversized datagram arrives cut, longer than any RADIUS packet', async () => {
    const length = Promise.withResolvers<number | undefined>();
    await using server = await echo({ onBatch: ({ lengths }) => length.resolve(lengths[0]) });
    await using client = await peer();
    client.send(Buffer.alloc(60_000), server.port);
    expect(await length.promise).toBe(4160);
  });

  test('an empty datagram is one, and gets its answer', async () => {
    await using server = await echo();
    await using client = await peer();
    client.send(Buffer.alloc(0), server.port);
    await client.received(1);
    expect(client.texts()).toEqual(['']);
  });

  test('what is sent long after the batch leaves without waiting for another datagram', async () => {
    await using server = await echo({
      onBatch: (batch) => {
        const path = Buffer.from(pathAt(batch, 0));
        setTimeout(() => server.send(path, Buffer.from('timer')), 5);
        setImmediate(() => server.send(path, Buffer.from('immediate')));
        void Promise.resolve().then(() => server.send(path, Buffer.from('microtask')));
      },
    });
    await using client = await peer();
    client.send(Buffer.from('x'), server.port);
    await client.received(3);
    expect(client.texts()).toEqual(['microtask', 'immediate', 'timer']);
  });

  test('speaks first when told where to', async () => {
    await using server = await echo({ host: '0.0.0.0' });
    const answer = Promise.withResolvers<string>();
    await using client = await echo({
      host: '0.0.0.0',
      onBatch: (batch) => answer.resolve(bytesAt(batch, 0).toString()),
    });
    client.send(pathTo('127.0.0.1', server.port), Buffer.from('hello'));
    expect(await answer.promise).toBe('hello');
  });

  test('counts what cannot be sent and sends the rest', async () => {
    await using server = await echo();
    await using client = await peer();
    server.send(pathTo('127.0.0.1', 0), Buffer.from('to port 0'));
    server.send(pathTo('2001:db8::1', 1812), Buffer.from('to the other family'));
    server.send(pathTo('127.0.0.1', client.port), Buffer.from('to the client'));
    await client.received(1);
    await until(() => server.sendFailures > 1);
    expect(server.sendFailures).toBe(2);
    expect(client.texts()).toEqual(['to the client']);
  });

  test('can be closed in the middle of traffic, by its own handler too', async () => {
    await using client = await peer();
    for (let round = 0; round < 20; round++) {
      let batches = 0;
      const server = await echo({
        onBatch: (batch) => {
          for (let i = 0; i < batch.count; i++) server.send(pathAt(batch, i), bytesAt(batch, i));
          if (++batches === 2) void server[Symbol.asyncDispose]();
        },
      });
      for (let i = 0; batches < 2; i++) {
        client.send(Buffer.from('flood'), server.port);
        if (i % 20 === 0) await nextTurn();
      }
      for (let i = 0; i < 50; i++) client.send(Buffer.from('flood'), server.port);
      await server[Symbol.asyncDispose]();
      server.send(pathTo('127.0.0.1', client.port), Buffer.from('after the end'));
      await nextTurn();
      expect(batches).toBe(2);
    }
    expect(client.texts()).not.toContain('after the end');
  });

  test('says in one sentence that the port is in use', async () => {
    await using server = await echo();
    await expect(echo({ port: server.port })).rejects.toThrow(
      `udp 127.0.0.1:${server.port} is in use by another process: stop it ("ss -ulpn" shows which) or configure another port`,
    );
    await expect(echo({ host: '192.0.2.1' })).rejects.toThrow(
      'udp 192.0.2.1:0 cannot be opened because this machine does not have the address',
    );
  });

  test('the port is free again when the socket is closed', async () => {
    const first = await echo({ host: '0.0.0.0' });
    await first[Symbol.asyncDispose]();
    await using second = await echo({ host: '0.0.0.0', port: first.port });
    expect(second.port).toBe(first.port);
  });

  test('opening and closing 200 times leaves no file descriptor behind', async () => {
    const cycle = async () => {
      const socket = await echo();
      await socket[Symbol.asyncDispose]();
    };
    await cycle();
    const before = openDescriptors();
    for (let i = 0; i < 200; i++) await cycle();
    await nextTurn();
    expect(openDescriptors()).toBeLessThanOrEqual(before);
  });

  test('a retransmission meets the socket that had the first one', async () => {
    const group = await reusePortGroup(2);
    await using client = await peer();
    for (let round = 1; round <= 3; round++) {
      for (let id = 0; id < 100; id++) client.send(Buffer.from([1, id]), group.port);
      await client.received(round * 100);
    }
    for (let id = 0; id < 100; id++) expect(group.seenBy(id)).toHaveLength(1);
    await group.close();
  });

  async function reusePortGroup(size: number) {
    const seen = new Map<number, Set<number>>();
    const sockets: DatagramSocket[] = [];
    for (let member = 0; member < size; member++) {
      const socket = await echo({
        reusePort: true,
        port: sockets[0]?.port ?? 0,
        onBatch: (batch) => {
          for (let i = 0; i < batch.count; i++) {
            const id = bytesAt(batch, i)[1] ?? -1;
            seen.set(id, (seen.get(id) ?? new Set()).add(member));
            socket.send(pathAt(batch, i), bytesAt(batch, i));
          }
        },
      });
      sockets.push(socket);
    }
    return {
      port: sockets[0]?.port ?? 0,
      sockets,
      seenBy: (id: number) => [...(seen.get(id) ?? [])],
      close: () => Promise.all(sockets.map((socket) => socket[Symbol.asyncDispose]())),
    };
  }

  if (engine !== 'batched') return;

  test('the identifiers of one source port spread evenly over the sockets of the port', async () => {
    const group = await reusePortGroup(2);
    await using client = await peer();
    for (let id = 0; id < 256; id++) client.send(Buffer.from([1, id]), group.port);
    await client.received(256);
    const atFirst = Array.from({ length: 256 }, (_, id) => group.seenBy(id)).filter(
      ([m]) => m === 0,
    );
    expect(atFirst).toHaveLength(128);
    await group.close();
  });

  test('the identifiers spread over IPv6 too', async () => {
    const counts = { first: 0, second: 0 };
    const first = await echo({
      host: '::',
      reusePort: true,
      onBatch: ({ count }) => (counts.first += count),
    });
    const second = await echo({
      host: '::',
      port: first.port,
      reusePort: true,
      onBatch: ({ count }) => (counts.second += count),
    });
    await using client = await peer('::1');
    for (let id = 0; id < 100; id++) client.send(Buffer.from([1, id]), first.port, '::1');
    await until(() => counts.first + counts.second === 100);
    expect(counts).toEqual({ first: 50, second: 50 });
    await Promise.all([first, second].map((socket) => socket[Symbol.asyncDispose]()));
  });

  test('a group that lost a member still answers every identifier', async () => {
    const group = await reusePortGroup(3);
    await group.sockets[1]?.[Symbol.asyncDispose]();
    await using client = await peer();
    for (let id = 0; id < 256; id++) client.send(Buffer.from([1, id]), group.port);
    await client.received(256);
    expect(client.datagrams).toHaveLength(256);
    await group.close();
  });

  test('an error in the handler is an uncaught exception, not a silent loss', async () => {
    const script = `
      import { systemNetwork } from ${JSON.stringify(new URL('network.ts', import.meta.url).href)};
      import { pathTo } from ${JSON.stringify(new URL('path.ts', import.meta.url).href)};
      process.on('uncaughtException', (error) => { console.log(error.message); process.exit(0); });
      const socket = await systemNetwork().bindUdp({ host: '127.0.0.1', port: 0,
        onBatch: () => { throw new Error('the handler failed'); } });
      socket.send(pathTo('127.0.0.1', socket.port), Buffer.from('x'));`;
    const { spawnSync } = await import('node:child_process');
    const run = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      timeout: 10_000,
    });
    expect(String(run.stdout)).toBe('the handler failed\n');
  });

  test('a worker thread may end while its socket is open', async () => {
    const url = new URL('network.ts', import.meta.url).href;
    for (let round = 0; round < 5; round++) {
      const worker = new Worker(
        `import(${JSON.stringify(url)}).then(async ({ systemNetwork }) => {
           const { parentPort } = require('node:worker_threads');
           const socket = await systemNetwork({ engine: 'batched' }).bindUdp({
             host: '127.0.0.1', port: 0,
             onBatch: (batch) => socket.send(batch.paths.subarray(0, 40), batch.bytes.subarray(0, 1)),
           });
           parentPort.postMessage(socket.port);
         });`,
        { eval: true },
      );
      const [port] = (await once(worker, 'message')) as [number];
      await using client = await peer();
      client.send(Buffer.from('x'), port);
      await client.received(1);
      for (let i = 0; i < 200; i++) client.send(Buffer.from('x'), port);
      expect(await worker.terminate()).toBe(1);
    }
  });
});

test('the prebuilt addon was compiled from the present source: scripts/build-native.ts', () => {
  const source = readFileSync(new URL('batched.c', import.meta.url));
  const sha256 = createHash('sha256').update(source).digest('hex');
  const note = new URL('prebuilt/linux-x64.node.sha256', import.meta.url);
  expect(readFileSync(note, 'utf8')).toBe(`${sha256}  batched.c\n`);
  if (!isLinux || process.arch !== 'x64') return;
  const native = loadNative();
  expect(native instanceof Error ? native : native.sourceSha256).toBe(sha256);
});

test('without the addon the automatic choice is node:dgram', async () => {
  await using socket = await systemNetwork({ engine: 'dgram' }).bindUdp({
    host: '127.0.0.1',
    port: 0,
    onBatch: () => undefined,
  });
  expect(socket.engine).toBe('dgram');
});

type Peer = AsyncDisposable & {
  port: number;
  datagrams: { text: string; sender: RemoteInfo }[];
  texts(): string[];
  send(datagram: Uint8Array, port: number, address?: string): void;
  received(count: number): Promise<void>;
};

async function peer(host?: string): Promise<Peer> {
  const socket = createSocket({
    type: host !== undefined && isIPv6(host) ? 'udp6' : 'udp4',
    recvBufferSize: 4_000_000,
  });
  const datagrams: Peer['datagrams'] = [];
  socket.on('message', (message, sender) => datagrams.push({ text: String(message), sender }));
  socket.bind(0, host);
  await once(socket, 'listening');
  return {
    port: socket.address().port,
    datagrams,
    texts: () => datagrams.map(({ text }) => text),
    send: (datagram, port, address = '127.0.0.1') => socket.send(datagram, port, address),
    received: (count) => until(() => datagrams.length >= count),
    [Symbol.asyncDispose]: async () => {
      socket.close();
      await once(socket, 'close');
    },
  };
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await sleep(1);
}

function bytesAt(batch: DatagramBatch, i: number): Buffer {
  const offset = batch.offsets[i] ?? 0;
  return batch.bytes.subarray(offset, offset + (batch.lengths[i] ?? 0));
}

function pathAt(batch: DatagramBatch, i: number): Buffer {
  return batch.paths.subarray(i * PATH_BYTES, (i + 1) * PATH_BYTES);
}

function ipv4Addresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses = []) => addresses)
    .filter(({ family }) => family === 'IPv4')
    .map(({ address }) => address);
}

function openDescriptors(): number {
  return isLinux ? readdirSync('/proc/self/fd').length : 0;
}
