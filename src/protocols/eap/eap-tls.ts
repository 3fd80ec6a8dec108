// EAP-TLS: the subscriber proves a certificate, or a ticket that one has earned. RFC 5216, RFC 9190.
// Nothing is said inside but, under TLS 1.3, the byte that promises success.

import type { ClientIdentity, TlsEngine } from '../tls/engine.ts';
import type { InnerInput, InnerProtocol, InnerStep } from './inner-protocol.ts';
import type { EapMethod } from './method.ts';
import { EapType } from './packet.ts';
import { tlsKeys } from './tls-keys.ts';
import { createTlsMethod } from './tls-transport.ts';

export type EapTlsOptions = {
  engine: TlsEngine;
  /** Which subscriber a certificate stands for; undefined: none. */
  usernameOf?: (certificate: ClientIdentity, outerIdentity: string) => string | undefined;
};

export function createEapTls({
  engine,
  usernameOf = usernameOfCertificate,
}: EapTlsOptions): EapMethod {
  const inner: InnerProtocol = {
    // A ticket without a certificate never came from here, whatever the engine says about its purpose.
    acceptsTicket: ({ certificate }) => certificate !== undefined,

    step(_state, input) {
      const { facts, data, identity } = input;
      if (data.length > 0) return refuse('data inside EAP-TLS, which has none');
      if (!input.hasJustOpened) return refuse('nothing where nothing was due');
      if (facts.resumed !== undefined) {
        const { certificate, identity: username } = facts.resumed;
        if (certificate === undefined) return refuse('a ticket that no certificate has earned');
        return granted(username, input);
      }
      const { clientCertificate } = facts;
      if (clientCertificate === undefined) {
        return refuse('no certificate', 'certificate_required');
      }
      const username = usernameOf(clientCertificate, identity);
      if (username === undefined) return refuse('a certificate without a name', 'access_denied');
      return afterCertificate(username, clientCertificate.certificate, input);
    },
  };
  const terms = { purpose: 'eap-tls', clientCertificate: 'required' } as const;
  return createTlsMethod({ name: 'tls', type: EapType.Tls, terms }, engine, inner);
}

/** The name a directory gives (Microsoft's UPN), an address, the common name, in this order. */
export function usernameOfCertificate(certificate: ClientIdentity): string | undefined {
  const { principalNames, emails, commonName } = certificate;
  return [...principalNames, ...emails, commonName].find(
    (name) => name !== undefined && name !== '',
  );
}

async function afterCertificate(
  username: string,
  certificate: string,
  input: InnerInput,
): Promise<InnerStep> {
  const { evidence } = input;
  if (evidence.kind !== 'subscriber') return { kind: 'needs-subscriber', username };
  if (!evidence.isKnown) {
    const detail = `${username} has a valid certificate and is no subscriber`;
    return { kind: 'failure', reason: 'unknown-subscriber', detail, alert: 'access_denied' };
  }
  const ticket = { identity: username, policy: evidence.policy, certificate };
  return { ...(await granted(username, input)), ticket };
}

/**
 * A resumed login earns no new ticket: the certificate would outlive its revocation from ticket to
 * ticket. The lifetime of the first one is the bound.
 */
async function granted(username: string, input: InnerInput) {
  const keys = await tlsKeys(EapType.Tls, 'client EAP encryption', input);
  // Before this byte the client must not believe a Success: anybody can send one. RFC 9190 §2.1.1. When it
  // resumes, the byte could go with our Finished and save a round (§2.1.3): hostap 2.10 gives up then.
  const promise = input.facts.version === '1.3' ? { data: Buffer.of(0) } : {};
  return { kind: 'success', username, ...keys, ...promise } as const;
}

function refuse(detail: string, alert?: 'certificate_required' | 'access_denied'): InnerStep {
  return {
    kind: 'failure',
    reason: alert === undefined ? 'tls-failed' : 'certificate-refused',
    detail,
    ...(alert === undefined ? {} : { alert }),
  };
}
