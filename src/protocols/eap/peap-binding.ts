// Crypto-binding of PEAPv0: both sides prove that the tunnel and the login inside belong to each other, so
// that nobody sits between them. MS-PEAP §3.1.5.5; the labels and their odd zeros are hostap's, which
// Windows understands. The TLV that carries the proof is peap-tlv.ts.

import { timingSafeEqual } from 'node:crypto';
import { hmac } from '../tls/hmac.ts';
import { EapType } from './packet.ts';
import { encodeBindingTlv } from './peap-tlv.ts';
import type { Binding } from './peap-tlv.ts';

const INNER_KEY_BYTES = 32;
const SEED_KEY_BYTES = 40;
const MAC_BYTES = 20;
const MSK_BYTES = 64;

export type BindingKeys = { intermediateKey: Buffer; macKey: Buffer };

/** `innerKey`: what the inner method agreed on; undefined in a resumed login, which has no such method. */
export function bindingKeys(tunnelKey: Buffer, innerKey: Buffer | undefined): BindingKeys {
  const keys =
    innerKey === undefined
      ? tunnelKey
      : expand(
          tunnelKey.subarray(0, SEED_KEY_BYTES),
          'Inner Methods Compound Keys',
          padded(innerKey),
          SEED_KEY_BYTES + MAC_BYTES,
        );
  return {
    intermediateKey: keys.subarray(0, SEED_KEY_BYTES),
    macKey: keys.subarray(SEED_KEY_BYTES, SEED_KEY_BYTES + MAC_BYTES),
  };
}

/** The proof over the TLV with its place still empty. */
export function bindingMac(macKey: Buffer, binding: Omit<Binding, 'mac'>): Buffer {
  const tlv = encodeBindingTlv({ ...binding, mac: Buffer.alloc(MAC_BYTES) });
  return hmac('sha1', macKey, Buffer.concat([tlv, Buffer.of(EapType.Peap)]));
}

export function isBound(macKey: Buffer, binding: Binding): boolean {
  return timingSafeEqual(bindingMac(macKey, binding), binding.mac);
}

/** The MSK when both sides have proven the binding; the tunnel's own counts when they have not. */
export function boundMsk({ intermediateKey }: BindingKeys): Buffer {
  return expand(intermediateKey, 'Session Key Generating Function', Buffer.of(0), MSK_BYTES);
}

/** PRF+ of MS-PEAP: the counter is followed by two zeros. */
function expand(key: Buffer, label: string, seed: Buffer, length: number): Buffer {
  const blocks: Buffer[] = [];
  let previous: Buffer = Buffer.alloc(0);
  for (let counter = 1; blocks.length * MAC_BYTES < length; counter++) {
    const text = [previous, Buffer.from(label), seed, Buffer.of(counter, 0, 0)];
    previous = hmac('sha1', key, Buffer.concat(text));
    blocks.push(previous);
  }
  return Buffer.concat(blocks).subarray(0, length);
}

function padded(innerKey: Buffer): Buffer {
  const bytes = Buffer.alloc(INNER_KEY_BYTES);
  innerKey.copy(bytes, 0, 0, INNER_KEY_BYTES);
  return bytes;
}
