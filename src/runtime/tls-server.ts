// The only place that opens TLS sockets for others to connect to. Every peer is asked for a certificate,
// and its handshake completes whatever that is: whoever gets the peer decides. Nothing is resumed, so that
// every connection shows its certificate anew.

import { constants } from 'node:crypto';
import type { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { createServer } from 'node:tls';
import type { TLSSocket, TlsOptions as NodeTlsOptions } from 'node:tls';
import { PATH_BYTES } from './network.ts';
import type { TlsIdentity, TlsOptions, TlsPeer, TlsServer } from './network.ts';
import { addressBytes, sourceAddress, writePath } from './udp/path.ts';

/** When the peer's machine is gone, TCP alone would never notice. */
const KEEP_ALIVE_MS = 60_000;

export async function listenTls(options: TlsOptions): Promise<TlsServer> {
  const { onFailed, maxHandshakesPerAddress } = options;
  const server = createServer({
    ...contextOf(options.identity),
    requestCert: true,
    rejectUnauthorized: false,
    ALPNProtocols: [...options.protocols],
    handshakeTimeout: options.handshakeTimeoutMs,
  });
  server.maxConnections = options.maxConnections;
  const sockets = new Set<Socket>();
  const handshakes = createHandshakes();

  server.on('connection', (socket: Socket) => {
    const { remoteAddress: address = '', remotePort: port = 0 } = socket;
    sockets.add(socket);
    socket.on('close', () => {
      sockets.delete(socket);
      handshakes.end(address, port);
    });
    if (handshakes.begin(address, port) <= maxHandshakesPerAddress) return;
    socket.destroy();
    onFailed(readable(address), 'too-many-handshakes');
  });
  server.on('secureConnection', (socket) => {
    handshakes.end(socket.remoteAddress ?? '', socket.remotePort ?? 0);
    greet(socket, options);
  });
  server.on('tlsClientError', (error, socket) => {
    onFailed(readable(socket.remoteAddress), 'handshake-failed', error);
    socket.destroy(); // one that took too long is still there
  });
  server.on('drop', (dropped) => {
    onFailed(readable(dropped?.remoteAddress), 'too-many-connections');
  });

  const { host, port, reusePort = false } = options;
  server.listen({ host, port, ...(reusePort ? { reusePort } : {}) });
  await once(server, 'listening');
  const bound = server.address();

  return {
    port: typeof bound === 'object' && bound !== null ? bound.port : port,
    replaceIdentity: (identity) => server.setSecureContext(contextOf(identity)),
    stopListening: () => void server.close(),
    async [Symbol.asyncDispose]() {
      const closed = server.listening ? once(server, 'close') : undefined;
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function contextOf({ certificates, keys }: TlsIdentity): NodeTlsOptions {
  return {
    cert: [...certificates],
    key: [...keys],
    // OpenSSL shall trust nobody. Of a certificate that it trusts, Node looks at the chain before we can,
    // and what it has looked at is gone: getPeerX509Certificate() then gives the first certificate alone.
    ca: [],
    minVersion: 'TLSv1.2',
    secureOptions:
      constants.SSL_OP_NO_TICKET |
      constants.SSL_OP_NO_RENEGOTIATION |
      constants.SSL_OP_CIPHER_SERVER_PREFERENCE,
  };
}

function greet(socket: TLSSocket, { onPeer }: TlsOptions) {
  const { remoteAddress, remotePort, localAddress } = socket;
  // It was there a moment ago and has hung up since; or it has resumed, which is switched off.
  if (remoteAddress === undefined || localAddress === undefined || socket.isSessionReused()) {
    socket.destroy();
    return;
  }
  const path = Buffer.alloc(PATH_BYTES);
  const sender = { address: remoteAddress, port: remotePort ?? 0 };
  writePath(path, sender, addressBytes(localAddress), 0);
  socket.setNoDelay(true);
  socket.setKeepAlive(true, KEEP_ALIVE_MS);

  const peer: TlsPeer = {
    path,
    protocol: typeof socket.alpnProtocol === 'string' ? socket.alpnProtocol : undefined,
    version: socket.getProtocol() === 'TLSv1.3' ? 'TLSv1.3' : 'TLSv1.2',
    certificates: chainOf(socket.getPeerX509Certificate()),
    send: (bytes) => void socket.write(bytes),
    get unsentBytes() {
      return socket.writableLength;
    },
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    end: () => socket.destroySoon(),
    destroy: () => void socket.destroy(),
  };
  let failure: Error | undefined;
  socket.on('error', (error: Error) => {
    failure ??= error;
  });
  const listener = onPeer(peer);
  socket.on('data', (bytes: Buffer) => listener.onBytes(bytes));
  socket.on('close', () => listener.onClosed(failure));
}

function chainOf(certificate: X509Certificate | undefined): Buffer[] {
  const chain: Buffer[] = [];
  for (let one = certificate; one !== undefined; one = one.issuerCertificate) chain.push(one.raw);
  return chain;
}

/** The ports of each address that have connected and not shown who they are. */
function createHandshakes() {
  const byAddress = new Map<string, Set<number>>();
  return {
    /** How many there are now. */
    begin(address: string, port: number): number {
      const ports = byAddress.get(address) ?? new Set();
      byAddress.set(address, ports.add(port));
      return ports.size;
    },
    end(address: string, port: number) {
      const ports = byAddress.get(address);
      ports?.delete(port);
      if (ports?.size === 0) byAddress.delete(address);
    },
  };
}

/** An IPv4 address as such, also when it comes through an IPv6 socket. */
function readable(address: string | undefined): string {
  return address === undefined || address === '' ? 'unknown' : sourceAddress(addressBytes(address));
}
