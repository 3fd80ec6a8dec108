// All that a connection is between two packets. Every call of the engine thaws it, changes its own copy
// and freezes that again, so any process can go on from any call, and the caller's value never changes.
// It waits in a shared store by the thousand: what is not needed any more is deleted at once.

import type { CipherSuiteName } from './cipher-suites.ts';
import type { Json, TlsConnection, TlsFacts, TlsTerms } from './engine.ts';
import type { Tls12State } from './handshake-1-2-state.ts';
import type { Tls13State } from './handshake-1-3-state.ts';

export type Connection = {
  /** Another shape gets another number: a node of the next release must not guess. */
  format: 1;
  terms: TlsTerms;
  stage: Stage;
  incoming: Incoming;
  /**
   * The handshake messages so far, whole, since the state of a hash cannot be stored. Deleted as soon
   * as no hash of it will be needed.
   */
  transcript?: Buffer;
  /** Undefined: records are not protected yet. */
  read?: RecordKeys;
  write?: RecordKeys;
  /** How many bytes of plaintext a record to this client may have. RFC 8449, RFC 6066 §4. */
  maxPlaintextBytes?: number;
  /** The state of the version that was negotiated; one of the two after the ClientHello. */
  tls12?: Tls12State;
  tls13?: Tls13State;
  /** From the end of the handshake on. */
  facts?: TlsFacts;
};

/** Which messages may come in which stage is the table of stages.ts. */
export type Stage =
  | 'client-hello'
  // TLS 1.3
  | 'second-client-hello'
  | 'ticket-decision'
  | 'certificate-1-3'
  | 'certificate-verify-1-3'
  | 'finished-1-3'
  // TLS 1.2
  | 'session-decision'
  | 'certificate-1-2'
  | 'client-key-exchange'
  | 'certificate-verify-1-2'
  | 'change-cipher-spec'
  | 'finished-1-2'
  // both
  | 'open'
  | 'closed';

type Incoming = {
  /** The beginning of a record. */
  record: Buffer;
  /** The beginning of a handshake message. */
  handshake: Buffer;
  /** Records during the handshake, so that nobody keeps us busy with crumbs. */
  recordCount: number;
  /** How many bytes of early data, which we never accept, may still be skipped. RFC 8446 §4.2.10. */
  skippableBytes: number;
};

export type RecordKeys = {
  suite: CipherSuiteName;
  key: Buffer;
  iv: Buffer;
  /** Of the next record. */
  sequence: number;
};

export function newConnection(terms: TlsTerms): Connection {
  const nothing = Buffer.alloc(0);
  return {
    format: 1,
    terms,
    stage: 'client-hello',
    transcript: nothing,
    incoming: { record: nothing, handshake: nothing, recordCount: 0, skippableBytes: 0 },
  };
}

/** Bytes become `{ base64 }`, which nothing else in a connection looks like. */
export function freeze(connection: Connection): TlsConnection {
  return encode(connection) as TlsConnection;
}

export function thaw(frozen: TlsConnection): Connection {
  if (frozen['format'] !== 1) throw new Error('a TLS connection of another release cannot go on');
  return decode(frozen) as Connection;
}

type Value = Json | Buffer | readonly Value[] | { readonly [key: string]: Value | undefined };

function encode(value: Value): Json {
  if (Buffer.isBuffer(value)) return { base64: value.toString('base64') };
  return overParts(value, encode) as Json;
}

function decode(value: Value): Value {
  if (isBase64(value)) return Buffer.from(value.base64, 'base64');
  return overParts(value, decode);
}

function overParts(value: Value, each: (part: Value) => Value): Value {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(each);
  const parts = Object.entries(value).filter(([, part]) => part !== undefined);
  return Object.fromEntries(parts.map(([name, part]) => [name, each(part as Value)]));
}

function isBase64(value: Value): value is { base64: string } {
  return typeof value === 'object' && value !== null && 'base64' in value;
}
