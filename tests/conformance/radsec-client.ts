// A client of RADIUS over TLS for what radsecproxy cannot do: RADIUS/1.1, broken packets, certificates of
// every kind. Node's TLS on the other side is the same OpenSSL; what it carries is written anew here.

import { connect } from 'node:tls';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { encode } from './test-router.ts';
import type { Attribute } from './test-router.ts';

export type RadsecClient = AsyncDisposable & {
  readonly socket: TLSSocket;
  send(bytes: Buffer): void;
  /** The next packet; undefined when the connection ends before one comes. */
  receive(): Promise<Buffer | undefined>;
  ask(bytes: Buffer): Promise<Buffer>;
  /** Resolves when the server has closed the connection. */
  closed(): Promise<void>;
};

/** Resolves when TLS is up, which in TLS 1.3 is before the server has looked at our certificate. */
export async function openRadsec(options: ConnectionOptions): Promise<RadsecClient> {
  const socket = connect({
    host: '127.0.0.1',
    checkServerIdentity: () => undefined,
    ...options,
  });
  socket.on('error', () => undefined); // what matters is that it ends
  await new Promise<void>((resolve) => {
    socket.once('secureConnect', resolve).once('close', () => resolve());
  });

  const packets: Buffer[] = [];
  let held = Buffer.alloc(0);
  let isClosed = socket.closed;
  let wake: (() => void) | undefined;
  socket.on('data', (bytes: Buffer) => {
    held = Buffer.concat([held, bytes]);
    while (held.length >= 4 && held.length >= held.readUInt16BE(2)) {
      packets.push(held.subarray(0, held.readUInt16BE(2)));
      held = held.subarray(held.readUInt16BE(2));
    }
    wake?.();
  });
  socket.on('close', () => {
    isClosed = true;
    wake?.();
  });

  async function until(isSo: () => boolean) {
    while (!isSo()) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }

  const client: RadsecClient = {
    socket,
    send: (bytes) => void socket.write(bytes),
    async receive() {
      await until(() => packets.length > 0 || isClosed);
      return packets.shift();
    },
    async ask(bytes) {
      client.send(bytes);
      const answer = await client.receive();
      if (answer === undefined) throw new Error('the connection was closed instead of an answer');
      return answer;
    },
    closed: () => until(() => isClosed),
    async [Symbol.asyncDispose]() {
      socket.destroy();
      await client.closed();
    },
  };
  return client;
}

/** RFC 9765 §4: a Token where the authenticator was, and nothing signed or hidden. */
export function packet11(code: number, token: number, attributes: readonly Attribute[]): Buffer {
  const header = Buffer.alloc(16);
  header.writeUInt32BE(token);
  return encode(code, 0, header, attributes);
}

/** The first value of this type; undefined without one. */
export function attributeOf(packet: Buffer, type: number): Buffer | undefined {
  for (let at = 20; at < packet.length; at += packet.readUInt8(at + 1)) {
    if (packet[at] === type) return packet.subarray(at + 2, at + packet.readUInt8(at + 1));
  }
  return undefined;
}
