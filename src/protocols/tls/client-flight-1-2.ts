// What the client says after our ServerHelloDone, or after our Finished when it resumes: Certificate,
// ClientKeyExchange, CertificateVerify, ChangeCipherSpec, Finished. RFC 5246 §7.4.6 to §7.4.9, §7.1.

import assert from 'node:assert/strict';
import { timingSafeEqual } from 'node:crypto';
import { cipherSuite } from './cipher-suites.ts';
import { acceptClientCertificate, importKey } from './client-certificate.ts';
import type { Connection } from './connection.ts';
import type { TlsFacts } from './engine.ts';
import { type Agreed, type Tls12State, agreedOf, stateOf } from './handshake-1-2-state.ts';
import {
  type HandshakeContext,
  type HandshakeMessage,
  type HandshakeStep,
  messageTypes,
} from './handshake.ts';
import { digest } from './hmac.ts';
import { deriveShared } from './key-exchange.ts';
import { recordKeys, sayFinished, verifyData } from './keys-1-2.ts';
import { readCertificate, readCertificateVerify, readClientKeyExchange } from './messages-1-2.ts';
import { extendedMasterSecret } from './prf.ts';
import { schemesOf, verifyWith } from './signatures.ts';
import { TlsAlert } from './wire.ts';

const WAIT: HandshakeStep = { kind: 'wait' };

export function receiveClientFlight(
  context: HandshakeContext,
  connection: Connection,
  message: HandshakeMessage,
): HandshakeStep {
  switch (message.type) {
    case messageTypes.certificate:
      return onCertificate(context, connection, message);
    case messageTypes.clientKeyExchange:
      return onClientKeyExchange(connection, message);
    case messageTypes.certificateVerify:
      return onCertificateVerify(connection, message);
    case messageTypes.finished:
      return onFinished(context, connection, message);
    default:
      throw new TlsAlert('unexpected_message', `message ${message.type}`);
  }
}

/**
 * Comes once, right before Finished, and nowhere else: a server that takes it earlier makes its keys of
 * a master secret that an attacker knows (CVE-2014-0224).
 */
export function receiveChangeCipherSpec(
  { flight }: HandshakeContext,
  connection: Connection,
): HandshakeStep {
  assert(connection.stage === 'change-cipher-spec');
  const state = stateOf(connection);
  const keys = recordKeys(state);
  flight.useReadKeys(keys.read);
  if (state.resumed === undefined) state.writeKeys = keys.write; // a resumed one writes already
  connection.stage = 'finished-1-2';
  return WAIT;
}

function onCertificate(
  { settings, moment }: HandshakeContext,
  connection: Connection,
  { body }: HandshakeMessage,
): HandshakeStep {
  const chain = readCertificate(body);
  connection.stage = 'client-key-exchange';
  if (chain.length > 0) {
    stateOf(connection).unproven = acceptClientCertificate(settings, chain, moment.nowMs);
  } else if (connection.terms.clientCertificate === 'required') {
    // TLS 1.2 has no certificate_required. RFC 5246 §7.4.6.
    throw new TlsAlert('handshake_failure', 'the client has no certificate');
  }
  return WAIT;
}

function onClientKeyExchange(connection: Connection, message: HandshakeMessage): HandshakeStep {
  const state = stateOf(connection);
  const { keyExchange } = state;
  assert(keyExchange, 'there is no key to answer the key of the client');
  delete state.keyExchange;
  const peerPublic = readClientKeyExchange(message.body);
  const shared = deriveShared(keyExchange.group, keyExchange.privateKey, peerPublic);
  if (shared === undefined)
    throw new TlsAlert('illegal_parameter', `the client has no key of ${keyExchange.group}`);

  const { hash } = cipherSuite(agreedOf(state).suite);
  const sessionHash = digest(hash, Buffer.concat([message.transcriptBefore, message.bytes]));
  state.masterSecret = extendedMasterSecret(hash, shared, sessionHash);
  connection.stage = state.unproven === undefined ? 'change-cipher-spec' : 'certificate-verify-1-2';
  return WAIT;
}

function onCertificateVerify(connection: Connection, message: HandshakeMessage): HandshakeStep {
  const state = stateOf(connection);
  const { unproven } = state;
  assert(unproven, 'there is no certificate to prove');
  delete state.unproven;
  const { code, signature } = readCertificateVerify(message.body);
  const key = importKey(unproven);
  const schemes = schemesOf(key, '1.2', unproven.curve);
  const scheme = schemes.find((scheme) => scheme.code === code);
  if (scheme === undefined)
    throw new TlsAlert(
      'illegal_parameter',
      `signature scheme ${code} does not fit the certificate`,
    );
  if (!verifyWith(scheme, key, message.transcriptBefore, signature))
    throw new TlsAlert('decrypt_error', 'the client does not hold the key of its certificate');
  state.clientCertificate = unproven.identity;
  state.path = unproven.path;
  connection.stage = 'change-cipher-spec';
  return WAIT;
}

function onFinished(
  context: HandshakeContext,
  connection: Connection,
  { body, transcriptBefore }: HandshakeMessage,
): HandshakeStep {
  const state = stateOf(connection);
  const agreed = agreedOf(state);
  const expected = verifyData(state, 'client', transcriptBefore);
  if (body.length !== expected.length)
    throw new TlsAlert('decode_error', `Finished has ${body.length} bytes`);
  if (!timingSafeEqual(body, expected))
    throw new TlsAlert('decrypt_error', 'Finished does not fit what was said');

  if (state.writeKeys !== undefined) {
    sayFinished(context, connection, state.writeKeys);
    delete state.writeKeys;
  }
  connection.stage = 'open';
  connection.facts = factsOf(state, agreed);
  delete state.clientCertificate; // the facts have it
  delete connection.transcript;
  return { kind: 'open' };
}

function factsOf(state: Tls12State, { suite, clientRandom, serverRandom }: Agreed): TlsFacts {
  return {
    version: '1.2',
    cipherSuite: suite,
    hash: cipherSuite(suite).hash,
    clientRandom: clientRandom.toString('hex'),
    serverRandom: serverRandom.toString('hex'),
    ...(state.resumed && { resumed: state.resumed }),
    ...(state.clientCertificate && { clientCertificate: state.clientCertificate }),
  };
}
