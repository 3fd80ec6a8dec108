// All that a connection is between two packets. Every call of the engine thaws it, changes its own copy
// and freezes that again, so any process can go on from any call, and the caller's value never changes.
// It waits in a shared store by the thousand: what is not needed any more is deleted at once.

import type { CipherSuiteName } from './cipher-suites.ts';
import type { TlsConnection, TlsFacts, TlsTerms } from './engine.ts';
import type { Tls12State } from './handshake-1-2-state.ts';
import type { Tls13State } from './handshake-1-3-state.ts';

export type Connection = {
  /** Another shape gets another number: a node of the next release must not guess. */
  format: 2;
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
    format: 2,
    terms,
    stage: 'client-hello',
    transcript: nothing,
    incoming: { record: nothing, handshake: nothing, recordCount: 0, skippableBytes: 0 },
  };
}

export function freeze(connection: Connection): TlsConnection {
  return encode(connection) as TlsConnection;
}

export function thaw(frozen: TlsConnection): Connection {
  if (frozen['format'] !== 2) throw new Error('a TLS connection of another release cannot go on');
  return decode(frozen) as Connection;
}

/**
 * Whether its keys and the server's signature are already made. From then on what the server says is a
 * function of the connection and of what comes; before, of chance.
 */
export function isPastHello(frozen: TlsConnection): boolean {
  const { stage } = frozen;
  return typeof stage === 'string' && !BEFORE_KEYS.some((before) => before === stage);
}

const BEFORE_KEYS: readonly Stage[] = [
  'client-hello',
  'second-client-hello',
  'ticket-decision',
  'session-decision',
];

type Parts = { [key: string]: unknown };

/** Without bytes, and never changed once it is there: frozen and thawed it is the same object. */
const PLAIN: ReadonlySet<string> = new Set([
  'terms',
  'facts',
  'identity',
  'path',
  'ticket',
  'client',
  'clientCertificate',
  'resumed',
]);

/** Bytes begin like this. No other text outside of the plain parts does: it is all names of ours. */
const BYTES = '=';

// Loops and no entries: a connection is frozen and thawed some ten times in a login, and this takes 2 µs
// where `Object.fromEntries` took 10.

function encode(parts: Readonly<Parts>): Parts {
  const encoded: Parts = {};
  for (const name in parts) {
    const part = parts[name];
    if (part === undefined) continue;
    if (Buffer.isBuffer(part)) encoded[name] = BYTES + part.toString('base64');
    else encoded[name] = hasParts(part) && !PLAIN.has(name) ? encode(part) : part;
  }
  return encoded;
}

function decode(parts: Readonly<Parts>): Parts {
  const decoded: Parts = {};
  for (const name in parts) {
    const part = parts[name];
    if (typeof part === 'string' && part.startsWith(BYTES))
      decoded[name] = Buffer.from(part.slice(BYTES.length), 'base64');
    else decoded[name] = hasParts(part) && !PLAIN.has(name) ? decode(part) : part;
  }
  return decoded;
}

function hasParts(value: unknown): value is Readonly<Parts> {
  return typeof value === 'object' && value !== null;
}
