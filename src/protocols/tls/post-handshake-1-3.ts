// What a TLS 1.3 server says and hears after the handshake: tickets and new keys. RFC 8446 §4.6. Certificates
// are asked for within the handshake or not at all.

import assert from 'node:assert/strict';
import { cipherSuite } from './cipher-suites.ts';
import type { Connection } from './connection.ts';
import type { Ticket } from './engine.ts';
import type { Tls13State } from './handshake-1-3-state.ts';
import {
  type HandshakeContext,
  type HandshakeMessage,
  type HandshakeStep,
  messageTypes,
} from './handshake.ts';
import { nextTrafficSecret, recordKeys, ticketSecret } from './key-schedule.ts';
import { encodeNewSessionTicket } from './messages-1-3.ts';
import { MAX_TICKET_LIFETIME_MS, sealTicket } from './tickets.ts';
import { TlsAlert, uint8 } from './wire.ts';

/** Nobody changes keys within the twenty records of a login. */
const MAX_KEY_UPDATES = 16;

/** NewSessionTicket, whenever the login has earned it. RFC 8446 §4.6.1. */
export function sendTicket(
  { settings, moment, random, flight }: HandshakeContext,
  connection: Connection,
  ticket: Ticket,
): void {
  const state = stateOf(connection);
  const { agreed, resumptionSecret, resumed, client } = state;
  assert(
    agreed && resumptionSecret,
    'there is no resumption secret before the end of the handshake',
  );
  const { nowMs } = moment;
  const longestMs = Math.min(settings.ticketLifetimeMs, MAX_TICKET_LIFETIME_MS);
  const expiresAtMs = Math.min(nowMs + longestMs, resumed?.expiresAtMs ?? Infinity);
  const lifetimeSeconds = Math.floor((expiresAtMs - nowMs) / 1000);
  if (!settings.tickets || state.takesTickets !== true || lifetimeSeconds <= 0) return;

  const { hash } = cipherSuite(agreed.suite);
  const count = state.ticketCount ?? 0;
  assert(count < 0xff, 'too many tickets for one connection');
  state.ticketCount = count + 1;
  const nonce = uint8(count); // another for each ticket, so that each has a secret of its own
  const sealed = sealTicket(
    settings.tickets,
    {
      purpose: connection.terms.purpose,
      hash,
      secret: ticketSecret(hash, resumptionSecret, nonce),
      expiresAtMs,
      ticket,
      path: client?.path ?? resumed?.path ?? [],
    },
    nowMs,
  );
  // What the client adds to the age it tells, so that nobody on the way can link its connections.
  const ageAdd = random(4);
  flight.handshake(
    messageTypes.newSessionTicket,
    encodeNewSessionTicket({ lifetimeSeconds, ageAdd, nonce, ticket: sealed }),
  );
}

/** KeyUpdate. RFC 8446 §4.6.3. */
export function updateKeys(
  { flight }: HandshakeContext,
  connection: Connection,
  { body }: HandshakeMessage,
): HandshakeStep {
  const state = stateOf(connection);
  const { agreed, clientSecret, serverSecret } = state;
  assert(agreed && clientSecret && serverSecret, 'an open connection has its traffic secrets');
  const suite = cipherSuite(agreed.suite);
  const [request] = body;
  if (body.length !== 1) throw new TlsAlert('decode_error', `KeyUpdate has ${body.length} bytes`);
  if (request !== 0 && request !== 1)
    throw new TlsAlert('illegal_parameter', `KeyUpdate asks for ${request}`);
  state.keyUpdateCount = (state.keyUpdateCount ?? 0) + 1;
  if (state.keyUpdateCount > MAX_KEY_UPDATES)
    throw new TlsAlert('unexpected_message', 'keys are changed too often');

  state.clientSecret = nextTrafficSecret(suite.hash, clientSecret);
  flight.useReadKeys(recordKeys(suite, state.clientSecret));
  if (request === 1) {
    flight.handshake(messageTypes.keyUpdate, uint8(0));
    state.serverSecret = nextTrafficSecret(suite.hash, serverSecret);
    flight.useWriteKeys(recordKeys(suite, state.serverSecret));
  }
  return { kind: 'wait' };
}

function stateOf({ tls13 }: Connection): Tls13State {
  assert(tls13, 'not a TLS 1.3 connection');
  return tls13;
}
