// Packets out of a stream of bytes: each says how long it is. RFC 6613 §2.6.4: where one makes no sense,
// nothing behind it can be found any more, and the connection has to end.

import { MAX_PACKET_BYTES, MIN_PACKET_BYTES } from '../../../protocols/radius/packet.ts';

type Frame =
  | { kind: 'packet'; bytes: Buffer }
  /** The rest has not come yet. */
  | { kind: 'incomplete' }
  | { kind: 'malformed'; reason: 'bad-length' | 'too-long' };

export type Framer = {
  push(bytes: Buffer): void;
  next(): Frame;
  /** True while the beginning of a packet waits for the rest of it. */
  readonly isWaiting: boolean;
};

const LENGTH_OFFSET = 2;
const LENGTH_END = 4;

export function createFramer(): Framer {
  let held: Buffer = Buffer.alloc(0);

  return {
    push(bytes) {
      held = held.length === 0 ? bytes : Buffer.concat([held, bytes]);
    },

    next() {
      if (held.length < LENGTH_END) return { kind: 'incomplete' };
      const length = held.readUInt16BE(LENGTH_OFFSET);
      // Said at once: waiting for bytes that cannot be a packet would keep the connection for nothing.
      if (length < MIN_PACKET_BYTES) return { kind: 'malformed', reason: 'bad-length' };
      if (length > MAX_PACKET_BYTES) return { kind: 'malformed', reason: 'too-long' };
      if (held.length < length) return { kind: 'incomplete' };
      const bytes = held.subarray(0, length);
      held = held.subarray(length);
      return { kind: 'packet', bytes };
    },

    get isWaiting() {
      return held.length > 0;
    },
  };
}
