// Stands between one router and several nodes, and decides for each packet which node gets it. All nodes
// see the same source address and port, as of one router, so that only the packets tell them what they
// need to know. It looks at identifiers and at State, and passes everything on as it is.

import { createSocket } from 'node:dgram';
import type { Socket } from 'node:dgram';

export type SpreadNode = { readonly name: string; readonly authPort: number };

/** `number`: of the router's packets, from 1. `attempt`: 1, or more for its retransmissions. */
export type RouterPacket = { readonly number: number; readonly attempt: number };

export type SpreaderHooks = {
  /** To which nodes it goes, now or later; to none, and it is lost. */
  route(packet: RouterPacket): readonly { node: SpreadNode; afterMs?: number }[];
  /** The packet waits for it. */
  beforeForward?(packet: RouterPacket, node: SpreadNode): Promise<void> | void;
  /** The packet is on its way. */
  afterForward?(packet: RouterPacket, node: SpreadNode): void;
  /** The answer waits for it. */
  onAnswer?(number: number, node: SpreadNode): Promise<'pass' | 'drop'> | 'pass' | 'drop';
};

export type PacketSpreader = AsyncDisposable & {
  /** Where the router sends to. */
  readonly port: number;
  /** One line for each packet, in the order of events. */
  readonly transcript: readonly string[];
  readonly packets: number;
  /** Packets without a State: how often the device began anew. */
  readonly beginnings: number;
  /** Those that a hook held back are not counted. */
  readonly retransmissions: readonly RouterPacket[];
  /** In sentences: two answers to one packet that differ. */
  readonly contradictions: readonly string[];
};

type Known = {
  number: number;
  request: Buffer;
  attempts: number;
  /** Hooks that hold it or its answer. */
  held: number;
  answer?: { bytes: Buffer; from: string };
};

const STATE = 24;
const CODES: Record<number, string> = { 2: 'accept', 3: 'reject', 11: 'challenge' };
const HEADER_BYTES = 20;

export async function openPacketSpreader(
  nodes: readonly SpreadNode[],
  hooks: SpreaderHooks,
): Promise<PacketSpreader> {
  const towardsRouter = await openSocket();
  const towardsNodes = await openSocket();
  const byIdentifier = new Map<number, Known>();
  const transcript: string[] = [];
  const contradictions: string[] = [];
  const retransmissions: RouterPacket[] = [];
  const timers = new Set<NodeJS.Timeout>();
  let packets = 0;
  let beginnings = 0;
  let routerPort = 0;
  let isClosed = false;

  towardsRouter.on('message', (bytes, { port }) => {
    routerPort = port;
    const known = recognize(bytes);
    const packet = { number: known.number, attempt: ++known.attempts };
    if (packet.attempt > 1) {
      if (known.held > 0) return void transcript.push(`${known.number} again, while it is held`);
      retransmissions.push(packet);
    }
    const ways = hooks.route(packet);
    if (ways.length === 0) transcript.push(`${nameOf(packet)} lost`);
    for (const { node, afterMs } of ways) {
      if (afterMs === undefined) void forward(packet, known, node);
      else later(afterMs, () => void forward(packet, known, node));
    }
  });

  towardsNodes.on('message', (bytes, { port }) => {
    const node = nodes.find(({ authPort }) => authPort === port);
    const known = byIdentifier.get(bytes.readUInt8(1));
    if (node === undefined || known === undefined) return;
    compare(known, bytes, node);
    void passAnswer(known, bytes, node);
  });

  /** A packet with an identifier that comes again with other bytes is another one. */
  function recognize(bytes: Buffer): Known {
    const identifier = bytes.readUInt8(1);
    const before = byIdentifier.get(identifier);
    if (before?.request.equals(bytes) === true) return before;
    packets++;
    if (!hasState(bytes)) beginnings++;
    const known = { number: packets, request: Buffer.from(bytes), attempts: 0, held: 0 };
    byIdentifier.set(identifier, known);
    return known;
  }

  async function forward(packet: RouterPacket, known: Known, node: SpreadNode): Promise<void> {
    known.held++;
    await hooks.beforeForward?.(packet, node);
    known.held--;
    if (isClosed) return;
    transcript.push(`${nameOf(packet)} → ${node.name}`);
    towardsNodes.send(known.request, node.authPort, '127.0.0.1');
    hooks.afterForward?.(packet, node);
  }

  async function passAnswer(known: Known, bytes: Buffer, node: SpreadNode): Promise<void> {
    const line = `${known.number} ← ${node.name} ${CODES[bytes.readUInt8(0)] ?? 'code'}`;
    known.held++;
    const verdict = (await hooks.onAnswer?.(known.number, node)) ?? 'pass';
    known.held--;
    if (isClosed) return;
    transcript.push(verdict === 'pass' ? line : `${line}, dropped`);
    if (verdict === 'pass') towardsRouter.send(bytes, routerPort, '127.0.0.1');
  }

  /** Whoever answers a packet gives the answer that was given before. */
  function compare(known: Known, bytes: Buffer, node: SpreadNode): void {
    const first = (known.answer ??= { bytes: Buffer.from(bytes), from: node.name });
    if (first.bytes.equals(bytes)) return;
    contradictions.push(`${first.from} and ${node.name} answer packet ${known.number} differently`);
  }

  function later(afterMs: number, act: () => void): void {
    const timer = setTimeout(() => {
      timers.delete(timer);
      act();
    }, afterMs);
    timers.add(timer);
  }

  return {
    port: towardsRouter.address().port,
    transcript,
    get packets() {
      return packets;
    },
    get beginnings() {
      return beginnings;
    },
    retransmissions,
    contradictions,
    async [Symbol.asyncDispose]() {
      isClosed = true;
      for (const timer of timers) clearTimeout(timer);
      await Promise.all([close(towardsRouter), close(towardsNodes)]);
    },
  };
}

function nameOf({ number, attempt }: RouterPacket): string {
  return attempt === 1 ? `${number}` : `${number} again`;
}

function hasState(packet: Buffer): boolean {
  for (let at = HEADER_BYTES; at + 1 < packet.length; at += Math.max(2, packet.readUInt8(at + 1))) {
    if (packet[at] === STATE) return true;
  }
  return false;
}

function openSocket(): Promise<Socket> {
  const socket = createSocket('udp4');
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(0, '127.0.0.1', () => resolve(socket));
  });
}

function close(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.close(() => resolve());
  });
}
