// The other side of an EAP conversation: what a subscriber's device answers. For `evergate login`,
// the simulator and tests. RFC 3748 §4.2; the methods are those of this folder.

import { createMsChapV2Response } from '../mschap/mschapv2.ts';
import { chapResponse } from '../radius/password.ts';
import { CHALLENGE_BYTES, encodeMsChap, MsChapOpCode, RESPONSE_BYTES } from './mschapv2.ts';
import { EapCode, EapType, encodeEapResponse, parseEap } from './packet.ts';
import type { EapPacket } from './packet.ts';

export type EapPeer = {
  username: string;
  /** UTF-8. */
  password: Buffer;
  /** The types it accepts, the dearest first; it answers others with a Nak. */
  accepts: readonly number[];
};

/** What it remembers between requests; `undefined` at the beginning. */
export type EapPeerMemory = { expectedSuccess: string; msk: Buffer } | undefined;

export type EapPeerAnswer =
  | { kind: 'response'; eap: Buffer; memory: EapPeerMemory }
  | { kind: 'success'; msk?: Buffer }
  | { kind: 'failure' }
  /** The server sent what no server should, such as a wrong proof of the password. */
  | { kind: 'distrust'; reason: string };

/** The packet an exchange over RADIUS begins with. */
export function eapIdentity(username: string, identifier = 0): Buffer {
  return encodeEapResponse(identifier, EapType.Identity, Buffer.from(username));
}

/** `random`: 16 random bytes. */
export function answerEap(
  peer: EapPeer,
  memory: EapPeerMemory,
  eap: Buffer,
  random: Buffer,
): EapPeerAnswer {
  const request = parseEap(eap);
  if (request.kind === 'malformed') return distrust(`a malformed EAP packet: ${request.reason}`);
  if (request.code === EapCode.Success) {
    return memory === undefined ? { kind: 'success' } : { kind: 'success', msk: memory.msk };
  }
  if (request.code === EapCode.Failure) return { kind: 'failure' };
  if (request.code !== EapCode.Request) return distrust('a response instead of a request');

  const respond = (data: Uint8Array, type = request.type, next = memory): EapPeerAnswer => ({
    kind: 'response',
    eap: encodeEapResponse(request.identifier, type, data),
    memory: next,
  });
  if (request.type === EapType.Identity) return respond(Buffer.from(peer.username));
  if (request.type === EapType.Notification) return respond(Buffer.alloc(0));
  if (!peer.accepts.includes(request.type)) {
    return respond(Buffer.from(peer.accepts), EapType.Nak);
  }
  switch (request.type) {
    case EapType.Md5Challenge: {
      const challenge = request.data.subarray(1, 1 + (request.data[0] ?? 0));
      const digest = chapResponse(request.identifier, challenge, peer.password).subarray(1);
      return respond(Buffer.concat([Buffer.of(digest.length), digest]));
    }
    case EapType.Gtc:
      return respond(peer.password);
    case EapType.MsChapV2:
      return answerMsChapV2(peer, memory, request, random, respond);
    default:
      return distrust(`EAP type ${request.type}, which this peer cannot do`);
  }
}

function answerMsChapV2(
  peer: EapPeer,
  memory: EapPeerMemory,
  { data }: EapPacket,
  random: Buffer,
  respond: (data: Uint8Array, type?: number, next?: EapPeerMemory) => EapPeerAnswer,
): EapPeerAnswer {
  switch (data[0] ?? 0) {
    case MsChapOpCode.Challenge: {
      if (data.length < 5 + CHALLENGE_BYTES) return distrust('a short MS-CHAPv2 challenge');
      const ident = data.readUInt8(1);
      const answer = createMsChapV2Response({
        username: peer.username,
        password: peer.password,
        authenticatorChallenge: data.subarray(5, 5 + CHALLENGE_BYTES),
        peerChallenge: random.subarray(0, CHALLENGE_BYTES),
        ident,
      });
      const body = Buffer.concat([
        Buffer.of(RESPONSE_BYTES),
        answer.responseAttribute.subarray(2), // peer challenge, reserved, NT-Response
        Buffer.of(0),
        Buffer.from(peer.username),
      ]);
      // The server's keys in its order: its Recv-Key is what we send with.
      return respond(encodeMsChap(MsChapOpCode.Response, ident, body), EapType.MsChapV2, {
        expectedSuccess: answer.expectedSuccess,
        msk: Buffer.concat([answer.recvKey, answer.sendKey]),
      });
    }
    case MsChapOpCode.Success: {
      const proof = data.toString('latin1', 4, 46);
      if (proof !== memory?.expectedSuccess) return distrust('a wrong proof of the password');
      return respond(Buffer.of(MsChapOpCode.Success));
    }
    case MsChapOpCode.Failure:
      return respond(Buffer.of(MsChapOpCode.Failure));
    default:
      return distrust('an unknown MS-CHAPv2 message');
  }
}

function distrust(reason: string): EapPeerAnswer {
  return { kind: 'distrust', reason };
}
