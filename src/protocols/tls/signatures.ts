// The signatures of handshakes: which schemes there are, which of them a key can make, which one to use.
// RFC 8446 §4.2.3, RFC 5246 §7.4.1.4.1, RFC 8422 §5.1.1. SHA-1 and MD5 are refused under every version.
// What is signed is the handshake's affair; chains of certificates are x509/path-validation.ts.

import { type KeyObject, constants, sign, verify } from 'node:crypto';

export type SignatureScheme = {
  readonly name: string;
  readonly code: number;
  /** What `asymmetricKeyType` of a fitting key is. */
  readonly key: 'ec' | 'rsa' | 'rsa-pss' | 'ed25519';
  /** Null: the scheme hashes by itself. */
  readonly digest: 'sha256' | 'sha384' | 'sha512' | null;
  /** TLS 1.3 binds the curve to the scheme; TLS 1.2 does not. As OpenSSL calls it. */
  readonly curve?: string;
  readonly padding?: 'pss' | 'pkcs1';
  /** PKCS #1 v1.5 has no place in the handshake of TLS 1.3. */
  readonly onlyVersion?: '1.2';
};

export type SigningVersion = '1.2' | '1.3';

/** What we offer and, among equals, prefer: the order of a CertificateRequest. */
export const signatureSchemes: readonly SignatureScheme[] = [
  ecdsa('ecdsa_secp256r1_sha256', 0x0403, 'sha256', 'prime256v1'),
  ecdsa('ecdsa_secp384r1_sha384', 0x0503, 'sha384', 'secp384r1'),
  ecdsa('ecdsa_secp521r1_sha512', 0x0603, 'sha512', 'secp521r1'),
  { name: 'ed25519', code: 0x0807, key: 'ed25519', digest: null },
  { name: 'rsa_pss_rsae_sha256', code: 0x0804, key: 'rsa', digest: 'sha256', padding: 'pss' },
  { name: 'rsa_pss_rsae_sha384', code: 0x0805, key: 'rsa', digest: 'sha384', padding: 'pss' },
  { name: 'rsa_pss_rsae_sha512', code: 0x0806, key: 'rsa', digest: 'sha512', padding: 'pss' },
  { name: 'rsa_pss_pss_sha256', code: 0x0809, key: 'rsa-pss', digest: 'sha256', padding: 'pss' },
  { name: 'rsa_pss_pss_sha384', code: 0x080a, key: 'rsa-pss', digest: 'sha384', padding: 'pss' },
  { name: 'rsa_pss_pss_sha512', code: 0x080b, key: 'rsa-pss', digest: 'sha512', padding: 'pss' },
  pkcs1('rsa_pkcs1_sha256', 0x0401, 'sha256'),
  pkcs1('rsa_pkcs1_sha384', 0x0501, 'sha384'),
  pkcs1('rsa_pkcs1_sha512', 0x0601, 'sha512'),
];

/** What `version` lets a client sign its CertificateVerify with. */
export function schemesFor(version: SigningVersion): readonly SignatureScheme[] {
  return schemesByVersion[version];
}

const schemesByVersion: Readonly<Record<SigningVersion, readonly SignatureScheme[]>> = {
  '1.2': signatureSchemes,
  '1.3': signatureSchemes.filter(({ onlyVersion }) => onlyVersion !== '1.2'),
};

/**
 * What a key can sign, or verify, in the handshake of `version`, the best first: with ECDSA the hash that
 * belongs to the curve. Empty: the key is of no use there. `curve`: of an EC key, as OpenSSL calls it, for
 * who knows it: OpenSSL takes 10 µs to tell.
 */
export function schemesOf(
  key: KeyObject,
  version: SigningVersion,
  curve?: string,
): readonly SignatureScheme[] {
  const details = detailsOf(key, curve);
  const of13 = schemesFor('1.3').filter((scheme) => fits(scheme, details, '1.3'));
  if (version === '1.3') return of13;
  const of12 = schemesFor('1.2').filter((scheme) => fits(scheme, details, '1.2'));
  return [...new Set([...of13, ...of12])];
}

/** The first of ours that the client offers as well. Undefined: this key is not for this client. */
export function chooseScheme(
  key: KeyObject,
  version: SigningVersion,
  offered: readonly number[],
): SignatureScheme | undefined {
  return schemesOfOurs(key, version).find(({ code }) => offered.includes(code));
}

/** A key of ours is asked in every handshake. */
function schemesOfOurs(key: KeyObject, version: SigningVersion): readonly SignatureScheme[] {
  const known = schemesByKey[version].get(key);
  if (known !== undefined) return known;
  const found = schemesOf(key, version);
  schemesByKey[version].set(key, found);
  return found;
}

