// The RADIUS client: one request, sent again until it is answered, and an answer that is known to be
// the server's. RFC 2865 §2.5, RFC 5080 §2.2.1. What a request says is login.ts's and
// accounting.ts's business.

import { parseAddress } from '../../domain/network-address.ts';
import { prepareSecret, verifyResponse } from '../../protocols/radius/authenticator.ts';
import type { Secret } from '../../protocols/radius/authenticator.ts';
import {
  AttributeType,
  PacketCode,
  findAttribute,
  packetAuthenticator,
  parsePacket,
} from '../../protocols/radius/packet.ts';
import type { Packet } from '../../protocols/radius/packet.ts';
import { createRequestWriter } from '../../protocols/radius/request.ts';
import type { RequestWriter } from '../../protocols/radius/request.ts';
import type { DatagramBatch, DatagramSocket } from '../../runtime/network.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { pathTo } from '../../runtime/udp/path.ts';

export type RadiusClient = AsyncDisposable & {
  /** Never rejects: a server that does not answer is an outcome. */
  exchange(request: ClientRequest): Promise<ExchangeOutcome>;
  readonly counts: ClientCounts;
};

type ClientRequest = {
  code: number;
  port: number;
  /** Adds the attributes; `authenticator` is the Request Authenticator, which hides passwords. */
  write(writer: RequestWriter, context: { authenticator: Buffer; secret: Secret }): void;
};

export type ExchangeOutcome =
  | {
      kind: 'answer';
      response: Packet;
      /** It has a Message-Authenticator. An answer to a login without one may be forged (CVE-2024-3596). */
      isSigned: boolean;
      roundTripMs: number;
      attempts: number;
    }
  /** `forged`: answers came whose authenticator was wrong. The usual reason is another secret. */
  | { kind: 'silence'; attempts: number; forged: number }
  /** All identifiers are waiting for answers: RADIUS has 256 for each socket. */
  | { kind: 'busy' };

type ClientCounts = {
  sent: number;
  retransmitted: number;
  answered: number;
  forged: number;
};

export type RadiusClientOptions = {
  /** An IPv4 or IPv6 address. */
  address: string;
  /** The address to send from; the kernel chooses one if there is none. */
  from?: string;
  secret: string;
  /** From the first transmission to giving up. */
  timeoutMs: number;
  /** To the first retransmission; the next ones wait twice as long as the one before. */
  retransmitAfterMs: number;
};

const IDENTIFIERS = 256;

type Waiting = {
  request: Packet;
  forged: number;
  resolve: (response: Packet) => void;
};

export async function createRadiusClient(
  options: RadiusClientOptions,
  runtime: Runtime,
): Promise<RadiusClient> {
  const { clock, random, network } = runtime;
  const secret = prepareSecret(Buffer.from(options.secret));
  const writer = createRequestWriter();
  const counts: ClientCounts = { sent: 0, retransmitted: 0, answered: 0, forged: 0 };
  /** By identifier. An identifier is free again when its exchange is over. */
  const waiting: (Waiting | undefined)[] = Array.from({ length: IDENTIFIERS });
  let lastIdentifier = random.bytes(1).readUInt8();

  const socket: DatagramSocket = await network.bindUdp({
    host: options.from ?? localHostFor(options.address),
    port: 0,
    onBatch: receive,
  });

  function receive(batch: DatagramBatch) {
    for (let i = 0; i < batch.count; i++) {
      const offset = batch.offsets[i] ?? 0;
      const datagram = batch.bytes.subarray(offset, offset + (batch.lengths[i] ?? 0));
      const packet = parsePacket(Buffer.from(datagram)); // the batch lives only during this call
      if (packet.kind === 'packet') accept(packet);
    }
  }

  function accept(response: Packet) {
    const waiter = waiting[response.identifier];
    if (waiter === undefined) return; // late: it was answered or given up
    const authenticator = packetAuthenticator(waiter.request);
    const isGenuine = verifyResponse(response, authenticator, secret);
    if (isGenuine) {
      waiter.resolve(response);
    } else {
      waiter.forged++;
      counts.forged++;
    }
  }

  function freeIdentifier(): number | undefined {
    for (let step = 1; step <= IDENTIFIERS; step++) {
      const identifier = (lastIdentifier + step) % IDENTIFIERS;
      if (waiting[identifier] === undefined) {
        lastIdentifier = identifier;
        return identifier;
      }
    }
    return undefined;
  }

  function build({ code, write }: ClientRequest, identifier: number): Packet {
    const authenticator = random.bytes(16);
    writer.begin(code, identifier, authenticator, code !== PacketCode.AccountingRequest);
    write(writer, { authenticator, secret });
    const bytes = writer.finish(secret);
    const request = bytes === undefined ? undefined : parsePacket(bytes);
    if (request?.kind !== 'packet') throw new Error('the request does not fit into a packet');
    return request;
  }

  return {
    counts,

    async exchange(clientRequest) {
      const identifier = freeIdentifier();
      if (identifier === undefined) return { kind: 'busy' };
      const request = build(clientRequest, identifier);
      const path = pathTo(options.address, clientRequest.port);
      const startedMs = clock.monotonicMs();
      let attempts = 0;

      const { promise, resolve } = Promise.withResolvers<Packet | undefined>();
      const waiter: Waiting = { request, forged: 0, resolve };
      waiting[identifier] = waiter;

      let timer: Disposable | undefined;
      const transmit = () => {
        socket.send(path, request.bytes);
        attempts++;
        counts.sent++;
        if (attempts > 1) counts.retransmitted++;
        const leftMs = options.timeoutMs - (clock.monotonicMs() - startedMs);
        const nextMs = options.retransmitAfterMs * 2 ** (attempts - 1);
        timer =
          nextMs < leftMs
            ? clock.after(nextMs, transmit)
            : clock.after(Math.max(0, leftMs), () => resolve(undefined));
      };
      transmit();

      const response = await promise;
      timer?.[Symbol.dispose]();
      waiting[identifier] = undefined;
      if (response === undefined) return { kind: 'silence', attempts, forged: waiter.forged };
      counts.answered++;
      const roundTripMs = clock.monotonicMs() - startedMs;
      const isSigned = findAttribute(response, AttributeType.MessageAuthenticator) !== -1;
      return { kind: 'answer', response, isSigned, roundTripMs, attempts };
    },

    [Symbol.asyncDispose]: () => socket[Symbol.asyncDispose](),
  };
}

/** Loopback stays on loopback, so that nobody else can even try to answer. */
function localHostFor(address: string): string {
  const bytes = parseAddress(address);
  if (bytes === undefined) throw new Error(`${address} is not an address`);
  if (bytes.length === 16) return '::';
  return bytes[0] === 127 ? '127.0.0.1' : '0.0.0.0';
}
