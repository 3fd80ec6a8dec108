// What server.ts and the two handshakes have in common: what a step is given, what it answers, and the
// numbers of messages and extensions. RFC 8446 §4, RFC 5246 §7.4.

import assert from 'node:assert/strict';
import type { ClientHello } from './client-hello.ts';
import type { Connection, RecordKeys } from './connection.ts';
import type { AlertName, Ticket, TlsDecision, TlsMoment, TlsSession } from './engine.ts';
import { hmac } from './hmac.ts';
import type { TlsSettings } from './settings.ts';

/** The terms are in the connection. Steps change the connection they are given in place: it is a copy. */
export type HandshakeContext = {
  readonly settings: TlsSettings;
  readonly moment: TlsMoment;
  /** Fresh bytes, drawn from the seed of the moment. */
  readonly random: (count: number) => Buffer;
  readonly flight: Flight;
};

/** What is sent in this call. Messages under the same keys share records. */
export type Flight = {
  /** Frames the message, adds it to the transcript if there is one, and sends it. */
  handshake(type: number, body: Buffer): void;
  changeCipherSpec(): void;
  alert(alert: AlertName): void;
  applicationData(data: Buffer): void;
  /** What follows is protected under these keys. */
  useWriteKeys(keys: RecordKeys): void;
  /** What the client sends next is. Between keys no part of a message may be left. RFC 8446 §5.1. */
  useReadKeys(keys: RecordKeys): void;
};

/** A whole handshake message from the client. It is in the transcript already, if there is one. */
export type HandshakeMessage = {
  type: number;
  body: Buffer;
  /** With its header, as it enters the transcript. */
  bytes: Buffer;
  /** The transcript before this message: what a Finished or a CertificateVerify is about. */
  transcriptBefore: Buffer;
};

export type HandshakeStep =
  /** The next message is wanted; `connection.stage` says which may come. */
  | { kind: 'wait' }
  | { kind: 'offers-session'; id: string }
  | { kind: 'offers-ticket'; ticket: Ticket }
  /** Complete: `connection.stage` is `open`, `connection.facts` are set, the transcript is gone. */
  | { kind: 'open' };

/**
 * One version's part of the handshake: `tls12` in handshake-1-2.ts, `tls13` in handshake-1-3.ts. Each is
 * called only in its own stages. What it finds wrong it throws as a TlsAlert.
 */
export type VersionHandshake = {
  /** The first ClientHello, or the second one after our HelloRetryRequest. */
  begin(
    context: HandshakeContext,
    connection: Connection,
    hello: ClientHello,
    message: HandshakeMessage,
  ): HandshakeStep;
  /** After `offers-session` or `offers-ticket`; `hello` and `message` are read from the transcript again. */
  decide(
    context: HandshakeContext,
    connection: Connection,
    decision: TlsDecision,
    hello: ClientHello,
    message: HandshakeMessage,
  ): HandshakeStep;
  /** Any other message that the stage allows. */
  receive(
    context: HandshakeContext,
    connection: Connection,
    message: HandshakeMessage,
  ): HandshakeStep;
  /** TLS 1.2 alone, in stage `change-cipher-spec`. In TLS 1.3 the record means nothing. */
  changeCipherSpec?(context: HandshakeContext, connection: Connection): HandshakeStep;
  /** TLS 1.3 appends the ticket to the flight; TLS 1.2 gives what must be remembered. */
  issue(context: HandshakeContext, connection: Connection, ticket: Ticket): TlsSession | undefined;
  /** RFC 5705, RFC 8446 §7.5. Only on an open connection. */
  exportKey(connection: Connection, label: string, length: number, context?: Buffer): Buffer;
};

export const messageTypes = {
  helloRequest: 0,
  clientHello: 1,
  serverHello: 2,
  newSessionTicket: 4,
  endOfEarlyData: 5,
  encryptedExtensions: 8,
  certificate: 11,
  serverKeyExchange: 12,
  certificateRequest: 13,
  serverHelloDone: 14,
  certificateVerify: 15,
  clientKeyExchange: 16,
  finished: 20,
  keyUpdate: 24,
  messageHash: 254,
} as const;

export const extensionTypes = {
  serverName: 0,
  maxFragmentLength: 1,
  supportedGroups: 10,
  ecPointFormats: 11,
  signatureAlgorithms: 13,
  extendedMasterSecret: 23,
  recordSizeLimit: 28,
  sessionTicket: 35,
  preSharedKey: 41,
  earlyData: 42,
  supportedVersions: 43,
  cookie: 44,
  pskKeyExchangeModes: 45,
  certificateAuthorities: 47,
  signatureAlgorithmsCert: 50,
  keyShare: 51,
  renegotiationInfo: 0xff01,
} as const;

/**
 * Stretches the seed of one call. Each draw has its own number, so no two are alike; the seed is fresh
 * for each call, so the draws are secret and never repeat.
 */
export function createRandomSource(seed: Buffer): (count: number) => Buffer {
  let draws = 0;
  return (count) => {
    assert(seed.length >= 32, 'a handshake needs 32 bytes of chance');
    assert(count <= MAX_DRAWN_BYTES, 'more chance than one draw has');
    const label = Buffer.from(`evergate tls random ${draws++}`, 'latin1');
    return hmac('sha384', seed, label).subarray(0, count);
  };
}

/** The seed of a key of P-384 is the longest that is drawn. */
const MAX_DRAWN_BYTES = 48;
