// One message of the client inside the TEAP tunnel: which TLVs may be in it, how often, and what is to be
// said of those that we do not know. RFC 9930 §4.2, §4.3.2. What follows from it, teap.ts decides.

import type { TeapTlv, TlvOf } from './teap-tlv.ts';
import { Status, TeapError, TlvType, parseTlvs } from './teap-tlv.ts';

/** Every kind at most once. Optional TLVs that we do not know are not here. */
export type ClientMessage = {
  cryptoBinding?: TlvOf<'crypto-binding'>;
  intermediateResult?: number;
  result?: number;
  identityType?: number;
  eap?: Buffer;
  password?: TlvOf<'password-response'>;
  /** The types of TLVs of ours that the client does not know. */
  unknownToClient: readonly number[];
  /** From 2000 on: the end. */
  errors: readonly number[];
  /** What is to happen, should we not do what the client asks for: the worst of all. */
  requestedStatus?: number;
};

export type ReadMessage =
  | { kind: 'message'; message: ClientMessage }
  /** To be answered with this NAK; the rest of the message does not count. */
  | { kind: 'unknown'; nak: TlvOf<'nak'> }
  | { kind: 'refused'; code: number; detail: string };

export function readClientMessage(data: Buffer): ReadMessage {
  const tlvs = parseTlvs(data);
  if (tlvs === undefined) return unexpected('what does not divide into TLVs');
  const tooMany = AT_MOST_ONCE.find((kind) => tlvs.filter((tlv) => tlv.kind === kind).length > 1);
  if (tooMany !== undefined) return unexpected(`more than one ${tooMany}`);

  const nak = tlvs.map(nakFor).find((found) => found !== undefined);
  const result = find(tlvs, 'result');
  if (nak !== undefined) {
    const isAllowed = result === undefined && nak.type !== TlvType.Pac;
    return isAllowed ? { kind: 'unknown', nak } : unexpected(`TLV ${nak.type} in this message`);
  }
  const ofServers = tlvs.find(({ kind }) => kind === 'authority-id' || kind === 'password-request');
  if (ofServers !== undefined) return unexpected(`${ofServers.kind}, which only a server says`);

  const cryptoBinding = find(tlvs, 'crypto-binding');
  const password = find(tlvs, 'password-response');
  const eap = find(tlvs, 'eap-payload')?.eap;
  if (eap !== undefined && password !== undefined) return unexpected('EAP and a password at once');
  const intermediateResult = find(tlvs, 'intermediate-result')?.status;
  const identityType = find(tlvs, 'identity-type')?.type;
  const statuses = [result?.status, intermediateResult].filter((status) => status !== undefined);
  if (!statuses.every(isStatus)) return unexpected('a status that there is not');
  const asked = tlvs.filter((tlv) => tlv.kind === 'request-action').map(({ status }) => status);
  return {
    kind: 'message',
    message: {
      ...(cryptoBinding && { cryptoBinding }),
      ...(intermediateResult !== undefined && { intermediateResult }),
      ...(result && { result: result.status }),
      ...(identityType !== undefined && { identityType }),
      ...(eap && { eap }),
      ...(password && { password }),
      unknownToClient: tlvs.filter((tlv) => tlv.kind === 'nak').map(({ type }) => type),
      errors: tlvs.filter((tlv) => tlv.kind === 'error').map(({ code }) => code),
      ...(asked.length > 0 && { requestedStatus: worst(asked) }),
    },
  };
}

const AT_MOST_ONCE = [
  'crypto-binding',
  'eap-payload',
  'identity-type',
  'intermediate-result',
  'password-response',
  'result',
] as const;

function find<K extends TeapTlv['kind']>(tlvs: readonly TeapTlv[], kind: K): TlvOf<K> | undefined {
  return tlvs.find((tlv): tlv is TlvOf<K> => tlv.kind === kind);
}

/** For what is marked as mandatory and unknown to us. */
function nakFor(tlv: TeapTlv): TlvOf<'nak'> | undefined {
  switch (tlv.kind) {
    case 'other':
      return tlv.isMandatory ? { kind: 'nak', vendorId: 0, type: tlv.type } : undefined;
    case 'vendor-specific': {
      const { vendorId } = tlv;
      return tlv.isMandatory ? { kind: 'nak', vendorId, type: TlvType.VendorSpecific } : undefined;
    }
    default:
      return undefined;
  }
}

function isStatus(status: number): boolean {
  return status === Status.Success || status === Status.Failure;
}

function worst(statuses: readonly number[]): number {
  return statuses.every((status) => status === Status.Success) ? Status.Success : Status.Failure;
}

function unexpected(detail: string): ReadMessage {
  return { kind: 'refused', code: TeapError.UnexpectedTlvs, detail };
}
