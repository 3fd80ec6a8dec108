// How a login over TLS ends, in a form that waits for the client's last packet, and which of our alerts are
// said. RFC 5216 §2.1.3: an alert goes out in a request, and the failure follows the answer to it.
//
// Encrypted alerts. A shared state that lost its last write gives us a connection one round old. What we
// encrypt then repeats a nonce, and two texts under one nonce give away both and the key that
// authenticates. Such a state shows itself when the client's records do not fit: they fail to decrypt
// (bad_record_mac), or a record of another phase arrives (a resumed TLS 1.2 handshake that waits for
// ChangeCipherSpec and gets data: unexpected_message). So once we write encrypted, an alert is only sent
// where it can only follow from records that were decrypted in their order: about the client's
// certificate or its signature, and our own refusals. All others become a plain EAP-Failure at once.
// A plaintext alert has no nonce and is always sent. An empty packet where the handshake waits for the
// client is not answered inside TLS either: it confirms a flight that this state does not know of. And
// anybody can send one: what is said inside answers what came from inside, or is the same to everybody.

import type { AlertName, TlsProgress, TlsSession } from '../tls/engine.ts';
import type { InnerStep } from './inner-protocol.ts';
import type { EapFailureReason, MethodStep } from './method.ts';
import { fromText, toText } from './tls-fragments.ts';

/** Plain data. */
export type Ending =
  | { kind: 'failure'; reason: EapFailureReason; detail?: string }
  | {
      kind: 'success';
      username: string;
      msk: string;
      sessionId: string;
      session?: SessionText;
    };

export type SessionText = { id: string; value: string; lifetimeMs: number };

/** Alerts that can only follow from records that were decrypted in their order. See above. */
const SAID_ENCRYPTED: ReadonlySet<AlertName> = new Set([
  'access_denied',
  'bad_certificate',
  'unsupported_certificate',
  'certificate_revoked',
  'certificate_expired',
  'certificate_unknown',
  'certificate_required',
  'unknown_ca',
  'decrypt_error',
] as const);

export function mayBeSaid(output: Buffer, alert: AlertName): boolean {
  return output.length > 0 && (SAID_ENCRYPTED.has(alert) || isPlaintextAlert(output));
}

/** Whether the last record is an alert of two bytes: an encrypted one is longer or called data. */
function isPlaintextAlert(output: Buffer): boolean {
  const headerBytes = 5;
  const alertType = 21;
  let at = 0;
  while (at + headerBytes <= output.length) {
    const end = at + headerBytes + output.readUInt16BE(at + 3);
    if (end === output.length) return output[at] === alertType && end - at === headerBytes + 2;
    at = end;
  }
  return false;
}

/** What failed, in the terms of the log and of the subscriber's support. */
export function failureOf(
  progress: TlsProgress & { kind: 'failed' },
): Ending & { kind: 'failure' } {
  const { alert, from } = progress;
  const detail = `${alert}: ${progress.detail}`;
  if (from === 'client') return { kind: 'failure', reason: 'refused-by-peer', detail };
  const isAboutCertificate = alert.includes('certificate') || alert === 'unknown_ca';
  const reason = isAboutCertificate ? 'certificate-refused' : 'tls-failed';
  return { kind: 'failure', reason, detail };
}

export function successOf(
  said: InnerStep & { kind: 'success' },
  session: SessionText | undefined,
): Ending & { kind: 'success' } {
  return {
    kind: 'success',
    username: said.username,
    msk: toText(said.msk),
    sessionId: toText(said.sessionId),
    ...(session === undefined ? {} : { session }),
  };
}

export function concluded(ending: Ending): MethodStep {
  if (ending.kind === 'failure') return ending;
  const { session, msk, sessionId, ...rest } = ending;
  return {
    ...rest,
    msk: fromText(msk),
    sessionId: fromText(sessionId),
    ...(session === undefined ? {} : { session: { ...session, value: fromText(session.value) } }),
  };
}

export function sessionText(session: TlsSession): SessionText {
  return { ...session, value: toText(session.value) };
}
