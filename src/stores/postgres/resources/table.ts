// What every resource of the API does with its table: find, list, lock, insert, change, delete. One
// definition per resource says which columns there are; the SQL is put together here, from constants
// alone. Many rows travel as one array per column, so that an apply is a statement, not a thousand.

import type { Queryable } from '../connect.ts';
import { isForeignKeyViolation, isUniqueViolation, violatingValue } from '../errors.ts';

/** What every resource has besides its own values. `version` is its ETag. */
export type Stored = { id: string; version: number; createdAtMs: number; updatedAtMs: number };

/** `field` is the column whose value somebody else has, such as `name`; `value` as PostgreSQL shows it. */
type Written<Record> =
  | { kind: 'written'; records: Record[] }
  | { kind: 'taken'; field: string; value: string | undefined };

type Page = {
  limit: number;
  /** Continue behind the row with this key. */
  after: string | undefined;
  /** Only rows whose column, by its name outside, has this value. */
  filters: { [name: string]: string | undefined };
};

export type Table<Record extends Stored, Values> = {
  /** By id or by key; `lock` keeps others from changing it until the transaction ends. */
  find(idOrKey: string, lock?: 'lock'): Promise<Record | undefined>;
  findMany(idsOrKeys: string[], lock?: 'lock'): Promise<Record[]>;
  list(page: Page): Promise<Record[]>;
  /** All or none. */
  insert(rows: (Values & { id: string })[]): Promise<Written<Record>>;
  /** All or none; each grows in version. */
  update(rows: (Values & { id: string })[]): Promise<Written<Record>>;
  /** `referenced`: others still need it. */
  delete(id: string): Promise<'deleted' | 'missing' | 'referenced'>;
};

export type TableDefinition<Row, Record, Values> = {
  table: string;
  /** The unique column that people use: `name`, `username`, `code`. */
  key: string;
  /** Of the other tables whose columns are shown, `t` being this one. */
  columns: string;
  joins?: string;
  /** The columns that are written, with their PostgreSQL types. */
  written: { [column: string]: string };
  /** Columns that null leaves as they are: secrets, which are not sent again with every change. */
  keptWhenNull?: string[];
  filters?: { [name: string]: string };
  toRecord(row: Row & StoredRow): Record;
  toRow(values: Values & { id: string }): { [column: string]: unknown };
};

export type StoredRow = { id: string; version: number; created_at: number; updated_at: number };

const MANY_TIMEOUT_MS = 20_000;

export function createTable<Row, Record extends Stored, Values>(
  queryable: Queryable,
  definition: TableDefinition<Row, Record, Values>,
): Table<Record, Values> {
  const { table, key, columns, joins = '', written, filters = {}, keptWhenNull = [] } = definition;
  const select = `select ${columns}, t.id, t.version, t.created_at, t.updated_at from ${table} t ${joins}`;
  const writtenColumns = Object.keys(written);

  const rows = async (text: string, values: unknown[]): Promise<Record[]> => {
    const found = await queryable.query<Row & StoredRow>(text, values, {
      timeoutMs: MANY_TIMEOUT_MS,
    });
    return found.map((row) => definition.toRecord(row));
  };

  const findMany = (idsOrKeys: string[], lock?: 'lock') =>
    rows(
      `${select} where t.${key} = any($1::text[]) or t.id = any($2::uuid[])
       order by t.${key} ${lock === undefined ? '' : 'for update of t'}`,
      [idsOrKeys, idsOrKeys.filter(isUuid)],
    );

  async function write(
    text: string,
    values: (Values & { id: string })[],
  ): Promise<Written<Record>> {
    const asRows = values.map((value) => definition.toRow(value));
    const arrays = writtenColumns.map((column) => asRows.map((row) => row[column] ?? null));
    const ids = values.map(({ id }) => id);
    try {
      await queryable.query(text, [ids, ...arrays], { timeoutMs: MANY_TIMEOUT_MS });
    } catch (error) {
      // A unique column has a constraint by PostgreSQL's name; what is unique in any case, an index of ours.
      const name = table.replace('access.', '');
      const field = [key, ...writtenColumns].find(
        (column) =>
          isUniqueViolation(error, `${name}_${column}_key`) ||
          isUniqueViolation(error, `${name}_by_${column}`),
      );
      if (field === undefined) throw error;
      return { kind: 'taken', field, value: violatingValue(error) };
    }
    return { kind: 'written', records: await findMany(ids) };
  }

  const given = `unnest($1::uuid[], ${writtenColumns
    .map((column, index) => `$${index + 2}::${written[column]}[]`)
    .join(', ')}) as v (id, ${writtenColumns.join(', ')})`;
  const assignments = writtenColumns.map((column) =>
    keptWhenNull.includes(column)
      ? `${column} = coalesce(v.${column}, t.${column})`
      : `${column} = v.${column}`,
  );

  return {
    findMany,
    async find(idOrKey, lock) {
      const [record] = await findMany([idOrKey], lock);
      return record;
    },
    list(page) {
      const values: unknown[] = [page.limit];
      const conditions: string[] = [];
      const require = (condition: (parameter: string) => string, value: unknown) => {
        values.push(value);
        conditions.push(condition(`$${values.length}`));
      };
      if (page.after !== undefined) require((after) => `t.${key} > ${after}`, page.after);
      for (const [name, value] of Object.entries(page.filters)) {
        const column = filters[name];
        if (value === undefined || column === undefined) continue;
        require((wanted) => `${column} = ${wanted}`, value);
      }
      const where = conditions.length === 0 ? '' : `where ${conditions.join(' and ')}`;
      return rows(`${select} ${where} order by t.${key} limit $1`, values);
    },
    insert: (values) =>
      write(
        `insert into ${table} (id, ${writtenColumns.join(', ')})
         select id, ${writtenColumns.join(', ')} from ${given}`,
        values,
      ),
    update: (values) =>
      write(
        `update ${table} t set ${assignments.join(', ')}, version = t.version + 1, updated_at = now()
         from ${given} where t.id = v.id`,
        values,
      ),
    async delete(id) {
      // A refused statement would end the whole transaction; the savepoint keeps it usable.
      await queryable.query('savepoint before_delete');
      try {
        const deleted = await queryable.query(`delete from ${table} where id = $1 returning id`, [
          id,
        ]);
        return deleted.length === 0 ? 'missing' : 'deleted';
      } catch (error) {
        if (!isForeignKeyViolation(error)) throw error;
        await queryable.query('rollback to savepoint before_delete');
        return 'referenced';
      }
    },
  };
}

export function storedFields(row: StoredRow): Stored {
  return {
    id: row.id,
    version: row.version,
    createdAtMs: row.created_at,
    updatedAtMs: row.updated_at,
  };
}

export function dateOf(timeMs: number | undefined): Date | undefined {
  return timeMs === undefined ? undefined : new Date(timeMs);
}

function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);
}
