// What `up` and `start` have in common: the stores are opened, the services started in order, and
// everything stopped in reverse when a signal asks for it. The wiring of each service is its start.ts.

import { availableParallelism } from 'node:os';
import { prepareDataDirectory } from '../operations/data-directory.ts';
import { openDatabase, migrateDatabase } from '../operations/database.ts';
import type { OpenDatabase } from '../operations/database.ts';
import { openSecretsKey } from '../operations/secrets-key.ts';
import type { Config, LoadedConfig } from '../runtime/config.ts';
import { createHttpServer } from '../runtime/http.ts';
import type { HttpServer } from '../runtime/http.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { createSystemRuntime } from '../runtime/system-runtime.ts';
import type { RadiusService } from '../services/radius/start.ts';
import { withOwnCertificates } from './own-certificates.ts';
import { watchStopSignals } from './stop-signals.ts';

export const SERVICES = ['radius', 'gateway'] as const;
export type ServiceName = (typeof SERVICES)[number];

export type ServicesPlan = {
  /** What `/health` calls the process. */
  name: string;
  services: readonly ServiceName[];
  /** This node may make what is secret and missing: the secrets key, certificates. One worker is enough. */
  isAlone: boolean;
  /** Runs when the gateway answers and before routers are answered. */
  beforeRadius?(started: {
    config: Config;
    database: OpenDatabase;
    http: HttpServer;
    runtime: Runtime;
  }): Promise<void>;
  /** Everything runs. */
  onReady(running: RunningServices): void;
};

export type RunningServices = {
  config: Config;
  runtime: Runtime;
  databaseKind: OpenDatabase['kind'];
  /** What devices must trust, where it is our own. */
  authorityFile: string | undefined;
  httpPort: number;
  radius: RadiusService | undefined;
};

/** Resolves after an orderly stop. */
export async function runServices(
  { config, warnings }: LoadedConfig,
  version: string,
  plan: ServicesPlan,
): Promise<void> {
  const runtime = createSystemRuntime({
    log: config.log,
    fields: { node: config.node },
    engine: config.radius.engine,
    processMetrics: true,
  });
  const { clock, log } = runtime;
  using signals = watchStopSignals(runtime);
  await using opened = new AsyncDisposableStack();
  for (const warning of warnings) log.warn(warning);

  if (plan.isAlone) prepareDataDirectory(config.data);
  const database = opened.use(await openDatabase(config, runtime));
  await prepareSchema(database, runtime);
  const key = await openSecretsKey(config.secrets, database, {
    mayCreate: plan.isAlone || database.kind === 'embedded',
  });

  const http = createHttpServer(httpOptions(config, version, plan), runtime);
  let isStarted = false;
  http.addHealth({
    checks: [
      {
        name: 'start',
        required: true,
        run: () =>
          Promise.resolve(isStarted ? { status: 'pass' } : { status: 'fail', detail: 'starting' }),
      },
    ],
  });
  const radiusConfig = plan.isAlone
    ? await withOwnCertificates(config, runtime, opened)
    : config.radius;
  const stores = {
    databaseUrl: database.url,
    isDatabaseEmbedded: database.kind === 'embedded',
    databaseTimeouts: {
      connectTimeoutMs: config.database.connectionTimeoutMs,
      queryTimeoutMs: config.database.commandTimeoutMs,
    },
    secretKeys: [key] as const,
  };

  if (plan.services.includes('gateway')) {
    const { startGateway } = await import('../services/gateway/start.ts');
    opened.use(await startGateway({ ...config, ...stores }, ofService(runtime, 'gateway'), http));
  }
  opened.use(http);
  if (config.health.isEnabled || plan.services.includes('gateway')) {
    await listen(http, plan, runtime);
  }
  await plan.beforeRadius?.({ config, database, http, runtime });

  let radius: RadiusService | undefined;
  if (plan.services.includes('radius')) {
    const { startRadius } = await import('../services/radius/start.ts');
    radius = opened.use(
      await startRadius(
        { ...config, ...stores, radius: radiusConfig, workers: numberOfWorkers(config, plan) },
        ofService(runtime, 'radius'),
      ),
    );
    http.addHealth(radius.health);
  }

  isStarted = true;
  const authorityFile =
    config.radius.eap.certificateFile === undefined ? radiusConfig.eap.clientCaFile : undefined;
  const databaseKind = database.kind;
  plan.onReady({ config, runtime, databaseKind, authorityFile, httpPort: http.port, radius });

  const signal = await signals.first;
  log.info('stopping', { signal });
  using _deadline = clock.after(config.shutdown.delayMs + config.shutdown.timeoutMs, () => {
    log.error('the orderly stop took too long; ending now');
    process.exit(1);
  });
  // First nobody new comes, then who is here is served, then everything closes in reverse order.
  http.drain();
  radius?.drain();
  await clock.sleep(config.shutdown.delayMs);
  await opened.disposeAsync();
  log.info('stopped');
}

/** Every line of the log says which service speaks. */
function ofService(runtime: Runtime, service: ServiceName): Runtime {
  return { ...runtime, log: runtime.log.with({ service }) };
}

/** A database that is away is no reason not to start: accounting goes into the journal until it is back. */
async function prepareSchema(database: OpenDatabase, { log }: Runtime): Promise<void> {
  if (database.postgres.status() === 'disconnected') {
    log.warn('the database is away, so its schema could not be checked');
    return;
  }
  const applied = await migrateDatabase(database);
  if (applied.length > 0) log.info('the database schema is up to date', { applied });
}

function httpOptions(config: Config, version: string, { name, services }: ServicesPlan) {
  const hasGateway = services.includes('gateway');
  return {
    service: name,
    version,
    host: hasGateway ? config.gateway.host : config.health.host,
    port: hasGateway ? config.gateway.port : config.radius.httpPort,
    servesHealth: config.health.isEnabled,
    token: config.health.token,
  };
}

/** Without its API a gateway is nothing; RADIUS goes on without its health port. */
async function listen(http: HttpServer, { services }: ServicesPlan, { log }: Runtime) {
  try {
    await http.listen();
  } catch (error) {
    if (services.includes('gateway')) throw listenProblem(error, http.port);
    log.error('health and metrics cannot be served; RADIUS goes on without them', { error });
  }
}

function listenProblem(error: unknown, port: number): unknown {
  const { cause } = error instanceof Error ? error : {};
  if (!(cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE')) return error;
  return new Error(
    `tcp port ${port} is in use by another process: stop it ("ss -tlpn" shows which) or set another gateway.port`,
  );
}

function numberOfWorkers({ radius }: Config, { isAlone }: ServicesPlan): number {
  if (radius.workers !== 'auto') return radius.workers;
  return isAlone ? 1 : availableParallelism();
}
