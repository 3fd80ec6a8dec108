// A network that does what networks do: datagrams are lost, doubled, late and out of order, and links
// are cut. Each pair of addresses has a link of its own; witnesses see what is sent before any of it.

import { PATH_BYTES } from '../../src/runtime/network.ts';
import type { DatagramSocket, Network, UdpOptions } from '../../src/runtime/network.ts';
import { addressBytes, sourceAddress, sourcePort } from '../../src/runtime/udp/path.ts';
import type { Chance } from './chance.ts';
import type { Life } from './life.ts';
import type { Scheduler } from './scheduler.ts';

export type Link = {
  /** Probabilities, for each datagram. */
  loss: number;
  duplication: number;
  fromDelayMs: number;
  toDelayMs: number;
  isCut: boolean;
};

export const GOOD_LINK: Link = {
  loss: 0,
  duplication: 0,
  fromDelayMs: 1,
  toDelayMs: 3,
  isCut: false,
};

export type Sent = {
  from: string;
  fromPort: number;
  to: string;
  toPort: number;
  bytes: Buffer;
};

export type SimulatedNetwork = {
  /** What a node, or a router, at this address gets as its network. */
  at(address: string, life: Life): Network;
  /** Changes the link between two addresses, in both directions. */
  link(a: string, b: string, change: Partial<Link>): void;
  setDefault(link: Link): void;
  /** Puts a datagram on the wire, also with a forged sender. */
  inject(datagram: Sent): void;
  witness(watch: (sent: Sent) => void): void;
  /** Sees what reaches a running process, at the moment it does. */
  witnessArrivals(watch: (arrived: Sent) => void): void;
};

type Endpoint = { life: Life; deliver: (sent: Sent) => void };

const EPHEMERAL_PORT = 32_768;

export function createNetwork(scheduler: Scheduler, chance: Chance): SimulatedNetwork {
  const endpoints = new Map<string, Endpoint>();
  const links = new Map<string, Link>();
  const witnesses: ((sent: Sent) => void)[] = [];
  const arrivalWitnesses: ((arrived: Sent) => void)[] = [];
  let defaultLink = GOOD_LINK;
  let nextPort = EPHEMERAL_PORT;

  function transmit(sent: Sent) {
    for (const watch of witnesses) watch(sent);
    const link = links.get(linkName(sent.from, sent.to)) ?? defaultLink;
    const copies = chance.happens(link.duplication) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      if (link.isCut || chance.happens(link.loss)) continue;
      // In whole milliseconds, so that datagrams often arrive together and share a batch.
      const delayMs = chance.between(link.fromDelayMs, link.toDelayMs);
      scheduler.at(delayMs, () => endpoints.get(`${sent.to}:${sent.toPort}`)?.deliver(sent));
    }
  }

  function bind(address: string, life: Life, options: UdpOptions): DatagramSocket {
    const port = options.port === 0 ? nextPort++ : options.port;
    const name = `${address}:${port}`;
    let arrived: Sent[] = [];
    const flush = () => {
      const batch = makeBatch(arrived);
      arrived = [];
      options.onBatch(batch);
      batch.bytes.fill(0xaa); // whoever kept a view of the batch will notice
      batch.paths.fill(0xaa);
    };
    const endpoint: Endpoint = {
      life,
      deliver(sent) {
        if (!life.isAlive) return;
        for (const watch of arrivalWitnesses) watch(sent);
        if (arrived.push(sent) === 1) scheduler.at(0, () => life.run(flush));
      },
    };
    if (endpoints.get(name)?.life.isAlive === true) throw new Error(`${name} is in use`);
    endpoints.set(name, endpoint);
    return {
      port,
      engine: 'simulated',
      receiveBufferBytes: 1 << 20,
      sendFailures: 0,
      send(path, datagram) {
        if (!life.isAlive) return;
        const to = sourceAddress(path);
        const bytes = Buffer.from(datagram);
        transmit({ from: address, fromPort: port, to, toPort: sourcePort(path), bytes });
      },
      [Symbol.asyncDispose]() {
        if (endpoints.get(name) === endpoint) endpoints.delete(name);
        return Promise.resolve();
      },
    };
  }

  return {
    at: (address, life) => ({
      bindUdp: (options) => Promise.resolve(bind(address, life, options)),
      listenTls: () => Promise.reject(new Error('the simulation has no TLS')),
    }),
    link(a, b, change) {
      const name = linkName(a, b);
      links.set(name, { ...(links.get(name) ?? defaultLink), ...change });
    },
    setDefault(link) {
      defaultLink = link;
    },
    inject: transmit,
    witness: (watch) => void witnesses.push(watch),
    witnessArrivals: (watch) => void arrivalWitnesses.push(watch),
  };
}

function linkName(a: string, b: string): string {
  return [a, b].sort().join(' ');
}

function makeBatch(sents: Sent[]) {
  const count = sents.length;
  const bytes = Buffer.concat(sents.map((sent) => sent.bytes));
  const lengths = Uint32Array.from(sents, (sent) => sent.bytes.length);
  const offsets = new Uint32Array(count);
  const paths = Buffer.alloc(count * PATH_BYTES);
  let offset = 0;
  sents.forEach((sent, i) => {
    offsets[i] = offset;
    offset += sent.bytes.length;
    addressBytes(sent.from).copy(paths, i * PATH_BYTES);
    paths.writeUInt16BE(sent.fromPort, i * PATH_BYTES + 16);
    addressBytes(sent.to).copy(paths, i * PATH_BYTES + 20);
  });
  return { count, bytes, offsets, lengths, paths };
}
