// The client certificate of a handshake that OpenSSL has made. OpenSSL has seen the proof of its private
// key; whether the certificate counts is decided as in the portable engine, by path-validation.ts.

import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import type { AlertName, ClientIdentity } from '../../../protocols/tls/engine.ts';
import { clientIdentityOf } from '../../../protocols/x509/certificate.ts';
import { alertOf, validatePath } from '../../../protocols/x509/path-validation.ts';
import type { ClientTrust } from '../../../protocols/x509/path-validation.ts';

export type CheckedCertificate =
  | { kind: 'valid'; identity: ClientIdentity }
  | { kind: 'invalid'; alert: AlertName; detail: string }
  | { kind: 'absent' };

export function checkClientCertificate(
  socket: Pick<TLSSocket, 'getPeerX509Certificate'>,
  trust: ClientTrust | undefined,
  nowMs: number,
): CheckedCertificate {
  const chain = sentChain(socket.getPeerX509Certificate());
  if (chain.length === 0 || trust === undefined) return { kind: 'absent' };
  const validated = validatePath(chain, trust, { nowMs, usage: 'client' });
  if (validated.kind === 'valid') {
    return { kind: 'valid', identity: clientIdentityOf(validated.path[0]) };
  }
  return { kind: 'invalid', alert: alertOf(validated.problem), detail: validated.detail };
}

/** DER, the client's own first. */
function sentChain(certificate: X509Certificate | undefined): Buffer[] {
  const chain: Buffer[] = [];
  for (let one = certificate; one !== undefined; one = one.issuerCertificate) chain.push(one.raw);
  return chain;
}
