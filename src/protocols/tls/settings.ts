// What the portable TLS server of EAP is told by its operator. Read anew at each handshake, so that a
// renewed certificate or revocation list counts from the next login on.

import type { KeyObject } from 'node:crypto';
import type { ClientTrust } from '../x509/path-validation.ts';

export type TlsSettings = {
  /** One for each kind of key, the dearest first; the first that the client can check is shown. */
  identities: readonly ServerIdentity[];
  /** Whose client certificates count. Undefined: none is ever asked for. */
  clientTrust?: ClientTrust;
  minVersion: '1.2' | '1.3';
  maxVersion: '1.2' | '1.3';
  /** Undefined: nothing is resumed. */
  tickets?: TicketBox;
  ticketLifetimeMs: number;
};

export type ServerIdentity = {
  /** DER, the server's own first, without the root. */
  chain: readonly Buffer[];
  privateKey: KeyObject;
};

/** Seals tickets under keys that the cluster shares and that change with time. */
export type TicketBox = {
  seal(content: Buffer, nowMs: number): Buffer;
  /** Undefined: forged, damaged, or sealed under a key that is too old. */
  open(ticket: Buffer, nowMs: number): Buffer | undefined;
};
