// What a TLS 1.3 ticket holds, and whether one that comes back may count. RFC 8446 §4.2.11 and §4.6.1.
// Sealed, so that no node need remember it. Whether its holder may still log in is the caller's question;
// here: is it genuine, of this purpose, young enough, and is its client certificate still good?

import { timingSafeEqual } from 'node:crypto';
import type { PathReference } from '../x509/path-references.ts';
import type { CipherSuite } from './cipher-suites.ts';
import { isStillAccepted } from './client-certificate.ts';
import type { ClientHello } from './client-hello.ts';
import type { Ticket, TlsTerms } from './engine.ts';
import type { HandshakeContext, HandshakeMessage } from './handshake.ts';
import { binderKey, earlySecret, finishedData, transcriptHash } from './key-schedule.ts';
import type { TicketBox, TlsSettings } from './settings.ts';
import { TlsAlert } from './wire.ts';

export type StoredTicket = {
  purpose: TlsTerms['purpose'];
  /** A secret fits the suites of its hash alone. */
  hash: CipherSuite['hash'];
  secret: Buffer;
  expiresAtMs: number;
  ticket: Ticket;
  /** Of the client certificate, if the first handshake had one. */
  path: readonly PathReference[];
};

export type OfferedTicket = { index: number; stored: StoredTicket };

/** psk_dhe_ke: a ticket alone, without fresh keys, would not keep old connections secret. §4.2.9. */
export const PSK_WITH_DIFFIE_HELLMAN = 1;
/** The longest lifetime there is. RFC 8446 §4.6.1. */
export const MAX_TICKET_LIFETIME_MS = 604_800_000;
/** A client offers the newest; more than a few are an attack on our time. */
const MAX_LOOKED_AT = 4;

/** Names what is inside, so that nothing else that is sealed under the same keys can stand in for it. */
const OPENING = '{"format":"tls13-ticket/1"';

export function sealTicket(
  box: TicketBox,
  { secret, ...stored }: StoredTicket,
  nowMs: number,
): Buffer {
  const content = { format: 'tls13-ticket/1', ...stored, secret: secret.toString('base64') };
  return box.seal(Buffer.from(JSON.stringify(content)), nowMs);
}

/**
 * The first ticket of the client that may count. Undefined: there is none, and there will be a full
 * handshake. The client has proven that it knows the ticket's secret; if it does not, the connection ends.
 */
export function findTicket(
  context: HandshakeContext,
  terms: TlsTerms,
  hello: ClientHello,
  message: HandshakeMessage,
  suite: CipherSuite,
): OfferedTicket | undefined {
  const before = found.get(hello);
  if (before) return before;
  const offered = lookForTicket(context, terms, hello, message, suite);
  if (offered) found.set(hello, offered);
  return offered;
}

/** It is asked for before the decision about it and after: the second time it is open already. */
const found = new WeakMap<ClientHello, OfferedTicket>();

function lookForTicket(
  { settings, moment }: HandshakeContext,
  terms: TlsTerms,
  hello: ClientHello,
  message: HandshakeMessage,
  suite: CipherSuite,
): OfferedTicket | undefined {
  if (!hello.preSharedKeys) return undefined;
  if (!hello.pskModes)
    throw new TlsAlert('missing_extension', 'pre_shared_key without psk_key_exchange_modes');
  const { tickets: box } = settings;
  if (!box || !hello.pskModes.includes(PSK_WITH_DIFFIE_HELLMAN)) return undefined;

  const { nowMs } = moment;
  const { identities, binders, vouchedBytes } = hello.preSharedKeys;
  for (const [index, { identity }] of identities.slice(0, MAX_LOOKED_AT).entries()) {
    const stored = openTicket(box, identity, nowMs);
    if (!stored || stored.purpose !== terms.purpose || stored.hash !== suite.hash) continue;
    if (stored.expiresAtMs <= nowMs) continue;
    if (!isCertificateGood(stored, terms, settings, nowMs)) continue;

    const vouched = Buffer.concat([
      message.transcriptBefore,
      message.bytes.subarray(0, vouchedBytes),
    ]);
    checkBinder(stored, vouched, binders[index]);
    return { index, stored };
  }
  return undefined;
}

function openTicket(box: TicketBox, sealed: Buffer, nowMs: number): StoredTicket | undefined {
  const opened = box.open(sealed, nowMs);
  if (opened?.toString('latin1', 0, OPENING.length) !== OPENING) return undefined;
  const { format: _, ...content } = JSON.parse(opened.toString()) as Omit<
    StoredTicket,
    'secret'
  > & {
    format: string;
    secret: string;
  };
  return { ...content, secret: Buffer.from(content.secret, 'base64') };
}

/** A ticket shows no certificate: that the one it came from still counts is asked anew. RFC 9190 §5.7. */
function isCertificateGood(
  { ticket, path }: StoredTicket,
  { clientCertificate }: TlsTerms,
  settings: TlsSettings,
  nowMs: number,
): boolean {
  if (ticket.certificate === undefined) return clientCertificate !== 'required';
  return isStillAccepted(settings, path, nowMs);
}

function checkBinder(
  { hash, secret }: StoredTicket,
  vouched: Buffer,
  binder: Buffer | undefined,
): void {
  const key = binderKey(hash, earlySecret(hash, secret));
  const expected = finishedData(hash, key, transcriptHash(hash, vouched));
  if (binder?.length !== expected.length || !timingSafeEqual(binder, expected))
    throw new TlsAlert('decrypt_error', 'the client does not hold the secret of its ticket');
}
