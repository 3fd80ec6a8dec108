// PEAPv0 from the device: EAP-MSCHAPv2 or GTC inside TLS, and at the end a result with proof that the
// tunnel and the login inside belong together. draft-kamath-pppext-peapv0, MS-PEAP §3.1.5. Inner packets
// have no EAP header, all but those of the last exchange.

import type { Soon } from '../../tls/engine.ts';
import { MsChapOpCode } from '../mschapv2.ts';
import { EapCode, EapType, encodeEapRequest } from '../packet.ts';
import { bindingKeys, bindingMac, boundMsk, isBound } from '../peap-binding.ts';
import { BindingSubType, encodeResultRequest, parseResultResponse } from '../peap-tlv.ts';
import type { PeapResult } from '../peap-tlv.ts';
import { answerEap } from '../peer.ts';
import type { EapPeerMemory } from '../peer.ts';
import type { EapDevice } from './device.ts';
import { createTlsDevice, exportMsk } from './tls-device.ts';
import type { Heard, InnerDevice, Said, TlsDeviceOptions } from './tls-device.ts';

export type PeapDeviceOptions = Omit<TlsDeviceOptions, 'type' | 'inner'> & {
  username: string;
  /** UTF-8. */
  password: Buffer;
  innerMethod: 'mschapv2' | 'gtc';
  /** 16 random bytes. */
  peerChallenge: Buffer;
};

const INNER_TYPE = { mschapv2: EapType.MsChapV2, gtc: EapType.Gtc } as const;
const EAP_HEADER_BYTES = 4;
const EXTENSIONS_TYPE = 33;

export function createPeapDevice(options: PeapDeviceOptions): EapDevice {
  const { username, password, innerMethod, peerChallenge } = options;
  const peer = { username, password, accepts: [INNER_TYPE[innerMethod]] };
  let memory: EapPeerMemory;
  /** The server knows the password too; with GTC nobody can tell. */
  let isServerProven = innerMethod === 'gtc';

  const inner: InnerDevice = {
    hear(heard): Soon<Said> {
      const { data, identifier } = heard;
      if (data.length === 0) return { kind: 'say', data };
      if (isExtensions(data)) return conclude(data, heard);
      const [type = 0] = data;
      const request = encodeEapRequest(identifier, type, data.subarray(1));
      const answer = answerEap(peer, memory, request, peerChallenge);
      switch (answer.kind) {
        case 'response':
          ({ memory } = answer);
          isServerProven ||= type === EapType.MsChapV2 && data[1] === MsChapOpCode.Success;
          return { kind: 'say', data: answer.eap.subarray(EAP_HEADER_BYTES) };
        case 'distrust':
          return { kind: 'distrust', detail: answer.reason };
        default:
          return { kind: 'distrust', detail: 'a result inside the tunnel that is no request' };
      }
    },
  };

  /** The server's result, and our own, which is the same unless its proof is wrong. */
  function conclude(data: Buffer, heard: Heard): Said {
    const result = parseResult(data);
    if (result === undefined) return { kind: 'distrust', detail: 'a result that cannot be read' };
    if (!result.isSuccess) {
      const refused = encodeResult(data, { isSuccess: false });
      return { kind: 'refused', data: refused, refusal: { kind: 'wrong-password' } };
    }
    if (!isServerProven && !heard.facts.isResumed) {
      return {
        kind: 'distrust',
        detail: 'success before it has proven that it knows the password',
      };
    }
    const tunnelKey = exportMsk(EapType.Peap, 'client EAP encryption', heard);
    if (result.binding === undefined) {
      return { kind: 'say', data: encodeResult(data, { isSuccess: true }), earned: tunnelKey };
    }
    const keys = bindingKeys(tunnelKey, memory?.msk);
    const isRequest = result.binding.subType === BindingSubType.Request;
    if (!isRequest || !isBound(keys.macKey, result.binding)) {
      return { kind: 'distrust', detail: 'the login inside does not belong to this tunnel' };
    }
    const reply = { subType: BindingSubType.Response, nonce: result.binding.nonce };
    const binding = { ...reply, mac: bindingMac(keys.macKey, reply) };
    const confirmed = encodeResult(data, { isSuccess: true, binding });
    return { kind: 'say', data: confirmed, earned: boundMsk(keys) };
  }

  return createTlsDevice({ ...options, type: EapType.Peap, inner });
}

/** A request of type 33 with its EAP header: nothing without a header begins so and has this length. */
function isExtensions(data: Buffer): boolean {
  return (
    data.length > EAP_HEADER_BYTES &&
    data[0] === EapCode.Request &&
    data.readUInt16BE(2) === data.length &&
    data[EAP_HEADER_BYTES] === EXTENSIONS_TYPE
  );
}

// Request and response differ in their code alone, and peap-tlv.ts writes the one and reads the other.

function parseResult(request: Buffer): PeapResult | undefined {
  return parseResultResponse(withCode(EapCode.Response, request));
}

function encodeResult(request: Buffer, result: PeapResult): Buffer {
  return withCode(EapCode.Response, encodeResultRequest(request.readUInt8(1), result));
}

function withCode(code: number, packet: Buffer): Buffer {
  return Buffer.concat([Buffer.of(code), packet.subarray(1)]);
}
