// Migrations run once, in order, whoever starts them; and a mistake with them stops the start.

import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { connectPostgres } from '../../src/stores/postgres/connect.ts';
import type { Postgres } from '../../src/stores/postgres/connect.ts';
import { migrate, migrationStatus, readMigrations } from '../../src/stores/postgres/migrate.ts';
import { startPostgres } from '../servers/postgres.ts';
import type { PostgresServer } from '../servers/postgres.ts';
import { contractRuntime } from './postgres-runtime.ts';

let server: PostgresServer;
let postgres: Postgres;

beforeAll(async () => {
  server = await startPostgres();
  postgres = await connectPostgres({ url: server.url }, contractRuntime());
});

afterAll(async () => {
  await postgres[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

beforeEach(async () => {
  await postgres.query('drop schema if exists access, auth, evergate cascade');
});

test('four starters at once apply everything once', async () => {
  const known = await readMigrations();
  const connections = await Promise.all(
    Array.from({ length: 4 }, () => connectPostgres({ url: server.url }, contractRuntime())),
  );
  const applied = await Promise.all(connections.map((connection) => migrate(connection)));
  await Promise.all(connections.map((connection) => connection[Symbol.asyncDispose]()));

  const counts = applied.map(({ length }) => length).toSorted();
  expect(counts).toEqual([0, 0, 0, known.length]);
  const status = await migrationStatus(postgres);
  expect(status.applied).toHaveLength(known.length);
  expect(status.pending).toEqual([]);
});

test('before the first run everything is pending', async () => {
  const status = await migrationStatus(postgres);
  expect(status.applied).toEqual([]);
  expect(status.pending[0]).toEqual({ number: 1, name: 'access' });
});

test('one that fails names itself and leaves nothing behind', async () => {
  const known = await readMigrations();
  const broken = { number: known.length + 1, name: 'broken', checksum: 'x', sql: 'create tabel' };
  await expect(migrate(postgres, [...known, broken])).rejects.toThrow(/\(broken\) failed/);
  expect((await migrationStatus(postgres)).applied).toEqual([]);
});

test('one that was changed after it had been applied is an error', async () => {
  const known = await readMigrations();
  await migrate(postgres, known);
  const changed = known.map((migration) => ({ ...migration, checksum: 'another' }));
  await expect(migrate(postgres, changed)).rejects.toThrow('migration 1 (access) was applied with');
  await expect(migrationStatus(postgres, changed)).rejects.toThrow('was applied with');
});

test('a database newer than the program is an error', async () => {
  const known = await readMigrations();
  await migrate(postgres, known);
  await expect(migrate(postgres, known.slice(0, -1))).rejects.toThrow('newer than this program');
});
