// What a TLS 1.2 connection keeps, beside its record keys. What the stage of the handshake promises to be
// there is asked for with the functions below.

import assert from 'node:assert/strict';
import type { PathReference } from '../x509/path-references.ts';
import type { CipherSuiteName } from './cipher-suites.ts';
import type { AcceptedCertificate } from './client-certificate.ts';
import type { Connection, RecordKeys } from './connection.ts';
import type { ClientIdentity, Ticket } from './engine.ts';
import type { Group } from './key-exchange.ts';
import type { RememberedSession } from './sessions.ts';

export type Tls12State = {
  /** The session that the client named, while the caller looks whether it may be used. */
  offered?: RememberedSession;
  /** From the ServerHello on. */
  agreed?: Agreed;
  /** From the ServerHello to the ClientKeyExchange. */
  keyExchange?: { group: Group; privateKey: Buffer };
  /** A certificate whose holder has still to prove itself. */
  unproven?: AcceptedCertificate;
  clientCertificate?: ClientIdentity;
  /** Of that certificate, for the session that may be remembered. */
  path?: PathReference[];
  masterSecret?: Buffer;
  /** Ours, from the client's ChangeCipherSpec to our own. */
  writeKeys?: RecordKeys;
  resumed?: Ticket;
};

export type Agreed = {
  suite: CipherSuiteName;
  clientRandom: Buffer;
  serverRandom: Buffer;
  /** Empty: this connection cannot be resumed. */
  sessionId: Buffer;
};

export function stateOf({ tls12 }: Connection): Tls12State {
  assert(tls12, 'not a TLS 1.2 connection');
  return tls12;
}

export function agreedOf({ agreed }: Tls12State): Agreed {
  assert(agreed, 'there has been no ServerHello');
  return agreed;
}

export function masterSecretOf({ masterSecret }: Tls12State): Buffer {
  assert(masterSecret, 'there is no master secret yet');
  return masterSecret;
}
