// A TLS server without a socket and without memory: bytes and a connection in, bytes and the next
// connection out. Whatever goes wrong ends in an alert, never in a throw. How bytes become messages is
// receive.ts; what the messages mean is handshake-1-3.ts and handshake-1-2.ts.

import assert from 'node:assert/strict';
import { type Connection, freeze, newConnection, thaw } from './connection.ts';
import type { TlsConnection, TlsEngine, TlsMoment, TlsProgress } from './engine.ts';
import { createFlight } from './flight.ts';
import { type HandshakeStep, createRandomSource } from './handshake.ts';
import { type Call, type HelloMessage, decide, handshakeOf, receive } from './receive.ts';
import type { ObserveRecord } from './records.ts';
import type { TlsSettings } from './settings.ts';
import { TlsAlert } from './wire.ts';

export type EngineOptions = {
  /** Sees each protected record that is made. */
  observe?: ObserveRecord;
};

export function createPortableEngine(
  settings: () => TlsSettings,
  { observe }: EngineOptions = {},
): TlsEngine {
  function begin(frozen: TlsConnection, moment: TlsMoment): Call {
    const connection = thaw(frozen);
    const flight = createFlight(connection, observe);
    const random = createRandomSource(moment.random);
    const context = { settings: settings(), moment, random, flight };
    const hello = undecided.get(frozen);
    return { connection, context, flight, data: [], ...(hello && { hello }) };
  }

  /** For what needs an open connection; that there is one is the caller's affair. */
  function beginOpen(frozen: TlsConnection, moment: TlsMoment = NO_MOMENT): Call {
    const call = begin(frozen, moment);
    assert(call.connection.stage === 'open', 'the TLS connection is not open');
    return call;
  }

  function progress(
    frozen: TlsConnection,
    moment: TlsMoment,
    work: (call: Call) => HandshakeStep,
  ): TlsProgress {
    let call: Call;
    try {
      call = begin(frozen, moment);
    } catch (error) {
      // Without its keys there is nothing that the client could be told.
      const { alert, message: detail } = alertFor(error);
      return { kind: 'failed', connection: frozen, output: NOTHING, alert, from: 'us', detail };
    }
    return carryOut(call, work);
  }

  return {
    kind: 'portable',
    accept: (terms) => freeze(newConnection(terms)),
    receive: (connection, bytes, moment) =>
      progress(connection, moment, (call) => receive(call, bytes)),
    decide: (connection, decision, moment) =>
      progress(connection, moment, (call) => decide(call, decision)),
    send(connection, data) {
      const call = beginOpen(connection);
      call.flight.applicationData(data);
      return sent(call);
    },
    abort(connection, alert) {
      const call = begin(connection, NO_MOMENT);
      if (call.connection.stage !== 'closed') call.flight.alert(alert);
      close(call.connection);
      return sent(call);
    },
    issueTicket(connection, ticket, moment) {
      const call = beginOpen(connection, moment);
      const session = handshakeOf(call.connection).issue(call.context, call.connection, ticket);
      return { ...sent(call), ...(session && { session }) };
    },
    exportKey(frozen, label, length, context) {
      const { connection } = beginOpen(frozen);
      return handshakeOf(connection).exportKey(connection, label, length, context);
    },
  };
}

const NOTHING = Buffer.alloc(0);
/** For calls that need neither time nor chance. */
const NO_MOMENT: TlsMoment = { nowMs: 0, random: NOTHING };

/**
 * The ClientHello of what waits for a decision. Where the decision is made in this process and at once,
 * as it nearly always is, nobody has to read it again, nor to open its ticket: a fifteenth of a
 * resumption. Any other process finds both in the transcript.
 */
const undecided = new WeakMap<TlsConnection, HelloMessage>();

/** Carries out one call; what it throws is how the connection ends. */
function carryOut(call: Call, work: (call: Call) => HandshakeStep): TlsProgress {
  const { connection, flight } = call;
  try {
    if (connection.stage === 'closed') throw new TlsAlert('unexpected_message', 'it is over');
    const step = work(call);
    if (step.kind === 'offers-session' || step.kind === 'offers-ticket') {
      // It asked again before it could have seen our HelloRetryRequest.
      if (!flight.isEmpty()) throw new TlsAlert('unexpected_message', 'a ClientHello too early');
      const frozen = freeze(connection);
      if (call.hello) undecided.set(frozen, call.hello);
      return { ...step, connection: frozen };
    }
  } catch (error) {
    return failed(call, error);
  }
  return outcome(call);
}

function outcome(call: Call): TlsProgress {
  const { connection, flight, data, ended } = call;
  const output = flight.bytes();
  const { facts } = connection;
  if (ended) {
    close(connection);
    // What it said before it left does not count: nobody is there any more to hear an answer.
    return {
      kind: 'failed',
      connection: freeze(connection),
      output,
      alert: ended,
      from: 'client',
      detail: 'the client ended the connection',
    };
  }
  if (!facts) return { kind: 'handshaking', connection: freeze(connection), output };
  return { kind: 'open', connection: freeze(connection), output, data: Buffer.concat(data), facts };
}

function failed({ connection, flight }: Call, error: unknown): TlsProgress {
  const { alert, message: detail } = alertFor(error);
  let output: Buffer = NOTHING;
  try {
    if (connection.stage !== 'closed') flight.alert(alert);
    output = flight.bytes();
  } catch {
    // Too many records under this key: it ends without a word.
  }
  close(connection);
  return { kind: 'failed', connection: freeze(connection), output, alert, from: 'us', detail };
}

function alertFor(error: unknown): TlsAlert {
  if (error instanceof TlsAlert) return error;
  return new TlsAlert('internal_error', `in the server: ${String(error)}`);
}

/** Nothing is kept of it, least of all its keys. */
function close(connection: Connection): void {
  const { terms } = connection;
  for (const name of Object.keys(connection)) Reflect.deleteProperty(connection, name);
  Object.assign(connection, newConnection(terms), { stage: 'closed' });
}

function sent({ connection, flight }: Call): { connection: TlsConnection; output: Buffer } {
  const output = flight.bytes();
  return { connection: freeze(connection), output };
}
