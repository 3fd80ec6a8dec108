// Whether a certificate is revoked, as far as the lists at hand know. RFC 5280 §6.3.3. Who has signed
// them is said by list-signer.ts.

import type { Certificate } from './certificate.ts';
import { signerOf } from './list-signer.ts';
import type { SignerChecks } from './list-signer.ts';
import type { Path } from './path-building.ts';
import { dayOf, nameOf } from './path-checks.ts';
import { invalid } from './path-problem.ts';
import type { InvalidPath } from './path-problem.ts';
import { covers, isFresh } from './revocation.ts';
import type { Crl } from './revocation.ts';
import type { ClientTrust } from './trust.ts';

type Checks = SignerChecks & { trust: ClientTrust };

/** `authorities`: those above it, its issuer first, all found valid. */
export function revocationOf(
  certificate: Certificate,
  authorities: Path,
  checks: Checks,
): InvalidPath | undefined {
  const { trust, index, nowMs } = checks;
  if (trust.revocation === 'none') return undefined;
  const { serial } = certificate;
  const [issuer] = authorities;
  const lists = index
    .crlsOf(issuer.subject.key)
    .filter((crl) => covers(crl, certificate))
    .map((crl) => ({ crl, ...signerOf(crl, authorities, checks) }));

  // Who was revoked stays revoked, however old the list is.
  const signed = lists.filter((list) => list.kind !== 'unproven');
  const entry = newestOfEachKey(signed)
    .find((crl) => crl.revoked.has(serial))
    ?.revoked.get(serial);
  if (entry !== undefined) {
    return invalid('revoked', `${nameOf(certificate)} was revoked on ${dayOf(entry.atMs)}`);
  }

  const newest = lists.find(({ kind }) => kind === 'counts')?.crl;
  const isAnswered = newest !== undefined && isFresh(newest, nowMs);
  for (const list of lists) {
    if (list.kind !== 'unproven') continue;
    const { crl, problem } = list;
    // A list that is there but not proven is not like none, unless it would change nothing.
    const isNewer = newest === undefined || crl.thisUpdateMs > newest.thisUpdateMs;
    const changesNothing = isAnswered && !crl.revoked.has(serial);
    if (isNewer && !changesNothing) {
      return unknown(`a revocation list of ${nameOf(issuer)} cannot be used: ${problem}`);
    }
  }
  if (isAnswered || trust.revocation !== 'required') return undefined;
  if (newest !== undefined) {
    return unknown(`the revocation list of ${nameOf(issuer)} is out of date`);
  }
  if (signed.length > 0) {
    return unknown(`${nameOf(issuer)} has no revocation list, only a namesake of it has`);
  }
  return unknown(`${nameOf(issuer)} has no revocation list`);
}

/**
 * An authority may keep one list for all of its keys, or one for each. So a list takes nothing back that
 * one of another key has said.
 */
function newestOfEachKey(lists: readonly { crl: Crl; signer: Certificate }[]): Crl[] {
  const keys: Buffer[] = [];
  return lists.flatMap(({ crl, signer: { publicKeyDer } }) => {
    if (keys.some((key) => key.equals(publicKeyDer))) return [];
    keys.push(publicKeyDer);
    return [crl];
  });
}

function unknown(detail: string): InvalidPath {
  return invalid('revocation-unknown', detail);
}
