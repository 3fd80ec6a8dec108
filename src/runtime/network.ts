// The network as services see it: datagrams in batches, and connections under TLS.
//
// A RADIUS server at full load spends most of its time in the kernel, one system call per packet.
// So datagrams come and go in batches: the handler sees all that has arrived, and what it sends is
// kept until the turn ends and leaves in one call. src/runtime/udp/ has two implementations of
// this: recvmmsg/sendmmsg through a small native addon, and node:dgram where that is not available.

/**
 * The way a datagram came, and so the way its answer goes, as 40 opaque bytes that outlive the batch:
 *  0–15 the sender's address (IPv4 as ::ffff:a.b.c.d), 16–17 the sender's port (big endian),
 * 18–19 zero, 20–35 our own address that was asked, 36–39 the interface index (big endian).
 */
export const PATH_BYTES = 40;

/** Valid only during the call: copy what must live longer. */
export type DatagramBatch = {
  readonly count: number;
  /** All datagrams; number i begins at `offsets[i]` and has `lengths[i]` bytes. */
  readonly bytes: Buffer;
  readonly offsets: Uint32Array;
  readonly lengths: Uint32Array;
  /** `PATH_BYTES` for each datagram, in the same order. */
  readonly paths: Buffer;
};

export type DatagramSocket = AsyncDisposable & {
  readonly port: number;
  /** Which implementation this is, for the log and for `evergate doctor`. */
  readonly engine: 'batched' | 'dgram' | 'simulated';
  /** What the kernel granted, in bytes: less than asked for when net.core.rmem_max is low. */
  readonly receiveBufferBytes: number;
  /** Copies and queues a datagram; all that is queued leaves when this turn of the event loop ends. */
  send(path: Uint8Array, datagram: Uint8Array): void;
  /** Datagrams that the kernel or the queue refused since the start. */
  readonly sendFailures: number;
};

export type UdpOptions = {
  /** An address, `0.0.0.0` or `::`. Answers leave from the address that was asked, in every case. */
  host: string;
  /** 0 picks a free one. */
  port: number;
  /** Several processes may bind the same port; a router's packet and its retransmission meet the same one. */
  reusePort?: boolean;
  receiveBufferBytes?: number;
  onBatch: (batch: DatagramBatch) => void;
};

/** A connection whose other side has shown any certificate, or none: nobody has judged it yet. */
export type TlsPeer = {
  /** As a datagram's path: who has connected, and to which of our addresses. */
  readonly path: Buffer;
  /** What both sides agreed to speak (ALPN); undefined: the client has named nothing. */
  readonly protocol: string | undefined;
  readonly version: 'TLSv1.2' | 'TLSv1.3';
  /** DER, as the peer has sent them, its own first. It has proven that it has the key of that one. */
  readonly certificates: readonly Buffer[];
  send(bytes: Uint8Array): void;
  /** What was sent and has not left yet. */
  readonly unsentBytes: number;
  /** No bytes come until `resume`: the peer has to wait. */
  pause(): void;
  resume(): void;
  /** Closes after all that was sent has left. */
  end(): void;
  /** Closes at once. */
  destroy(): void;
};

export type TlsPeerListener = {
  /** In order, in whatever portions. */
  onBytes(bytes: Buffer): void;
  /** Once, the last call. `error`: why, if not because one side wanted it. */
  onClosed(error: Error | undefined): void;
};

/** As PEM. */
export type TlsIdentity = {
  /** Each a chain, the own certificate first; with its key at the same place. */
  certificates: readonly string[];
  keys: readonly string[];
};

export type TlsOptions = {
  host: string;
  /** 0 picks a free one. */
  port: number;
  /** Several processes may listen on the same port; a connection belongs to one of them. */
  reusePort?: boolean;
  identity: TlsIdentity;
  /** Of ALPN, the best first. Who names others alone is refused; who names none is let in. */
  protocols: readonly string[];
  maxConnections: number;
  /** Of one address, before they have shown who they are. */
  maxHandshakesPerAddress: number;
  handshakeTimeoutMs: number;
  onPeer: (peer: TlsPeer) => TlsPeerListener;
  /** Connections that did not come to be. */
  onFailed: (address: string, reason: TlsFailure, error?: Error) => void;
};

export type TlsFailure = 'handshake-failed' | 'too-many-connections' | 'too-many-handshakes';

export type TlsServer = AsyncDisposable & {
  readonly port: number;
  /** Counts for connections to come. Throws when it makes no sense, and the old one stays. */
  replaceIdentity(identity: TlsIdentity): void;
  /** Nobody connects any more; those who are connected stay until they are closed. */
  stopListening(): void;
};

export type Network = {
  bindUdp(options: UdpOptions): Promise<DatagramSocket>;
  listenTls(options: TlsOptions): Promise<TlsServer>;
};
