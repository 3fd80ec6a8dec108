// What the client says after our Finished: Certificate, CertificateVerify, Finished. RFC 8446 §4.4.

import assert from 'node:assert/strict';
import { timingSafeEqual } from 'node:crypto';
import { cipherSuite } from './cipher-suites.ts';
import { acceptClientCertificate, importKey } from './client-certificate.ts';
import type { Connection } from './connection.ts';
import type { TlsFacts } from './engine.ts';
import type { Tls13State } from './handshake-1-3-state.ts';
import {
  type HandshakeContext,
  type HandshakeMessage,
  type HandshakeStep,
  messageTypes,
} from './handshake.ts';
import { deriveSecret, finishedData, recordKeys, transcriptHash } from './key-schedule.ts';
import { readCertificate, readCertificateVerify, signedContent } from './messages-1-3.ts';
import { schemesOf, verifyWith } from './signatures.ts';
import { TlsAlert, uint8, vector24 } from './wire.ts';

export function receiveClientFlight(
  context: HandshakeContext,
  connection: Connection,
  message: HandshakeMessage,
): HandshakeStep {
  switch (message.type) {
    case messageTypes.certificate:
      return onCertificate(context, connection, message);
    case messageTypes.certificateVerify:
      return onCertificateVerify(connection, message);
    case messageTypes.finished:
      return onFinished(context, connection, message);
    default:
      throw new TlsAlert('unexpected_message', `message ${message.type}`);
  }
}

/**
 * Nothing but the client's Finished is missing now, and what it must say is known: so it is computed,
 * with all that depends on it, and the transcript need not wait for it.
 */
export function finishClientFlight(connection: Connection): void {
  const { tls13: state, transcript } = connection;
  assert(state?.agreed && state.unfinished && transcript, 'the client is still to answer');
  const { hash } = cipherSuite(state.agreed.suite);
  const { clientSecret, masterSecret } = state.unfinished;
  const expected = finishedData(hash, clientSecret, transcriptHash(hash, transcript));
  const finished = Buffer.concat([uint8(messageTypes.finished), vector24(expected)]);
  const whole = transcriptHash(hash, Buffer.concat([transcript, finished]));
  state.expectedFinished = expected;
  state.resumptionSecret = deriveSecret(hash, masterSecret, 'res master', whole);
  delete state.unfinished;
  delete connection.transcript;
  connection.stage = 'finished-1-3';
}

function onCertificate(
  { settings, moment }: HandshakeContext,
  connection: Connection,
  { body }: HandshakeMessage,
): HandshakeStep {
  const chain = readCertificate(body);
  if (chain.length === 0) {
    if (connection.terms.clientCertificate === 'required')
      throw new TlsAlert('certificate_required', 'the client has no certificate');
    finishClientFlight(connection);
    return { kind: 'wait' };
  }
  stateOf(connection).unproven = acceptClientCertificate(settings, chain, moment.nowMs);
  connection.stage = 'certificate-verify-1-3';
  return { kind: 'wait' };
}

function onCertificateVerify(
  connection: Connection,
  { body, transcriptBefore }: HandshakeMessage,
): HandshakeStep {
  const state = stateOf(connection);
  const { agreed, unproven } = state;
  assert(agreed && unproven, 'there is no certificate to prove');
  const { code, signature } = readCertificateVerify(body);
  const key = importKey(unproven);
  const schemes = schemesOf(key, '1.3', unproven.curve);
  const scheme = schemes.find((scheme) => scheme.code === code);
  if (!scheme)
    throw new TlsAlert(
      'illegal_parameter',
      `signature scheme ${code} does not fit the certificate`,
    );
  const hashed = transcriptHash(cipherSuite(agreed.suite).hash, transcriptBefore);
  if (!verifyWith(scheme, key, signedContent('client', hashed), signature))
    throw new TlsAlert('decrypt_error', 'the client does not hold the key of its certificate');

  delete state.unproven;
  state.client = { identity: unproven.identity, path: unproven.path };
  finishClientFlight(connection);
  return { kind: 'wait' };
}

function onFinished(
  { flight }: HandshakeContext,
  connection: Connection,
  { body }: HandshakeMessage,
): HandshakeStep {
  const state = stateOf(connection);
  const { agreed, expectedFinished, clientSecret } = state;
  assert(agreed && expectedFinished && clientSecret, 'the client may not finish yet');
  if (body.length !== expectedFinished.length)
    throw new TlsAlert('decode_error', `Finished has ${body.length} bytes`);
  if (!timingSafeEqual(body, expectedFinished))
    throw new TlsAlert('decrypt_error', 'Finished does not fit what was said');
  delete state.expectedFinished;
  const suite = cipherSuite(agreed.suite);
  flight.useReadKeys(recordKeys(suite, clientSecret));
  connection.stage = 'open';
  connection.facts = factsOf(state, agreed);
  return { kind: 'open' };
}

function factsOf(
  { resumed, client }: Tls13State,
  { suite, clientRandom, serverRandom }: NonNullable<Tls13State['agreed']>,
): TlsFacts {
  return {
    version: '1.3',
    cipherSuite: suite,
    hash: cipherSuite(suite).hash,
    clientRandom: clientRandom.toString('hex'),
    serverRandom: serverRandom.toString('hex'),
    ...(resumed && { resumed: resumed.ticket }),
    ...(client && { clientCertificate: client.identity }),
  };
}

function stateOf({ tls13 }: Connection): Tls13State {
  assert(tls13, 'not a TLS 1.3 connection');
  return tls13;
}
