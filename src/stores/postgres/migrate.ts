// The numbered SQL files of migrations/, applied in order, each once. Forward only; a file that has
// been applied never changes again. Any number of processes may start at the same time.

import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import type { Postgres, Queryable } from './connect.ts';

export type Migration = { number: number; name: string; checksum: string; sql: string };

export type MigrationStatus = {
  applied: { number: number; name: string; appliedAtMs: number }[];
  pending: { number: number; name: string }[];
};

type AppliedRow = { number: number; name: string; checksum: string; applied_at: number };

/** Beside the module: in src/ as written, in dist/ as the build copied them. */
const MIGRATIONS_URL = new URL('./migrations/', import.meta.url);

/** Any number will do that nobody else locks: "evergate" in ASCII. */
const LOCK_KEY = '7311150154857705573';
const LOCK_TIMEOUT_MS = 120_000;
const MIGRATION_TIMEOUT_MS = 600_000;

/** Applies what is pending, all in one transaction, and returns what it applied. */
export async function migrate(
  postgres: Postgres,
  known?: readonly Migration[],
): Promise<{ number: number; name: string }[]> {
  const migrations = known ?? (await readMigrations());
  return postgres.transaction(async (transaction) => {
    // The second starter waits here and then finds nothing left to do.
    await transaction.query('select pg_advisory_xact_lock($1)', [LOCK_KEY], {
      timeoutMs: LOCK_TIMEOUT_MS,
    });
    await transaction.query(`
      create schema if not exists evergate;
      create table if not exists evergate.migrations (
        number integer primary key,
        name text not null,
        checksum text not null,
        applied_at timestamptz not null default clock_timestamp()
      )`);
    const pending = pendingMigrations(migrations, await appliedMigrations(transaction));
    for (const migration of pending) {
      await apply(transaction, migration);
    }
    return pending.map(({ number, name }) => ({ number, name }));
  });
}

export async function migrationStatus(
  postgres: Queryable,
  known?: readonly Migration[],
): Promise<MigrationStatus> {
  const migrations = known ?? (await readMigrations());
  const [table] = await postgres.query<{ exists: boolean }>(
    `select to_regclass('evergate.migrations') is not null as exists`,
  );
  const applied = table?.exists === true ? await appliedMigrations(postgres) : [];
  return {
    applied: applied.map((row) => ({
      number: row.number,
      name: row.name,
      appliedAtMs: row.applied_at,
    })),
    pending: pendingMigrations(migrations, applied).map(({ number, name }) => ({ number, name })),
  };
}

export async function readMigrations(directory: URL = MIGRATIONS_URL): Promise<Migration[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.sql')).toSorted();
  const migrations = await Promise.all(
    names.map(async (file): Promise<Migration> => {
      const parts = /^(?<number>\d{4})-(?<name>[a-z0-9-]+)\.sql$/.exec(file)?.groups;
      if (parts === undefined) throw new Error(`migration ${file} is not named NNNN-name.sql`);
      const sql = await readFile(new URL(file, directory), 'utf8');
      return {
        number: Number(parts['number']),
        name: parts['name'] ?? '',
        checksum: createHash('sha256').update(sql).digest('hex'),
        sql,
      };
    }),
  );
  migrations.forEach(({ number }, index) => {
    if (number !== index + 1) throw new Error(`migration ${index + 1} is missing or there twice`);
  });
  return migrations;
}

/** Throws when what is applied is not the beginning of what this program knows. */
function pendingMigrations(
  known: readonly Migration[],
  applied: readonly AppliedRow[],
): Migration[] {
  const newest = applied.at(-1);
  if (newest !== undefined && newest.number > known.length) {
    throw new Error(
      `the database is newer than this program: it has migration ${newest.number} (${newest.name}), ` +
        `the program knows ${known.length}. Start the newer release of Evergate.`,
    );
  }
  for (const [index, row] of applied.entries()) {
    const migration = known[index];
    if (migration?.number !== row.number || migration.checksum !== row.checksum) {
      throw new Error(
        `migration ${row.number} (${row.name}) was applied with other contents than the program has now`,
      );
    }
  }
  return known.slice(applied.length);
}

function appliedMigrations(postgres: Queryable): Promise<AppliedRow[]> {
  return postgres.query<AppliedRow>(
    'select number, name, checksum, applied_at from evergate.migrations order by number',
  );
}

async function apply(transaction: Queryable, migration: Migration): Promise<void> {
  try {
    await transaction.query(migration.sql, [], { timeoutMs: MIGRATION_TIMEOUT_MS });
  } catch (error) {
    throw new Error(`migration ${migration.number} (${migration.name}) failed`, { cause: error });
  }
  await transaction.query(
    'insert into evergate.migrations (number, name, checksum) values ($1, $2, $3)',
    [migration.number, migration.name, migration.checksum],
  );
}
