// The cipher suites we speak: those with authenticated encryption and forward secrecy. RFC 8446 §B.4,
// RFC 5289, RFC 7905. Clients that know only others are refused, or left to the native engine.

import assert from 'node:assert/strict';

export type CipherSuite = {
  id: number;
  name: CipherSuiteName;
  version: '1.2' | '1.3';
  /** Of the key schedule (1.3), or of the PRF (1.2). */
  hash: 'sha256' | 'sha384';
  aead: 'aes-128-gcm' | 'aes-256-gcm' | 'chacha20-poly1305';
  keyBytes: 16 | 32;
  /** What the key schedule gives for nonces: TLS 1.2 writes the rest of a GCM nonce into each record. */
  ivBytes: 4 | 12;
  /** TLS 1.2 only: what the server signs with. `ecdsa` also stands for Ed25519. RFC 8422 §5.10. */
  signature?: 'ecdsa' | 'rsa';
};

export type CipherSuiteName =
  | 'TLS_AES_128_GCM_SHA256'
  | 'TLS_AES_256_GCM_SHA384'
  | 'TLS_CHACHA20_POLY1305_SHA256'
  | 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256'
  | 'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384'
  | 'TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256'
  | 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256'
  | 'TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384'
  | 'TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256';

/** In our order of preference. */
export const cipherSuites: readonly CipherSuite[] = [
  tls13(0x1301, 'TLS_AES_128_GCM_SHA256', 'aes-128-gcm'),
  tls13(0x1302, 'TLS_AES_256_GCM_SHA384', 'aes-256-gcm'),
  tls13(0x1303, 'TLS_CHACHA20_POLY1305_SHA256', 'chacha20-poly1305'),
  tls12(0xc02b, 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256', 'aes-128-gcm', 'ecdsa'),
  tls12(0xc02c, 'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384', 'aes-256-gcm', 'ecdsa'),
  tls12(0xcca9, 'TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256', 'chacha20-poly1305', 'ecdsa'),
  tls12(0xc02f, 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256', 'aes-128-gcm', 'rsa'),
  tls12(0xc030, 'TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384', 'aes-256-gcm', 'rsa'),
  tls12(0xcca8, 'TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256', 'chacha20-poly1305', 'rsa'),
];

const byName = new Map(cipherSuites.map((suite) => [suite.name, suite]));

export function cipherSuite(name: CipherSuiteName): CipherSuite {
  const suite = byName.get(name);
  assert(suite, `there is no cipher suite ${name}`);
  return suite;
}

/** The suites of this version that the client offers, the one we like best first. */
export function commonCipherSuites(
  version: '1.2' | '1.3',
  offered: readonly number[],
): readonly CipherSuite[] {
  return cipherSuites.filter((suite) => suite.version === version && offered.includes(suite.id));
}

function tls13(id: number, name: CipherSuiteName, aead: CipherSuite['aead']): CipherSuite {
  return { id, name, version: '1.3', aead, ...sizes(aead), ivBytes: 12 };
}

function tls12(
  id: number,
  name: CipherSuiteName,
  aead: CipherSuite['aead'],
  signature: 'ecdsa' | 'rsa',
): CipherSuite {
  const ivBytes = aead === 'chacha20-poly1305' ? 12 : 4;
  return { id, name, version: '1.2', aead, ...sizes(aead), ivBytes, signature };
}

function sizes(aead: CipherSuite['aead']): Pick<CipherSuite, 'hash' | 'keyBytes'> {
  return {
    hash: aead === 'aes-256-gcm' ? 'sha384' : 'sha256',
    keyBytes: aead === 'aes-128-gcm' ? 16 : 32,
  };
}
