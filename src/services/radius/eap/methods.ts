// The EAP methods that this server offers, from its configuration: which there are, in which order, and
// the TLS engine under those that need one.

import { createHmac } from 'node:crypto';
import { createEapTls } from '../../../protocols/eap/eap-tls.ts';
import { eapGtc } from '../../../protocols/eap/gtc.ts';
import { eapMd5 } from '../../../protocols/eap/md5.ts';
import type { EapMethod } from '../../../protocols/eap/method.ts';
import { eapMsChapV2 } from '../../../protocols/eap/mschapv2.ts';
import { createPeap } from '../../../protocols/eap/peap.ts';
import { createTeap } from '../../../protocols/eap/teap.ts';
import { createTtls } from '../../../protocols/eap/ttls.ts';
import { createChoosingEngine } from '../../../protocols/tls/choose-engine.ts';
import type { TlsEngine } from '../../../protocols/tls/engine.ts';
import { createPortableEngine } from '../../../protocols/tls/server.ts';
import type { TlsSettings } from '../../../protocols/tls/settings.ts';
import { createTicketBox } from '../../../protocols/tls/ticket-box.ts';
import type { Config } from '../../../runtime/config.ts';
import type { Runtime } from '../../../runtime/runtime.ts';
import type { WatchedCertificates } from '../certificates/watched-certificates.ts';
import { createNativeEngine } from './native-engine.ts';

export type EapConfig = Config['radius']['eap'];

export type EapMethods = Disposable & { readonly methods: readonly EapMethod[] };

/** `certificates` undefined: methods over TLS are not offered. `clusterKey`: from which tickets get their keys. */
export function openEapMethods(
  config: EapConfig,
  certificates: WatchedCertificates | undefined,
  clusterKey: Uint8Array,
  runtime: Runtime,
): EapMethods {
  const opened = new DisposableStack();
  const tls = certificates && {
    engine: openEngine(config, settingsFrom(config, certificates, clusterKey), runtime, opened),
    clientsHaveCertificates: certificates.current().clientTrust !== undefined,
    // The same on every node: to a device they are one server.
    authorityId: derive(clusterKey, 'teap authority').subarray(0, AUTHORITY_ID_BYTES),
  };
  const methods = config.methods
    .map((name) => createMethod(name, config, tls))
    .filter((method) => method !== undefined);
  return { methods, [Symbol.dispose]: () => opened.dispose() };
}

type Tls = { engine: TlsEngine; clientsHaveCertificates: boolean; authorityId: Buffer };

const AUTHORITY_ID_BYTES = 16;

function createMethod(
  name: EapConfig['methods'][number],
  config: EapConfig,
  tls: Tls | undefined,
): EapMethod | undefined {
  const eapTls = tls?.clientsHaveCertificates === true ? createEapTls(tls) : undefined;
  switch (name) {
    case 'mschapv2':
      return eapMsChapV2;
    case 'md5':
      return eapMd5;
    case 'gtc':
      return eapGtc;
    case 'tls':
      return eapTls;
    case 'peap':
      return tls && createPeap({ ...tls, innerMethods: [eapMsChapV2, eapGtc] });
    case 'ttls':
      return tls && createTtls({ ...tls, innerMethods: [eapMsChapV2, eapGtc, eapMd5] });
    case 'teap': {
      const { teapCompatibility: compatibility } = config;
      const clientCertificate = eapTls === undefined ? 'none' : 'optional';
      const innerMethods = TEAP_INNER_METHODS.filter(
        (inner) => eapTls !== undefined || inner !== 'tls',
      );
      return tls && createTeap({ ...tls, innerMethods, compatibility, clientCertificate });
    }
  }
}

/** A client that wants another than the first one says so. */
const TEAP_INNER_METHODS = ['mschapv2', 'password', 'tls'] as const;

/** Read at each handshake. */
function settingsFrom(
  config: EapConfig,
  certificates: WatchedCertificates,
  clusterKey: Uint8Array,
): () => TlsSettings {
  const { ticketLifetimeMs, tlsMinVersion, tlsMaxVersion } = config;
  const tickets =
    ticketLifetimeMs === 0
      ? undefined
      : createTicketBox(derive(clusterKey, 'tls tickets'), ticketLifetimeMs);
  return () => {
    const { identity, clientTrust } = certificates.current();
    return {
      identities: [identity],
      ...(clientTrust === undefined ? {} : { clientTrust }),
      minVersion: tlsMinVersion,
      maxVersion: tlsMaxVersion,
      ...(tickets === undefined ? {} : { tickets }),
      ticketLifetimeMs,
    };
  };
}

function openEngine(
  config: EapConfig,
  settings: () => TlsSettings,
  { clock, random }: Runtime,
  opened: DisposableStack,
): TlsEngine {
  const openNative = () => {
    const minVersion = config.isLegacyTlsAllowed ? '1.0' : '1.2';
    return opened.use(createNativeEngine({ settings, minVersion, clock, random }));
  };
  if (config.tlsEngine === 'native') return openNative();
  const portable = createPortableEngine(settings);
  return config.isLegacyTlsAllowed
    ? createChoosingEngine({ portable, native: openNative() })
    : portable;
}

function derive(clusterKey: Uint8Array, purpose: string): Buffer {
  return createHmac('sha256', clusterKey).update(`evergate ${purpose}`).digest();
}
