// What both versions do with the certificate of a client: who may have issued it, whether it counts, and
// whether it still counts when a later connection relies on it. The checks themselves are x509's.

import { type KeyObject, createPublicKey } from 'node:crypto';
import { clientIdentityOf } from '../x509/certificate.ts';
import { toPem } from '../x509/pem.ts';
import {
  type PathReference,
  pathReferencesOf,
  recheckReferences,
} from '../x509/path-references.ts';
import { alertOf, validatePath } from '../x509/path-validation.ts';
import type { ClientIdentity } from './engine.ts';
import type { TlsSettings } from './settings.ts';
import { TlsAlert } from './wire.ts';

export type AcceptedCertificate = {
  identity: ClientIdentity;
  /** SubjectPublicKeyInfo. Whoever sent the certificate has still to prove that it is theirs. */
  publicKey: Buffer;
  /** Of an EC key, as OpenSSL calls it. */
  curve?: string;
  /** For `isStillAccepted`: it goes into the ticket. */
  path: PathReference[];
};

/** `chain`: DER, at least one, the client's own first. Throws the alert that says what is wrong. */
export function acceptClientCertificate(
  { clientTrust }: TlsSettings,
  chain: readonly Buffer[],
  nowMs: number,
): AcceptedCertificate {
  if (clientTrust === undefined) throw new TlsAlert('unknown_ca', NOBODY_IS_TRUSTED);
  const outcome = validatePath(chain, clientTrust, { nowMs, usage: 'client' });
  if (outcome.kind === 'invalid') throw new TlsAlert(alertOf(outcome.problem), outcome.detail);
  const [leaf] = outcome.path;
  return {
    identity: clientIdentityOf(leaf),
    publicKey: leaf.publicKeyDer,
    ...(leaf.keyKind.kind === 'ec' && { curve: CURVE[leaf.keyKind.curve] }),
    path: pathReferencesOf(outcome.path),
  };
}

const CURVE = { 'P-256': 'prime256v1', 'P-384': 'secp384r1', 'P-521': 'secp521r1' } as const;

/** An authority may have signed a key that is none: a point beside its curve, for example. */
export function importKey({ publicKey }: AcceptedCertificate): KeyObject {
  try {
    return createPublicKey(toPem(publicKey, 'PUBLIC KEY')); // in 9 µs; from DER in 22
  } catch {
    throw new TlsAlert('bad_certificate', 'the certificate has a key that cannot be used');
  }
}

/** A certificate may have been revoked, or its authority dropped, since a ticket was issued for it. */
export function isStillAccepted(
  { clientTrust }: TlsSettings,
  path: readonly PathReference[],
  nowMs: number,
): boolean {
  return clientTrust !== undefined && recheckReferences(path, clientTrust, nowMs) === undefined;
}

/** Names help a client to choose among its certificates, but each costs bytes of the first flight. */
const MAX_NAMES_BYTES = 512;

/** Distinguished names in DER. None means any: there are too many to name them all. */
export function authorityNames({ clientTrust }: TlsSettings): readonly Buffer[] {
  const names = clientTrust?.anchors.map(({ subject }) => subject.der) ?? [];
  const bytes = names.reduce((sum, name) => sum + name.length, 0);
  return bytes <= MAX_NAMES_BYTES ? names : [];
}

/**
 * Whether a client is asked for its certificate. One that must have one where nobody's certificate
 * counts would be refused whatever it sends: it is told so before it has unlocked its key.
 */
export function asksForCertificate(
  { clientTrust }: TlsSettings,
  clientCertificate: 'required' | 'optional' | 'none',
): boolean {
  if (clientCertificate === 'required' && clientTrust === undefined)
    throw new TlsAlert('internal_error', NOBODY_IS_TRUSTED);
  return clientCertificate !== 'none' && clientTrust !== undefined;
}

const NOBODY_IS_TRUSTED = 'no authority for client certificates is configured';
