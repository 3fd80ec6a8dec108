// A simulated router: it logs devices in and accounts for them as real ones do, faults included.
// What it knows of its sessions is the truth that the database is compared with (accounting.ts).

import { mppeKeysOf } from '../../src/protocols/eap/conversation.ts';
import type { DeviceAnswer, EapDevice } from '../../src/protocols/eap/device/device.ts';
import { answerEap, eapIdentity } from '../../src/protocols/eap/peer.ts';
import type { EapPeerMemory } from '../../src/protocols/eap/peer.ts';
import { createMsChapV2Response } from '../../src/protocols/mschap/mschapv2.ts';
import { prepareSecret } from '../../src/protocols/radius/authenticator.ts';
import type { Secret } from '../../src/protocols/radius/authenticator.ts';
import {
  AttributeType,
  concatAttribute,
  findValue,
  findVendorAttribute,
  packetAuthenticator,
  PacketCode,
} from '../../src/protocols/radius/packet.ts';
import {
  chapResponse,
  hideUserPassword,
  saltDecrypt,
} from '../../src/protocols/radius/password.ts';
import type { RequestWriter } from '../../src/protocols/radius/request.ts';
import type { Chance } from './chance.ts';
import { SECRET } from './exchange.ts';
import type { Asking, Reply } from './exchange.ts';

export const LOGIN_METHODS = ['pap', 'chap', 'mschapv2', 'eap-md5', 'eap-mschapv2'] as const;
export type LoginMethod = (typeof LOGIN_METHODS)[number];

type Login = {
  username: string;
  password: string;
  method: LoginMethod;
  /** The MAC address, if the router tells it. */
  device: string | undefined;
};

export type LoginOutcome =
  | { kind: 'accepted'; class: Buffer | undefined }
  | { kind: 'rejected' }
  | { kind: 'silence' }
  /** The server did what no server should. */
  | { kind: 'absurd'; what: string };

export type SimulatedRouter = {
  readonly id: string;
  readonly address: string;
  readonly asking: Asking;
  readonly habits: RouterHabits;
  readonly chance: Chance;
  /** The servers in the order in which it asks them just now. */
  servers(): readonly string[];
  login(login: Login): Promise<LoginOutcome>;
  /** Carries the packets of a device that knows itself what to say. */
  admit(device: Device, login: Pick<Login, 'username' | 'device'>): Promise<LoginOutcome>;
};

/** As the product's own (protocols/eap/device/), but not every method gives keys. */
type Device = {
  readonly identity: Buffer;
  answer(packet: Buffer): ReturnType<EapDevice['answer']> | DeviceWithoutKeys;
};
type DeviceWithoutKeys = Exclude<DeviceAnswer, { kind: 'success' }> | { kind: 'success' };

export type RouterHabits = {
  servers: readonly string[];
  failover: 'same-bytes' | 'new-identity';
  signs: boolean;
  /** How its accounting tells when something happened. */
  tellsTime: 'event-timestamp' | 'delay-time' | 'not-at-all';
  echoesClass: boolean;
  /** Each packet to a server of its own, as behind a load balancer. */
  spreads: boolean;
};

const CLASS = 25;
const CALLING_STATION_ID = 31;
const NAS_PORT = 5;
const MICROSOFT = {
  vendor: 311,
  challenge: 11,
  mppeSendKey: 16,
  mppeRecvKey: 17,
  chap2Response: 25,
  chap2Success: 26,
} as const;
const secret = prepareSecret(SECRET);
/** A device that got no answer at all sends its last EAP packet again, so often. */
const EAP_REPEATS = 3;

