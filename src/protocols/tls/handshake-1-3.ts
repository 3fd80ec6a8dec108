// The server's side of a TLS 1.3 handshake. RFC 8446 §2 and §4. From the ClientHello to our Finished it
// is here; what the client answers is client-flight-1-3.ts. What to pick is choice-1-3.ts, how messages
// look messages-1-3.ts, the secrets are key-schedule.ts, tickets tickets.ts and post-handshake-1-3.ts.

import assert from 'node:assert/strict';
import { type Choice13, choose, chooseIdentity } from './choice-1-3.ts';
import { type CipherSuite, cipherSuite } from './cipher-suites.ts';
import { asksForCertificate, authorityNames } from './client-certificate.ts';
import { finishClientFlight, receiveClientFlight } from './client-flight-1-3.ts';
import type { ClientHello } from './client-hello.ts';
import type { Connection } from './connection.ts';
import type { Tls13State } from './handshake-1-3-state.ts';
import {
  type HandshakeContext,
  type HandshakeStep,
  type VersionHandshake,
  messageTypes,
} from './handshake.ts';
import { agree, groups } from './key-exchange.ts';
import {
  deriveSecret,
  earlySecret,
  exportKeyingMaterial,
  finishedData,
  handshakeSecret,
  masterSecret,
  recordKeys,
  transcriptHash,
} from './key-schedule.ts';
import {
  encodeCertificate,
  encodeCertificateRequest,
  encodeCertificateVerify,
  encodeMessageHash,
  encodeRetryRequest,
  encodeServerHello,
  signedContent,
} from './messages-1-3.ts';
import { sendTicket } from './post-handshake-1-3.ts';
import { agreeOnRecordSize } from './record-size.ts';
import { signWith } from './signatures.ts';
import { type OfferedTicket, PSK_WITH_DIFFIE_HELLMAN, findTicket } from './tickets.ts';
import { createServerRandom } from './version.ts';
import { TlsAlert, vector16 } from './wire.ts';

/** Some clients send a little early data on the chance that it is taken; it never is. */
const SKIPPABLE_BYTES = 32 * 1024;

export const tls13: VersionHandshake = {
  begin(context, connection, hello, message) {
    const state = (connection.tls13 ??= {});
    const choice = choose(hello);
    const { incoming } = connection;
    if (state.retry) checkSecondHello(state.retry, hello, choice);
    incoming.skippableBytes = hello.offersEarlyData ? SKIPPABLE_BYTES : 0;
    if (choice.peerPublic === undefined) return askAgain(context, connection, hello, choice);

    const offered = findTicket(context, connection.terms, hello, message, choice.suite);
    if (!offered) return answer(context, connection, hello, choice);
    connection.stage = 'ticket-decision';
    return { kind: 'offers-ticket', ticket: offered.stored.ticket };
  },

  /** The ticket does not wait with its secret: it is opened again, unless this process just has. */
  decide(context, connection, decision, hello, message) {
    assert(decision.kind === 'ticket', 'TLS 1.3 has no sessions but those in tickets');
    const choice = choose(hello);
    const offered = decision.mayResume
      ? findTicket(context, connection.terms, hello, message, choice.suite)
      : undefined;
    return answer(context, connection, hello, choice, offered);
  },

  receive: receiveClientFlight,

  issue(context, connection, ticket) {
    sendTicket(context, connection, ticket);
    return undefined;
  },

  exportKey(connection, label, length, exporterContext) {
    const { agreed, exporterSecret } = stateOf(connection);
    assert(agreed && exporterSecret, 'there is no exporter secret before the end of the handshake');
    const { hash } = cipherSuite(agreed.suite);
    return exportKeyingMaterial(hash, exporterSecret, label, length, exporterContext);
  },
};

/** HelloRetryRequest: the client has a group of ours, but sent no share of it. */
function askAgain(
  { flight }: HandshakeContext,
  connection: Connection,
  hello: ClientHello,
  { suite, group }: Choice13,
): HandshakeStep {
  const state = stateOf(connection);
  const { code } = groups[group];
  const { random: clientRandom, sessionId } = hello;
  state.retry = { group: code, suite: suite.name, clientRandom, sessionId };
  connection.transcript = encodeMessageHash(transcriptHash(suite.hash, transcriptOf(connection)));
  flight.handshake(messageTypes.serverHello, encodeRetryRequest(hello, suite, code));
  if (sessionId.length > 0) flight.changeCipherSpec();
  connection.stage = 'second-client-hello';
  return { kind: 'wait' };
}

/** It may change its share, its tickets and little else. RFC 8446 §4.1.2. */
function checkSecondHello(
  retry: NonNullable<Tls13State['retry']>,
  hello: ClientHello,
  { suite }: Choice13,
): void {
  const [share, ...more] = hello.keyShares ?? [];
  const isTheSame =
    hello.random.equals(retry.clientRandom) &&
    hello.sessionId.equals(retry.sessionId) &&
    suite.name === retry.suite;
  if (!isTheSame || hello.offersEarlyData || share?.group !== retry.group || more.length > 0)
    throw new TlsAlert('illegal_parameter', 'the second ClientHello is not what was asked for');
}

