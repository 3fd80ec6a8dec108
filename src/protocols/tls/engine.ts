// What carries a TLS connection inside EAP, where packets arrive one by one and each may meet another
// process. Two engines keep this interface: the portable one (server.ts), whose connection is plain
// data that any process can go on with, and the native one (services/radius/eap/native-engine.ts), whose
// connection only names memory of its process. The EAP methods cannot tell them apart.

/** What survives JSON. */
export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [key: string]: Json };

/** Opaque to all but the engine that made it. It holds keys: seal what leaves the process. */
export type TlsConnection = { readonly [key: string]: Json };

/** Such a connection lives in the memory of one process, which must answer its packets. */
export function isNativeConnection(connection: TlsConnection): boolean {
  return connection['engine'] === 'native';
}

/** Whether there is one anywhere in the state of an EAP method: it may have a tunnel in a tunnel. */
export function holdsNativeConnection(state: Json): boolean {
  if (typeof state !== 'object' || state === null) return false;
  if ('engine' in state && state.engine === 'native') return true;
  return Object.values(state).some(holdsNativeConnection);
}

export type TlsEngine = {
  readonly kind: 'portable' | 'native';
  /** A new connection that waits for a ClientHello. */
  accept(terms: TlsTerms): TlsConnection;
  /** Takes bytes from the client, any number of records or parts of them. */
  receive(connection: TlsConnection, bytes: Buffer, moment: TlsMoment): Soon<TlsProgress>;
  /** Goes on after `offers-session` or `offers-ticket`. */
  decide(connection: TlsConnection, decision: TlsDecision, moment: TlsMoment): Soon<TlsProgress>;
  /** Encrypts `data`. Only on an open connection. */
  send(connection: TlsConnection, data: Buffer): Soon<TlsSent>;
  /** Ends an open connection, or one in its handshake, with a fatal alert. */
  abort(connection: TlsConnection, alert: AlertName): Soon<TlsSent>;
  /**
   * Lets the client resume later, which only a finished login earns. TLS 1.3: the ticket is in `output`.
   * TLS 1.2: `session` must be remembered for `lifetimeMs` under its id, and `output` is empty. Both
   * undefined and empty: this engine or this connection cannot be resumed.
   */
  issueTicket(connection: TlsConnection, ticket: Ticket, moment: TlsMoment): Soon<TlsIssued>;
  /** RFC 5705 §4, RFC 8446 §7.5. Without `context` is not the same as with an empty one in TLS 1.2. */
  exportKey(
    connection: TlsConnection,
    label: string,
    length: number,
    context?: Buffer,
  ): Soon<Buffer>;
};

export type Soon<T> = T | Promise<T>;

export type TlsTerms = {
  /** A ticket of one purpose never opens another: a ticket from PEAP is no proof of a certificate. */
  purpose: 'eap-tls' | 'peap' | 'ttls' | 'teap';
  /** `optional`: asked for, and checked when it comes. */
  clientCertificate: 'required' | 'optional' | 'none';
};

/**
 * What changes from call to call. `random`: 32 bytes from which the call draws all it needs. For `receive`
 * and `decide` they never come again, for they make keys; for `issueTicket` they are the same when a round
 * is worked out a second time, so that the same ticket comes out under the same key and counter.
 */
export type TlsMoment = { nowMs: number; random: Buffer };

export type TlsProgress = { connection: TlsConnection } &
  /** Send `output`, if any, and wait. Empty output: only a part of a flight has arrived. */
  (
    | { kind: 'handshaking'; output: Buffer }
    /** The client names a TLS 1.2 session: look it up, then call `decide` with what was remembered. */
    | { kind: 'offers-session'; id: string }
    /** A genuine, unexpired ticket of this purpose: may it be used? Then call `decide`. */
    | { kind: 'offers-ticket'; ticket: Ticket }
    /** The handshake is complete, now or earlier. `data`: what the client said inside, perhaps nothing. */
    | { kind: 'open'; output: Buffer; data: Buffer; facts: TlsFacts }
    /** The connection is over. `output` carries our alert, if it is ours. */
    | { kind: 'failed'; output: Buffer; alert: AlertName; from: 'us' | 'client'; detail: string }
  );

export type TlsDecision =
  | { kind: 'session'; session: Buffer | null }
  | { kind: 'ticket'; mayResume: boolean };

export type TlsSent = { connection: TlsConnection; output: Buffer };
type TlsIssued = TlsSent & { session?: TlsSession };
export type TlsSession = { id: string; value: Buffer; lifetimeMs: number };

/** What a login has earned and a resumption relies on, beside the secret. */
export type Ticket = {
  /** Who it was, as the inner login said. */
  identity: string;
  /** The digest of what this login was allowed by: another password or plan makes another. */
  policy: string;
  /** SHA-256 of the client's certificate, hexadecimal. */
  certificate?: string;
};

export type TlsFacts = {
  version: '1.0' | '1.1' | '1.2' | '1.3';
  /** IANA name, `TLS_AES_128_GCM_SHA256`. */
  cipherSuite: string;
  /** The hash of the cipher suite: TEAP's compound MAC needs it. RFC 9930 §6.3. */
  hash: 'sha1' | 'sha256' | 'sha384';
  /** Hexadecimal; the EAP Session-Id of TLS 1.2 is made of them. RFC 5247 §2.2, RFC 5216 §2.3. */
  clientRandom: string;
  serverRandom: string;
  /** The ticket that was resumed; a full handshake has none. */
  resumed?: Ticket;
  /** Proven and valid, from this handshake. A resumed connection has only the ticket's hash. */
  clientCertificate?: ClientIdentity;
};

/** What a validated client certificate says about who holds it. */
export type ClientIdentity = {
  /** SHA-256 of the certificate, hexadecimal. */
  certificate: string;
  commonName?: string;
  emails: readonly string[];
  dnsNames: readonly string[];
  /** Microsoft's user principal name, otherName 1.3.6.1.4.1.311.20.2.3. */
  principalNames: readonly string[];
};

/** RFC 8446 §6.2, RFC 5246 §7.2.2. */
export type AlertName =
  | 'close_notify'
  | 'unexpected_message'
  | 'bad_record_mac'
  | 'record_overflow'
  | 'handshake_failure'
  | 'bad_certificate'
  | 'unsupported_certificate'
  | 'certificate_revoked'
  | 'certificate_expired'
  | 'certificate_unknown'
  | 'illegal_parameter'
  | 'unknown_ca'
  | 'access_denied'
  | 'decode_error'
  | 'decrypt_error'
  | 'protocol_version'
  | 'insufficient_security'
  | 'internal_error'
  | 'inappropriate_fallback'
  | 'user_canceled'
  | 'no_renegotiation'
  | 'missing_extension'
  | 'unsupported_extension'
  | 'unrecognized_name'
  | 'bad_certificate_status_response'
  | 'unknown_psk_identity'
  | 'certificate_required'
  | 'no_application_protocol';
