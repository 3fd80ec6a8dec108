// How the client's bytes become records, records become messages, and messages find their handshake.
// RFC 8446 §5 and §6, RFC 5246 §6 and §7.2. What may come when is stages.ts.

import assert from 'node:assert/strict';
import { FATAL, WARNING, alertName } from './alerts.ts';
import { cipherSuite } from './cipher-suites.ts';
import { type ClientHello, parseClientHello } from './client-hello.ts';
import type { Connection } from './connection.ts';
import type { AlertName, TlsDecision } from './engine.ts';
import type { SentFlight } from './flight.ts';
import { tls12 } from './handshake-1-2.ts';
import { tls13 } from './handshake-1-3.ts';
import {
  type HandshakeContext,
  type HandshakeMessage,
  type HandshakeStep,
  type VersionHandshake,
  messageTypes,
} from './handshake.ts';
import { updateKeys } from './post-handshake-1-3.ts';
import { type Plaintext, type TlsRecord, contentTypes, takeRecord, unprotect } from './records.ts';
import { MAX_BUFFERED_BYTES, checkExpected, dropsChangeCipherSpec } from './stages.ts';
import { negotiateVersion } from './version.ts';
import { TlsAlert, createReader } from './wire.ts';

/** One call of the engine. */
export type Call = {
  connection: Connection;
  context: HandshakeContext;
  flight: SentFlight;
  /** What the client has said inside. */
  data: Buffer[];
  /** The alert with which the client has ended the connection. */
  ended?: AlertName;
  /** The last one, if this call has read it, or the call before. */
  hello?: HelloMessage;
};

export type HelloMessage = { hello: ClientHello; message: HandshakeMessage };

/** A handshake has about ten, and a hundred when the client cuts its certificates very small. */
const MAX_HANDSHAKE_RECORDS = 256;
const MESSAGE_HEADER_BYTES = 4;

export function receive(call: Call, bytes: Buffer): HandshakeStep {
  const { incoming } = call.connection;
  incoming.record = Buffer.concat([incoming.record, bytes]);
  return goOn(call);
}

/** The version's handshake decides with the last ClientHello before it, which the transcript has. */
export function decide(call: Call, decision: TlsDecision): HandshakeStep {
  const { connection, context } = call;
  assert(connection.stage === `${decision.kind}-decision`, `there is no ${decision.kind} offered`);
  const { hello, message } = (call.hello ??= helloIn(lastMessage(connection)));
  return goOn(call, handshakeOf(connection).decide(context, connection, decision, hello, message));
}

function lastMessage({ transcript = Buffer.alloc(0) }: Connection): HandshakeMessage {
  for (let start = 0; start < transcript.length;) {
    const end = start + MESSAGE_HEADER_BYTES + transcript.readUIntBE(start + 1, 3);
    if (end === transcript.length)
      return messageOf(transcript.subarray(start), transcript.subarray(0, start));
    start = end;
  }
  assert.fail('the transcript has no message');
}

/** As far as the bytes go, or until something must be decided outside. */
function goOn(call: Call, first: HandshakeStep = { kind: 'wait' }): HandshakeStep {
  const { incoming } = call.connection;
  let step = first;
  while (step.kind !== 'offers-session' && step.kind !== 'offers-ticket' && !call.ended) {
    const message = takeMessage(call.connection);
    if (message) {
      step = receiveMessage(call, message);
      continue;
    }
    const taken = takeRecord(incoming.record, readProtection(call.connection));
    if (!taken) break;
    incoming.record = taken.rest;
    step = receiveRecord(call, taken.record);
  }
  if (incoming.record.length + incoming.handshake.length > MAX_BUFFERED_BYTES)
    throw new TlsAlert('record_overflow', 'more bytes than are kept');
  return step;
}

function readProtection({ read, incoming }: Connection): '1.2' | '1.3' | 'nothing' {
  if (read) return cipherSuite(read.suite).version;
  return incoming.skippableBytes > 0 ? '1.3' : 'nothing';
}

function receiveRecord(call: Call, record: TlsRecord): HandshakeStep {
  const { connection } = call;
  const { incoming } = connection;
  if (connection.stage !== 'open' && ++incoming.recordCount > MAX_HANDSHAKE_RECORDS)
    throw new TlsAlert('unexpected_message', 'a handshake in too many records');

  if (record.type === contentTypes.changeCipherSpec) return changeCipherSpec(call, record);
  const plaintext = openRecord(connection, record);
  if (!plaintext) return { kind: 'wait' };
  const { type, content } = plaintext;
  if (
    incoming.handshake.length > 0 &&
    type !== contentTypes.handshake &&
    type !== contentTypes.alert
  )
    throw new TlsAlert('unexpected_message', `a record of type ${type} inside a message`);

  switch (type) {
    case contentTypes.handshake:
      if (content.length === 0) throw new TlsAlert('unexpected_message', 'an empty record');
      incoming.handshake = Buffer.concat([incoming.handshake, content]);
      break;
    case contentTypes.alert:
      receiveAlert(call, content);
      break;
    case contentTypes.applicationData:
      if (connection.stage !== 'open')
        throw new TlsAlert('unexpected_message', 'data before the handshake is complete');
      call.data.push(content);
      break;
    default:
      throw new TlsAlert('unexpected_message', `a record of type ${type} inside another`);
  }
  return { kind: 'wait' };
}