/** ServerHello to Finished, with a certificate or from a ticket. */
function answer(
  context: HandshakeContext,
  connection: Connection,
  hello: ClientHello,
  { suite, group, peerPublic }: Choice13,
  offered?: OfferedTicket,
): HandshakeStep {
  const { flight, random } = context;
  const { hash } = suite;
  const state = stateOf(connection);
  assert(peerPublic, 'an answer needs the share of the client');
  const recordSize = agreeOnRecordSize(hello, '1.3');
  if (recordSize) connection.maxPlaintextBytes = recordSize.maxPlaintextBytes;

  const made = agree(group, random(groups[group].seedBytes), peerPublic);
  if (!made) throw new TlsAlert('illegal_parameter', `the client has no key of ${group}`);
  const serverRandom = createServerRandom(context, '1.3');
  const agreed = { suite: suite.name, clientRandom: hello.random, serverRandom };
  const ours = { group: groups[group].code, publicKey: made.publicKey };
  flight.handshake(
    messageTypes.serverHello,
    encodeServerHello(hello, suite, serverRandom, ours, offered?.index),
  );
  // Once, for the sake of boxes on the way that know only TLS 1.2. RFC 8446 §D.4.
  if (hello.sessionId.length > 0 && !state.retry) flight.changeCipherSpec();

  const secret = handshakeSecret(hash, earlySecret(hash, offered?.stored.secret), made.shared);
  const secrets = trafficSecrets(
    suite,
    secret,
    'hs',
    transcriptHash(hash, transcriptOf(connection)),
  );
  flight.useWriteKeys(recordKeys(suite, secrets.server));
  flight.useReadKeys(recordKeys(suite, secrets.client));
  flight.handshake(
    messageTypes.encryptedExtensions,
    vector16(...(recordSize ? [recordSize.extension] : [])),
  );
  delete state.retry;
  state.agreed = agreed;
  state.takesTickets = hello.pskModes?.includes(PSK_WITH_DIFFIE_HELLMAN) === true;

  if (offered) {
    const { ticket, path, expiresAtMs } = offered.stored;
    state.resumed = { ticket, path, expiresAtMs };
  }
  const asks = offered ? false : showCertificate(context, connection, hello, suite);
  const hashed = transcriptHash(hash, transcriptOf(connection));
  flight.handshake(messageTypes.finished, finishedData(hash, secrets.server, hashed));

  const master = masterSecret(hash, secret);
  const untilFinished = transcriptHash(hash, transcriptOf(connection));
  const application = trafficSecrets(suite, master, 'ap', untilFinished);
  state.clientSecret = application.client;
  state.serverSecret = application.server;
  state.exporterSecret = deriveSecret(hash, master, 'exp master', untilFinished);
  // From here on all is under the keys of application data, alerts too.
  flight.useWriteKeys(recordKeys(suite, application.server));

  state.unfinished = { clientSecret: secrets.client, masterSecret: master };
  if (asks) connection.stage = 'certificate-1-3';
  else finishClientFlight(connection);
  return { kind: 'wait' };
}

function trafficSecrets(
  { hash }: CipherSuite,
  secret: Buffer,
  epoch: 'hs' | 'ap',
  hashed: Buffer,
): { client: Buffer; server: Buffer } {
  return {
    client: deriveSecret(hash, secret, `c ${epoch} traffic`, hashed),
    server: deriveSecret(hash, secret, `s ${epoch} traffic`, hashed),
  };
}

/** CertificateRequest*, Certificate, CertificateVerify. Says whether the client was asked for its own. */
function showCertificate(
  { settings, flight }: HandshakeContext,
  connection: Connection,
  hello: ClientHello,
  { hash }: CipherSuite,
): boolean {
  const { identity, scheme } = chooseIdentity(settings, hello);
  const asks = asksForCertificate(settings, connection.terms.clientCertificate);
  if (asks) {
    const request = encodeCertificateRequest(authorityNames(settings));
    flight.handshake(messageTypes.certificateRequest, request);
  }
  flight.handshake(messageTypes.certificate, encodeCertificate(identity.chain));
  const content = signedContent('server', transcriptHash(hash, transcriptOf(connection)));
  const signature = signWith(scheme, identity.privateKey, content);
  flight.handshake(messageTypes.certificateVerify, encodeCertificateVerify(scheme.code, signature));
  return asks;
}

function stateOf({ tls13 }: Connection): Tls13State {
  assert(tls13, 'not a TLS 1.3 connection');
  return tls13;
}

function transcriptOf({ transcript }: Connection): Buffer {
  assert(transcript, 'there is no transcript of this handshake');
  return transcript;
}
