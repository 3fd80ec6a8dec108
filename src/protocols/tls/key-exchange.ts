// Elliptic curve Diffie-Hellman with ephemeral keys, for TLS 1.2 and 1.3: X25519, P-256, P-384.
// RFC 8422 §5, RFC 7748 §5, RFC 8446 §4.2.8 and §7.4. Keys are made from a seed that is passed in, and
// are bytes, since the process that uses one may not be the one that made it. Each curve goes the way
// that was measured to be the fastest in node:crypto.

import {
  type ECDH,
  type KeyObject,
  createECDH,
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
} from 'node:crypto';
import { toPem } from '../x509/pem.ts';

export type Group = 'x25519' | 'secp256r1' | 'secp384r1';

export type KeyShare = {
  /** As it stands in a key_share or a ServerKeyExchange. */
  publicKey: Buffer;
  /** For `deriveShared` alone to read. */
  privateKey: Buffer;
};

type Curve = {
  readonly code: number;
  readonly seedBytes: number;
  readonly publicBytes: number;
  create(seed: Buffer): KeyShare;
  derive(privateKey: Buffer, peerPublic: Buffer): Buffer;
  /** Both at once. */
  agree(seed: Buffer, peerPublic: Buffer): Agreement;
};

/** Our public key, and the secret that it makes with the peer's. */
export type Agreement = { publicKey: Buffer; shared: Buffer };

const UNCOMPRESSED = 0x04;

export const groups: Readonly<Record<Group, Curve>> = {
  x25519: {
    code: 0x001d,
    seedBytes: 32,
    publicBytes: 32,
    create: createX25519,
    derive: deriveX25519,
    agree: agreeX25519,
  },
  secp256r1: {
    code: 0x0017,
    seedBytes: 32,
    publicBytes: 65,
    create: createP256,
    derive: deriveP256,
    agree: agreeP256,
  },
  secp384r1: {
    code: 0x0018,
    seedBytes: 48,
    publicBytes: 97,
    create: createP384,
    derive: deriveP384,
    agree: agreeP384,
  },
};

/** What most clients send a key for comes first; it costs as much as P-256, 0.1 ms, and P-384 1.2 ms. */
export const groupsByPreference: readonly Group[] = ['x25519', 'secp256r1', 'secp384r1'];

export function groupOf(code: number): Group | undefined {
  return groupsByPreference.find((group) => groups[group].code === code);
}

/** `seed`: `groups[group].seedBytes` random bytes that serve nothing else. */
export function createKeyShare(group: Group, seed: Buffer): KeyShare {
  checkSeed(group, seed);
  return groups[group].create(seed);
}

/** Undefined: the peer's key is none, which is an illegal_parameter. */
export function deriveShared(
  group: Group,
  privateKey: Buffer,
  peerPublic: Buffer,
): Buffer | undefined {
  return orUndefined(group, peerPublic, () => ({
    shared: groups[group].derive(privateKey, peerPublic),
  }))?.shared;
}

/** As the two above together, for who knows the peer's key already: the private key is read once. */
export function agree(group: Group, seed: Buffer, peerPublic: Buffer): Agreement | undefined {
  checkSeed(group, seed);
  return orUndefined(group, peerPublic, () => groups[group].agree(seed, peerPublic));
}

function checkSeed(group: Group, seed: Buffer): void {
  const { seedBytes } = groups[group];
  if (seed.length !== seedBytes) {
    throw new RangeError(`${group} needs a seed of ${seedBytes} bytes`);
  }
}

function orUndefined<T extends { shared: Buffer }>(
  group: Group,
  peerPublic: Buffer,
  work: () => T,
): T | undefined {
  // A compressed point is shorter; a hybrid one, as long as an uncompressed one, begins with 6 or 7.
  if (peerPublic.length !== groups[group].publicBytes) return undefined;
  if (group !== 'x25519' && peerPublic[0] !== UNCOMPRESSED) return undefined;
  let made: T;
  try {
    made = work();
  } catch {
    return undefined; // not on the curve, or of small order: OpenSSL refuses it
  }
  // RFC 7748 §6.1: OpenSSL refuses it as well; this does not depend on it.
  return made.shared.every((byte) => byte === 0) ? undefined : made;
}

// X25519. As PEM text a key is read fastest, in 29 µs, 20 of them for its public key: whatever else is
// not a KeyObject (JWK, DER in an object) makes Node throw and catch, and costs up to 9 µs more.

const X25519_PRIVATE_BEFORE_SEED = Buffer.from('302e020100300506032b656e04220420', 'hex');
const X25519_PUBLIC_BEFORE_KEY = Buffer.from('302a300506032b656e032100', 'hex');

function createX25519(seed: Buffer): KeyShare {
  return { publicKey: x25519Public(x25519PrivateKey(seed)), privateKey: Buffer.from(seed) };
}

