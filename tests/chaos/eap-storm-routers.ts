// Virtual routers for the storm, each with a socket of its own. They ask nodes as routers in the field do:
// through a load balancer that knows nothing of nodes or logins, or one node, and after its silence the
// next one. After two retransmissions of a packet they give the login up.

import { createSocket } from 'node:dgram';
import type { Socket } from 'node:dgram';
import { once } from 'node:events';
import { prepareSecret, verifyResponse } from '../../src/protocols/radius/authenticator.ts';
import {
  AttributeType,
  PacketCode,
  findAttribute,
  packetAuthenticator,
  parsePacket,
} from '../../src/protocols/radius/packet.ts';
import type { Packet } from '../../src/protocols/radius/packet.ts';
import { createRequestWriter } from '../../src/protocols/radius/request.ts';
import type { RadiusClient } from '../../src/services/client/radius-client.ts';
import type { Chance } from '../simulation/chance.ts';

export type StormNode = { readonly name: string; readonly authPort: number };

/**
 * `balanced`: each packet goes to any node, and again with the same bytes to one that has not had it.
 * `failover`: all go to one node; when it is silent, a new packet around the same answer of the device goes
 * to the next one.
 */
export type Ways = 'balanced' | 'failover';

/** What one login takes. */
export type Effort = {
  /** Of each packet, in their order. */
  readonly retransmissions: number[];
  /** One line for every packet that went or came. */
  readonly transcript: string[];
};

export type VirtualRouter = AsyncDisposable & {
  readonly ways: Ways;
  /** Carries the packets of one login, and writes down what it takes. */
  carrying(effort: Effort): RadiusClient;
};

/** As hostapd and most switches have it, or shorter. */
const ANSWER_MS = 2_000;
const MAX_RETRANSMISSIONS = 2;
const IDENTIFIERS = 256;
const CODES: Readonly<Record<number, string>> = {
  [PacketCode.AccessAccept]: 'accept',
  [PacketCode.AccessReject]: 'reject',
  [PacketCode.AccessChallenge]: 'challenge',
};

type Request = Parameters<RadiusClient['exchange']>[0];
type Waiting = { request: Packet; take: (response: Packet, fromPort: number) => void };

export async function openVirtualRouter(options: {
  nodes: readonly StormNode[];
  ways: Ways;
  secret: string;
  chance: Chance;
  /** Milliseconds since the storm began, for transcripts. */
  sinceBeginningMs: () => number;
}): Promise<VirtualRouter> {
  const { nodes, ways, chance, sinceBeginningMs } = options;
  const secret = prepareSecret(Buffer.from(options.secret));
  const writer = createRequestWriter();
  const waiting = new Map<number, Waiting>();
  const counts = { sent: 0, retransmitted: 0, answered: 0, forged: 0 };
  let lastIdentifier = chance.between(0, IDENTIFIERS - 1);
  /** The one that answered last. */
  let preferred = chance.between(0, nodes.length - 1);

  const socket = await openSocket();
  socket.on('message', (bytes, { port }) => {
    const response = parsePacket(bytes);
    const waiter = waiting.get(bytes.readUInt8(1));
    if (response.kind !== 'packet' || waiter === undefined) return;
    if (verifyResponse(response, packetAuthenticator(waiter.request), secret)) {
      waiter.take(response, port);
    } else counts.forged++;
  });

  /** Undefined: all identifiers are waiting for answers. */
  function freeIdentifier(): number | undefined {
    for (let step = 1; step <= IDENTIFIERS; step++) {
      const identifier = (lastIdentifier + step) % IDENTIFIERS;
      if (waiting.has(identifier)) continue;
      lastIdentifier = identifier;
      return identifier;
    }
    return undefined;
  }

  function build({ code, write }: Request, identifier: number): Packet {
    const authenticator = chance.bytes(16);
    writer.begin(code, identifier, authenticator, true);
    write(writer, { authenticator, secret });
    const packet = parsePacket(writer.finish(secret) ?? Buffer.alloc(0));
    if (packet.kind !== 'packet') throw new Error('the request does not fit into a packet');
    return packet;
  }

  /** Of a login's packet, one after the other, until it is answered or there are no more. */
  async function transmit(request: Request, effort: Effort): ReturnType<RadiusClient['exchange']> {
    const number = effort.retransmissions.push(0);
    const note = (text: string) =>
      effort.transcript.push(`${Math.round(sinceBeginningMs())} ms  ${number} ${text}`);
    const { promise: answered, resolve } = Promise.withResolvers<Packet>();
    const startedMs = performance.now();
    const order = chance.shuffle(nodes);
    let packet: Packet | undefined;
    try {
      for (let attempt = 1; attempt <= 1 + MAX_RETRANSMISSIONS; attempt++) {
        if (packet === undefined || ways === 'failover') {
          // An answer to the packet before comes too late from now on.
          if (packet !== undefined) waiting.delete(packet.identifier);
          const identifier = freeIdentifier();
          if (identifier === undefined) return { kind: 'busy' };
          packet = build(request, identifier);
          waiting.set(identifier, {
            request: packet,
            take(response, port) {
              note(`← ${nameOf(port)} ${CODES[response.code] ?? response.code}`);
              resolve(response);
            },
          });
        }
        const chosen = preferred;
        const node = ways === 'balanced' ? nodeAt(order, attempt - 1) : nodeAt(nodes, chosen);
        note(`→ ${node.name}${attempt === 1 ? '' : ' again'}`);
        socket.send(packet.bytes, node.authPort, '127.0.0.1');
        counts.sent++;
        if (attempt > 1) {
          counts.retransmitted++;
          effort.retransmissions[number - 1] = attempt - 1;
        }
        const response = await within(ANSWER_MS, answered);
        if (response !== undefined) {
          counts.answered++;
          const isSigned = findAttribute(response, AttributeType.MessageAuthenticator) !== -1;
          const roundTripMs = performance.now() - startedMs;
          return { kind: 'answer', response, isSigned, roundTripMs, attempts: attempt };
        }
        // Unless another login has turned away from it already.
        if (preferred === chosen) preferred = (chosen + 1) % nodes.length;
      }
      return { kind: 'silence', attempts: 1 + MAX_RETRANSMISSIONS, forged: 0 };
    } finally {
      if (packet !== undefined) waiting.delete(packet.identifier);
    }
  }

  function nameOf(port: number): string {
    return nodes.find(({ authPort }) => authPort === port)?.name ?? `port ${port}`;
  }

  return {
    ways,
    carrying: (effort) => ({
      counts,
      exchange: (request) => transmit(request, effort),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }),
    async [Symbol.asyncDispose]() {
      const closed = once(socket, 'close');
      socket.close();
      await closed;
    },
  };
}

function nodeAt(nodes: readonly StormNode[], index: number): StormNode {
  const node = nodes[index % nodes.length];
  if (node === undefined) throw new Error('there are no nodes');
  return node;
}

async function openSocket(): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return socket;
}

async function within<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
  const { promise: over, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), ms);
  try {
    return await Promise.race([promise, over]);
  } finally {
    clearTimeout(timer);
  }
}
