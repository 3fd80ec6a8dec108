// Seals what is given to a client, or to a store, for later. Keys are derived from a key that the cluster
// shares and from the time, so every node opens what any other has sealed and nobody passes keys around.
// A key that has been followed by another opens for one more period and then never again.
//
// The nonce is a digest of the content, not chance: a round that two nodes work out must come to the same
// ticket, or its record would go out twice with different text under one key and number (TlsMoment).
// Two contents never share a nonce but by a collision of 96 bits of HMAC; the same content may.

import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  hkdfSync,
  type KeyObject,
} from 'node:crypto';
import { hmac } from './hmac.ts';
import type { TicketBox } from './settings.ts';

const FORMAT = 1;
const EPOCH_BYTES = 6;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEADER_BYTES = 1 + EPOCH_BYTES + NONCE_BYTES;
const KEY_BYTES = 32;

type Keys = { seal: KeyObject; nonce: Buffer };

/** `rotateEveryMs`: at least the lifetime of what is sealed, or it can no longer be opened at its end. */
export function createTicketBox(clusterKey: Buffer, rotateEveryMs: number): TicketBox {
  if (clusterKey.length < KEY_BYTES) throw new RangeError('the key of the cluster is too short');
  /** Of the periods that count now: the current one, the one before, and a clock that runs ahead. */
  const keys = new Map<number, Keys>();

  function keysOf(epoch: number): Keys {
    const known = keys.get(epoch);
    if (known) return known;
    const info = `evergate tls ticket key ${epoch} of ${rotateEveryMs} ms`;
    const derived = Buffer.from(
      hkdfSync('sha256', clusterKey, Buffer.alloc(0), info, 2 * KEY_BYTES),
    );
    const made: Keys = {
      seal: createSecretKey(derived.subarray(0, KEY_BYTES)),
      nonce: derived.subarray(KEY_BYTES),
    };
    keys.set(epoch, made);
    for (const old of keys.keys()) if (Math.abs(old - epoch) > 2) keys.delete(old);
    return made;
  }

  return {
    seal(content, nowMs) {
      const epoch = Math.floor(nowMs / rotateEveryMs);
      const header = Buffer.alloc(HEADER_BYTES);
      header.writeUInt8(FORMAT, 0);
      header.writeUIntBE(epoch, 1, EPOCH_BYTES);
      const held = keysOf(epoch);
      hmac('sha256', held.nonce, content).copy(header, 1 + EPOCH_BYTES);
      const nonce = header.subarray(1 + EPOCH_BYTES);
      const cipher = createCipheriv('aes-256-gcm', held.seal, nonce, {
        authTagLength: TAG_BYTES,
      });
      cipher.setAAD(header);
      return Buffer.concat([header, cipher.update(content), cipher.final(), cipher.getAuthTag()]);
    },

    open(ticket, nowMs) {
      if (ticket.length < HEADER_BYTES + TAG_BYTES || ticket.readUInt8(0) !== FORMAT)
        return undefined;
      const epoch = ticket.readUIntBE(1, EPOCH_BYTES);
      const age = Math.floor(nowMs / rotateEveryMs) - epoch;
      // The clocks of two nodes may disagree where one period ends.
      if (age < -1 || age > 1) return undefined;
      const header = ticket.subarray(0, HEADER_BYTES);
      const nonce = header.subarray(1 + EPOCH_BYTES);
      const decipher = createDecipheriv('aes-256-gcm', keysOf(epoch).seal, nonce, {
        authTagLength: TAG_BYTES,
      });
      decipher.setAAD(header);
      decipher.setAuthTag(ticket.subarray(-TAG_BYTES));
      try {
        return Buffer.concat([
          decipher.update(ticket.subarray(HEADER_BYTES, -TAG_BYTES)),
          decipher.final(),
        ]);
      } catch {
        return undefined; // forged or damaged
      }
    },
  };
}
