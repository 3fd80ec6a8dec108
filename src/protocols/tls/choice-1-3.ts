// What a TLS 1.3 server picks out of a ClientHello: suite, group, certificate, signature. RFC 8446 §4.1.1
// and §9.2. The version has been agreed on in version.ts.

import { type CipherSuite, commonCipherSuites } from './cipher-suites.ts';
import type { ClientHello } from './client-hello.ts';
import { type Group, groups, groupsByPreference } from './key-exchange.ts';
import type { ServerIdentity, TlsSettings } from './settings.ts';
import { type SignatureScheme, chooseScheme } from './signatures.ts';
import { TlsAlert } from './wire.ts';

export type Choice13 = {
  suite: CipherSuite;
  group: Group;
  /** The client's share of it. Undefined: it must be asked for. */
  peerPublic?: Buffer;
};

export function choose(hello: ClientHello): Choice13 {
  if (!hello.compressionMethods.equals(Buffer.from([0])))
    throw new TlsAlert('illegal_parameter', 'TLS 1.3 knows no compression');
  if (!hello.groups || !hello.keyShares)
    throw new TlsAlert('missing_extension', 'the client has no supported_groups or no key_share');
  const [suite] = commonCipherSuites('1.3', hello.cipherSuites);
  if (!suite) throw new TlsAlert('handshake_failure', 'no common cipher suite');
  return { suite, ...chooseGroup(hello.groups, hello.keyShares) };
}

/** A share that is there saves a round trip, which counts for more than our order. */
function chooseGroup(
  offered: readonly number[],
  shares: readonly { group: number; publicKey: Buffer }[],
): Pick<Choice13, 'group' | 'peerPublic'> {
  const common = groupsByPreference.filter((group) => offered.includes(groups[group].code));
  for (const group of common) {
    const share = shares.find((share) => share.group === groups[group].code);
    if (share) return { group, peerPublic: share.publicKey };
  }
  const [group] = common;
  if (!group) throw new TlsAlert('handshake_failure', 'no common group');
  return { group };
}

/** The first certificate of ours that the client can check. */
export function chooseIdentity(
  { identities }: TlsSettings,
  { signatureAlgorithms }: ClientHello,
): { identity: ServerIdentity; scheme: SignatureScheme } {
  if (!signatureAlgorithms)
    throw new TlsAlert('missing_extension', 'the client has no signature_algorithms');
  for (const identity of identities) {
    const scheme = chooseScheme(identity.privateKey, '1.3', signatureAlgorithms);
    if (scheme) return { identity, scheme };
  }
  throw new TlsAlert('handshake_failure', 'no certificate of ours fits the client');
}
