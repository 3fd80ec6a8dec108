// EAP methods over TLS as a device sees them, the part that they share: a TLS connection cut into EAP
// packets, and the server's alerts. RFC 5216 §2.1, §3.2. The TLS connection itself is handed in, because
// OpenSSL holds it; what is said inside, the methods know.

import type { AlertName, Soon } from '../../tls/engine.ts';
import { EapCode, EapType, encodeEapResponse, parseEap } from '../packet.ts';
import { encodeTlsPacket, isAcknowledgement, parseTlsPacket } from '../tls-packets.ts';
import type { TlsPacket } from '../tls-packets.ts';
import type { DeviceAnswer, Distrust, EapDevice, Refusal } from './device.ts';

export type TlsDeviceOptions = {
  type: number;
  /** Shown outside. */
  identity: string;
  tls: TlsClient;
  inner: InnerDevice;
  /** EAP packets are not longer. */
  maxPacketBytes?: number;
};

/** A TLS connection that begins with our ClientHello. */
export type TlsClient = {
  /** Takes a whole message of the server; nothing at the beginning. */
  receive(bytes: Buffer): Promise<TlsClientProgress>;
  /** Encrypts `data`. */
  send(data: Buffer): Promise<Buffer>;
  /** RFC 5705 §4. Without `context` is not the same as with an empty one in TLS 1.2. */
  exportKey(label: string, length: number, context?: Buffer): Buffer;
};

export type TlsClientProgress =
  | { kind: 'handshaking'; output: Buffer }
  | { kind: 'open'; output: Buffer; data: Buffer; facts: TlsClientFacts }
  | { kind: 'refused'; alert: AlertName | undefined }
  /** `output`, if any, tells the server. */
  | { kind: 'distrust'; output: Buffer; distrust: Distrust };

type TlsClientFacts = { version: '1.2' | '1.3'; isResumed: boolean };

/** What a method says inside its TLS connection. */
export type InnerDevice = {
  /** Called when the handshake has ended, then for every message of the server. */
  hear(heard: Heard): Soon<Said>;
};

export type Heard = {
  /** Empty: the server only acknowledges, or only ended the handshake. */
  data: Buffer;
  /** The end of our handshake is not sent yet; it leads whatever is said now. */
  hasUnsentFlight: boolean;
  /** Of the request that is being answered. */
  identifier: number;
  facts: TlsClientFacts;
  exportKey: TlsClient['exportKey'];
};

export type Said =
  /** `earned`: the MSK, when from now on the server may say Success. No data is an acknowledgement. */
  | { kind: 'say'; data: Buffer; earned?: Buffer }
  /** The server says no, which we acknowledge. */
  | { kind: 'refused'; data: Buffer; refusal: Refusal }
  | { kind: 'distrust'; detail: string };

/** What wpa_supplicant sends at most. */
const MAX_PACKET_BYTES = 1398;
/** Code, identifier, length, type, flags and the length of the message. */
const HEADER_BYTES = 10;
const MAX_MESSAGE_BYTES = 65_536;

