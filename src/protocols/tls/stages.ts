// Which handshake message may come in which stage, and how long it may be; anything else is an
// unexpected_message. RFC 8446 §A.2, RFC 5246 §7.3. What a message does to the stage is the handshakes'.

import type { Connection, Stage } from './connection.ts';
import { messageTypes } from './handshake.ts';
import { TlsAlert } from './wire.ts';

const KIB = 1024;
/** Of records and messages that have not arrived whole. */
export const MAX_BUFFERED_BYTES = 64 * KIB;
const MAX_MESSAGE_BYTES = 16 * KIB;
/** A chain of certificates is the only message that is ever long. */
const MAX_CERTIFICATE_BYTES = 60 * KIB;

const { clientHello, certificate, certificateVerify, clientKeyExchange, finished, keyUpdate } =
  messageTypes;

const expected: Readonly<Record<Stage, readonly number[]>> = {
  'client-hello': [clientHello],
  'second-client-hello': [clientHello],
  'ticket-decision': [],
  'certificate-1-3': [certificate],
  'certificate-verify-1-3': [certificateVerify],
  'finished-1-3': [finished],
  'session-decision': [],
  'certificate-1-2': [certificate],
  'client-key-exchange': [clientKeyExchange],
  'certificate-verify-1-2': [certificateVerify],
  'change-cipher-spec': [],
  'finished-1-2': [finished],
  open: [],
  closed: [],
};

/** Throws unless a message of this type and length may come now. */
export function checkExpected(connection: Connection, type: number, bodyBytes: number): void {
  if (!expectedTypes(connection).includes(type))
    throw new TlsAlert('unexpected_message', `message ${type} in stage ${connection.stage}`);
  const limit = type === certificate ? MAX_CERTIFICATE_BYTES : MAX_MESSAGE_BYTES;
  if (bodyBytes > limit)
    throw new TlsAlert('illegal_parameter', `message ${type} has ${bodyBytes} bytes`);
}

function expectedTypes(connection: Connection): readonly number[] {
  if (connection.stage !== 'open') return expected[connection.stage];
  // A ClientHello now asks for a renegotiation, which TLS 1.2 may decline politely.
  return connection.tls13 === undefined ? [clientHello] : [keyUpdate];
}

/** Between the first ClientHello and the client's Finished, TLS 1.3 drops ChangeCipherSpec. RFC 8446 §5. */
export function dropsChangeCipherSpec(connection: Connection): boolean {
  return (
    connection.stage === 'second-client-hello' ||
    connection.stage === 'certificate-1-3' ||
    connection.stage === 'certificate-verify-1-3' ||
    connection.stage === 'finished-1-3'
  );
}
