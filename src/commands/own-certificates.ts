// Under `up` there is EAP over TLS also where nobody has configured a certificate: one of a private
// authority, in the data directory. Not where other nodes share the state: they would have another one,
// or none, and a login that meets both would fail.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ensureServerCertificate } from '../operations/certificates.ts';
import type { Config } from '../runtime/config.ts';
import type { Runtime } from '../runtime/runtime.ts';

const RENEWAL_EVERY_MS = 24 * 3_600_000;

/** The configuration with what was made, or is there from an earlier start. */
export async function withOwnCertificates(
  { data, radius, state }: Config,
  runtime: Runtime,
  opened: AsyncDisposableStack,
): Promise<Config['radius']> {
  if (radius.eap.certificateFile !== undefined || state.url !== 'memory') return radius;
  const directory = directoryIn(data);
  const made = await ensureServerCertificate(directory, runtime);
  opened.use(
    // It ends one day, and this process may still run.
    runtime.clock.every(RENEWAL_EVERY_MS, () => {
      ensureServerCertificate(directory, runtime).catch((error: unknown) => {
        runtime.log.error('could not renew the certificate for EAP over TLS', { error });
      });
    }),
  );
  const { certificateFile, keyFile, authorityFile, revocationListFile, outcome } = made;
  if (outcome !== 'present') {
    const files = { certificateFile, authorityFile };
    runtime.log.info(`${outcome} a certificate for EAP over TLS`, files);
  }
  const server = { certificateFile, keyFile };
  const clients = { clientCaFile: authorityFile, clientCrlFile: revocationListFile };
  return {
    ...radius,
    eap: withDefaults(radius.eap, server, clients),
    radsec: withDefaults(radius.radsec, server, clients),
  };
}

/** The certificate that `up` shows devices, if it has made one: for who only looks at it. */
export function ownCertificate({ data, radius }: Config) {
  const { certificateFile } = radius.eap;
  const server = join(directoryIn(data), 'server');
  const made = join(server, 'server.crt');
  if (certificateFile !== undefined || !existsSync(made)) return radius.eap;
  return { certificateFile: made, keyFile: join(server, 'server.key'), clientCaFile: undefined };
}

function directoryIn(data: string): string {
  return join(data, 'certificates');
}

type Files = {
  certificateFile: string | undefined;
  keyFile: string | undefined;
  clientCaFile: string | undefined;
  clientCrlFile: string | undefined;
};

/** What is configured stays: an authority of devices or routers does not need a certificate of ours. */
function withDefaults<T extends Files>(
  configured: T,
  server: Pick<Files, 'certificateFile' | 'keyFile'>,
  clients: Pick<Files, 'clientCaFile' | 'clientCrlFile'>,
): T {
  return {
    ...configured,
    ...(configured.certificateFile === undefined ? server : {}),
    ...(configured.clientCaFile === undefined ? clients : {}),
  };
}
