// Finds the ways from a certificate to a trusted authority, by names alone. RFC 5280 §6.1 takes a path
// as given; RFC 4158 says how one is found. Nothing is verified here, so nothing a stranger sends costs
// more than comparing names; path-validation.ts proves a path from its anchor downwards.

import type { Certificate } from './certificate.ts';
import type { TrustIndex } from './trust.ts';

/** The leaf first, the anchor last. */
export type Path = readonly [Certificate, ...Certificate[]];

/** Leaf and anchor included. Real paths have two to four. */
export const MAX_DEPTH = 8;
const MAX_STEPS = 256;
const MAX_PATHS = 16;

/**
 * The best first, and at most MAX_PATHS. `sent`: what the client has sent beside the leaf, in any
 * order, with whatever else it thought we might like.
 */
export function pathsToAnchor(
  leaf: Certificate,
  sent: readonly Certificate[],
  trust: TrustIndex,
): Path[] {
  const paths: Path[] = [];
  let steps = 0;

  const extend = (path: Path): void => {
    const last = path.at(-1) ?? leaf;
    for (const issuer of issuersOf(last)) {
      steps += 1;
      if (steps > MAX_STEPS || paths.length >= MAX_PATHS) return;
      if (path.some((certificate) => isSameEntity(certificate, issuer))) continue; // RFC 4158 §2.4.2
      const longer: Path = [...path, issuer];
      if (trust.isAnchor(issuer)) paths.push(longer);
      else if (longer.length < MAX_DEPTH) extend(longer);
    }
  };

  const known = new Map<Certificate, readonly Certificate[]>();
  const issuersOf = (certificate: Certificate): readonly Certificate[] => {
    const present = known.get(certificate);
    if (present !== undefined) return present;
    const candidates = [
      ...trust.named(certificate.issuer.key),
      ...sent.filter(({ subject }) => subject.key === certificate.issuer.key),
    ];
    const unique = new Map(candidates.map((one) => [one.fingerprint, one]));
    const issuers = [...unique.values()].filter((issuer) => mayHaveSigned(issuer, certificate));
    known.set(certificate, issuers);
    return issuers;
  };

  extend([leaf]);
  return paths;
}

/** Both name the key, and it is another one: an authority that has changed its key. RFC 5280 §4.2.1.1. */
function mayHaveSigned({ subjectKeyId }: Certificate, { authorityKeyId }: Certificate): boolean {
  return !subjectKeyId || !authorityKeyId || subjectKeyId.equals(authorityKeyId);
}

/** The same name with the same key: a cross certificate would lead back to where we were. */
function isSameEntity(one: Certificate, other: Certificate): boolean {
  return one.publicKeyDer.equals(other.publicKeyDer) && one.subject.key === other.subject.key;
}
