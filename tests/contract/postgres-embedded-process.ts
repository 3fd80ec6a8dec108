// An Evergate in small, for postgres-embedded.test.ts to kill: starts the embedded database in the
// directory that it is given, says so in one line, writes numbers, and goes on until somebody ends it.

import { connectPostgres } from '../../src/stores/postgres/connect.ts';
import { startEmbeddedPostgres } from '../../src/stores/postgres/embedded.ts';
import { contractRuntime } from './postgres-runtime.ts';

const [, , directory = ''] = process.argv;
const runtime = contractRuntime();
const database = await startEmbeddedPostgres({ directory, runtime });
const postgres = await connectPostgres({ url: database.url }, runtime);
await postgres.query('create table if not exists numbers (number integer primary key)');
const [last] = await postgres.query<{ next: number }>(
  'select coalesce(max(number), 0) + 1 as next from numbers',
);
for (let number = last?.next ?? 1; ; number++) {
  await postgres.query('insert into numbers values ($1)', [number]);
  console.log(JSON.stringify({ acknowledged: number, pid: database.pid }));
}
