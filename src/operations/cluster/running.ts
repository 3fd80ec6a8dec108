// The parts of a cluster on one set of ports: made, started in order, stopped in reverse.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Runtime } from '../../runtime/runtime.ts';
import { ensureAdminToken } from '../admin-token.ts';
import { migrateDatabase, openDatabase } from '../database.ts';
import type { OpenDatabase } from '../database.ts';
import { openSecretsKey } from '../secrets-key.ts';
import { gateway, radiusNode } from './nodes.ts';
import { createPart } from './part.ts';
import type { Part, PartOptions, PartSurroundings } from './part.ts';
import type { Ports } from './ports.ts';
import type { PreparedPostgres } from './postgres.ts';
import { prepareRedis } from './redis-sentinel.ts';
import type { RedisGroup } from './redis-sentinel.ts';

export type RunningCluster = AsyncDisposable & {
  readonly ports: Ports;
  /** In the order in which they are shown. */
  readonly parts: readonly Part[];
  readonly redis: RedisGroup;
  pingDatabase(): Promise<unknown>;
  /** Resolves when everything answers; rejects with the first failure, and nothing is under way then. */
  start(signal: AbortSignal | undefined): Promise<void>;
};

export type RunningOptions = {
  ports: Ports;
  directory: string;
  logDirectory: string;
  secretsKeyFile: string;
  redisProgram: string;
  statePassword: string;
  postgres: PreparedPostgres;
  nodeEnvironment: Record<string, string>;
  surroundings: PartSurroundings;
  runtime: Runtime;
};

const DATABASE_TIMEOUT_MS = 2_000;

export function createRunningCluster(options: RunningOptions): RunningCluster {
  const { ports, directory, logDirectory, postgres, runtime } = options;
  const databaseUrl = postgres.url(ports.postgres);
  const redis = prepareRedis({
    directory,
    logDirectory,
    program: options.redisProgram,
    password: options.statePassword,
    ports,
    runtime,
  });
  const around = {
    directory,
    logDirectory,
    secretsKeyFile: options.secretsKeyFile,
    databaseUrl,
    stateUrl: redis.url,
    environment: options.nodeEnvironment,
  };
  const make = (part: PartOptions) => {
    rmSync(part.logFile, { force: true }); // of the last run
    return createPart(part, options.surroundings);
  };
  const services = [
    ...ports.nodes.map((each, index) => radiusNode(`radius-${index + 1}`, each, around)),
    gateway(ports.gateway, around),
  ].map(make);
  const postgresPart = make(postgres.part(ports.postgres, join(logDirectory, 'postgres.log')));
  const servers = redis.servers.map(make);
  const sentinels = redis.sentinels.map(make);
  let database: OpenDatabase | undefined;

  async function prepareDatabase(): Promise<void> {
    const timeouts = {
      connectionTimeoutMs: DATABASE_TIMEOUT_MS,
      commandTimeoutMs: DATABASE_TIMEOUT_MS,
    };
    const config = { data: directory, database: { url: databaseUrl, ...timeouts } };
    database = await openDatabase(config, runtime);
    await migrateDatabase(database);
    const secrets = { key: undefined, keyFile: options.secretsKeyFile };
    await openSecretsKey(secrets, database, { mayCreate: true });
    await ensureAdminToken(directory, database, runtime);
  }

  return {
    ports,
    parts: [...services, postgresPart, ...servers, ...sentinels],
    redis,
    pingDatabase: async () => await database?.postgres.ping(),

    async start(signal) {
      const failure = new AbortController();
      const stop = AbortSignal.any([failure.signal, ...(signal === undefined ? [] : [signal])]);
      const together = (steps: readonly Promise<void>[]) => allOf(steps, () => failure.abort());
      const startAll = (parts: readonly Part[]) => together(parts.map((part) => part.start(stop)));

      const startRedis = async () => {
        for (const server of servers) await server.start(stop);
        await startAll(sentinels);
      };
      const startDatabase = async () => {
        await postgresPart.start(stop);
        await prepareDatabase();
      };
      await together([startRedis(), startDatabase()]);
      await startAll(services);
    },

    async [Symbol.asyncDispose]() {
      const stopAll = (parts: readonly Part[]) => allOf(parts.map((part) => part.stop()));
      await stopAll(services);
      await database?.[Symbol.asyncDispose]();
      await stopAll(sentinels);
      await stopAll([...servers, postgresPart]);
      redis[Symbol.dispose]();
    },
  };
}

/** Waits for all of them, also when one fails: nothing may be under way when that is reported. */
async function allOf(steps: readonly Promise<void>[], onFailure?: () => void): Promise<void> {
  let failed: { first: unknown } | undefined;
  const watched = steps.map((step) =>
    step.catch((error: unknown) => {
      failed ??= { first: error };
      onFailure?.();
    }),
  );
  await Promise.all(watched);
  if (failed !== undefined) throw failed.first;
}
