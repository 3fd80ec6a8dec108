// What is remembered of a TLS 1.2 connection so that a later one can be short: resumption by session id,
// RFC 5246 §7.3. Sealed like a ticket, so the store never sees a master secret, and what it gives back is
// what we gave it. Tickets of RFC 5077 are not issued: the server would have to send them within its last
// flight, before the inner login of PEAP or TTLS has said who it is; and many supplicants never ask for
// them (wpa_supplicant by default), while all of them keep a session id. TLS 1.3 sends tickets later.

import type { PathReference } from '../x509/path-references.ts';
import { type CipherSuiteName, cipherSuites } from './cipher-suites.ts';
import type { Ticket, TlsTerms } from './engine.ts';
import type { TicketBox } from './settings.ts';

export type RememberedSession = {
  purpose: TlsTerms['purpose'];
  suite: CipherSuiteName;
  masterSecret: Buffer;
  expiresAtMs: number;
  ticket: Ticket;
  /** Of the client's certificate, if it had one: revocation may catch up with it. */
  path?: readonly PathReference[];
};

/** Names what is inside, so that nothing else that is sealed under the same keys can stand in for it. */
const FORMAT = 'tls12-session/1';

type Content = Omit<RememberedSession, 'masterSecret'> & {
  format: typeof FORMAT;
  /** The id it is remembered under: a store that mixes up two values is found out. */
  id: string;
  masterSecret: string;
};

export function sealSession(
  box: TicketBox,
  id: string,
  session: RememberedSession,
  nowMs: number,
): Buffer {
  const masterSecret = session.masterSecret.toString('base64');
  const content: Content = { format: FORMAT, id, ...session, masterSecret };
  return box.seal(Buffer.from(JSON.stringify(content)), nowMs);
}

/** Undefined: not ours, not under this id, of another release, or too old. */
export function openSession(
  box: TicketBox,
  id: string,
  value: Buffer,
  nowMs: number,
): RememberedSession | undefined {
  const opened = box.open(value, nowMs);
  // A ticket of TLS 1.3 may be anything: only what begins like ours is read as JSON.
  if (opened?.toString('latin1', 0, OPENING.length) !== OPENING) return undefined;
  const content = JSON.parse(opened.toString()) as Content;
  if (content.id !== id || content.expiresAtMs <= nowMs) return undefined;
  const { purpose, suite, expiresAtMs, ticket, path } = content;
  const masterSecret = Buffer.from(content.masterSecret, 'base64');
  return { purpose, suite, masterSecret, expiresAtMs, ticket, ...(path && { path }) };
}

const OPENING = `{"format":"${FORMAT}"`;

/**
 * Whether the session fits what the client offers and what this login demands. RFC 5246 §7.4.1.2 has the
 * client offer its old suite again. That the certificate of the session still counts, client-certificate.ts
 * says, and that the login does, the caller.
 */
export function mayContinue(
  session: RememberedSession,
  { purpose, clientCertificate }: TlsTerms,
  offeredSuites: readonly number[],
): boolean {
  const suite = cipherSuites.find(({ name }) => name === session.suite);
  return (
    session.purpose === purpose &&
    (clientCertificate !== 'required' || session.path !== undefined) &&
    suite?.version === '1.2' &&
    offeredSuites.includes(suite.id)
  );
}
