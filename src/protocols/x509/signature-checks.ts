// The signatures of one validation. To verify one costs more than all the rest, and who sends the chain
// decides how many there are: so few may be wrong, and not many more are looked at.

import type { Certificate } from './certificate.ts';
import { verifySignature } from './signature.ts';
import type { TrustIndex } from './trust.ts';

export type SignatureChecks = {
  isSignedBy(certificate: Certificate, issuer: Certificate): boolean;
  /** No other path may be tried. The one at hand may be finished: it is short. */
  areSpent(): boolean;
};

/** An honest client has none that is wrong. */
const MAX_WRONG = 3;
/** Only genuine authorities, each of which is verified once in the life of an index, come near to it. */
const MAX_CHECKS = 16;

export function createSignatureChecks(leaf: Certificate, index: TrustIndex): SignatureChecks {
  // Authorities that have one name, and do not say which key signed, can only be tried one by one.
  const maxWrong = Math.max(MAX_WRONG, index.named(leaf.issuer.key).length);
  const wrong = new Set<string>();
  let checked = 0;

  const isLeafSignedBy = ({ publicKey, publicKeyDer }: Certificate): boolean => {
    if (index.isProvenLeaf(leaf, publicKeyDer)) return true;
    checked += 1;
    const isGenuine = publicKey !== undefined && verifySignature(leaf, publicKey);
    if (isGenuine) index.rememberLeaf(leaf, publicKeyDer);
    return isGenuine;
  };

  const isAuthoritySignedBy = (authority: Certificate, issuer: Certificate): boolean => {
    if (!index.isProven(authority, issuer)) checked += 1;
    return index.isIssuedBy(authority, issuer);
  };

  return {
    isSignedBy(certificate, issuer) {
      const pair = `${certificate.fingerprint} ${issuer.fingerprint}`;
      if (wrong.has(pair)) return false;
      const isGenuine =
        certificate === leaf ? isLeafSignedBy(issuer) : isAuthoritySignedBy(certificate, issuer);
      if (!isGenuine) wrong.add(pair);
      return isGenuine;
    },
    areSpent: () => wrong.size >= maxWrong || checked >= MAX_CHECKS,
  };
}
