// Whether a certificate is revoked, as far as the lists at hand know. RFC 5280 §6.3.3.

import type { Certificate } from './certificate.ts';
import { describeName } from './name.ts';
import type { PathProblem } from './path-problem.ts';
import { covers, isFresh, isNamedAfter } from './revocation.ts';
import type { ClientTrust, TrustIndex } from './trust.ts';

type Checks = { trust: ClientTrust; index: TrustIndex; nowMs: number };

export type RevocationProblem = {
  problem: Extract<PathProblem, 'revoked' | 'revocation-unknown'>;
  detail: string;
};

export function revocationOf(
  certificate: Certificate,
  issuer: Certificate,
  { trust, index, nowMs }: Checks,
): RevocationProblem | undefined {
  if (trust.revocation === 'none') return undefined;
  const name = describeName(issuer.subject);
  const lists = index
    .crlsOf(issuer.subject.key)
    .filter((crl) => isNamedAfter(crl, issuer) && covers(crl, certificate));
  const problems = lists.map((crl) => index.crlProblem(crl, issuer));
  const newest = lists.find((_, position) => problems[position] === undefined);

  if (newest === undefined) {
    // A list that is there but not genuine is not like none: somebody wanted it to be looked at.
    const [problem] = problems;
    if (problem !== undefined) return unknown(`the revocation list of ${name}: ${problem}`);
    return trust.revocation === 'required' ? unknown(`${name} has no revocation list`) : undefined;
  }

  // Who was revoked stays revoked, however old the list is.
  const entry = newest.revoked.get(certificate.serial);
  if (entry !== undefined) {
    const when = new Date(entry.atMs).toISOString().slice(0, 10);
    const detail = `${describeName(certificate.subject).slice(0, 200)} was revoked on ${when}`;
    return { problem: 'revoked', detail };
  }
  if (trust.revocation === 'required' && !isFresh(newest, nowMs)) {
    return unknown(`the revocation list of ${name} is out of date`);
  }
  return undefined;
}

function unknown(detail: string): RevocationProblem {
  return { problem: 'revocation-unknown', detail };
}