export function createTlsDevice(options: TlsDeviceOptions): EapDevice {
  const { type, identity, tls, inner } = options;
  const room = (options.maxPacketBytes ?? MAX_PACKET_BYTES) - HEADER_BYTES;
  let hasBegun = false;
  let incoming: Buffer = NOTHING;
  let outgoing: Buffer = NOTHING;
  let earned: Buffer | undefined;
  let refusal: Refusal = { kind: 'unexplained' };

  async function answer(packet: Buffer): Promise<DeviceAnswer> {
    const request = parseEap(packet);
    if (request.kind === 'malformed') {
      return distrust(`a malformed EAP packet (${request.reason})`);
    }
    const { code, identifier } = request;
    if (code === EapCode.Failure) return { kind: 'failure', refusal };
    if (code === EapCode.Success) {
      return earned === undefined
        ? distrust('success before anything was proven')
        : { kind: 'success', msk: earned };
    }
    if (code !== EapCode.Request) return distrust('a response instead of a request');

    switch (request.type) {
      case type: {
        const part = parseTlsPacket(request.data, { hasOuterTlvs: false });
        return part === undefined ? distrust('a packet that is cut off') : take(part, identifier);
      }
      case EapType.Identity:
        return { kind: 'response', eap: identityResponse(identifier) };
      case EapType.Notification:
        return { kind: 'response', eap: encodeEapResponse(identifier, request.type, NOTHING) };
      default:
        if (hasBegun) return distrust(`EAP type ${request.type} in the middle of another`);
        refusal = { kind: 'method-not-offered', offered: request.type };
        return {
          kind: 'response',
          eap: encodeEapResponse(identifier, EapType.Nak, Buffer.of(type)),
        };
    }
  }

  async function take(part: TlsPacket, identifier: number): Promise<DeviceAnswer> {
    if (part.isStart !== !hasBegun) return distrust('a Start that was not due, or none that was');
    if (part.isStart) {
      hasBegun = true;
      refusal = { kind: 'unexplained' };
      return hear(NOTHING, identifier);
    }
    if (outgoing.length > 0) {
      return isAcknowledgement(part)
        ? respond(identifier, nextFragment(false))
        : distrust('data where an acknowledgement was due');
    }
    incoming = Buffer.concat([incoming, part.data]);
    if (incoming.length > MAX_MESSAGE_BYTES) return distrust('a message without end');
    if (part.hasMore) return respond(identifier, PLAIN);
    const message = incoming;
    incoming = NOTHING;
    return hear(message, identifier);
  }

  /** A whole message of the server. */
  async function hear(message: Buffer, identifier: number): Promise<DeviceAnswer> {
    const progress = await tls.receive(message);
    switch (progress.kind) {
      case 'handshaking':
        return say(identifier, progress.output);
      case 'refused':
        refusal = { kind: 'alert', alert: progress.alert };
        return respond(identifier, PLAIN); // an alert is acknowledged; the failure follows
      case 'distrust': {
        const { distrust: why, output } = progress;
        if (output.length === 0) return { kind: 'distrust', distrust: why };
        const eap = encodeEapResponse(
          identifier,
          type,
          encodeTlsPacket({ ...PLAIN, data: output }),
        );
        return { kind: 'distrust', distrust: why, eap };
      }
      case 'open': {
        const { data, output, facts } = progress;
        const hasUnsentFlight = output.length > 0;
        const { exportKey } = tls;
        const said = await inner.hear({ data, hasUnsentFlight, identifier, facts, exportKey });
        if (said.kind === 'distrust') return distrust(said.detail);
        if (said.kind === 'refused') ({ refusal } = said);
        else earned = said.earned ?? earned;
        const sealed = said.data.length === 0 ? NOTHING : await tls.send(said.data);
        return say(identifier, Buffer.concat([output, sealed]));
      }
    }
  }

  function say(identifier: number, message: Buffer): DeviceAnswer {
    outgoing = message;
    return respond(identifier, nextFragment(true));
  }

  /** The length of the message stands on the first of several fragments. */
  function nextFragment(isFirst: boolean): TlsPacket {
    const message = outgoing;
    outgoing = message.subarray(room);
    const hasMore = outgoing.length > 0;
    return {
      ...PLAIN,
      hasMore,
      ...(isFirst && hasMore ? { totalBytes: message.length } : {}),
      data: message.subarray(0, room),
    };
  }

  function respond(identifier: number, part: TlsPacket): DeviceAnswer {
    return { kind: 'response', eap: encodeEapResponse(identifier, type, encodeTlsPacket(part)) };
  }

  function identityResponse(identifier: number): Buffer {
    return encodeEapResponse(identifier, EapType.Identity, Buffer.from(identity));
  }

  return { identity: identityResponse(0), answer };
}

/** The MSK of a login over TLS; `label` is that of TLS 1.2. RFC 9190 §2.3, RFC 9427 §2.1, RFC 5216 §2.3. */
export function exportMsk(
  type: number,
  label: 'client EAP encryption' | 'ttls keying material',
  { facts, exportKey }: Pick<Heard, 'facts' | 'exportKey'>,
): Buffer {
  const keyMaterial =
    facts.version === '1.3'
      ? exportKey('EXPORTER_EAP_TLS_Key_Material', KEY_MATERIAL_BYTES, Buffer.of(type))
      : exportKey(label, KEY_MATERIAL_BYTES);
  return keyMaterial.subarray(0, MSK_BYTES);
}

/** MSK and EMSK: the length takes part in the derivation. */
const KEY_MATERIAL_BYTES = 128;
const MSK_BYTES = 64;
const NOTHING = Buffer.alloc(0);
const PLAIN: TlsPacket = { version: 0, isStart: false, hasMore: false, data: NOTHING };

function distrust(detail: string): DeviceAnswer {
  return { kind: 'distrust', distrust: { kind: 'protocol', detail } };
}
