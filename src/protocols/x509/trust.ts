// Whom an operator trusts, and an index over it that makes each validation short. The index also
// remembers what has been proven: authorities, and the certificates of devices that come back. Whether
// they are still valid, and not revoked, is looked at every time.

import type { Certificate } from './certificate.ts';
import { hashOfName } from './name.ts';
import { pathsToAnchor } from './path-building.ts';
import type { Path } from './path-building.ts';
import type { Crl } from './revocation.ts';
import { crlProblem } from './revocation.ts';
import { verifySignature } from './signature.ts';

export type ClientTrust = {
  /** Trusted as they are, whoever has issued them. */
  readonly anchors: readonly Certificate[];
  /** Not trusted, but at hand for clients that do not send them. */
  readonly intermediates: readonly Certificate[];
  readonly crls: readonly Crl[];
  /**
   * `none`: revocation lists are not looked at. `when-present`: what a list says counts, also after its
   * nextUpdate; an authority without a list revokes nothing. `required`: every certificate below an
   * anchor needs a list that is fresh.
   */
  readonly revocation: 'none' | 'when-present' | 'required';
};

export type TrustIndex = {
  isAnchor(certificate: Certificate): boolean;
  /** Anchors first, then intermediates, whose subject has this key. */
  named(nameKey: string): readonly Certificate[];
  /** Newest first. */
  crlsOf(nameKey: string): readonly Crl[];
  /** The same, for who only remembers `hashOfName`. */
  crlsOfHash(nameHash: string): readonly Crl[];
  /** A certificate that was met before, ready parsed. */
  known(fingerprint: string): Certificate | undefined;
  /** As verifySignature, remembered when it is true. For authorities alone. */
  isIssuedBy(authority: Certificate, issuer: Certificate): boolean;
  /** Whether `isIssuedBy` remembers that it is true. */
  isProven(authority: Certificate, issuer: Certificate): boolean;
  /**
   * The ways from a certificate that is ours, through others of ours, to an anchor: signatures are
   * proven, but what changes with time is not looked at.
   */
  waysToAnchor(own: Certificate): readonly Path[];
  /** A leaf whose signature was found to be by this key. */
  isProvenLeaf(leaf: Certificate, issuerKeyDer: Buffer): boolean;
  rememberLeaf(leaf: Certificate, issuerKeyDer: Buffer): void;
  /** As crlProblem, remembered. */
  crlProblem(crl: Crl, issuer: Certificate): string | undefined;
};

/** Bounds what is remembered; when it is full, all is forgotten and learnt again. */
const MAX_REMEMBERED = 1024;
/** Devices that come back without a ticket: 64 µs of a login, and some 4 KB each. */
const MAX_LEAVES = 4096;

const indexes = new WeakMap<ClientTrust, TrustIndex>();

/** One index for each trust object: pass the same object at each login. */
export function indexOf(trust: ClientTrust): TrustIndex {
  const present = indexes.get(trust);
  if (present !== undefined) return present;
  const index = createIndex(trust);
  indexes.set(trust, index);
  return index;
}

function createIndex({ anchors, intermediates, crls }: ClientTrust): TrustIndex {
  const anchorPrints = new Set(anchors.map(({ fingerprint }) => fingerprint));
  const own = new Map([...anchors, ...intermediates].map((one) => [one.fingerprint, one]));
  const bySubject = Map.groupBy(own.values(), ({ subject }) => subject.key);
  const newestFirst = crls.toSorted((one, other) => other.thisUpdateMs - one.thisUpdateMs);
  const byIssuer = Map.groupBy(newestFirst, ({ issuer }) => issuer.key);
  const byIssuerHash = Map.groupBy(newestFirst, ({ issuer }) => hashOfName(issuer));
  const proven = new Map<string, Certificate>();
  const leaves = new Map<string, { leaf: Certificate; issuerKeyDer: Buffer }>();
  const crlProblems = new Map<Crl, Map<string, string | undefined>>();
  const ways = new Map<string, readonly Path[]>();
  const pairOf = (authority: Certificate, issuer: Certificate) =>
    `${authority.fingerprint} ${issuer.fingerprint}`;

  const index: TrustIndex = {
    isAnchor: ({ fingerprint }) => anchorPrints.has(fingerprint),
    named: (nameKey) => bySubject.get(nameKey) ?? [],
    crlsOf: (nameKey) => byIssuer.get(nameKey) ?? [],
    crlsOfHash: (nameHash) => byIssuerHash.get(nameHash) ?? [],
    known: (fingerprint) =>
      own.get(fingerprint) ?? proven.get(fingerprint) ?? leaves.get(fingerprint)?.leaf,

    isIssuedBy(authority, issuer) {
      const pair = pairOf(authority, issuer);
      if (proven.has(pair)) return true;
      const key = issuer.publicKey;
      if (key === undefined || !verifySignature(authority, key)) return false;
      if (proven.size >= MAX_REMEMBERED) proven.clear();
      proven.set(pair, authority);
      proven.set(authority.fingerprint, authority);
      return true;
    },

    isProven: (authority, issuer) => proven.has(pairOf(authority, issuer)),

    isProvenLeaf: ({ fingerprint }, issuerKeyDer) =>
      leaves.get(fingerprint)?.issuerKeyDer.equals(issuerKeyDer) === true,

    rememberLeaf(leaf, issuerKeyDer) {
      if (leaves.size >= MAX_LEAVES) leaves.clear();
      leaves.set(leaf.fingerprint, { leaf, issuerKeyDer });
    },

    waysToAnchor(own) {
      const { fingerprint } = own;
      const found = ways.get(fingerprint) ?? findWays(own, index);
      ways.set(fingerprint, found);
      return found;
    },

    crlProblem(crl, issuer) {
      const known = crlProblems.get(crl) ?? new Map<string, string | undefined>();
      crlProblems.set(crl, known);
      if (!known.has(issuer.fingerprint)) {
        if (known.size >= MAX_REMEMBERED) known.clear();
        known.set(issuer.fingerprint, crlProblem(crl, issuer));
      }
      return known.get(issuer.fingerprint);
    },
  };
  return index;
}

function findWays(own: Certificate, index: TrustIndex): readonly Path[] {
  const itself: Path[] = index.isAnchor(own) ? [[own]] : [];
  const others = pathsToAnchor(own, [], index).filter((path) =>
    path.every((authority, position) => {
      const issuer = path[position + 1];
      return issuer === undefined || index.isIssuedBy(authority, issuer);
    }),
  );
  return [...itself, ...others];
}
