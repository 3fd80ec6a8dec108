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
};

const UNCOMPRESSED = 0x04;

export const groups: Readonly<Record<Group, Curve>> = {
  x25519: {
    code: 0x001d,
    seedBytes: 32,
    publicBytes: 32,
    create: createX25519,
    derive: deriveX25519,
  },
  secp256r1: {
    code: 0x0017,
    seedBytes: 32,
    publicBytes: 65,
    create: createP256,
    derive: deriveP256,
  },
  secp384r1: {
    code: 0x0018,
    seedBytes: 48,
    publicBytes: 97,
    create: createP384,
    derive: deriveP384,
  },
};

/** What most clients send a key for comes first; it costs as much as P-256, 0.1 ms, and P-384 1.2 ms. */
export const groupsByPreference: readonly Group[] = ['x25519', 'secp256r1', 'secp384r1'];

export function groupOf(code: number): Group | undefined {
  return groupsByPreference.find((group) => groups[group].code === code);
}

/** `seed`: `groups[group].seedBytes` random bytes that serve nothing else. */
export function createKeyShare(group: Group, seed: Buffer): KeyShare {
  const curve = groups[group];
  if (seed.length !== curve.seedBytes) {
    throw new RangeError(`${group} needs a seed of ${curve.seedBytes} bytes`);
  }
  return curve.create(seed);
}

/** Undefined: the peer's key is none, which is an illegal_parameter. */
export function deriveShared(
  group: Group,
  privateKey: Buffer,
  peerPublic: Buffer,
): Buffer | undefined {
  const curve = groups[group];
  // A compressed point is shorter; a hybrid one, as long as an uncompressed one, begins with 6 or 7.
  if (peerPublic.length !== curve.publicBytes) return undefined;
  if (group !== 'x25519' && peerPublic[0] !== UNCOMPRESSED) return undefined;
  let shared: Buffer;
  try {
    shared = curve.derive(privateKey, peerPublic);
  } catch {
    return undefined; // not on the curve, or of small order: OpenSSL refuses it
  }
  // RFC 7748 §6.1: OpenSSL refuses it as well; this does not depend on it.
  return shared.every((byte) => byte === 0) ? undefined : shared;
}

// X25519. From a JWK a key is read four times as fast as from DER: no decoder has to be found.

function createX25519(seed: Buffer): KeyShare {
  const { x } = x25519PrivateKey(seed).export({ format: 'jwk' });
  return { publicKey: Buffer.from(String(x), 'base64url'), privateKey: Buffer.from(seed) };
}

function deriveX25519(privateKey: Buffer, peerPublic: Buffer): Buffer {
  const publicKey = createPublicKey({
    key: { kty: 'OKP', crv: 'X25519', x: peerPublic.toString('base64url') },
    format: 'jwk',
  });
  return diffieHellman({ privateKey: x25519PrivateKey(privateKey), publicKey });
}

/** A JWK must have an x; Node computes the public key and does not look at it. */
function x25519PrivateKey(seed: Buffer): KeyObject {
  return createPrivateKey({
    key: { kty: 'OKP', crv: 'X25519', x: '', d: seed.toString('base64url') },
    format: 'jwk',
  });
}

// P-256. `ECDH` is the fastest way: its extra check of the key costs less than the reading of a KeyObject.

function createP256(seed: Buffer): KeyShare {
  const { ecdh, scalar } = ecdhOf('prime256v1', seed);
  return { publicKey: ecdh.getPublicKey(), privateKey: scalar };
}

function deriveP256(privateKey: Buffer, peerPublic: Buffer): Buffer {
  return ecdhOf('prime256v1', privateKey).ecdh.computeSecret(peerPublic);
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
  return diffieHellman({
    privateKey: createPrivateKey({
      key: Buffer.concat([P384_PRIVATE_BEFORE_SCALAR, scalar, P384_PRIVATE_BEFORE_POINT, point]),
      format: 'der',
      type: 'pkcs8',
    }),
    publicKey: createPublicKey({
      key: Buffer.concat([P384_PUBLIC_BEFORE_POINT, peerPublic]),
      format: 'der',
      type: 'spki',
    }),
  });
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
