// Who has signed a revocation list, and what this authority's word is worth. RFC 5280 §6.3.3 (f), (g). An
// authority that changes its key signs one list, with the new key, for the certificates of both: so
// whoever has its name may have signed, when both lead to the same anchor.

import type { Certificate } from './certificate.ts';
import { checkAuthority, checkItself } from './path-checks.ts';
import type { Usage } from './path-checks.ts';
import type { Path } from './path-building.ts';
import { covers, isNamedAfter } from './revocation.ts';
import type { Crl } from './revocation.ts';
import type { TrustIndex } from './trust.ts';

export type ListSigner =
  /** Its word counts, for good and bad. */
  | { kind: 'counts'; signer: Certificate }
  /**
   * It is trusted, and has the name, but now leads elsewhere or nowhere. It may be another authority:
   * who is revoked by it is refused, but that somebody is not says nothing.
   */
  | { kind: 'revokes'; signer: Certificate }
  /** Nobody at hand has signed it. */
  | { kind: 'unproven'; problem: string };

export type SignerChecks = { index: TrustIndex; nowMs: number; usage: Usage };

/** `authorities`: those above the certificate in question, its issuer first, all found valid. */
export function signerOf(crl: Crl, authorities: Path, checks: SignerChecks): ListSigner {
  const { index } = checks;
  let best: ListSigner | undefined;
  let problem: string | undefined;
  for (const signer of [...authorities, ...index.named(crl.issuer.key)]) {
    if (!isNamedAfter(crl, signer)) continue;
    const found = index.crlProblem(crl, signer);
    if (found !== undefined) problem ??= found;
    else if (authorities.includes(signer)) return { kind: 'counts', signer };
    else if (leadsTo(authorities.at(-1), signer, checks)) return { kind: 'counts', signer };
    else if (index.waysToAnchor(signer).length > 0) best ??= { kind: 'revokes', signer };
  }
  return best ?? { kind: 'unproven', problem: problem ?? NOT_AT_HAND };
}

const NOT_AT_HAND = 'we do not have the certificate of the key that signed it';

function leadsTo(
  anchor: Certificate | undefined,
  signer: Certificate,
  checks: SignerChecks,
): boolean {
  return checks.index
    .waysToAnchor(signer)
    .some((way) => way.at(-1)?.fingerprint === anchor?.fingerprint && isOpen(way, checks));
}

/** What waysToAnchor leaves to the moment. Not whether it may sign lists, which is crlProblem's. */
function isOpen(way: Path, { index, nowMs, usage }: SignerChecks): boolean {
  return way.every((certificate, position) => {
    if (checkItself(certificate, nowMs) !== undefined) return false;
    if (position > 0 && checkAuthority(way, position, usage) !== undefined) return false;
    const issuer = way[position + 1];
    return issuer === undefined || !isRevokedBy(issuer, certificate, index);
  });
}

/** By the list of this very key: to ask for those of its other keys again would have no end. */
function isRevokedBy(issuer: Certificate, certificate: Certificate, index: TrustIndex): boolean {
  const newest = index
    .crlsOf(issuer.subject.key)
    .find((crl) => covers(crl, certificate) && index.crlProblem(crl, issuer) === undefined);
  return newest?.revoked.has(certificate.serial) === true;
}