const schemesByKey: Record<SigningVersion, WeakMap<KeyObject, readonly SignatureScheme[]>> = {
  '1.2': new WeakMap(),
  '1.3': new WeakMap(),
};

/** `key` must be one of those that `schemesOf` gives the scheme for. */
export function signWith(scheme: SignatureScheme, key: KeyObject, bytes: Buffer): Buffer {
  return sign(scheme.digest, bytes, withPadding(scheme, key));
}

/**
 * False is a decrypt_error. Whether the scheme may be used with this key is for the caller to ask
 * `schemesOf` beforehand, since using another is an illegal_parameter.
 */
export function verifyWith(
  scheme: SignatureScheme,
  key: KeyObject,
  bytes: Buffer,
  signature: Buffer,
): boolean {
  if (!hasFullLength(key, signature)) return false;
  try {
    return verify(scheme.digest, bytes, withPadding(scheme, key), signature);
  } catch {
    return false; // OpenSSL throws for a key whose own parameters exclude the scheme
  }
}

/** OpenSSL takes a signature by RSA without its leading zeros; RFC 8017 §8.1.2 and §8.2.2 do not. */
function hasFullLength(key: KeyObject, signature: Buffer): boolean {
  if (key.asymmetricKeyType === 'ec') return true; // and its details cost 10 µs
  const bits = key.asymmetricKeyDetails?.modulusLength;
  return bits === undefined || signature.length === Math.ceil(bits / 8);
}

type KeyDetails = NonNullable<KeyObject['asymmetricKeyDetails']> & { type: string | undefined };

function detailsOf(key: KeyObject, namedCurve: string | undefined): KeyDetails {
  const type = key.asymmetricKeyType;
  return namedCurve === undefined ? { type, ...key.asymmetricKeyDetails } : { type, namedCurve };
}

function fits(scheme: SignatureScheme, details: KeyDetails, version: SigningVersion): boolean {
  if (scheme.key !== details.type) return false;
  switch (scheme.key) {
    case 'ed25519':
      return true;
    case 'ec':
      return isTlsCurve(details.namedCurve) && fitsCurve(scheme, details.namedCurve, version);
    case 'rsa':
      return fitsModulus(scheme, details.modulusLength);
    case 'rsa-pss':
      return fitsModulus(scheme, details.modulusLength) && fitsPssKey(scheme, details);
  }
}

/** ECDSA over other curves (brainpool, secp256k1) is in neither version of ours. */
function isTlsCurve(curve: string | undefined): boolean {
  return signatureSchemes.some((scheme) => scheme.key === 'ec' && scheme.curve === curve);
}

function fitsCurve(
  scheme: SignatureScheme,
  curve: string | undefined,
  version: SigningVersion,
): boolean {
  return version === '1.2' || scheme.curve === curve;
}

const DIGEST_BYTES = { sha256: 32, sha384: 48, sha512: 64 } as const;

/** RFC 8017 §9.1.1: hash, salt of the same length and two more bytes must have room. */
function fitsModulus({ digest, padding }: SignatureScheme, modulusBits = 0): boolean {
  if (digest === null) return false;
  const needed = padding === 'pss' ? 2 * DIGEST_BYTES[digest] + 2 : DIGEST_BYTES[digest] + 30;
  return Math.ceil((modulusBits - 1) / 8) >= needed;
}

/** A key for RSA-PSS alone may itself say which hash, and at least how much salt. RFC 4055 §3.3. */
function fitsPssKey(
  { digest }: SignatureScheme,
  details: { hashAlgorithm?: string; mgf1HashAlgorithm?: string; saltLength?: number },
): boolean {
  if (digest === null) return false;
  return (
    (details.hashAlgorithm ?? digest) === digest &&
    (details.mgf1HashAlgorithm ?? digest) === digest &&
    (details.saltLength ?? 0) <= DIGEST_BYTES[digest]
  );
}

/** The key alone wherever that says enough: around an object Node throws and catches, for 8 µs. */
function withPadding({ digest, padding }: SignatureScheme, key: KeyObject) {
  if (padding !== 'pss' || digest === null) return key;
  const saltLength = DIGEST_BYTES[digest];
  return { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength };
}

function ecdsa(
  name: string,
  code: number,
  digest: 'sha256' | 'sha384' | 'sha512',
  curve: string,
): SignatureScheme {
  return { name, code, key: 'ec', digest, curve };
}

function pkcs1(
  name: string,
  code: number,
  digest: 'sha256' | 'sha384' | 'sha512',
): SignatureScheme {
  return { name, code, key: 'rsa', digest, padding: 'pkcs1', onlyVersion: '1.2' };
}
