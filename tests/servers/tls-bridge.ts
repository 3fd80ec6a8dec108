// A TCP listener in front of a TLS engine, so that real TLS clients can talk to what normally hides inside
// EAP. It makes the decisions of an EAP method, echoes what it hears inside, and passes every connection
// through JSON between two calls, as a shared store would.

import { randomBytes } from 'node:crypto';
import { type Socket, createServer } from 'node:net';
import type {
  Ticket,
  TlsConnection,
  TlsEngine,
  TlsMoment,
  TlsProgress,
  TlsTerms,
} from '../../src/protocols/tls/engine.ts';

export type TlsBridge = AsyncDisposable & {
  readonly port: number;
  /** How each connection went so far, in the order of their arrival: the last progress of each. */
  readonly outcomes: TlsProgress[];
  /** The largest connection that waited for the client, in bytes of JSON. */
  largestStateBytes(): number;
};

export type TlsBridgeOptions = {
  /** Asked at each call, so that a test can let the engines take turns. */
  engine: () => TlsEngine;
  terms: TlsTerms;
  /** What a connection earns with its handshake. Undefined: nothing. */
  ticket?: Ticket;
  mayResume?: (ticket: Ticket) => boolean;
  nowMs?: () => number;
  /** As when the client's bytes come in small packets. */
  pieceBytes?: number;
  /** What is said first, when the handshake is complete. */
  greeting?: (connection: TlsConnection) => Promise<Buffer> | Buffer;
};

export async function startTlsBridge(options: TlsBridgeOptions): Promise<TlsBridge> {
  const outcomes: TlsProgress[] = [];
  const sessions = new Map<string, Buffer>();
  const sockets = new Set<Socket>();
  let largestStateBytes = 0;

  const moment = (): TlsMoment => ({
    nowMs: options.nowMs?.() ?? Date.now(),
    random: randomBytes(32),
  });

  function stored(connection: TlsConnection): TlsConnection {
    const text = JSON.stringify(connection);
    largestStateBytes = Math.max(largestStateBytes, text.length);
    return JSON.parse(text) as TlsConnection;
  }

  /** What the engine makes of these bytes once everything it asks has been answered. */
  async function receive(connection: TlsConnection, bytes: Buffer): Promise<TlsProgress> {
    let progress = await options.engine().receive(connection, bytes, moment());
    for (;;) {
      const waiting = stored(progress.connection);
      if (progress.kind === 'offers-session') {
        const session = sessions.get(progress.id) ?? null;
        const decision = { kind: 'session', session } as const;
        progress = await options.engine().decide(waiting, decision, moment());
      } else if (progress.kind === 'offers-ticket') {
        const mayResume = options.mayResume?.(progress.ticket) ?? true;
        const decision = { kind: 'ticket', mayResume } as const;
        progress = await options.engine().decide(waiting, decision, moment());
      } else return progress;
    }
  }

  function serve(socket: Socket): void {
    const place = outcomes.length;
    let connection = stored(options.engine().accept(options.terms));
    let isOpen = false;
    let work = Promise.resolve();
    outcomes.push({ kind: 'handshaking', connection, output: Buffer.alloc(0) });

    async function say(data: Buffer): Promise<void> {
      const sent = await options.engine().send(connection, data);
      connection = stored(sent.connection);
      socket.write(sent.output);
    }

    async function hear(bytes: Buffer): Promise<void> {
      // A client may say more before it reads that we have ended.
      if (outcomes[place]?.kind === 'failed') return;
      const progress = await receive(connection, bytes);
      outcomes[place] = progress;
      connection = stored(progress.connection);
      if ('output' in progress && progress.output.length > 0) socket.write(progress.output);
      if (progress.kind === 'failed') socket.end();
      if (progress.kind !== 'open') return;
      if (!isOpen) {
        isOpen = true;
        if (options.ticket) await giveTicket(options.ticket);
        if (options.greeting) await say(await options.greeting(connection));
      }
      if (progress.data.length > 0) await say(progress.data);
    }

    async function giveTicket(ticket: Ticket): Promise<void> {
      const issued = await options.engine().issueTicket(connection, ticket, moment());
      connection = stored(issued.connection);
      socket.write(issued.output);
      if (issued.session) sessions.set(issued.session.id, issued.session.value);
    }

    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.on('data', (bytes) => {
      for (const piece of cut(bytes, options.pieceBytes ?? bytes.length))
        work = work
          .then(() => hear(piece))
          .catch((error: unknown) => void socket.destroy(asError(error)));
    });
  }

  const server = createServer(serve);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();

  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    outcomes,
    largestStateBytes: () => largestStateBytes,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function cut(bytes: Buffer, pieceBytes: number): Buffer[] {
  const pieces: Buffer[] = [];
  for (let offset = 0; offset < bytes.length; offset += pieceBytes)
    pieces.push(bytes.subarray(offset, offset + pieceBytes));
  return pieces;
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
