// The last exchange inside PEAPv0: an EAP packet of type 33 with a Result TLV, and maybe a Crypto-Binding
// TLV. MS-PEAP §2.2.8. What is in the proof belongs to peap-binding.ts.

import { EapCode, encodeEapRequest, parseEap } from './packet.ts';

export type Binding = {
  subType: number;
  /** 32 bytes. */
  nonce: Buffer;
  /** 20 bytes. */
  mac: Buffer;
};

export type PeapResult = { isSuccess: boolean; binding?: Binding };

export const BindingSubType = { Request: 0, Response: 1 } as const;

/** Extensions, as Microsoft uses the number. */
const EXTENSIONS_TYPE = 33;
const MANDATORY = 0x8000;
const Tlv = { Result: 3, CryptoBinding: 12 } as const;
const Status = { Success: 1, Failure: 2 } as const;
const TLV_HEADER_BYTES = 4;
const NONCE_BYTES = 32;
/** Reserved, version, received version, sub-type, nonce, MAC. */
const BINDING_BYTES = 56;

export function encodeResultRequest(
  identifier: number,
  { isSuccess, binding }: PeapResult,
): Buffer {
  const status = Buffer.of(0, isSuccess ? Status.Success : Status.Failure);
  const tlvs = [encodeTlv(MANDATORY | Tlv.Result, status)];
  if (binding !== undefined) tlvs.push(encodeBindingTlv(binding));
  return encodeEapRequest(identifier, EXTENSIONS_TYPE, Buffer.concat(tlvs));
}

/** Undefined when it is no such response. Other TLVs are ignored. */
export function parseResultResponse(bytes: Buffer): PeapResult | undefined {
  const eap = parseEap(bytes);
  if (eap.kind === 'malformed' || eap.code !== EapCode.Response) return undefined;
  if (eap.type !== EXTENSIONS_TYPE) return undefined;
  let isSuccess: boolean | undefined;
  let binding: Binding | undefined;
  let at = 0;
  while (at + TLV_HEADER_BYTES <= eap.data.length) {
    const type = eap.data.readUInt16BE(at) & ~(MANDATORY | 0x4000);
    const end = at + TLV_HEADER_BYTES + eap.data.readUInt16BE(at + 2);
    if (end > eap.data.length) return undefined;
    const value = eap.data.subarray(at + TLV_HEADER_BYTES, end);
    if (type === Tlv.Result && value.length === 2) {
      isSuccess = value.readUInt16BE(0) === Status.Success;
    }
    if (type === Tlv.CryptoBinding) {
      if (value.length !== BINDING_BYTES) return undefined;
      binding = parseBinding(value);
    }
    at = end;
  }
  if (isSuccess === undefined) return undefined;
  return { isSuccess, ...(binding === undefined ? {} : { binding }) };
}

export function encodeBindingTlv({ subType, nonce, mac }: Binding): Buffer {
  return encodeTlv(Tlv.CryptoBinding, Buffer.concat([Buffer.of(0, 0, 0, subType), nonce, mac]));
}

function parseBinding(value: Buffer): Binding {
  const nonceAt = 4;
  const macAt = nonceAt + NONCE_BYTES;
  return {
    subType: value.readUInt8(3),
    nonce: value.subarray(nonceAt, macAt),
    mac: value.subarray(macAt),
  };
}

function encodeTlv(type: number, value: Buffer): Buffer {
  const header = Buffer.alloc(TLV_HEADER_BYTES);
  header.writeUInt16BE(type, 0);
  header.writeUInt16BE(value.length, 2);
  return Buffer.concat([header, value]);
}
