// The Crypto-Binding of TEAP: both sides show that the one who ran the inner method is the one at the end
// of this tunnel, and that nobody changed what was said before it stood. RFC 9930 §4.2.13, §6.3.

import { createHmac, timingSafeEqual } from 'node:crypto';
import { EapType } from './packet.ts';
import type { CompoundMacKeys, TeapTunnel } from './teap-keys.ts';
import {
  BindingMacs,
  BindingSubType,
  MAC_BYTES,
  TeapError,
  encodeWithoutMacs,
} from './teap-tlv.ts';
import type { CryptoBinding } from './teap-tlv.ts';

export const TEAP_VERSION = 1;

/** What the two sides said outside the tunnel, which the codes also protect. */
export type OuterTlvs = { ours: Buffer; theirs: Buffer };

/** Ours, with the codes that we have keys for. `nonce`: 32 bytes that never come again. */
export function bindingRequest(
  tunnel: TeapTunnel,
  nonce: Buffer,
  keys: CompoundMacKeys,
  outer: OuterTlvs,
): CryptoBinding {
  const unsigned = {
    version: TEAP_VERSION,
    receivedVersion: TEAP_VERSION,
    macs: keys.emsk === undefined ? BindingMacs.Msk : BindingMacs.Both,
    subType: BindingSubType.Request,
    nonce: withLastBit(nonce, 0),
    emskMac: NO_MAC,
    mskMac: NO_MAC,
  };
  return {
    ...unsigned,
    mskMac: compoundMac(tunnel, unsigned, keys.msk, outer),
    emskMac: keys.emsk === undefined ? NO_MAC : compoundMac(tunnel, unsigned, keys.emsk, outer),
  };
}

/** `macs`: the codes that were there and that we could check. */
export type CheckedBinding =
  | { kind: 'genuine'; macs: number }
  | { kind: 'refused'; code: number; detail: string };

/** The client's answer to a request with this `nonce`. Codes are compared in constant time. */
export function checkBindingResponse(
  tunnel: TeapTunnel,
  response: CryptoBinding | undefined,
  nonce: Buffer,
  keys: CompoundMacKeys,
  outer: OuterTlvs,
): CheckedBinding {
  if (response === undefined) return refused(TeapError.TunnelCompromise, 'no Crypto-Binding');
  const { version, receivedVersion, subType, macs } = response;
  const isAnswer =
    version === TEAP_VERSION &&
    // Another one here: somebody on the way has told the client of an older version than ours.
    receivedVersion === TEAP_VERSION &&
    subType === BindingSubType.Response &&
    macs >= BindingMacs.Emsk &&
    macs <= BindingMacs.Both &&
    response.nonce.equals(withLastBit(nonce, 1));
  if (!isAnswer) return refused(TeapError.BindingInvalid, 'a Crypto-Binding that answers another');

  const has = (mac: number) => (macs & mac) !== 0;
  // A code made with an EMSK that we do not have is none to us. RFC 9930 §6.2.
  const emskKey = has(BindingMacs.Emsk) ? keys.emsk : undefined;
  if (!has(BindingMacs.Msk) && emskKey === undefined) {
    return refused(TeapError.BindingWithoutMskMac, 'a Crypto-Binding that cannot be checked');
  }
  const isRight = (key: Buffer, mac: Buffer) =>
    timingSafeEqual(compoundMac(tunnel, response, key, outer), mac);
  if (emskKey !== undefined && !isRight(emskKey, response.emskMac)) {
    return refused(TeapError.BindingEmskMacWrong, 'a Crypto-Binding of another EMSK or tunnel');
  }
  if (has(BindingMacs.Msk) && !isRight(keys.msk, response.mskMac)) {
    return refused(TeapError.BindingMskMacWrong, 'a Crypto-Binding of another MSK or tunnel');
  }
  return { kind: 'genuine', macs: emskKey === undefined ? BindingMacs.Msk : macs };
}

/** HMAC with the hash of the cipher suite, cut to 20 bytes. */
function compoundMac(
  { facts }: TeapTunnel,
  binding: CryptoBinding,
  key: Buffer,
  { ours, theirs }: OuterTlvs,
): Buffer {
  return createHmac(facts.hash, key)
    .update(encodeWithoutMacs(binding))
    .update(Buffer.of(EapType.Teap))
    .update(ours)
    .update(theirs)
    .digest()
    .subarray(0, MAC_BYTES);
}

/** Even in a request, odd in the response; otherwise the two are the same. */
function withLastBit(nonce: Buffer, bit: 0 | 1): Buffer {
  const last = nonce.length - 1;
  return Buffer.concat([nonce.subarray(0, last), Buffer.of((nonce.readUInt8(last) & 0xfe) | bit)]);
}

function refused(code: number, detail: string): CheckedBinding {
  return { kind: 'refused', code, detail };
}

const NO_MAC = Buffer.alloc(MAC_BYTES);
