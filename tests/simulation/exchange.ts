// How a router asks: two servers, two transmissions of the same packet to each, 2 s apart. Some turn
// to the next server with the same bytes, most with a new identifier and authenticator.

import {
  prepareSecret,
  verifyMessageAuthenticator,
  verifyResponse,
} from '../../src/protocols/radius/authenticator.ts';
import type { Secret } from '../../src/protocols/radius/authenticator.ts';
import { packetAuthenticator, parsePacket, PacketCode } from '../../src/protocols/radius/packet.ts';
import type { Packet } from '../../src/protocols/radius/packet.ts';
import { createRequestWriter } from '../../src/protocols/radius/request.ts';
import type { RequestWriter } from '../../src/protocols/radius/request.ts';
import type { DatagramSocket } from '../../src/runtime/network.ts';
import { pathTo } from '../../src/runtime/udp/path.ts';
import type { Chance } from './chance.ts';
import type { Life } from './life.ts';
import type { SimulatedNetwork } from './network.ts';
import type { Scheduler } from './scheduler.ts';

export const SECRET = Buffer.from('testing123');
export const TIMEOUT_MS = 2_000;
const TRANSMISSIONS = 2;

export type ExchangeHabits = {
  failover: 'same-bytes' | 'new-identity';
  /** Whether its Access-Requests carry a Message-Authenticator even without EAP. */
  signs: boolean;
};

type Question = {
  code: number;
  port: 1812 | 1813;
  /** Addresses, in the order in which they are asked. */
  servers: readonly string[];
  withMessageAuthenticator: boolean;
  write(writer: RequestWriter, context: { authenticator: Buffer; secret: Secret }): void;
};

export type Reply = {
  packet: Packet;
  request: Packet;
  server: string;
};

export type Asking = {
  /** Undefined: nobody answered. */
  ask(question: Question): Promise<Reply | undefined>;
  /** Everything ever sent, for a router that repeats itself. */
  readonly sent: { atMs: number; port: number; bytes: Buffer }[];
  readonly port: number;
};

type Waiting = { request: Packet; resolve: (packet: Packet | undefined) => void };

export async function openAsking(
  address: string,
  habits: ExchangeHabits,
  world: { scheduler: Scheduler; network: SimulatedNetwork; chance: Chance; life: Life },
): Promise<Asking> {
  const { scheduler, network, chance, life } = world;
  const secret = prepareSecret(SECRET);
  const writer = createRequestWriter();
  const waiting = new Map<number, Waiting>();
  const sent: Asking['sent'] = [];
  let nextIdentifier = chance.between(0, 255);

  const socket: DatagramSocket = await network.at(address, life).bindUdp({
    host: address,
    port: 0,
    onBatch(batch) {
      for (let i = 0; i < batch.count; i++) {
        const offset = batch.offsets[i] ?? 0;
        const end = offset + (batch.lengths[i] ?? 0);
        receive(Buffer.from(batch.bytes.subarray(offset, end)));
      }
    },
  });

  function receive(datagram: Buffer) {
    const packet = parsePacket(datagram);
    if (packet.kind !== 'packet') return;
    const waiter = waiting.get(packet.identifier);
    if (waiter === undefined) return; // late
    const authenticator = packetAuthenticator(waiter.request);
    if (!verifyResponse(packet, authenticator, secret)) return;
    const mustBeSigned = waiter.request.code === PacketCode.AccessRequest;
    const check = verifyMessageAuthenticator(packet, secret, authenticator);
    if (mustBeSigned && check !== 'valid') return;
    waiter.resolve(packet);
  }

  function build(question: Question): Packet {
    while (waiting.has(nextIdentifier)) nextIdentifier = (nextIdentifier + 1) % 256;
    const identifier = nextIdentifier;
    nextIdentifier = (nextIdentifier + 1) % 256;
    const authenticator = chance.bytes(16);
    writer.begin(question.code, identifier, authenticator, question.withMessageAuthenticator);
    question.write(writer, { authenticator, secret });
    const bytes = writer.finish(secret);
    const packet = bytes === undefined ? undefined : parsePacket(bytes);
    if (packet?.kind !== 'packet') throw new Error('the request does not fit');
    return packet;
  }

  async function transmit(request: Packet, server: string, port: number) {
    const { promise, resolve } = Promise.withResolvers<Packet | undefined>();
    waiting.set(request.identifier, { request, resolve });
    let transmissions = 0;
    const send = () => {
      if (transmissions === TRANSMISSIONS) return resolve(undefined);
      transmissions++;
      sent.push({ atMs: scheduler.nowMs, port, bytes: request.bytes });
      socket.send(pathTo(server, port), request.bytes);
      timer = scheduler.at(TIMEOUT_MS, send);
    };
    let timer: Disposable | undefined;
    send();
    const packet = await promise;
    timer?.[Symbol.dispose]();
    waiting.delete(request.identifier);
    return packet;
  }

  return {
    sent,
    port: socket.port,
    async ask(question) {
      let request = build(question);
      for (const [turn, server] of question.servers.entries()) {
        if (turn > 0 && habits.failover === 'new-identity') request = build(question);
        const packet = await transmit(request, server, question.port);
        if (packet !== undefined) return { packet, request, server };
      }
      return undefined;
    },
  };
}
