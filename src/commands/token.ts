// `evergate token create`: a new API key, printed once. Through the gateway; or, for the first key of
// a cluster, straight into its database.

import { createTokenDirectly } from '../operations/admin-token.ts';
import { migrateDatabase, openDatabase } from '../operations/database.ts';
import { gatewayFrom, hasToken } from './gateway-client.ts';
import type { GatewayOptions } from './gateway-client.ts';
import { loadFor } from './load.ts';
import { quietRuntime } from './quiet-runtime.ts';
import { dim, print, printJson } from './terminal.ts';

type Role = 'owner' | 'manager' | 'support' | 'read-only';
type NewToken = { id: string; key: string };

export async function createToken(
  options: GatewayOptions & { role: Role; name: string; direct?: boolean; json?: boolean },
): Promise<void> {
  const { config } = loadFor({ ...options, json: false });
  const isCluster = config.database.url !== 'embedded';
  const isDirect = options.direct === true || (isCluster && !hasToken(options));
  const wanted = { name: options.name, role: options.role };
  const { id, key } = isDirect
    ? await createDirectly(options, wanted)
    : ((await gatewayFrom(options).request('POST', '/v1/api-keys', wanted)) as NewToken);

  if (options.json === true) {
    printJson({ id, key, ...wanted });
    return;
  }
  print(key);
  if (process.stdout.isTTY) print(dim('Keep it: it is not shown again. Use it as EVERGATE_TOKEN.'));
}

async function createDirectly(
  options: GatewayOptions,
  wanted: { name: string; role: Role },
): Promise<NewToken> {
  const { config } = loadFor({ ...options, json: false });
  const runtime = quietRuntime();
  await using database = await openDatabase(config, runtime, { mayJoin: true });
  await migrateDatabase(database);
  return await createTokenDirectly(database, wanted, runtime);
}
