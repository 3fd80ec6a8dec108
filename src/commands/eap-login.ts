// `evergate login` by EAP over TLS, as a subscriber's device would: whether the server's certificate was
// checked, what was agreed, and whether router and device came to the same keys.

import { readFileSync } from 'node:fs';
import type { SecureContext } from 'node:tls';
import type { Runtime } from '../runtime/runtime.ts';
import { describeDistrust, describeRefusal } from '../services/client/describe-eap.ts';
import { INNER_METHODS, createEapDevice, outerIdentity } from '../services/client/eap-device.ts';
import type { EapMethodName, InnerMethodName } from '../services/client/eap-device.ts';
import { tryEapLogin } from '../services/client/eap-login.ts';
import type { EapLoginOutcome } from '../services/client/eap-login.ts';
import type { Place } from '../services/client/place.ts';
import type { RadiusClient } from '../services/client/radius-client.ts';
import { createTlsClient, createTlsContext } from '../services/client/tls-client.ts';
import type { TlsConnectionFacts, TlsContextOptions } from '../services/client/tls-client.ts';
import { UsageError } from './usage-error.ts';

export type EapLoginOptions = {
  method: EapMethodName;
  inner?: InnerMethodName;
  identity?: string;
  ca?: string;
  certificate?: string;
  key?: string;
};

export type TriedEapLogin = {
  outcome: EapLoginOutcome;
  /** Undefined: TLS did not get that far. */
  tls: TlsConnectionFacts | undefined;
};

export async function tryByEap(
  client: RadiusClient,
  port: number,
  login: { username: string; password: string | undefined; place: Place },
  options: EapLoginOptions,
  { clock, random }: Pick<Runtime, 'clock' | 'random'>,
): Promise<TriedEapLogin> {
  const { method, ca } = options;
  const { username, password = '', place } = login;
  if (options.inner !== undefined && !INNER_METHODS[method].includes(options.inner)) {
    throw new UsageError(`--inner ${options.inner} is not possible with --method ${method}`);
  }
  const identity = options.identity ?? outerIdentity(method, username);
  const context = openContext(options);
  using tls = createTlsClient({ context, isServerChecked: ca !== undefined }, clock);
  const innerMethod = options.inner === undefined ? {} : { innerMethod: options.inner };
  const credentials = { username, password, identity, ...innerMethod };
  const device = createEapDevice(method, credentials, tls, random);
  const outcome = await tryEapLogin(client, port, { device, identity, place });
  return { outcome, tls: tls.facts() };
}

/** Throws why it is no success; nothing when it is. */
export function complainAboutEap(
  username: string,
  { outcome }: TriedEapLogin,
  method: EapMethodName,
): void {
  switch (outcome.kind) {
    case 'accepted':
      if (outcome.keys === 'same') return;
      throw new Error(
        outcome.keys === 'absent'
          ? `${username} was accepted, but the router got no keys (MS-MPPE-Recv-Key, MS-MPPE-Send-Key): Wi-Fi would not come up`
          : `${username} was accepted, but the router got other keys than the device has derived: Wi-Fi would not come up`,
      );
    case 'rejected': {
      const why = describeRefusal(outcome.refusal, method) ?? outcome.message;
      throw new Error(
        `${username} was rejected: ${why ?? 'the server does not say why; its log does'}`,
      );
    }
    case 'distrust':
      throw new Error(describeDistrust(outcome.distrust));
    case 'unexpected':
      throw new Error(`the server answered with ${outcome.detail}`);
    case 'busy':
      throw new Error('no identifier was free');
    case 'silence':
      throw new Error('the server fell silent');
  }
}

function openContext(options: EapLoginOptions): SecureContext {
  const { method, ca, certificate, key } = options;
  if ((certificate === undefined) !== (key === undefined)) {
    throw new UsageError('--certificate and --key belong together');
  }
  if (method === 'tls' && certificate === undefined) {
    throw new UsageError('--method tls needs --certificate FILE and --key FILE');
  }
  const pem: TlsContextOptions = {
    ...(ca === undefined ? {} : { authorities: read(ca) }),
    ...(certificate === undefined ? {} : { certificate: read(certificate) }),
    ...(key === undefined ? {} : { key: read(key) }),
  };
  try {
    return createTlsContext(pem);
  } catch (error) {
    throw new Error(whyUnusable(options, error), { cause: error });
  }
}

function whyUnusable({ ca, certificate, key }: EapLoginOptions, error: unknown): string {
  if (String(error).includes('key values mismatch'))
    return `${key} is not the key of ${certificate}`;
  const files = [ca, certificate, key].filter((file) => file !== undefined).join(', ');
  return `${files} cannot be used: certificates in PEM, and a key without a password, are expected`;
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new Error(`${file} cannot be read`, { cause: error });
  }
}
