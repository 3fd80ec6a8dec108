// The database of a process: the embedded one, started here and stopped with us, or the configured
// one. What is in it belongs to the services; this brings its schema up to date.

import { join } from 'node:path';
import type { Config } from '../runtime/config.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { connectPostgres } from '../stores/postgres/connect.ts';
import type { Postgres } from '../stores/postgres/connect.ts';
import { startEmbeddedPostgres } from '../stores/postgres/embedded.ts';
import { migrate, migrationStatus } from '../stores/postgres/migrate.ts';
import type { MigrationStatus } from '../stores/postgres/migrate.ts';
import { prepareDataDirectory } from './data-directory.ts';
import { runningEmbeddedUrl } from './embedded-server.ts';

export type OpenDatabase = AsyncDisposable & {
  /** For the services, each of which has its own connections. */
  readonly url: string;
  readonly kind: 'embedded' | 'postgres';
  /** Of this process itself, for what is done once at start. */
  readonly postgres: Postgres;
};

/**
 * Throws a sentence for people when there is no database to start or to reach. `mayJoin`: an embedded
 * one that another process runs will do; else the directory must be ours alone.
 */
export async function openDatabase(
  config: Pick<Config, 'data' | 'database'>,
  runtime: Runtime,
  { mayJoin = false }: { mayJoin?: boolean } = {},
): Promise<OpenDatabase> {
  await using opened = new AsyncDisposableStack();
  const kind = config.database.url === 'embedded' ? 'embedded' : 'postgres';
  const running = mayJoin && kind === 'embedded' ? runningEmbeddedUrl(config.data) : undefined;
  let url = running ?? config.database.url;
  if (url === 'embedded') {
    prepareDataDirectory(config.data);
    const directory = join(config.data, 'postgres');
    ({ url } = opened.use(await startEmbeddedPostgres({ directory, runtime })));
  }
  const postgres = opened.use(
    await connectPostgres(
      {
        url,
        applicationName: 'evergate',
        maxConnections: 2,
        connectTimeoutMs: config.database.connectionTimeoutMs,
        queryTimeoutMs: config.database.commandTimeoutMs,
      },
      runtime,
    ),
  );
  const closing = opened.move();
  return { url, kind, postgres, [Symbol.asyncDispose]: () => closing.disposeAsync() };
}

/** Resolves with what was applied. A role that may not change the schema can start when nothing is to do. */
export async function migrateDatabase(database: OpenDatabase): Promise<string[]> {
  const { pending } = await migrationStatus(database.postgres);
  if (pending.length === 0) return [];
  const applied = await migrate(database.postgres);
  return applied.map(migrationName);
}

export async function databaseStatus(database: OpenDatabase): Promise<{
  applied: { name: string; appliedAtMs: number }[];
  pending: string[];
}> {
  const { applied, pending }: MigrationStatus = await migrationStatus(database.postgres);
  return {
    applied: applied.map((row) => ({ name: migrationName(row), appliedAtMs: row.appliedAtMs })),
    pending: pending.map(migrationName),
  };
}

/** Whether anybody may ask yet. */
export async function hasRouters({ postgres }: OpenDatabase): Promise<boolean> {
  const [row] = await postgres.query<{ some: boolean }>(
    'select exists (select from access.routers) as some',
  );
  return row?.some === true;
}

function migrationName({ number, name }: { number: number; name: string }): string {
  return `${String(number).padStart(4, '0')}-${name}`;
}
