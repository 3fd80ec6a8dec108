// EAP-TTLSv0 from the device: a password inside TLS, as PAP or MS-CHAPv2. RFC 5281 §11.2.4, §11.2.5.

import { createMsChapV2Response } from '../../mschap/mschapv2.ts';
import { EapType } from '../packet.ts';
import { encodeAvps, parseAvps } from '../ttls-avp.ts';
import type { Avp } from '../ttls-avp.ts';
import type { EapDevice } from './device.ts';
import { createTlsDevice, exportMsk } from './tls-device.ts';
import type { Heard, InnerDevice, TlsDeviceOptions } from './tls-device.ts';

export type TtlsDeviceOptions = Omit<TlsDeviceOptions, 'type' | 'inner'> & {
  username: string;
  /** UTF-8. */
  password: Buffer;
  innerMethod: 'pap' | 'mschapv2';
  /** 16 random bytes. */
  peerChallenge: Buffer;
};

const MICROSOFT = 311;
const Code = {
  UserName: 1,
  UserPassword: 2,
  MsChapChallenge: 11,
  MsChap2Response: 25,
  MsChap2Success: 26,
} as const;
/** PAP hides how long the password is. RFC 5281 §11.2.5. */
const PASSWORD_BLOCK_BYTES = 16;
const CHALLENGE_BYTES = 16;

export function createTtlsDevice(options: TtlsDeviceOptions): EapDevice {
  const { username, password, innerMethod, peerChallenge } = options;
  let hasSpoken = false;
  let expectedSuccess: string | undefined;

  const inner: InnerDevice = {
    hear(heard) {
      const { data, hasUnsentFlight, facts } = heard;
      const earned = () => exportMsk(EapType.Ttls, 'ttls keying material', heard);
      if (hasSpoken) {
        // Perhaps a ticket, of which only TLS knows.
        if (data.length === 0) return { kind: 'say', data };
        if (expectedSuccess === undefined) {
          return { kind: 'distrust', detail: 'an answer to the password that is none' };
        }
        return isProof(data, expectedSuccess)
          ? { kind: 'say', data: NOTHING, earned: earned() }
          : { kind: 'distrust', detail: 'a wrong proof of the password' };
      }
      // The end of our handshake goes first, alone. A resumed login needs no password, if the server agrees.
      if (hasUnsentFlight) {
        return { kind: 'say', data: NOTHING, ...(facts.isResumed ? { earned: earned() } : {}) };
      }
      hasSpoken = true;
      if (innerMethod === 'mschapv2') return { kind: 'say', data: viaMsChapV2(heard) };
      return { kind: 'say', data: pap(), earned: earned() };
    },
  };

  function pap(): Buffer {
    const blocks = Math.max(1, Math.ceil(password.length / PASSWORD_BLOCK_BYTES));
    const padded = Buffer.alloc(blocks * PASSWORD_BLOCK_BYTES);
    padded.set(password);
    return encodeAvps([avp(Code.UserName, Buffer.from(username)), avp(Code.UserPassword, padded)]);
  }

  /** Nobody sends the challenge: both take it from the connection. RFC 5281 §11.1. */
  function viaMsChapV2({ facts, exportKey }: Heard): Buffer {
    const context = facts.version === '1.3' ? [NOTHING] : [];
    const implicit = exportKey('ttls challenge', CHALLENGE_BYTES + 1, ...context);
    const challenge = implicit.subarray(0, CHALLENGE_BYTES);
    const response = createMsChapV2Response({
      username,
      password,
      authenticatorChallenge: challenge,
      peerChallenge,
      ident: implicit.readUInt8(CHALLENGE_BYTES),
    });
    ({ expectedSuccess } = response);
    return encodeAvps([
      avp(Code.UserName, Buffer.from(username)),
      avp(Code.MsChapChallenge, challenge, MICROSOFT),
      avp(Code.MsChap2Response, response.responseAttribute, MICROSOFT),
    ]);
  }

  return createTlsDevice({ ...options, type: EapType.Ttls, inner });
}

/** The value begins with the identifier. */
function isProof(data: Buffer, expected: string): boolean {
  const success = parseAvps(data)?.find(
    ({ code, vendor }) => code === Code.MsChap2Success && vendor === MICROSOFT,
  );
  return success?.data.toString('latin1', 1).startsWith(expected) === true;
}

function avp(code: number, data: Buffer, vendor = 0): Avp {
  return { code, vendor, isMandatory: true, data };
}

const NOTHING = Buffer.alloc(0);
