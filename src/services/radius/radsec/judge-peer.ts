// May this peer speak RADIUS to us, and as which router? RFC 6614 §2.3: its certificate leads to an
// authority that the operator trusts, and one of the names in it is a router's. What is refused says what
// the operator can do.

import type { Certificate } from '../../../protocols/x509/certificate.ts';
import { validatePath } from '../../../protocols/x509/path-validation.ts';
import type { ClientTrust } from '../../../protocols/x509/path-validation.ts';
import { formatAddress } from '../../../domain/network-address.ts';
import type { TlsPeer } from '../../../runtime/network.ts';
import type { KnownRouter, RouterTable } from '../router-table.ts';

export type RefusalReason =
  | 'no-certificate'
  | 'untrusted-certificate'
  | 'unknown-router'
  | 'tls-version';

export type Judgement =
  | { kind: 'accepted'; router: KnownRouter; certificate: Certificate }
  | { kind: 'refused'; reason: RefusalReason; detail: string; hint: string };

export const RADIUS_1_0 = 'radius/1.0';
export const RADIUS_1_1 = 'radius/1.1';

const HINTS: Record<RefusalReason, string> = {
  'no-certificate':
    'give the router a client certificate of an authority in radius.radsec.client_ca',
  'untrusted-certificate':
    'renew the certificate of the router, or add its authority to radius.radsec.client_ca',
  'unknown-router':
    'set radsec_identity of the router to one of these names, or put the name of the router into its certificate',
  'tls-version': 'RADIUS/1.1 needs TLS 1.3: enable it on the router',
};

/** Names in a log line; a certificate may have thousands. */
const MAX_SHOWN_NAMES = 5;

export function judgePeer(
  peer: Pick<TlsPeer, 'certificates' | 'protocol' | 'version'>,
  { trust, routers, nowMs }: { trust: ClientTrust; routers: RouterTable; nowMs: number },
): Judgement {
  if (peer.certificates.length === 0) return refused('no-certificate', 'it has shown none');
  const validated = validatePath(peer.certificates, trust, { nowMs, usage: 'client' });
  if (validated.kind === 'invalid') return refused('untrusted-certificate', validated.detail);
  // RFC 9765 §3.2: who offers it has TLS 1.3, unless somebody in between took that away.
  if (peer.protocol === RADIUS_1_1 && peer.version !== 'TLSv1.3') {
    return refused('tls-version', `it offers RADIUS/1.1 over ${peer.version}`);
  }
  const [certificate] = validated.path;
  const router = routers.findByNames(certificate.subjectAltName);
  if (router === undefined) return refused('unknown-router', namesOf(certificate));
  return { kind: 'accepted', router, certificate };
}

function refused(reason: RefusalReason, detail: string): Judgement {
  return { kind: 'refused', reason, detail, hint: HINTS[reason] };
}

/** They are another's words, and go into a log. */
function namesOf({ subjectAltName }: Certificate): string {
  const names = [...subjectAltName.dnsNames, ...subjectAltName.ipAddresses.map(formatAddress)];
  if (names.length === 0)
    return 'its certificate has no subjectAltName; a common name does not count';
  const shown = names.slice(0, MAX_SHOWN_NAMES).map((name) => name.slice(0, 100));
  return `no router is called ${shown.join(' or ')}`;
}