export function createRouter(
  id: string,
  address: string,
  habits: RouterHabits,
  asking: Asking,
  chance: Chance,
): SimulatedRouter {
  const router: SimulatedRouter = {
    id,
    address,
    asking,
    habits,
    chance,
    servers: () => (habits.spreads ? chance.shuffle(habits.servers) : habits.servers),
    login: (login) =>
      login.method.startsWith('eap')
        ? admit(passwordDevice(login, chance), login)
        : passwordLogin(login),
    admit,
  };

  function askAccess(
    withMessageAuthenticator: boolean,
    write: (writer: RequestWriter, context: { authenticator: Buffer; secret: Secret }) => void,
  ): Promise<Reply | undefined> {
    const code = PacketCode.AccessRequest;
    const servers = router.servers();
    return asking.ask({ code, port: 1812, servers, withMessageAuthenticator, write });
  }

  async function passwordLogin(login: Login): Promise<LoginOutcome> {
    const { username, method } = login;
    const password = Buffer.from(login.password);
    let expectedSuccess: string | undefined;
    const reply = await askAccess(habits.signs, (writer, { authenticator, secret }) => {
      writer.text(AttributeType.UserName, username);
      writeDevice(writer, login.device);
      switch (method) {
        case 'pap':
          writer.bytes(
            AttributeType.UserPassword,
            hideUserPassword(password, secret, authenticator),
          );
          return;
        case 'chap':
          writer.bytes(AttributeType.ChapPassword, chapResponse(7, authenticator, password));
          return;
        case 'mschapv2': {
          const authenticatorChallenge = chance.bytes(16);
          const response = createMsChapV2Response({
            username,
            password,
            authenticatorChallenge,
            peerChallenge: chance.bytes(16),
            ident: 1,
          });
          expectedSuccess = response.expectedSuccess;
          const { vendor, challenge, chap2Response } = MICROSOFT;
          writer.vendorBytes(vendor, challenge, authenticatorChallenge);
          writer.vendorBytes(vendor, chap2Response, response.responseAttribute);
          return;
        }
        case 'eap-md5':
        case 'eap-mschapv2':
          throw new Error(`${method} is no login with a password`);
      }
    });
    if (reply === undefined) return { kind: 'silence' };
    if (reply.packet.code === PacketCode.AccessReject) return { kind: 'rejected' };
    if (reply.packet.code !== PacketCode.AccessAccept) {
      return { kind: 'absurd', what: `code ${reply.packet.code}` };
    }
    const { vendor, chap2Success } = MICROSOFT;
    const proof = findVendorAttribute(reply.packet, vendor, chap2Success)?.toString('latin1', 1);
    if (expectedSuccess !== undefined && proof !== expectedSuccess) {
      return { kind: 'absurd', what: 'the server does not know the password' };
    }
    return accepted(reply);
  }

  async function admit(
    device: Device,
    { username, device: station }: Pick<Login, 'username' | 'device'>,
  ): Promise<LoginOutcome> {
    let eap = device.identity;
    let state: Buffer | undefined;
    for (;;) {
      let reply: Reply | undefined;
      for (let attempt = 0; reply === undefined && attempt < EAP_REPEATS; attempt++) {
        reply = await askAccess(true, (writer) => {
          writer.text(AttributeType.UserName, username);
          writeDevice(writer, station);
          writer.eapMessage(eap);
          if (state !== undefined) writer.bytes(AttributeType.State, state);
        });
      }
      if (reply === undefined) return { kind: 'silence' };
      const message = concatAttribute(reply.packet, AttributeType.EapMessage);
      if (message === undefined) return { kind: 'absurd', what: 'no EAP-Message' };
      const answer = await device.answer(message);
      switch (answer.kind) {
        case 'response':
          if (reply.packet.code !== PacketCode.AccessChallenge) {
            return { kind: 'absurd', what: `an EAP request in code ${reply.packet.code}` };
          }
          ({ eap } = answer);
          state = Buffer.from(findValue(reply.packet, AttributeType.State) ?? '');
          break;
        case 'success':
          if (reply.packet.code !== PacketCode.AccessAccept) {
            return { kind: 'absurd', what: 'EAP-Success without Access-Accept' };
          }
          return 'msk' in answer && !hasKeysOf(reply, answer.msk)
            ? { kind: 'absurd', what: 'other keys than those of the device' }
            : accepted(reply);
        case 'failure':
          return { kind: 'rejected' };
        case 'distrust':
          return { kind: 'absurd', what: answer.distrust.detail };
      }
    }
  }

  return router;
}

/** A device without TLS. */
function passwordDevice(login: Login, chance: Chance): Device {
  const type = login.method === 'eap-md5' ? 4 : 26;
  const { username } = login;
  const peer = { username, password: Buffer.from(login.password), accepts: [type] };
  let memory: EapPeerMemory;
  return {
    identity: eapIdentity(username, chance.between(0, 255)),
    answer(packet) {
      const answer = answerEap(peer, memory, packet, chance.bytes(16));
      switch (answer.kind) {
        case 'response':
          ({ memory } = answer);
          return answer;
        case 'success':
          return answer.msk === undefined
            ? { kind: 'success' }
            : { kind: 'success', msk: answer.msk };
        case 'failure':
          return { kind: 'failure', refusal: { kind: 'unexplained' } };
        case 'distrust':
          return { kind: 'distrust', distrust: { kind: 'protocol', detail: answer.reason } };
      }
    },
  };
}

/** Without the same keys on both sides Wi-Fi would not come up. RFC 2548 §2.4, RFC 3748 §7.10. */
function hasKeysOf({ packet, request }: Reply, msk: Buffer): boolean {
  const { vendor, mppeRecvKey, mppeSendKey } = MICROSOFT;
  const reveal = (type: number) => {
    const hidden = findVendorAttribute(packet, vendor, type);
    return hidden && saltDecrypt(hidden, secret, packetAuthenticator(request));
  };
  const { recvKey, sendKey } = mppeKeysOf(msk);
  return (
    reveal(mppeRecvKey)?.equals(recvKey) === true && reveal(mppeSendKey)?.equals(sendKey) === true
  );
}

export function writeDevice(writer: RequestWriter, device: string | undefined) {
  writer.integer(NAS_PORT, 1);
  if (device !== undefined) writer.text(CALLING_STATION_ID, device);
}

function accepted(reply: Reply): LoginOutcome {
  return { kind: 'accepted', class: findValue(reply.packet, CLASS) };
}
