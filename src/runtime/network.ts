// The network as services see it: datagrams in batches.
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

export type Network = {
  bindUdp(options: UdpOptions): Promise<DatagramSocket>;
};
