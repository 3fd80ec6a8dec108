// `evergate up`: everything in one process, with nothing to install. When it runs it says where things
// are and what to try next: on a terminal as a page, else as one line of the log.

import { ensureAdminToken } from '../operations/admin-token.ts';
import { hasRouters } from '../operations/database.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { isReadable } from '../runtime/system-runtime.ts';
import { applyFile, describeChanges } from './apply.ts';
import { connectGateway } from './gateway-client.ts';
import type { Gateway } from './gateway-client.ts';
import { loadFor } from './load.ts';
import type { ConfigOptions } from './load.ts';
import { reachable } from './reachable.ts';
import { SERVICES, runServices } from './run-services.ts';
import { print } from './terminal.ts';
import { nextSteps, welcome } from './welcome.ts';

export async function up(
  options: ConfigOptions & { apply?: string },
  version: string,
): Promise<void> {
  const loaded = loadFor(options);
  const { config } = loaded;
  const isForPeople = isReadable(config.log.format);
  let isNew = true;

  await runServices(loaded, version, {
    name: 'evergate',
    services: SERVICES,
    isAlone: true,

    async beforeRadius({ database, http, runtime }) {
      const token = await ensureAdminToken(config.data, database, runtime);
      const url = `http://${reachable(config.gateway.host)}:${http.port}`;
      if (options.apply !== undefined) {
        await applyAtStart(options.apply, connectGateway(url, token), runtime, isForPeople);
      }
      isNew = !(await hasRouters(database));
    },

    onReady(running) {
      const steps = nextSteps(running, isNew);
      if (isForPeople) {
        print(welcome(running, steps, version));
        return;
      }
      const { radius, httpPort, databaseKind, runtime } = running;
      runtime.log.info('ready', {
        api: `http://${reachable(config.gateway.host)}:${httpPort}/v1`,
        auth_port: radius?.authPort,
        acct_port: radius?.acctPort,
        udp_engine: radius?.engine,
        database: databaseKind,
        data: config.data,
        next: steps.map(({ command }) => command),
      });
    },
  });
}

async function applyAtStart(
  file: string,
  gateway: Gateway,
  { log }: Runtime,
  isForPeople: boolean,
): Promise<void> {
  const { changes } = await applyFile(file, gateway);
  if (isForPeople) print(describeChanges(changes));
  else log.info('applied', { file, changes: changes.length });
}
