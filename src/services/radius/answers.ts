// The packets we answer with. One writer serves them all, so each is built in one go.
// Message-Authenticator comes first in every answer to a login. CVE-2024-3596, RFC 5997 §3.

import type { Grant } from '../../domain/access.ts';
import { MD5_BYTES, md5Into } from '../../protocols/radius/md5.ts';
import { PacketCode, findValue, packetAuthenticator } from '../../protocols/radius/packet.ts';
import type { Packet } from '../../protocols/radius/packet.ts';
import { saltEncrypt } from '../../protocols/radius/password.ts';
import { createReplyWriter } from '../../protocols/radius/reply.ts';
import type { Random } from '../../runtime/random.ts';
import { MICROSOFT_VENDOR_ID, MicrosoftType } from '../../protocols/radius/dictionary/microsoft.ts';
import type { MsChapKeys } from './login.ts';
import { writeGrant } from './reply-attributes.ts';
import type { KnownRouter } from './router-table.ts';

export type LoginTerms = {
  kind: 'accept';
  grant: Grant;
  /** The name to account under, where the outer identity may be another. */
  username?: string;
  eap?: Buffer;
  msChap?: MsChapKeys;
  keys?: { sendKey: Buffer; recvKey: Buffer };
  /** The EAP Session-Id, for a router that asks for EAP-Key-Name. RFC 4072 §4.1.4. */
  sessionId?: Buffer;
};

export type Answers = {
  accept(request: Packet, router: KnownRouter, terms: LoginTerms): Buffer;
  reject(
    request: Packet,
    router: KnownRouter,
    extra: { eap?: Buffer; msChapErrorIdent?: number; message?: string },
  ): Buffer;
  challenge(request: Packet, router: KnownRouter, step: { eap: Buffer; state: Buffer }): Buffer;
  accounting(request: Packet, router: KnownRouter): Buffer;
  status(request: Packet, router: KnownRouter, port: 'auth' | 'acct'): Buffer;
};

const USER_NAME = 1;
const REPLY_MESSAGE = 18;
const STATE = 24;
const CLASS = 25;
const CALLING_STATION_ID = 31;
const ACCT_SESSION_ID = 44;
const EAP_KEY_NAME = 102;
const ENCRYPTION_ALLOWED = 1;
const RC4_40_OR_128_BIT = 6;

/** Eight bytes that are this process's alone, and a number that counts its logins. */
const CLASS_BYTES = 12;
const CLASS_NUMBER = 8;
const NOTHING = Buffer.alloc(0);

export function createAnswers(random: Random): Answers {
  const writer = createReplyWriter();
  const freshClass = random.bytes(CLASS_BYTES);
  let nextSalt = random.bytes(2).readUInt16BE(0);

  /**
   * Echoed in accounting where the router does so, it makes two sessions of one id distinct. A device
   * that authenticates again in the middle of its session gets the same one: with another, accounting
   * would see a second session and count the totals twice.
   */
  function classFor(request: Packet, router: KnownRouter): Buffer {
    const session = findValue(request, ACCT_SESSION_ID);
    if (session === undefined) return nextClass();
    const station = findValue(request, CALLING_STATION_ID) ?? NOTHING;
    const known = Buffer.concat([Buffer.from(router.router.id), station, session]);
    const digest = Buffer.alloc(MD5_BYTES);
    md5Into(known, 0, known.length, digest, 0);
    return digest.subarray(0, CLASS_BYTES);
  }

  /** It must be unique, not secret. Valid until the next call. */
  function nextClass(): Buffer {
    const number = (freshClass.readUInt32BE(CLASS_NUMBER) + 1) >>> 0;
    freshClass.writeUInt32BE(number, CLASS_NUMBER);
    return freshClass;
  }

  /** RFC 2548 §2.4.2: the high bit is set, and no two salts of a packet are equal. */
  function writeKey(request: Packet, router: KnownRouter, type: number, key: Buffer) {
    nextSalt = (nextSalt + 1) & 0x7fff;
    const salt = 0x8000 | nextSalt;
    const authenticator = packetAuthenticator(request);
    writer.vendorBytes(
      MICROSOFT_VENDOR_ID,
      type,
      saltEncrypt(key, salt, router.secret, authenticator),
    );
  }

  return {
    accept(request, router, terms) {
      writer.begin(PacketCode.AccessAccept, request, true);
      if (terms.username !== undefined) writer.text(USER_NAME, terms.username);
      writeGrant(writer, terms.grant, router.router.vendor);
      writer.bytes(CLASS, classFor(request, router));
      if (terms.eap !== undefined) writer.eapMessage(terms.eap);
      if (terms.msChap !== undefined) {
        writer.vendorBytes(
          MICROSOFT_VENDOR_ID,
          MicrosoftType.Chap2Success,
          terms.msChap.successAttribute,
        );
        writer.vendorInteger(
          MICROSOFT_VENDOR_ID,
          MicrosoftType.MppeEncryptionPolicy,
          ENCRYPTION_ALLOWED,
        );
        writer.vendorInteger(
          MICROSOFT_VENDOR_ID,
          MicrosoftType.MppeEncryptionTypes,
          RC4_40_OR_128_BIT,
        );
      }
      const keys = terms.keys ?? terms.msChap;
      if (keys !== undefined) {
        writeKey(request, router, MicrosoftType.MppeSendKey, keys.sendKey);
        writeKey(request, router, MicrosoftType.MppeRecvKey, keys.recvKey);
      }
      if (terms.sessionId !== undefined && findValue(request, EAP_KEY_NAME) !== undefined) {
        writer.bytes(EAP_KEY_NAME, terms.sessionId);
      }
      writer.copyProxyStates(request);
      return writer.finish(router.secret);
    },

    reject(request, router, { eap, msChapErrorIdent, message }) {
      writer.begin(PacketCode.AccessReject, request, true);
      // RFC 3579 §2.6.5: beside an EAP-Message a Reply-Message would never be shown.
      if (eap !== undefined) writer.eapMessage(eap);
      else if (message !== undefined) writer.text(REPLY_MESSAGE, message);
      if (msChapErrorIdent !== undefined) {
        const challenge = random.bytes(16).toString('hex').toUpperCase();
        const error = `E=691 R=0 C=${challenge} V=3`;
        const value = `${String.fromCharCode(msChapErrorIdent)}${error}`;
        writer.vendorBytes(
          MICROSOFT_VENDOR_ID,
          MicrosoftType.ChapError,
          Buffer.from(value, 'latin1'),
        );
      }
      writer.copyProxyStates(request);
      return writer.finish(router.secret);
    },

    challenge(request, router, { eap, state }) {
      writer.begin(PacketCode.AccessChallenge, request, true);
      writer.eapMessage(eap);
      writer.bytes(STATE, state);
      writer.copyProxyStates(request);
      return writer.finish(router.secret);
    },

    accounting(request, router) {
      writer.begin(PacketCode.AccountingResponse, request, false);
      writer.copyProxyStates(request);
      return writer.finish(router.secret);
    },

    status(request, router, port) {
      const code = port === 'auth' ? PacketCode.AccessAccept : PacketCode.AccountingResponse;
      writer.begin(code, request, true);
      writer.copyProxyStates(request);
      return writer.finish(router.secret);
    },
  };
}
