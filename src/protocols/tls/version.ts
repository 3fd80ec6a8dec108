// Which version a connection speaks, and how a client finds out when somebody made it speak a lower one.
// RFC 8446 §4.1.3 and §4.2.1, RFC 7507.

import type { ClientHello } from './client-hello.ts';
import type { HandshakeContext } from './handshake.ts';
import type { TlsSettings } from './settings.ts';
import { TlsAlert } from './wire.ts';

export const TLS_1_2 = 0x0303;
export const TLS_1_3 = 0x0304;

type Version = '1.2' | '1.3';

export function negotiateVersion(
  hello: ClientHello,
  { minVersion, maxVersion }: Pick<TlsSettings, 'minVersion' | 'maxVersion'>,
): Version {
  const offered = offeredVersions(hello);
  if (maxVersion === '1.3' && offered.includes('1.3')) return '1.3';
  if (minVersion === '1.3' || !offered.includes('1.2'))
    throw new TlsAlert('protocol_version', `the client offers no TLS version that is served`);
  // It fell back although both could do better: somebody may have torn its first attempt.
  if (hello.isFallback && maxVersion === '1.3')
    throw new TlsAlert('inappropriate_fallback', 'the client fell back without need');
  return '1.2';
}

function offeredVersions({ supportedVersions, legacyVersion }: ClientHello): Version[] {
  // Where there is a list, the field in front means nothing. RFC 8446 §4.2.1.
  if (!supportedVersions) return legacyVersion >= TLS_1_2 ? ['1.2'] : [];
  const versions: Version[] = [];
  if (supportedVersions.includes(TLS_1_3)) versions.push('1.3');
  if (supportedVersions.includes(TLS_1_2)) versions.push('1.2');
  return versions;
}

/** `DOWNGRD` and 1: a client that offered TLS 1.3 ends the connection when it reads this. */
const downgradeSentinel = Buffer.from('444f574e47524401', 'hex');

/** The random of a ServerHello. */
export function createServerRandom(context: HandshakeContext, version: Version): Buffer {
  const random = context.random(32);
  if (version === '1.2' && context.settings.maxVersion === '1.3')
    downgradeSentinel.copy(random, 24);
  return random;
}
