// What a TLS 1.3 connection keeps, beside its record keys. handshake-1-3.ts and what it calls write it.

import type { CipherSuiteName } from './cipher-suites.ts';
import type { AcceptedCertificate } from './client-certificate.ts';
import type { StoredTicket } from './tickets.ts';

export type Tls13State = {
  /** After our HelloRetryRequest: what the second ClientHello must still say. */
  retry?: { group: number; suite: CipherSuiteName; clientRandom: Buffer; sessionId: Buffer };
  /** From the ServerHello on. */
  agreed?: Agreed13;
  /** While the client may still send a certificate, which changes what its Finished says. */
  unfinished?: { clientSecret: Buffer; masterSecret: Buffer };
  /** A valid certificate whose holder has still to prove itself. */
  unproven?: AcceptedCertificate;
  /** Once nothing but the client's Finished is missing: all of it that is not known already. */
  expectedFinished?: Buffer;
  /** Traffic secrets of the application data, for the keys after the handshake and after a KeyUpdate. */
  clientSecret?: Buffer;
  serverSecret?: Buffer;
  exporterSecret?: Buffer;
  /** What tickets are made from. */
  resumptionSecret?: Buffer;
  client?: Pick<AcceptedCertificate, 'identity' | 'path'>;
  /** From the ticket: it can be followed by others, but not beyond the end of the first one's life. */
  resumed?: Pick<StoredTicket, 'ticket' | 'path' | 'expiresAtMs'>;
  /** The client can resume with a new Diffie-Hellman exchange, the only way that we know. */
  takesTickets?: boolean;
  ticketCount?: number;
  keyUpdateCount?: number;
};

type Agreed13 = {
  suite: CipherSuiteName;
  clientRandom: Buffer;
  serverRandom: Buffer;
};
