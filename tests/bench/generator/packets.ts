// The packets of the load generator: logins and accounting records as a hotspot router sends them,
// written into the buffer of their slot, and the check of what comes back. RFC 2865, 2866, 2869.
// Everything that does not change is written beforehand, so that the generator stays far cheaper
// than any server. Each request has an authenticator of its own: no server may take it for a
// retransmission.

import {
  MD5_BYTES,
  equalDigests,
  hmacMd5Into,
  md5Into,
  prepareHmacKey,
} from '../../../src/protocols/radius/md5.ts';
import type { LoadSession } from './sessions.ts';

export const PACKET_BYTES = 512;

const HEADER_BYTES = 20;
const AUTHENTICATOR = 4;
const ACCESS_REQUEST = 1;
const ACCOUNTING_REQUEST = 4;

export type PacketOptions = { secret: string; users: number; badShare: number };

/** A number that is different each time and cheap; quality does not matter, distinctness does. */
export function createDice(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

/**
 * Writes an Access-Request with PAP and a Message-Authenticator; says whether it must be accepted.
 * First every user in turn, so that caches are warm after the first `users` logins, then by chance.
 */
export function createLoginWriter(options: PacketOptions, dice: () => number) {
  // The attributes that are computed come first, so that they lie at the same place for every user.
  const messageAuthenticator = HEADER_BYTES + 2;
  const password = messageAuthenticator + 16 + 2;
  const { templates, passwords } = loginTemplates(options.users, password);
  const hmacKey = prepareHmacKey(Buffer.from(options.secret));
  const keyed = Buffer.from(`${options.secret}0123456789abcdef`);
  const secretBytes = keyed.length - MD5_BYTES;
  const badBelow = options.badShare * 2 ** 32;

  let inTurn = 0;

  return (packet: Buffer, identifier: number): { length: number; isGood: boolean } => {
    const user = inTurn < options.users ? inTurn++ : dice() % options.users;
    const template = templates[user] ?? EMPTY;
    const clear = passwords[user] ?? EMPTY;
    const isGood = badBelow === 0 || dice() >= badBelow;
    packet.set(template);
    packet[1] = identifier;
    for (let at = AUTHENTICATOR; at < HEADER_BYTES; at += 4) packet.writeInt32LE(dice() | 0, at);

    // One block of RFC 2865 §5.2 is enough: no password here is longer than 16 bytes.
    packet.copy(keyed, secretBytes, AUTHENTICATOR, HEADER_BYTES);
    md5Into(keyed, 0, keyed.length, packet, password);
    for (let i = 0; i < MD5_BYTES; i++) {
      packet[password + i] = (packet[password + i] ?? 0) ^ (clear[i] ?? 0);
    }
    if (!isGood) packet[password] = (packet[password] ?? 0) ^ 1;
    hmacMd5Into(hmacKey, packet, 0, template.length, packet, messageAuthenticator);
    return { length: template.length, isGood };
  };
}

const EMPTY = Buffer.alloc(0);

function loginTemplates(users: number, passwordOffset: number) {
  const templates: Buffer[] = [];
  const passwords: Buffer[] = [];
  for (let user = 0; user < users; user++) {
    const template = Buffer.concat([
      Buffer.alloc(HEADER_BYTES),
      attribute(80, Buffer.alloc(16)),
      attribute(2, Buffer.alloc(16)),
      attribute(1, `user${user}`),
      routerAttributes(user),
    ]);
    template[0] = ACCESS_REQUEST;
    template.writeUInt16BE(template.length, 2);
    templates.push(template);
    const clear = Buffer.alloc(16);
    if (clear.write(`pass${user}`) > 16) throw new Error('a password longer than 16 bytes');
    passwords.push(clear);
  }
  if (templates[0]?.[passwordOffset - 2] !== 2) throw new Error('the password is not where it is');
  return { templates, passwords };
}

/** Writes the next record of a session; its length. The caller moves the session on. */
export function createAccountingWriter(options: PacketOptions, run: string) {
  const tails = Array.from({ length: options.users }, (_, user) =>
    Buffer.concat([
      attribute(1, `user${user}`),
      attribute(8, Buffer.from([10, 0, user >>> 8, user])),
      attribute(45, uint32(1)),
      routerAttributes(user),
    ]),
  );
  const secret = Buffer.from(options.secret);

  return (packet: Buffer, identifier: number, session: LoadSession, nowSeconds: number): number => {
    packet[0] = ACCOUNTING_REQUEST;
    packet[1] = identifier;
    packet.fill(0, AUTHENTICATOR, HEADER_BYTES);
    let at = HEADER_BYTES;
    const number = (type: number, value: number) => {
      packet[at] = type;
      packet[at + 1] = 6;
      packet.writeUInt32BE(value, at + 2);
      at += 6;
    };
    number(40, session.next);
    const sessionId = `${run}${session.serial.toString(16).padStart(9, '0')}`;
    packet[at] = 44;
    packet[at + 1] = 2 + packet.write(sessionId, at + 2, 'latin1');
    at += packet[at + 1] ?? 0;
    number(55, nowSeconds);
    if (session.next !== START) {
      const round = session.interims + 1;
      number(46, 60 * round);
      number(42, 100_000 * round + (session.serial & 0xffff));
      number(43, 900_000 * round + (session.serial & 0xffff));
      number(47, 100 * round);
      number(48, 900 * round);
    }
    if (session.next === STOP) number(49, 1);
    const tail = tails[session.user] ?? EMPTY;
    packet.set(tail, at);
    at += tail.length;
    packet.writeUInt16BE(at, 2);
    // The Request Authenticator covers the packet with zeros in its place, and the secret behind it.
    packet.set(secret, at);
    md5Into(packet, 0, at + secret.length, packet, AUTHENTICATOR);
    return at;
  };
}

/** Acct-Status-Type, RFC 2866 §5.1. */
export const START = 1;
export const STOP = 2;
export const INTERIM = 3;

export type Reply = 'accept' | 'reject' | 'accounting' | 'bad';

/** Checks the Response Authenticator, and the Message-Authenticator where there is one. */
export function createReplyCheck(secretText: string) {
  const secret = Buffer.from(secretText);
  const hmacKey = prepareHmacKey(secret);
  const scratch = Buffer.alloc(4096 + secret.length);
  const digest = Buffer.alloc(MD5_BYTES);

  return (bytes: Buffer, offset: number, length: number, request: Buffer): Reply => {
    if (length < HEADER_BYTES || length > 4096) return 'bad';
    bytes.copy(scratch, 0, offset, offset + length);
    if (scratch.readUInt16BE(2) !== length) return 'bad';
    request.copy(scratch, AUTHENTICATOR, AUTHENTICATOR, HEADER_BYTES);
    scratch.set(secret, length);
    md5Into(scratch, 0, length + secret.length, digest, 0);
    if (!equalDigests(digest, 0, bytes, offset + AUTHENTICATOR)) return 'bad';

    for (let at = HEADER_BYTES; at < length; at += scratch[at + 1] ?? 0) {
      const size = scratch[at + 1] ?? 0;
      if (size < 2 || at + size > length) return 'bad';
      if (scratch[at] !== 80) continue;
      if (size !== 18) return 'bad';
      scratch.fill(0, at + 2, at + 18);
      hmacMd5Into(hmacKey, scratch, 0, length, digest, 0);
      if (!equalDigests(digest, 0, bytes, offset + at + 2)) return 'bad';
    }
    switch (scratch.readUInt8(0)) {
      case 2:
        return 'accept';
      case 3:
        return 'reject';
      case 5:
        return 'accounting';
      default:
        return 'bad';
    }
  };
}

/** What a hotspot router says about itself and the device, beside the login. */
function routerAttributes(user: number): Buffer {
  const hex = user.toString(16).padStart(6, '0').toUpperCase();
  const device = `02-00-00-${hex.slice(0, 2)}-${hex.slice(2, 4)}-${hex.slice(4, 6)}`;
  return Buffer.concat([
    attribute(4, Buffer.from([127, 0, 0, 1])),
    attribute(32, 'router-1'),
    attribute(61, uint32(19)),
    attribute(31, device),
    attribute(30, 'hotspot1'),
  ]);
}

function attribute(type: number, value: Buffer | string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([type, bytes.length + 2]), bytes]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
