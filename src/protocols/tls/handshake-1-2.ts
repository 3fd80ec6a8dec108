// The server's side of a TLS 1.2 handshake, full or abbreviated. RFC 5246 §7.3 and §7.4, RFC 8422, with the
// extended master secret of RFC 7627 always. What the client answers is client-flight-1-2.ts, what to pick
// choice-1-2.ts, how messages look messages-1-2.ts, what is remembered sessions.ts.

import assert from 'node:assert/strict';
import { checkHello, choose } from './choice-1-2.ts';
import { type CipherSuite, cipherSuite } from './cipher-suites.ts';
import { asksForCertificate, authorityNames, isStillAccepted } from './client-certificate.ts';
import { receiveChangeCipherSpec, receiveClientFlight } from './client-flight-1-2.ts';
import type { ClientHello } from './client-hello.ts';
import type { Connection } from './connection.ts';
import { type Agreed, agreedOf, masterSecretOf, stateOf } from './handshake-1-2-state.ts';
import {
  type HandshakeContext,
  type HandshakeStep,
  type VersionHandshake,
  messageTypes,
} from './handshake.ts';
import { createKeyShare, groups } from './key-exchange.ts';
import { recordKeys, sayFinished } from './keys-1-2.ts';
import {
  encodeCertificate,
  encodeCertificateRequest,
  encodeKeyParameters,
  encodeServerHello,
  encodeSigned,
} from './messages-1-2.ts';
import { exportKeyingMaterial } from './prf.ts';
import { agreeOnRecordSize } from './record-size.ts';
import { type RememberedSession, mayContinue, openSession, sealSession } from './sessions.ts';
import { signWith } from './signatures.ts';
import { createServerRandom } from './version.ts';

const WAIT: HandshakeStep = { kind: 'wait' };
const SESSION_ID_BYTES = 32;

export const tls12: VersionHandshake = {
  begin(context, connection, hello) {
    checkHello(hello);
    connection.tls12 = {};
    // A client that could also speak TLS 1.3 puts random bytes here: then nobody knows the id.
    if (context.settings.tickets === undefined || hello.sessionId.length === 0)
      return handshakeInFull(context, connection, hello);
    connection.stage = 'session-decision';
    return { kind: 'offers-session', id: hello.sessionId.toString('hex') };
  },

  decide(context, connection, decision, hello) {
    const state = stateOf(connection);
    if (decision.kind === 'session') {
      const session = rememberedSession(context, connection, decision.session, hello);
      if (session === undefined) return handshakeInFull(context, connection, hello);
      state.offered = session;
      connection.stage = 'ticket-decision';
      return { kind: 'offers-ticket', ticket: session.ticket };
    }
    const { offered } = state;
    assert(offered, 'a ticket was decided on that nobody has offered');
    delete state.offered;
    return decision.mayResume
      ? resume(context, connection, hello, offered)
      : handshakeInFull(context, connection, hello);
  },

  receive: receiveClientFlight,
  changeCipherSpec: receiveChangeCipherSpec,

  /** The id has stood in the ServerHello since the beginning; it is worth something from here on. */
  issue({ settings, moment }, connection, ticket) {
    const state = stateOf(connection);
    const { suite, sessionId } = agreedOf(state);
    // A resumed session keeps the end of its life: otherwise one master secret could live for ever.
    if (settings.tickets === undefined || sessionId.length === 0 || state.resumed !== undefined)
      return undefined;
    const id = sessionId.toString('hex');
    const lifetimeMs = settings.ticketLifetimeMs;
    const session: RememberedSession = {
      purpose: connection.terms.purpose,
      suite,
      masterSecret: masterSecretOf(state),
      expiresAtMs: moment.nowMs + lifetimeMs,
      ticket,
      ...(state.path && { path: state.path }),
    };
    return { id, value: sealSession(settings.tickets, id, session, moment.nowMs), lifetimeMs };
  },

  exportKey(connection, label, length, context) {
    const state = stateOf(connection);
    const agreed = agreedOf(state);
    const { hash } = cipherSuite(agreed.suite);
    return exportKeyingMaterial(hash, masterSecretOf(state), agreed, label, length, context);
  },
};

