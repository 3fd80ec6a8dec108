// `evergate database migrate|status`: the schema, brought up to date or looked at.

import { databaseStatus, migrateDatabase, openDatabase } from '../operations/database.ts';
import { loadFor } from './load.ts';
import type { ConfigOptions } from './load.ts';
import { quietRuntime } from './quiet-runtime.ts';
import { formatTable } from './table.ts';
import { dim, green, print, printJson, yellow } from './terminal.ts';

export async function database(
  action: 'migrate' | 'status',
  options: ConfigOptions,
): Promise<void> {
  const { config } = loadFor({ ...options, json: false });
  await using opened = await openDatabase(config, quietRuntime(), { mayJoin: true });

  if (action === 'migrate') {
    const applied = await migrateDatabase(opened);
    if (options.json === true) printJson({ applied });
    else if (applied.length === 0) print('the schema is up to date');
    else print(applied.map((name) => `${green('applied')}  ${name}`).join('\n'));
    return;
  }

  const { applied, pending } = await databaseStatus(opened);
  if (options.json === true) {
    printJson({
      applied: applied.map(({ name, appliedAtMs }) => ({
        name,
        applied_at: new Date(appliedAtMs).toISOString(),
      })),
      pending,
    });
    return;
  }
  const rows = [
    ...applied.map(({ name, appliedAtMs }) => [
      name,
      `${green('applied')} ${dim(new Date(appliedAtMs).toISOString())}`,
    ]),
    ...pending.map((name) => [name, yellow('pending: run `evergate database migrate`')]),
  ];
  print(formatTable(rows));
}