function deriveX25519(privateKey: Buffer, peerPublic: Buffer): Buffer {
  return x25519Shared(x25519PrivateKey(privateKey), peerPublic);
}

function agreeX25519(seed: Buffer, peerPublic: Buffer): Agreement {
  const privateKey = x25519PrivateKey(seed);
  return { publicKey: x25519Public(privateKey), shared: x25519Shared(privateKey, peerPublic) };
}

function x25519PrivateKey(seed: Buffer): KeyObject {
  return createPrivateKey(toPem(Buffer.concat([X25519_PRIVATE_BEFORE_SEED, seed]), 'PRIVATE KEY'));
}

function x25519Public(privateKey: KeyObject): Buffer {
  return Buffer.from(String(privateKey.export({ format: 'jwk' }).x), 'base64url');
}

function x25519Shared(privateKey: KeyObject, peerPublic: Buffer): Buffer {
  const spki = Buffer.concat([X25519_PUBLIC_BEFORE_KEY, peerPublic]);
  const publicKey = createPublicKey(toPem(spki, 'PUBLIC KEY'));
  return diffieHellman({ privateKey, publicKey });
}

// P-256. `ECDH` is the fastest way: its extra check of the key costs less than the reading of a KeyObject.

function createP256(seed: Buffer): KeyShare {
  const { ecdh, scalar } = ecdhOf('prime256v1', seed);
  return { publicKey: ecdh.getPublicKey(), privateKey: scalar };
}

function deriveP256(privateKey: Buffer, peerPublic: Buffer): Buffer {
  return ecdhOf('prime256v1', privateKey).ecdh.computeSecret(peerPublic);
}

function agreeP256(seed: Buffer, peerPublic: Buffer): Agreement {
  const { ecdh } = ecdhOf('prime256v1', seed);
  return { publicKey: ecdh.getPublicKey(), shared: ecdh.computeSecret(peerPublic) };
}

// P-384. Each multiplication costs half a millisecond, and `ECDH` makes three of them to derive: one for
// our public key, which we know, and one to check it. A KeyObject that is given the public key makes one.

const P384_SCALAR_BYTES = 48;
const P384_PRIVATE_BEFORE_SCALAR = Buffer.from(
  '3081b6020100301006072a8648ce3d020106052b8104002204819e30819b0201010430',
  'hex',
);
const P384_PRIVATE_BEFORE_POINT = Buffer.from('a164036200', 'hex');
const P384_PUBLIC_BEFORE_POINT = Buffer.from(
  '3076301006072a8648ce3d020106052b81040022036200',
  'hex',
);

/** The private key is the scalar and then the public key. */
function createP384(seed: Buffer): KeyShare {
  const { ecdh, scalar } = ecdhOf('secp384r1', seed);
  const publicKey = ecdh.getPublicKey();
  return { publicKey, privateKey: Buffer.concat([scalar, publicKey]) };
}

function deriveP384(privateKey: Buffer, peerPublic: Buffer): Buffer {
  const scalar = privateKey.subarray(0, P384_SCALAR_BYTES);
  const point = privateKey.subarray(P384_SCALAR_BYTES);
  const before = [P384_PRIVATE_BEFORE_SCALAR, scalar, P384_PRIVATE_BEFORE_POINT];
  const pkcs8 = Buffer.concat([...before, point]);
  const spki = Buffer.concat([P384_PUBLIC_BEFORE_POINT, peerPublic]);
  return diffieHellman({
    privateKey: createPrivateKey(toPem(pkcs8, 'PRIVATE KEY')),
    publicKey: createPublicKey(toPem(spki, 'PUBLIC KEY')),
  });
}

function agreeP384(seed: Buffer, peerPublic: Buffer): Agreement {
  const { publicKey, privateKey } = createP384(seed);
  return { publicKey, shared: deriveP384(privateKey, peerPublic) };
}

/**
 * A scalar is from 1 to the order of the curve. One seed in 2³² of P-256 is above it: its hash is
 * taken instead. For P-384 and for a process that reads a scalar again this changes nothing.
 */
function ecdhOf(curve: 'prime256v1' | 'secp384r1', seed: Buffer): { ecdh: ECDH; scalar: Buffer } {
  const ecdh = createECDH(curve);
  for (let scalar = Buffer.from(seed); ; scalar = rehashed(scalar)) {
    try {
      ecdh.setPrivateKey(scalar);
      return { ecdh, scalar };
    } catch (cause) {
      if (!isOutOfRange(cause)) throw cause;
    }
  }
}

function rehashed(scalar: Buffer): Buffer<ArrayBuffer> {
  const hash = createHash('sha512').update(scalar).digest();
  return Buffer.from(hash.subarray(0, scalar.length));
}

function isOutOfRange(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === 'ERR_CRYPTO_INVALID_KEYTYPE';
}