/** ServerHello, Certificate, ServerKeyExchange, CertificateRequest*, ServerHelloDone. */
function handshakeInFull(
  context: HandshakeContext,
  connection: Connection,
  hello: ClientHello,
): HandshakeStep {
  const { settings, random, flight } = context;
  const state = stateOf(connection);
  const { suite, identity, scheme, group } = choose(settings, hello);
  const asks = asksForCertificate(settings, connection.terms.clientCertificate);
  const sessionId = settings.tickets === undefined ? Buffer.alloc(0) : random(SESSION_ID_BYTES);
  const agreed = sayHello(context, connection, hello, suite, sessionId);

  const share = createKeyShare(group, random(groups[group].seedBytes));
  state.keyExchange = { group, privateKey: share.privateKey };
  const parameters = encodeKeyParameters(group, share.publicKey);
  const vouched = Buffer.concat([agreed.clientRandom, agreed.serverRandom, parameters]);
  const signature = signWith(scheme, identity.privateKey, vouched);
  flight.handshake(messageTypes.certificate, encodeCertificate(identity.chain));
  flight.handshake(
    messageTypes.serverKeyExchange,
    Buffer.concat([parameters, encodeSigned(scheme, signature)]),
  );

  if (asks) {
    const request = encodeCertificateRequest(authorityNames(settings));
    flight.handshake(messageTypes.certificateRequest, request);
  }
  flight.handshake(messageTypes.serverHelloDone, Buffer.alloc(0));
  connection.stage = asks ? 'certificate-1-2' : 'client-key-exchange';
  return WAIT;
}

/** ServerHello, ChangeCipherSpec, Finished: the client's answer then is the last word. */
function resume(
  context: HandshakeContext,
  connection: Connection,
  hello: ClientHello,
  session: RememberedSession,
): HandshakeStep {
  const state = stateOf(connection);
  state.masterSecret = session.masterSecret;
  state.resumed = session.ticket;
  sayHello(context, connection, hello, cipherSuite(session.suite), hello.sessionId);
  sayFinished(context, connection, recordKeys(state).write);
  connection.stage = 'change-cipher-spec';
  return WAIT;
}

function sayHello(
  { flight, ...context }: HandshakeContext,
  connection: Connection,
  hello: ClientHello,
  suite: CipherSuite,
  sessionId: Buffer,
): Agreed {
  const recordSize = agreeOnRecordSize(hello, '1.2');
  if (recordSize !== undefined) connection.maxPlaintextBytes = recordSize.maxPlaintextBytes;
  const serverRandom = createServerRandom({ flight, ...context }, '1.2');
  const agreed = { suite: suite.name, clientRandom: hello.random, serverRandom, sessionId };
  stateOf(connection).agreed = agreed;
  flight.handshake(
    messageTypes.serverHello,
    encodeServerHello(hello, suite, serverRandom, sessionId, recordSize?.extension),
  );
  return agreed;
}

/** Undefined: there will be a full handshake, which is nobody's fault. */
function rememberedSession(
  { settings, moment }: HandshakeContext,
  { terms }: Connection,
  value: Buffer | null,
  hello: ClientHello,
): RememberedSession | undefined {
  if (value === null || settings.tickets === undefined) return undefined;
  const id = hello.sessionId.toString('hex');
  const session = openSession(settings.tickets, id, value, moment.nowMs);
  if (session === undefined || !mayContinue(session, terms, hello.cipherSuites)) return undefined;
  if (session.path !== undefined && !isStillAccepted(settings, session.path, moment.nowMs))
    return undefined;
  return session;
}
