// What a TLS 1.2 server picks out of a ClientHello: suite, certificate, signature, curve. RFC 5246
// §7.4.1, RFC 8422 §5, RFC 7627, RFC 5746. The version has been agreed on in version.ts.

import { type CipherSuite, commonCipherSuites } from './cipher-suites.ts';
import type { ClientHello } from './client-hello.ts';
import { type Group, groups, groupsByPreference } from './key-exchange.ts';
import type { ServerIdentity, TlsSettings } from './settings.ts';
import { type SignatureScheme, chooseScheme } from './signatures.ts';
import { TlsAlert } from './wire.ts';

export type Choice = {
  suite: CipherSuite;
  identity: ServerIdentity;
  scheme: SignatureScheme;
  group: Group;
};

const NO_COMPRESSION = 0;
const UNCOMPRESSED_POINTS = 0;

/** What every TLS 1.2 connection must have, a resumed one too. */
export function checkHello(hello: ClientHello): void {
  if (!hello.compressionMethods.includes(NO_COMPRESSION))
    throw new TlsAlert('illegal_parameter', 'the client does not offer to leave out compression');
  // Without it two connections can be made to have the same keys, and then the compound keys of tunnel
  // methods prove nothing (triple handshake). Every client since 2015 has it. RFC 7627 §5.2.
  if (!hello.extendedMasterSecret) throw refusal('the client has no extended_master_secret');
  // A client that says nothing of RFC 5746 is served as well: there is no renegotiation here at all, and
  // so nothing that its first handshake could be spliced to.
  if (hello.renegotiationInfo !== undefined && hello.renegotiationInfo.length > 0)
    throw refusal('the client takes its first handshake for a renegotiation');
  if (hello.pointFormats !== undefined && !hello.pointFormats.includes(UNCOMPRESSED_POINTS))
    throw new TlsAlert('illegal_parameter', 'the client cannot read uncompressed points');
}

/** The first certificate that the client can check, with the suite that we like best for it. */
export function choose(settings: TlsSettings, hello: ClientHello): Choice {
  const group = chooseGroup(hello);
  if (group === undefined) throw refusal('no common group');
  // A client that names no algorithms means SHA-1. RFC 5246 §7.4.1.4.1.
  const offered = hello.signatureAlgorithms ?? [];
  const suites = commonCipherSuites('1.2', hello.cipherSuites);

  for (const identity of settings.identities) {
    const scheme = chooseScheme(identity.privateKey, '1.2', offered);
    if (scheme === undefined || !canReadCurve(identity, hello)) continue;
    const signature = scheme.key === 'ec' || scheme.key === 'ed25519' ? 'ecdsa' : 'rsa';
    const suite = suites.find((suite) => suite.signature === signature);
    if (suite !== undefined) return { suite, identity, scheme, group };
  }
  throw refusal(
    suites.length === 0
      ? 'no common cipher suite'
      : 'no certificate of ours fits the suites and signatures of the client',
  );
}

/** A client that names no groups leaves the choice to us: P-256 is what everybody has. RFC 8422 §4. */
function chooseGroup({ groups: offered }: ClientHello): Group | undefined {
  if (offered === undefined) return 'secp256r1';
  return groupsByPreference.find((group) => offered.includes(groups[group].code));
}

const CURVE_CODES: Readonly<Record<string, number>> = {
  prime256v1: 0x0017,
  secp384r1: 0x0018,
  secp521r1: 0x0019,
};

/** In TLS 1.2 the groups are also the curves that a certificate may have. RFC 8422 §5.1. */
function canReadCurve({ privateKey }: ServerIdentity, { groups: offered }: ClientHello): boolean {
  const curve = privateKey.asymmetricKeyDetails?.namedCurve;
  if (curve === undefined || offered === undefined) return true;
  const code = CURVE_CODES[curve];
  return code !== undefined && offered.includes(code);
}

/** RFC 7627 and RFC 5746 name this alert too: to the client it all means "not with me". */
function refusal(detail: string): TlsAlert {
  return new TlsAlert('handshake_failure', detail);
}
