// A subscriber's device for TEAP: what is said inside the tunnel of eap-tls-peer.ts. Its keys are computed
// here anew, with node:crypto and OpenSSL's exporter and nothing of teap-keys.ts, from the text of RFC 9930.

import { createHmac, randomBytes } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { EapCode, EapType, encodeEapRequest, parseEap } from '../../src/protocols/eap/packet.ts';
import { answerEap } from '../../src/protocols/eap/peer.ts';
import type { EapPeerMemory } from '../../src/protocols/eap/peer.ts';
import { encodeTlvs, encodeWithoutMacs, parseTlvs } from '../../src/protocols/eap/teap-tlv.ts';
import type { TeapTlv, TlvOf } from '../../src/protocols/eap/teap-tlv.ts';
import { createEapTlsPeer } from './eap-tls-peer.ts';
import type { EapTlsPeer, EapTlsPeerOptions } from './eap-tls-peer.ts';

export type TeapPeerOptions = {
  tls: EapTlsPeerOptions['tls'];
  compatibility: 'rfc9930' | 'hostap';
  username?: string;
  password?: string;
  /** Else it answers the request for one with a NAK. */
  hasPassword?: boolean;
  /** The EAP types it accepts inside. */
  accepts?: readonly number[];
  /** For EAP-TLS inside, which it then wants: OpenSSL's client once more. */
  tlsInside?: EapTlsPeerOptions['tls'];
  /** How much of a message it puts into one packet. */
  fragmentBytes?: number;
  /** What it is asked to be, and what it says it is. */
  identityType?: (asked: number) => number | undefined;
  /** Sent with its first message. */
  outerTlvs?: Buffer;
  /** The last word on what it says: `round` counts from 0. */
  change?: (said: TeapTlv[], round: number) => TeapTlv[];
};

export type TeapPeer = EapTlsPeer & {
  /** What the server said inside, message by message. */
  readonly messages: readonly TeapTlv[][];
  /** `msk`: from the last Result on. */
  keys(): { msk: Buffer | undefined; authorityId: Buffer | undefined };
};

export function createTeapPeer(options: TeapPeerOptions): TeapPeer {
  const { compatibility, username = 'alice', password = 'wonderland', accepts = [26] } = options;
  const { hasPassword = true, identityType, outerTlvs, change = (said) => said } = options;
  const { tlsInside, fragmentBytes = 1000 } = options;
  const inside =
    tlsInside &&
    createEapTlsPeer({ type: EapType.Tls, identity: username, tls: tlsInside, fragmentBytes });
  const messages: TeapTlv[][] = [];
  let authorityId: Buffer | undefined;
  let serverOuterTlvs: Buffer = Buffer.alloc(0);
  let memory: EapPeerMemory;
  let hasSpokenInside = false;
  let chain: Buffer | undefined;
  let hasKeys = false;
  let msk: Buffer | undefined;
  let hasStarted = false;

  async function talk(
    heard: Buffer,
    { socket }: { socket: TLSSocket },
  ): Promise<Buffer | undefined> {
    if (heard.length === 0) return undefined; // the server speaks first
    const tlvs = parseTlvs(heard) ?? [];
    messages.push(tlvs);
    const said: TeapTlv[] = [];
    for (const tlv of tlvs) {
      switch (tlv.kind) {
        case 'identity-type': {
          const type = identityType?.(tlv.type) ?? tlv.type;
          said.push({ kind: 'identity-type', type });
          break;
        }
        case 'password-request':
          said.push(
            hasPassword
              ? { kind: 'password-response', username, password: Buffer.from(password) }
              : { kind: 'nak', vendorId: 0, type: 13 },
          );
          break;
        case 'eap-payload': {
          if (inside !== undefined) {
            hasSpokenInside = true;
            const eap = await inside.answer(tlv.eap);
            if (eap === undefined) throw new Error('an end inside, which only the Result tells');
            said.push({ kind: 'eap-payload', eap });
            break;
          }
          const peer = { username, password: Buffer.from(password), accepts };
          const answer = answerEap(peer, memory, tlv.eap, randomBytes(16));
          if (answer.kind !== 'response') throw new Error(answer.kind);
          ({ memory } = answer);
          said.push({ kind: 'eap-payload', eap: answer.eap });
          break;
        }
        case 'intermediate-result':
        case 'result':
          said.push(tlv);
          break;
        case 'crypto-binding':
          said.push(bind(tlv, socket));
          break;
        default:
      }
    }
    const isEnd = tlvs.some((tlv) => tlv.kind === 'result' && tlv.status === 1);
    const keys = keysOf(socket, compatibility);
    if (isEnd) {
      const secret = hasKeys ? (chain ?? keys.seed()) : keys.seed();
      msk = keys.derive('Session Key Generating Function', secret, Buffer.alloc(0), 64);
    }
    return encodeTlvs(change(said, messages.length - 1));
  }

  /** Checks the server's proof and makes its own. RFC 9930 §6.2, §6.3. */
  function bind(request: TlvOf<'crypto-binding'>, socket: TLSSocket): TeapTlv {
    const keys = keysOf(socket, compatibility);
    const previous = chain ?? keys.seed();
    const isByTls = inside !== undefined && hasSpokenInside;
    const inner = isByTls ? eapTlsMsk(inside.socket) : memory?.msk;
    memory = undefined;
    hasSpokenInside = false;
    const imsk = Buffer.alloc(32);
    if (inner !== undefined) {
      const isSwapped = compatibility === 'rfc9930' && !isByTls;
      inner.copy(imsk, isSwapped ? 16 : 0, 0, 16);
      inner.copy(imsk, isSwapped ? 0 : 16, 16, 32);
    }
    const imck = keys.derive('Inner Methods Compound Keys', previous, imsk, 60);
    if (inner !== undefined || compatibility === 'rfc9930') chain = imck.subarray(0, 40);
    hasKeys ||= inner !== undefined;
    const macOf = (binding: TlvOf<'crypto-binding'>) =>
      createHmac(keys.hash, imck.subarray(40))
        .update(encodeWithoutMacs(binding))
        .update(Buffer.of(0x37))
        .update(serverOuterTlvs)
        .update(outerTlvs ?? Buffer.alloc(0))
        .digest()
        .subarray(0, 20);
    if (!macOf(request).equals(request.mskMac)) throw new Error("the server's proof is wrong");
    const nonce = Buffer.from(request.nonce);
    nonce[31] = (nonce[31] ?? 0) | 1;
    const response = { ...request, subType: 1, nonce };
    return { ...response, mskMac: macOf(response) };
  }

  const { tls } = options;
  const peer = createEapTlsPeer({ type: EapType.Teap, version: 1, tls, fragmentBytes, talk });
  const answerInTls = peer.answer;
  const closeTunnel = peer.close;

  /** The outer TLVs are TEAP's own: the device below knows nothing of them. */
  async function answer(eap: Buffer): Promise<Buffer | undefined> {
    const request = parseEap(eap);
    const isStart =
      request.kind === 'eap' && request.code === EapCode.Request && request.type === EapType.Teap;
    if (!isStart || hasStarted) return answerInTls(eap);
    hasStarted = true;
    if (request.data[0] !== 0x31) throw new Error('TEAP/Start has flags S and O and version 1');
    if (request.data.readUInt32BE(1) !== request.data.length - 5)
      throw new Error('outer TLV length');
    serverOuterTlvs = request.data.subarray(5);
    authorityId = (parseTlvs(serverOuterTlvs) ?? [])
      .filter((tlv) => tlv.kind === 'authority-id')
      .at(0)?.id;
    const bare = encodeEapRequest(request.identifier, EapType.Teap, Buffer.of(0x21));
    const response = await answerInTls(bare);
    return response === undefined || outerTlvs === undefined
      ? response
      : withOuterTlvs(response, outerTlvs);
  }

  return Object.assign(peer, {
    answer,
    messages,
    close() {
      inside?.close();
      closeTunnel();
    },
    keys: () => ({ msk, authorityId }),
  });
}

