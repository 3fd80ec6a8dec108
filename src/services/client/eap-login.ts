// A login by EAP as a router carries it: the device's packets go to the server, the server's to the
// device, until one of them has decided. RFC 3579 §2. At the end the router's keys must be those that the
// device has derived: RFC 2548 §2.4, RFC 3748 §7.10.

import { mppeKeysOf } from '../../protocols/eap/conversation.ts';
import type { Distrust, EapDevice, Refusal } from '../../protocols/eap/device/device.ts';
import type { Secret } from '../../protocols/radius/authenticator.ts';
import { MICROSOFT_VENDOR_ID, MicrosoftType } from '../../protocols/radius/dictionary/microsoft.ts';
import {
  AttributeType,
  PacketCode,
  concatAttribute,
  findText,
  findValue,
  findVendorAttribute,
} from '../../protocols/radius/packet.ts';
import type { Packet } from '../../protocols/radius/packet.ts';
import { saltDecrypt } from '../../protocols/radius/password.ts';
import { writePlace } from './place.ts';
import type { Place } from './place.ts';
import type { ExchangeOutcome, RadiusClient } from './radius-client.ts';

export type EapLogin = {
  device: EapDevice;
  /** The name shown outside. */
  identity: string;
  place: Place;
};

export type EapLoginOutcome =
  /** `keys`: whether router and device have the same; without, Wi-Fi would not come up. */
  | (Answered & { kind: 'accepted'; keys: 'same' | 'different' | 'absent' })
  | (Answered & { kind: 'rejected'; message: string | undefined; refusal: Refusal })
  /** The device has given up. */
  | (Effort & { kind: 'distrust'; distrust: Distrust })
  /** Something else than accept, reject and challenge, or one of them without an EAP packet in it. */
  | (Answered & { kind: 'unexpected'; detail: string })
  | (Effort & Exclude<ExchangeOutcome, { kind: 'answer' }>);

type Effort = { rounds: number; roundTripMs: number; attempts: number };
type Answered = Effort & { response: Packet; isSigned: boolean };

const FRAMED_MTU = { type: 12, bytes: 1400 } as const;
const REPLY_MESSAGE = 18;
/** A long certificate chain in small fragments takes some 60. */
const MAX_ROUNDS = 250;

export async function tryEapLogin(
  client: RadiusClient,
  port: number,
  { device, identity, place }: EapLogin,
): Promise<EapLoginOutcome> {
  const effort: Effort = { rounds: 0, roundTripMs: 0, attempts: 0 };
  let eap = device.identity;
  let state: Buffer | undefined;

  for (;;) {
    const { outcome, hiding } = await exchange(client, port, { eap, state, identity, place });
    effort.rounds++;
    if (outcome.kind !== 'busy') effort.attempts += outcome.attempts;
    if (outcome.kind !== 'answer') return { ...outcome, ...effort };

    const { response, isSigned } = outcome;
    effort.roundTripMs += outcome.roundTripMs;
    const answered = { ...effort, response, isSigned };
    const unexpected = (detail: string) => ({ kind: 'unexpected', detail, ...answered }) as const;
    const packet = concatAttribute(response, AttributeType.EapMessage);
    if (response.code === PacketCode.AccessReject) {
      const said = packet && (await device.answer(packet));
      const refusal = said?.kind === 'failure' ? said.refusal : UNEXPLAINED;
      return { kind: 'rejected', message: findText(response, REPLY_MESSAGE), refusal, ...answered };
    }
    if (packet === undefined) return unexpected('an answer without an EAP packet');
    const said = await device.answer(packet);
    if (said.kind === 'distrust') {
      if (said.eap !== undefined && response.code === PacketCode.AccessChallenge) {
        // The server writes it into its log; what it answers does not matter any more.
        state = findValue(response, AttributeType.State);
        await exchange(client, port, { eap: said.eap, state, identity, place });
      }
      return { kind: 'distrust', distrust: said.distrust, ...effort };
    }
    if (response.code === PacketCode.AccessAccept) {
      if (said.kind !== 'success') return unexpected('an Access-Accept without EAP-Success');
      return { kind: 'accepted', keys: compareKeys(said.msk, response, hiding), ...answered };
    }
    if (response.code !== PacketCode.AccessChallenge) {
      return unexpected(`code ${response.code}`);
    }
    if (said.kind !== 'response')
      return unexpected('an Access-Challenge with the end of EAP in it');
    if (effort.rounds >= MAX_ROUNDS) return unexpected(`no end after ${MAX_ROUNDS} rounds`);
    ({ eap } = said);
    state = findValue(response, AttributeType.State);
  }
}

const UNEXPLAINED: Refusal = { kind: 'unexplained' };

/** With what the request's answer hides its keys. */
type Hiding = { secret: Secret; authenticator: Buffer };
type Exchanged = { outcome: ExchangeOutcome; hiding: Hiding | undefined };

async function exchange(
  client: RadiusClient,
  port: number,
  request: { eap: Buffer; state: Buffer | undefined; identity: string; place: Place },
): Promise<Exchanged> {
  let hiding: Hiding | undefined;
  const outcome = await client.exchange({
    code: PacketCode.AccessRequest,
    port,
    write(writer, context) {
      hiding = context;
      writer.text(AttributeType.UserName, request.identity);
      writePlace(writer, request.place);
      writer.integer(FRAMED_MTU.type, FRAMED_MTU.bytes);
      writer.eapMessage(request.eap);
      if (request.state !== undefined) writer.bytes(AttributeType.State, request.state);
    },
  });
  return { outcome, hiding };
}

/** The server calls what it receives with Recv-Key: the device sends with it. */
function compareKeys(
  msk: Buffer,
  response: Packet,
  hiding: Hiding | undefined,
): 'same' | 'different' | 'absent' {
  const reveal = (type: number) => {
    const hidden = findVendorAttribute(response, MICROSOFT_VENDOR_ID, type);
    return hidden && hiding && saltDecrypt(hidden, hiding.secret, hiding.authenticator);
  };
  const recvKey = reveal(MicrosoftType.MppeRecvKey);
  const sendKey = reveal(MicrosoftType.MppeSendKey);
  if (recvKey === undefined || sendKey === undefined) return 'absent';
  const derived = mppeKeysOf(msk);
  const isSame = derived.recvKey.equals(recvKey) && derived.sendKey.equals(sendKey);
  return isSame ? 'same' : 'different';
}
