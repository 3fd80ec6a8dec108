// A subscriber's device for EAP over TLS, made of Node's TLS client over a pipe in memory: what OpenSSL
// does, without a network. It cuts and joins fragments as RFC 5216 §3.1 says; what is said inside the
// connection is a function of the test.

import { Duplex } from 'node:stream';
import { connect } from 'node:tls';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { EapCode, EapType, encodeEapResponse, parseEap } from '../../src/protocols/eap/packet.ts';
import {
  encodeTlsPacket,
  isAcknowledgement,
  parseTlsPacket,
} from '../../src/protocols/eap/tls-packets.ts';
import type { Soon } from '../../src/protocols/tls/engine.ts';

export type EapTlsPeerOptions = {
  type: number;
  identity?: string;
  version?: number;
  tls: ConnectionOptions;
  /** How much of a message it puts into one packet. */
  fragmentBytes?: number;
  /** What it says inside when the handshake is done, and to what it hears. Undefined: nothing. */
  talk?: (
    heard: Buffer,
    context: { socket: TLSSocket; identifier: number },
  ) => Soon<Buffer | undefined>;
};

export type EapTlsPeer = {
  /** The answer to a request; undefined to Success and Failure. */
  answer(eap: Buffer): Promise<Buffer | undefined>;
  readonly socket: TLSSocket;
  /** Whether the handshake was a short one. */
  readonly isResumed: boolean;
  /** What a later connection may resume, as soon as there is one. */
  readonly session: Buffer | undefined;
  /** What went wrong, such as an alert of the server. */
  readonly error: Error | undefined;
  /** What it heard inside. */
  readonly heard: readonly Buffer[];
  /** How the server ended it: 3 is Success, 4 is Failure. */
  readonly end: number | undefined;
  close(): void;
};

const NOTHING = Buffer.alloc(0);

export function createEapTlsPeer(options: EapTlsPeerOptions): EapTlsPeer {
  const { type, identity = 'anonymous', version = 0, fragmentBytes = 1000, talk } = options;
  const written: Buffer[] = [];
  const pipe = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      written.push(chunk);
      done();
    },
  });
  const socket = connect({ checkServerIdentity: () => undefined, ...options.tls, socket: pipe });
  const peer = {
    socket,
    isResumed: false,
    session: undefined as Buffer | undefined,
    error: undefined as Error | undefined,
    heard: [] as Buffer[],
    end: undefined as number | undefined,
  };
  let isOpen = false;
  let hasTalked = false;
  let fresh: Buffer[] = [];
  let incoming = NOTHING;
  let outgoing = NOTHING;
  let outgoingTotal: number | undefined;

  socket.on('error', (error) => (peer.error ??= error));
  socket.on('session', (session) => (peer.session = session));
  socket.on('secureConnect', () => {
    isOpen = true;
    peer.isResumed = socket.isSessionReused();
  });
  socket.on('data', (data: Buffer) => fresh.push(data));

  /** TLS is done with what it was given when nothing has happened for some turns of the loop. */
  async function settle(): Promise<void> {
    let seen = -1;
    for (let quiet = 0; quiet < 6;) {
      await new Promise((resolve) => setImmediate(resolve));
      const now = written.length + fresh.length + (isOpen ? 1 : 0);
      quiet = now === seen ? quiet + 1 : 0;
      seen = now;
    }
  }

  async function feed(data: Buffer, identifier: number): Promise<void> {
    if (data.length > 0) pipe.push(data);
    await settle();
    const heard = Buffer.concat(fresh);
    fresh = [];
    if (heard.length > 0) peer.heard.push(heard);
    if (!isOpen || peer.error !== undefined || (hasTalked && heard.length === 0)) return;
    const said = await talk?.(heard, { socket, identifier });
    if (said === undefined) return;
    hasTalked = true;
    socket.write(said);
    await settle();
  }

  function nextFragment(): Buffer {
    const data = outgoing.subarray(0, fragmentBytes);
    outgoing = outgoing.subarray(data.length);
    const hasMore = outgoing.length > 0;
    const total = outgoingTotal;
    outgoingTotal = undefined;
    return encodeTlsPacket({
      version,
      isStart: false,
      hasMore,
      ...(hasMore && total !== undefined ? { totalBytes: total } : {}),
      data,
    });
  }

  async function respond(data: Buffer, identifier: number): Promise<Buffer> {
    const packet = parseTlsPacket(data, { hasOuterTlvs: false });
    if (packet === undefined) throw new Error('a request that is cut off');
    if (outgoing.length > 0) {
      if (!isAcknowledgement(packet)) throw new Error('an acknowledgement was due');
      return nextFragment();
    }
    incoming = Buffer.concat([incoming, packet.data]);
    if (packet.hasMore)
      return encodeTlsPacket({ version, isStart: false, hasMore: false, data: NOTHING });
    const message = incoming;
    incoming = NOTHING;
    await feed(message, identifier);
    outgoing = Buffer.concat(written.splice(0));
    outgoingTotal = outgoing.length;
    return nextFragment();
  }

  return Object.assign(peer, {
    async answer(eap: Buffer) {
      const request = parseEap(eap);
      if (request.kind === 'malformed') throw new Error('a malformed request');
      const { code, identifier, data } = request;
      if (code !== EapCode.Request) {
        peer.end = code;
        return undefined;
      }
      switch (request.type) {
        case EapType.Identity:
          return encodeEapResponse(identifier, EapType.Identity, Buffer.from(identity));
        case type:
          return encodeEapResponse(identifier, type, await respond(data, identifier));
        default:
          return encodeEapResponse(identifier, EapType.Nak, Buffer.of(type));
      }
    },
    close() {
      socket.destroy();
      pipe.destroy();
    },
  });
}
