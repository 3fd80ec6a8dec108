// A login as a hotspot router asks for it: PAP and CHAP (RFC 2865 §5.2, §5.3) or MS-CHAPv2
// (RFC 2548 §2.3), and whether the answer is one a router would believe.

import { MICROSOFT_VENDOR_ID, MicrosoftType } from '../../protocols/radius/dictionary/microsoft.ts';
import { createMsChapV2Response } from '../../protocols/mschap/mschapv2.ts';
import {
  AttributeType,
  PacketCode,
  findText,
  findVendorAttribute,
} from '../../protocols/radius/packet.ts';
import { chapResponse, hideUserPassword } from '../../protocols/radius/password.ts';
import type { Random } from '../../runtime/random.ts';
import type { ExchangeOutcome, RadiusClient } from './radius-client.ts';
import { writePlace } from './place.ts';
import type { Place } from './place.ts';

export const LOGIN_METHODS = ['pap', 'chap', 'mschapv2'] as const;
export type LoginMethod = (typeof LOGIN_METHODS)[number];

export type Login = { username: string; password: string; method: LoginMethod; place: Place };

export type LoginOutcome =
  | (Answered & { kind: 'accepted' })
  | (Answered & { kind: 'rejected'; message: string | undefined })
  /** An accept whose MS-CHAP2-Success does not prove that the server knows the password. */
  | (Answered & { kind: 'not-proven' })
  /** Something else than accept and reject, such as a challenge. */
  | (Answered & { kind: 'unexpected'; code: number })
  | Exclude<ExchangeOutcome, { kind: 'answer' }>;

type Answered = Omit<Extract<ExchangeOutcome, { kind: 'answer' }>, 'kind'>;

const REPLY_MESSAGE = 18;

export async function tryLogin(
  client: RadiusClient,
  port: number,
  login: Login,
  random: Random,
): Promise<LoginOutcome> {
  const { username, method, place } = login;
  const password = Buffer.from(login.password);
  let expectedSuccess: string | undefined;

  const outcome = await client.exchange({
    code: PacketCode.AccessRequest,
    port,
    write(writer, { authenticator, secret }) {
      writer.text(AttributeType.UserName, username);
      switch (method) {
        case 'pap':
          writer.bytes(
            AttributeType.UserPassword,
            hideUserPassword(password, secret, authenticator),
          );
          break;
        case 'chap': {
          const challenge = random.bytes(16);
          writer.bytes(AttributeType.ChapPassword, chapResponse(1, challenge, password));
          writer.bytes(AttributeType.ChapChallenge, challenge);
          break;
        }
        case 'mschapv2': {
          const authenticatorChallenge = random.bytes(16);
          const response = createMsChapV2Response({
            username,
            password,
            authenticatorChallenge,
            peerChallenge: random.bytes(16),
            ident: 1,
          });
          expectedSuccess = response.expectedSuccess;
          writer.vendorBytes(
            MICROSOFT_VENDOR_ID,
            MicrosoftType.ChapChallenge,
            authenticatorChallenge,
          );
          writer.vendorBytes(
            MICROSOFT_VENDOR_ID,
            MicrosoftType.Chap2Response,
            response.responseAttribute,
          );
          break;
        }
      }
      writePlace(writer, place);
    },
  });
  return outcome.kind === 'answer' ? judge(outcome, expectedSuccess) : outcome;
}

function judge(
  { response, isSigned, roundTripMs, attempts }: Answered,
  expectedSuccess: string | undefined,
): LoginOutcome {
  const answered = { response, isSigned, roundTripMs, attempts };
  switch (response.code) {
    case PacketCode.AccessAccept: {
      if (expectedSuccess === undefined) return { kind: 'accepted', ...answered };
      const proof = findVendorAttribute(
        response,
        MICROSOFT_VENDOR_ID,
        MicrosoftType.Chap2Success,
      )?.toString('latin1', 1);
      const isProven = proof?.startsWith(expectedSuccess) === true;
      return { kind: isProven ? 'accepted' : 'not-proven', ...answered };
    }
    case PacketCode.AccessReject:
      return { kind: 'rejected', message: findText(response, REPLY_MESSAGE), ...answered };
    default:
      return { kind: 'unexpected', code: response.code, ...answered };
  }
}
