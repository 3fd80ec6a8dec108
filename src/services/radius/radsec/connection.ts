// One router's connection: packets in, answers out, in whatever order they are ready. RFC 6614, RFC 6613
// §2.6, RFC 9765. What a request is worth is decided where datagrams are judged, in handle-request.ts.
//
// Here a packet that makes no sense ends the connection: TLS has delivered what the other side has sent,
// so the other side is broken, and the next packet could not even be found.

import { PacketCode, parsePacket } from '../../../protocols/radius/packet.ts';
import type { MalformedReason, Packet } from '../../../protocols/radius/packet.ts';
import {
  protocolError11,
  readRequest11,
  writeReply11,
} from '../../../protocols/radius/radius-1-1.ts';
import { createReplyWriter } from '../../../protocols/radius/reply.ts';
import type { TlsPeer, TlsPeerListener } from '../../../runtime/network.ts';
import type { Runtime } from '../../../runtime/runtime.ts';
import type { DiscardReason } from '../counters.ts';
import type { RequestHandler } from '../handle-request.ts';
import type { KnownRouter } from '../router-table.ts';
import { RADSEC_SECRET, protectedRouter, protectedSource } from '../sources.ts';
import type { Source } from '../sources.ts';
import { createFramer } from './framing.ts';
import { RADIUS_1_1 } from './judge-peer.ts';

/** Why a connection ended. The metric has these as its label. */
export const CLOSE_REASONS = [
  'peer',
  'network',
  'malformed-packet',
  'bad-authenticator',
  'incomplete-packet',
  'idle',
  'too-slow',
  'certificate',
  'router-gone',
  'stopping',
] as const;
export type CloseReason = (typeof CLOSE_REASONS)[number];

export type Connection = TlsPeerListener & {
  readonly address: string;
  readonly routerName: string;
  /** Looks at the clock: is it idle, does half a packet wait too long? */
  sweep(): void;
  close(reason: CloseReason, detail?: string): void;
};

export type ConnectionOptions = {
  peer: TlsPeer;
  router: KnownRouter;
  /** As the routers are now; undefined: the certificate is nobody's any more. */
  identify: () => KnownRouter | undefined;
  /** Grows when the routers change. */
  generation: () => number;
  receive: RequestHandler['receiveProtected'];
  malformed: (source: Source, reason: MalformedReason) => void;
  runtime: Pick<Runtime, 'clock' | 'random'>;
  onEnd: (connection: Connection, reason: CloseReason, detail: string | undefined) => void;
};

/** As many as the Identifier of RADIUS tells apart; a router with more of them has to wait. */
const MAX_IN_PROGRESS = 256;
/** Answers that a router does not read. */
const MAX_UNSENT_BYTES = 1024 * 1024;
const INCOMPLETE_MS = 10_000;
/** Longer than any watchdog: RFC 3539 §3.4.1 has 30 s. */
const IDLE_MS = 10 * 60_000;
/** How long the last answers may take to leave. */
const CLOSE_MS = 5_000;
const AUTHENTICATOR_BYTES = 16;

const ERROR_CAUSE = 101;
const UNSUPPORTED_EXTENSION = 406;