/** Flag O, their length, the TLS data, and they themselves at the end. RFC 9930 §4.1. */
function withOuterTlvs(response: Buffer, outerTlvs: Buffer): Buffer {
  const headerBytes = 6; // of EAP, with its type, and the flags
  const bytes = Buffer.concat([
    response.subarray(0, headerBytes),
    Buffer.alloc(4),
    response.subarray(headerBytes),
    outerTlvs,
  ]);
  bytes.writeUInt16BE(bytes.length, 2);
  bytes.writeUInt8(response.readUInt8(5) | 0x10, 5);
  bytes.writeUInt32BE(outerTlvs.length, headerBytes);
  return bytes;
}

/** RFC 5216 §2.3, RFC 9190 §2.3. */
function eapTlsMsk(socket: TLSSocket): Buffer {
  const keys =
    socket.getProtocol() === 'TLSv1.3'
      ? socket.exportKeyingMaterial(128, 'EXPORTER_EAP_TLS_Key_Material', Buffer.of(EapType.Tls))
      : (socket.exportKeyingMaterial as (length: number, label: string) => Buffer)(
          128,
          'client EAP encryption',
        );
  return keys.subarray(0, 64);
}

function keysOf(socket: TLSSocket, compatibility: TeapPeerOptions['compatibility']) {
  const hash = socket.getCipher().name.endsWith('SHA384') ? 'sha384' : 'sha256';
  const isByExporter = compatibility === 'rfc9930' && socket.getProtocol() === 'TLSv1.3';
  const exportKey = (length: number, label: string, ...context: Buffer[]) =>
    (socket.exportKeyingMaterial as (...args: (number | string | Buffer)[]) => Buffer)(
      length,
      label,
      ...context,
    );
  return {
    hash,
    seed: () =>
      exportKey(
        40,
        'EXPORTER: teap session key seed',
        ...(isByExporter ? [Buffer.of(EapType.Teap)] : []),
      ),
    derive(label: string, secret: Buffer, seed: Buffer, length: number): Buffer {
      if (isByExporter)
        return exportKey(length, `EXPORTER: ${label}`, Buffer.concat([secret, seed]));
      return tls12Prf(hash, secret, Buffer.concat([Buffer.from(label), seed]), length);
    },
  };
}

/** RFC 5246 §5. */
function tls12Prf(hash: string, secret: Buffer, labelAndSeed: Buffer, length: number): Buffer {
  let a = labelAndSeed;
  let output: Buffer = Buffer.alloc(0);
  while (output.length < length) {
    a = createHmac(hash, secret).update(a).digest();
    const more = createHmac(hash, secret).update(a).update(labelAndSeed).digest();
    output = Buffer.concat([output, more]);
  }
  return output.subarray(0, length);
}
