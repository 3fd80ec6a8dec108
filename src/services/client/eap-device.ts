// The device of a login by EAP over TLS: which method, with which credentials, over which connection.

import assert from 'node:assert';
import type { EapDevice } from '../../protocols/eap/device/device.ts';
import { createEapTlsDevice } from '../../protocols/eap/device/eap-tls.ts';
import { createPeapDevice } from '../../protocols/eap/device/peap.ts';
import type { TlsClient } from '../../protocols/eap/device/tls-device.ts';
import { createTtlsDevice } from '../../protocols/eap/device/ttls.ts';
import type { Random } from '../../runtime/random.ts';

export const EAP_METHODS = ['peap', 'ttls', 'tls'] as const;
export type EapMethodName = (typeof EAP_METHODS)[number];

/** How the password travels inside. */
export type InnerMethodName = 'pap' | 'mschapv2' | 'gtc';

export type EapCredentials = {
  username: string;
  password: string;
  /** One of `INNER_METHODS`. */
  innerMethod?: InnerMethodName;
  /** Shown outside, where everybody can read it. */
  identity: string;
};

const PEER_CHALLENGE_BYTES = 16;

/** How each method may send the password inside; the first is what most devices do. */
export const INNER_METHODS: Readonly<Record<EapMethodName, readonly InnerMethodName[]>> = {
  peap: ['mschapv2', 'gtc'],
  ttls: ['pap', 'mschapv2'],
  tls: [],
};

export function createEapDevice(
  method: EapMethodName,
  credentials: EapCredentials,
  tls: TlsClient,
  random: Random,
): EapDevice {
  const { username, identity } = credentials;
  const password = Buffer.from(credentials.password);
  const peerChallenge = random.bytes(PEER_CHALLENGE_BYTES);
  const innerMethod = credentials.innerMethod ?? INNER_METHODS[method][0];
  const inside = { username, password, peerChallenge, identity, tls };
  switch (method) {
    case 'peap':
      assert(innerMethod === 'mschapv2' || innerMethod === 'gtc');
      return createPeapDevice({ ...inside, innerMethod });
    case 'ttls':
      assert(innerMethod === 'pap' || innerMethod === 'mschapv2');
      return createTtlsDevice({ ...inside, innerMethod });
    case 'tls':
      return createEapTlsDevice({ identity, tls });
  }
}

/** Tunnels keep the name to themselves; the realm says where the login is to go. RFC 7542 §2.4. */
export function outerIdentity(method: EapMethodName, username: string): string {
  if (method === 'tls') return username;
  const realmAt = username.lastIndexOf('@');
  return `anonymous${realmAt === -1 ? '' : username.slice(realmAt)}`;
}