export function createConnection(options: ConnectionOptions): Connection {
  const { peer, identify, receive, runtime, onEnd } = options;
  const { clock, random } = runtime;
  const speaks11 = peer.protocol === RADIUS_1_1;
  const framer = createFramer();
  let inProgress = 0;
  let isReading = false;
  let isPaused = false;
  let closeReason: CloseReason | undefined;
  let closeDetail: string | undefined;
  let closingSinceMs = 0;
  let lastHeardMs = clock.monotonicMs();

  const { path } = peer;
  const source = protectedSource(options.router, path, options.generation(), lastHeardMs);

  /** Takes what has come, as far as we may. Answers that come at once call it again, in vain. */
  function read() {
    if (isReading) return;
    isReading = true;
    while (closeReason === undefined && inProgress < MAX_IN_PROGRESS) {
      const frame = framer.next();
      if (frame.kind === 'incomplete') break;
      if (frame.kind === 'malformed') endMalformed(frame.reason);
      else if (isStillKnown()) take(frame.bytes);
    }
    isReading = false;
    if (inProgress >= MAX_IN_PROGRESS && !isPaused) {
      isPaused = true;
      peer.pause();
    } else if (inProgress < MAX_IN_PROGRESS && isPaused) {
      isPaused = false;
      peer.resume();
    }
  }

  function isStillKnown(): boolean {
    const generation = options.generation();
    if (source.generation === generation) return true;
    const router = identify();
    if (router === undefined) {
      connection.close('router-gone');
      return false;
    }
    source.router = protectedRouter(router);
    source.generation = generation;
    return true;
  }

  function take(bytes: Buffer) {
    inProgress++;
    if (speaks11) return take11(bytes);
    const packet = parsePacket(bytes);
    if (packet.kind === 'malformed') return endMalformed(packet.reason);
    receive(packet, source, {
      send: (_path, answer) => reply(answer),
      refuse: (reason) => refuse(packet, reason, undefined, reply),
    });
  }

  function take11(bytes: Buffer) {
    const request = readRequest11(bytes, RADSEC_SECRET, random.bytes(AUTHENTICATOR_BYTES));
    if (request.kind === 'malformed') return endMalformed(request.reason);
    const translate = (answer: Uint8Array) =>
      reply(writeReply11(Buffer.from(answer), request, RADSEC_SECRET));
    receive(request.packet, source, {
      send: (_path, answer) => translate(answer),
      refuse: (reason) =>
        refuse(
          request.packet,
          reason,
          () => protocolError11(request, errorCauseOf(reason)),
          translate,
        ),
    });
  }

  function reply(answer: Uint8Array | undefined) {
    inProgress--;
    if (closeReason === undefined && answer !== undefined) {
      peer.send(answer);
      if (peer.unsentBytes > MAX_UNSENT_BYTES) connection.close('too-slow');
    }
    read();
  }

  /** Over UDP that is silence. */
  function refuse(
    packet: Packet,
    reason: DiscardReason,
    error: (() => Buffer) | undefined,
    answer: (answer: Uint8Array) => void,
  ) {
    if (reason === 'bad-message-authenticator' || reason === 'bad-accounting-authenticator') {
      connection.close('bad-authenticator', reason);
    }
    const nak = reason === 'unexpected-code' ? nakOf(packet) : undefined;
    if (nak === undefined) reply(error?.());
    else answer(nak);
  }

  function endMalformed(reason: MalformedReason) {
    options.malformed(source, reason);
    connection.close('malformed-packet', reason);
  }

  const connection: Connection = {
    address: source.address,
    get routerName() {
      return source.router.router.name;
    },

    onBytes(bytes) {
      if (closeReason !== undefined) return;
      lastHeardMs = clock.monotonicMs();
      source.lastSeenMs = lastHeardMs;
      framer.push(bytes);
      read();
    },

    onClosed(error) {
      closeReason ??= error === undefined ? 'peer' : 'network';
      onEnd(connection, closeReason, closeDetail ?? error?.message);
    },

    sweep() {
      const nowMs = clock.monotonicMs();
      if (closeReason !== undefined) {
        if (nowMs - closingSinceMs > CLOSE_MS) peer.destroy();
        return;
      }
      const silentMs = nowMs - lastHeardMs;
      if (isPaused) return; // it is we who do not listen
      if (framer.isWaiting && silentMs > INCOMPLETE_MS) connection.close('incomplete-packet');
      else if (silentMs > IDLE_MS && inProgress === 0) connection.close('idle');
    },

    close(reason, detail) {
      if (closeReason !== undefined) return;
      closeReason = reason;
      closeDetail = detail;
      closingSinceMs = clock.monotonicMs();
      // A goodbye would wait behind what such a peer does not read.
      if (reason === 'too-slow') peer.destroy();
      else peer.end();
    },
  };
  return connection;
}

const writer = createReplyWriter();

/** We are no router: whoever asks us to disconnect somebody learns that. RFC 6614 §2.5. */
function nakOf(packet: Packet): Buffer | undefined {
  const { DisconnectRequest, DisconnectNak, CoaRequest, CoaNak } = PacketCode;
  const code = new Map<number, number>([
    [DisconnectRequest, DisconnectNak],
    [CoaRequest, CoaNak],
  ]).get(packet.code);
  if (code === undefined) return undefined;
  writer.begin(code, packet, true);
  writer.integer(ERROR_CAUSE, UNSUPPORTED_EXTENSION);
  writer.copyProxyStates(packet);
  return writer.finish(RADSEC_SECRET);
}

/** RFC 5176 §3.6. */
function errorCauseOf(reason: DiscardReason): number {
  switch (reason) {
    case 'unexpected-code':
      return UNSUPPORTED_EXTENSION;
    case 'no-status-type':
      return 402; // Missing Attribute
    case 'bad-eap':
    case 'bad-text':
    case 'unprotected-eap':
      return 404; // Invalid Request
    default:
      return 506; // Resources Unavailable
  }
}
