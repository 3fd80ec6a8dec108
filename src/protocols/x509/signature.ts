// Signatures on certificates and revocation lists: ECDSA, RSA PKCS #1 v1.5 and PSS, Ed25519, with
// SHA-256 and longer. RFC 5280 §4.1.1.2, RFC 3279 §2.2, RFC 4055 §3, RFC 5758 §3.2, RFC 8410.

import { constants, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { DerError, Tag, inside, readObjectIdentifier, readSmallNumber } from './der.ts';
import type { DerReader, DerValue } from './der.ts';
import { Oid } from './object-identifiers.ts';

export type SignatureAlgorithm =
  | { readonly kind: 'ecdsa' | 'rsa'; readonly hash: Hash }
  | { readonly kind: 'rsa-pss'; readonly hash: Hash; readonly saltLength: number }
  | { readonly kind: 'ed25519' }
  /** It was good once. */
  | { readonly kind: 'weak'; readonly name: string }
  | { readonly kind: 'unsupported'; readonly name: string };

type Hash = 'sha256' | 'sha384' | 'sha512';

/** What is signed, how, and the signature: the outer shape of certificates and revocation lists. */
export type Signed = {
  readonly tbs: Buffer;
  readonly signatureAlgorithm: SignatureAlgorithm;
  readonly signature: Buffer;
};

/** Whether the holder of `key` has signed it. Never throws: a key of another kind has not. */
export function verifySignature(signed: Signed, key: KeyObject): boolean {
  const { tbs, signature, signatureAlgorithm: algorithm } = signed;
  try {
    switch (algorithm.kind) {
      case 'ecdsa':
        // DER is the default. To say so takes an object around the key, which Node is slow to open.
        return isKey(key, 'ec') && verify(algorithm.hash, tbs, key, signature);
      case 'rsa':
        return isKey(key, 'rsa') && verify(algorithm.hash, tbs, key, signature);
      case 'rsa-pss': {
        const padding = constants.RSA_PKCS1_PSS_PADDING;
        const { saltLength } = algorithm;
        return (
          isKey(key, 'rsa', 'rsa-pss') &&
          verify(algorithm.hash, tbs, { key, padding, saltLength }, signature)
        );
      }
      case 'ed25519':
        return isKey(key, 'ed25519') && verify(null, tbs, key, signature);
      case 'weak':
      case 'unsupported':
        return false;
    }
  } catch {
    return false; // OpenSSL will not have anything to do with this key or signature
  }
}

function isKey(key: KeyObject, ...kinds: string[]): boolean {
  return kinds.includes(key.asymmetricKeyType ?? '');
}

/** AlgorithmIdentifier. RFC 5280 §4.1.1.2. */
export function readSignatureAlgorithm(value: DerValue): SignatureAlgorithm {
  const reader = inside(value);
  const identifier = readObjectIdentifier(reader.next(Tag.objectIdentifier));
  if (identifier === Oid.rsaPss) return readPss(reader);
  const known = ALGORITHMS[identifier];
  if (known === undefined) return { kind: 'unsupported', name: identifier };
  if (known.kind === 'rsa') reader.optional(Tag.null); // RFC 4055 §5: it should be there, some leave it out
  if (known.kind !== 'weak') reader.end();
  return known;
}

const ALGORITHMS: Record<string, SignatureAlgorithm> = {
  [Oid.sha256WithRsa]: { kind: 'rsa', hash: 'sha256' },
  [Oid.sha384WithRsa]: { kind: 'rsa', hash: 'sha384' },
  [Oid.sha512WithRsa]: { kind: 'rsa', hash: 'sha512' },
  [Oid.ecdsaWithSha256]: { kind: 'ecdsa', hash: 'sha256' },
  [Oid.ecdsaWithSha384]: { kind: 'ecdsa', hash: 'sha384' },
  [Oid.ecdsaWithSha512]: { kind: 'ecdsa', hash: 'sha512' },
  [Oid.ed25519]: { kind: 'ed25519' },
  [Oid.md5WithRsa]: { kind: 'weak', name: 'RSA with MD5' },
  [Oid.sha1WithRsa]: { kind: 'weak', name: 'RSA with SHA-1' },
  [Oid.ecdsaWithSha1]: { kind: 'weak', name: 'ECDSA with SHA-1' },
};

const HASHES: Record<string, Hash> = {
  [Oid.sha256]: 'sha256',
  [Oid.sha384]: 'sha384',
  [Oid.sha512]: 'sha512',
};

/** RSASSA-PSS-params, RFC 4055 §3.1. What is left out means SHA-1, which is weak. */
function readPss(algorithm: DerReader): SignatureAlgorithm {
  const parameters = inside(algorithm.next(Tag.sequence));
  algorithm.end();
  const hash = parameters.optional(Tag.contextConstructed(0));
  const mask = parameters.optional(Tag.contextConstructed(1));
  const salt = parameters.optional(Tag.contextConstructed(2));
  const trailer = parameters.optional(Tag.contextConstructed(3));
  parameters.end();
  if (hash === undefined || mask === undefined) return { kind: 'weak', name: 'RSA-PSS with SHA-1' };

  const hashName = readHash(onlyIn(hash));
  const maskReader = inside(onlyIn(mask));
  const maskFunction = readObjectIdentifier(maskReader.next(Tag.objectIdentifier));
  const maskHash = readHash(maskReader.next(Tag.sequence));
  maskReader.end();
  const saltLength = salt === undefined ? 20 : readSmallNumber(onlyIn(salt));
  if (trailer !== undefined && readSmallNumber(onlyIn(trailer)) !== 1)
    throw new DerError('trailer');

  if (hashName === undefined || maskFunction !== Oid.mgf1 || maskHash !== hashName) {
    return { kind: 'unsupported', name: 'RSA-PSS with other hashes' };
  }
  if (saltLength > 512) throw new DerError('an absurd salt');
  return { kind: 'rsa-pss', hash: hashName, saltLength };
}

function readHash(value: DerValue): Hash | undefined {
  const reader = inside(value);
  const identifier = readObjectIdentifier(reader.next(Tag.objectIdentifier));
  reader.optional(Tag.null);
  reader.end();
  return HASHES[identifier];
}

function onlyIn(explicit: DerValue): DerValue {
  const reader = inside(explicit, explicit.tag);
  const value = reader.any();
  reader.end();
  return value;
}
