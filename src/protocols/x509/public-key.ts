// The public key of a certificate: what kind it is, told without trusting it to anything, and whether
// it is strong enough. RFC 5280 §4.1.2.7, RFC 3279 §2.3, RFC 5480 §2.1, RFC 8410 §4.

import { hash } from 'node:crypto';
import {
  Tag,
  inside,
  onlyValue,
  readBytesOfBitString,
  readObjectIdentifier,
  readUnsigned,
} from './der.ts';
import type { DerReader, DerValue } from './der.ts';
import { Oid } from './object-identifiers.ts';

export type PublicKeyKind =
  | { readonly kind: 'rsa' | 'rsa-pss'; readonly bits: number }
  | { readonly kind: 'ec'; readonly curve: 'P-256' | 'P-384' | 'P-521' }
  | { readonly kind: 'ed25519' }
  | { readonly kind: 'unsupported'; readonly algorithm: string };

/** Below it is weak; above it would cost more time than it brings. */
const MIN_RSA_BITS = 2048;
const MAX_RSA_BITS = 8192;

export function isStrongEnough(key: PublicKeyKind): boolean {
  return !('bits' in key) || (key.bits >= MIN_RSA_BITS && key.bits <= MAX_RSA_BITS);
}

export function describeKey(key: PublicKeyKind): string {
  switch (key.kind) {
    case 'rsa':
      return `RSA ${key.bits} bits`;
    case 'rsa-pss':
      return `RSASSA-PSS ${key.bits} bits`;
    case 'ec':
      return `ECDSA ${key.curve}`;
    case 'ed25519':
      return 'Ed25519';
    case 'unsupported':
      return `algorithm ${key.algorithm}`;
  }
}

/** `value`: SubjectPublicKeyInfo. */
export function readPublicKeyKind(value: DerValue): PublicKeyKind {
  const { algorithm, bits } = openPublicKey(value);
  const parameters = inside(algorithm);
  const identifier = readObjectIdentifier(parameters.next(Tag.objectIdentifier));
  return kindOf(identifier, parameters, bits);
}

/** Of a SubjectPublicKeyInfo: SHA-256 of the key's bits, cut to 160 bits. RFC 7093 §2, method 1. */
export function keyIdOf(publicKeyDer: Buffer): Buffer {
  const { bits } = openPublicKey(onlyValue(publicKeyDer));
  return hash('sha256', bits, 'buffer').subarray(0, 20);
}

function openPublicKey(value: DerValue): { algorithm: DerValue; bits: Buffer } {
  const reader = inside(value);
  const algorithm = reader.next(Tag.sequence);
  const bits = readBytesOfBitString(reader.next(Tag.bitString));
  reader.end();
  return { algorithm, bits };
}

function kindOf(identifier: string, parameters: DerReader, bits: Buffer): PublicKeyKind {
  switch (identifier) {
    case Oid.rsaEncryption:
      return { kind: 'rsa', bits: modulusBits(bits) };
    case Oid.rsaPss:
      return { kind: 'rsa-pss', bits: modulusBits(bits) };
    case Oid.ed25519:
      return { kind: 'ed25519' };
    case Oid.ecPublicKey: {
      // A curve by its name. One that is spelled out could be anything. RFC 5480 §2.1.1
      const name = parameters.optional(Tag.objectIdentifier);
      const curve = name === undefined ? undefined : CURVES[readObjectIdentifier(name)];
      if (curve !== undefined) return { kind: 'ec', curve };
      return { kind: 'unsupported', algorithm: 'ECDSA on another curve' };
    }
    default:
      return { kind: 'unsupported', algorithm: identifier };
  }
}

const CURVES: Record<string, 'P-256' | 'P-384' | 'P-521'> = {
  [Oid.p256]: 'P-256',
  [Oid.p384]: 'P-384',
  [Oid.p521]: 'P-521',
};

/** RSAPublicKey ::= SEQUENCE { modulus INTEGER, publicExponent INTEGER }. RFC 8017 appendix A.1.1. */
function modulusBits(bits: Buffer): number {
  const reader = inside(onlyValue(bits));
  const modulus = readUnsigned(reader.next(Tag.integer));
  readUnsigned(reader.next(Tag.integer));
  reader.end();
  return modulus.length * 8 - Math.clz32(modulus[0] ?? 0) + 24;
}