/** Undefined: early data, which is skipped unread. */
function openRecord(connection: Connection, record: TlsRecord): Plaintext | undefined {
  const { read, incoming } = connection;
  const isProtected = record.type === contentTypes.applicationData;
  if (!read) {
    if (isProtected && incoming.skippableBytes > 0) return skip(connection, record);
    return { type: record.type, content: record.fragment };
  }
  // An alert may come in the open while the client has no keys yet: it did not like our ServerHello.
  const hasSpoken = connection.stage === 'open' || read.sequence > 0;
  if (connection.tls13 && record.type === contentTypes.alert && !hasSpoken)
    return { type: record.type, content: record.fragment };
  try {
    const plaintext = unprotect(read, record);
    incoming.skippableBytes = 0;
    return plaintext;
  } catch (error) {
    const isEarlyData =
      error instanceof TlsAlert && error.alert === 'bad_record_mac' && isProtected;
    if (isEarlyData && incoming.skippableBytes > 0) return skip(connection, record);
    throw error;
  }
}

function skip({ incoming }: Connection, { fragment }: TlsRecord): undefined {
  if (fragment.length > incoming.skippableBytes)
    throw new TlsAlert('unexpected_message', 'too much early data');
  incoming.skippableBytes -= fragment.length;
}

function changeCipherSpec({ connection, context }: Call, { fragment }: TlsRecord): HandshakeStep {
  if (!fragment.equals(Buffer.from([1])) || connection.incoming.handshake.length > 0)
    throw new TlsAlert('unexpected_message', 'a ChangeCipherSpec that is none');
  if (connection.stage === 'change-cipher-spec') {
    const { changeCipherSpec } = handshakeOf(connection);
    assert(changeCipherSpec, 'TLS 1.3 does not wait for a ChangeCipherSpec');
    return changeCipherSpec(context, connection);
  }
  if (!dropsChangeCipherSpec(connection))
    throw new TlsAlert('unexpected_message', `ChangeCipherSpec in stage ${connection.stage}`);
  return { kind: 'wait' };
}

/** RFC 8446 §6, RFC 5246 §7.2. TLS 1.3 has no warnings but these two; its level says nothing. */
function receiveAlert(call: Call, content: Buffer): void {
  const reader = createReader(content, 'alert');
  const level = reader.uint8();
  const number = reader.uint8();
  reader.end();
  const alert = alertName(number) ?? 'handshake_failure'; // the rest were given up long ago
  const isMereWarning =
    alert === 'user_canceled' ||
    (level === WARNING && call.connection.tls13 === undefined && alert !== 'close_notify');
  if (isMereWarning && level !== FATAL) return;
  call.ended = alert;
}

/** The first message that has arrived whole. */
function takeMessage(connection: Connection): Buffer | undefined {
  const { incoming } = connection;
  const { handshake } = incoming;
  if (handshake.length < MESSAGE_HEADER_BYTES) return undefined;
  const bodyBytes = handshake.readUIntBE(1, 3);
  checkExpected(connection, handshake.readUInt8(0), bodyBytes);
  const end = MESSAGE_HEADER_BYTES + bodyBytes;
  if (handshake.length < end) return undefined;
  incoming.handshake = handshake.subarray(end);
  return handshake.subarray(0, end);
}

function helloIn(message: HandshakeMessage): HelloMessage {
  return { hello: parseClientHello(message.body), message };
}

function receiveMessage(call: Call, bytes: Buffer): HandshakeStep {
  const { connection, context } = call;
  const before = connection.transcript;
  if (before) connection.transcript = Buffer.concat([before, bytes]);
  const message = messageOf(bytes, before);

  if (connection.stage === 'open') return receiveOnOpen(connection, context, message);
  if (message.type !== messageTypes.clientHello)
    return handshakeOf(connection).receive(context, connection, message);
  const { hello } = (call.hello = helloIn(message));
  return handshakeFor(connection, context, hello).begin(context, connection, hello, message);
}

function messageOf(bytes: Buffer, transcriptBefore: Buffer = Buffer.alloc(0)): HandshakeMessage {
  const body = bytes.subarray(MESSAGE_HEADER_BYTES);
  return { type: bytes.readUInt8(0), body, bytes, transcriptBefore };
}

/** A second ClientHello does not choose the version again. */
function handshakeFor(
  connection: Connection,
  { settings }: HandshakeContext,
  hello: ClientHello,
): VersionHandshake {
  if (connection.tls13) return tls13;
  return negotiateVersion(hello, settings) === '1.3' ? tls13 : tls12;
}

export function handshakeOf(connection: Connection): VersionHandshake {
  return connection.tls13 ? tls13 : tls12;
}

function receiveOnOpen(
  connection: Connection,
  context: HandshakeContext,
  message: HandshakeMessage,
): HandshakeStep {
  if (connection.tls13) return updateKeys(context, connection, message);
  context.flight.alert('no_renegotiation'); // a warning: the client may go on as before
  return { kind: 'wait' };
}
