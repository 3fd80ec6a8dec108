// Which secret this machine itself would use as a router: `doctor` asks the local RADIUS with it.

import { contains, parseAddress, parseNetwork } from '../../domain/network-address.ts';
import type { Config } from '../../runtime/config.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { connectPostgres } from '../../stores/postgres/connect.ts';
import { createRouterQueries } from '../../stores/postgres/routers.ts';
import { createSecretBox, loadKey, parseKey } from '../../stores/secret-box.ts';
import { databaseUrl } from './stores.ts';

export type LocalRouter =
  | { kind: 'router'; name: string; secret: string }
  | { kind: 'none'; because: string };

/** The router with the narrowest network that holds `address`. */
export async function findRouterFor(
  address: string,
  config: Config,
  runtime: Runtime,
): Promise<LocalRouter> {
  const url = databaseUrl(config);
  const { key, keyFile } = config.secrets;
  const secretsKey = key === undefined ? loadKey(keyFile) : parseKey(key, 'secrets.key');
  if (url === undefined || secretsKey === undefined) {
    return { kind: 'none', because: 'the routers cannot be read: no database or no secrets key' };
  }
  await using postgres = await connectPostgres(
    {
      url,
      applicationName: 'doctor',
      maxConnections: 1,
      connectTimeoutMs: config.database.connectionTimeoutMs,
      queryTimeoutMs: config.database.commandTimeoutMs,
    },
    runtime,
  );
  const bytes = parseAddress(address) ?? new Uint8Array();
  const box = createSecretBox([secretsKey]);
  const routers = await createRouterQueries(postgres, box, runtime.log).listRouters();
  const fitting = routers
    .map((router) => ({ router, network: parseNetwork(router.address) }))
    .flatMap(({ router, network }) =>
      network.kind === 'parsed' && contains(network.value, bytes)
        ? [{ router, prefixBits: network.value.prefixBits }]
        : [],
    )
    .toSorted((one, other) => other.prefixBits - one.prefixBits);
  const [narrowest] = fitting;
  if (narrowest === undefined) {
    return {
      kind: 'none',
      because: `no router has the address ${address}, so this machine may not ask`,
    };
  }
  const { name, secret } = narrowest.router;
  return { kind: 'router', name, secret: secret.toString('utf8') };
}
