// Why a certificate path does not count, and how TLS says it. RFC 8446 §6.2, RFC 5246 §7.2.2.

import type { AlertName } from '../tls/engine.ts';
import { printable } from './printable.ts';

export type PathProblem =
  /** Not a certificate, not of version 3, or at odds with itself. */
  | 'malformed'
  | 'bad-signature'
  /** A short key, or SHA-1 and older. */
  | 'weak'
  /** A key or signature of a kind that we do not know. */
  | 'unsupported-algorithm'
  /** A critical extension that we do not know. */
  | 'unsupported-extension'
  /** No path leads to an authority that is trusted. */
  | 'unknown-ca'
  /** Somebody has issued who may not: no authority, or one too deep. */
  | 'not-an-authority'
  | 'expired'
  | 'not-yet-valid'
  /** Made for something else. */
  | 'wrong-usage'
  /** A name that its authority may not give. */
  | 'forbidden-name'
  | 'revoked'
  /** There is no revocation list that says whether it is revoked, and there must be. */
  | 'revocation-unknown';

export type InvalidPath = {
  readonly kind: 'invalid';
  readonly problem: PathProblem;
  /** For our log. It says what the client sent, which need not be true, but is short and printable. */
  readonly detail: string;
};

const MAX_DETAIL_CHARACTERS = 200;

export function invalid(problem: PathProblem, detail: string): InvalidPath {
  return { kind: 'invalid', problem, detail: printable(detail, MAX_DETAIL_CHARACTERS) };
}

export function alertOf(problem: PathProblem): AlertName {
  return ALERTS[problem];
}

const ALERTS: Record<PathProblem, AlertName> = {
  malformed: 'bad_certificate',
  'bad-signature': 'bad_certificate',
  weak: 'bad_certificate', // RFC 8446 §4.4.2.4 wants it for MD5 and SHA-1
  'unsupported-algorithm': 'unsupported_certificate',
  'unsupported-extension': 'unsupported_certificate',
  'unknown-ca': 'unknown_ca',
  'not-an-authority': 'unknown_ca',
  expired: 'certificate_expired',
  'not-yet-valid': 'certificate_expired', // "has expired or is not currently valid"
  'wrong-usage': 'unsupported_certificate',
  'forbidden-name': 'bad_certificate',
  revoked: 'certificate_revoked',
  'revocation-unknown': 'certificate_unknown',
};
