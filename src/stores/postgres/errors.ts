// What can go wrong with the database, sorted by who can do something about it: a statement that
// the server refused keeps pg's DatabaseError with its SQLSTATE; all else is PostgresUnavailable.

import pg from 'pg';

/** The database could not answer in time or at all: try later, or do without. `cause` has the reason. */
export class PostgresUnavailable extends Error {
  override name = 'PostgresUnavailable';
}

/** The SQLSTATE of an error that the server answered with. */
export function sqlState(error: unknown): string | undefined {
  return error instanceof pg.DatabaseError ? error.code : undefined;
}

/** A row with this key exists already. `constraint` narrows it to one constraint by name. */
export function isUniqueViolation(error: unknown, constraint?: string): boolean {
  return isViolation(error, '23505', constraint);
}

/** The value that is there already: `Key (upper(code))=(ABCD-EFGH) already exists.` */
export function violatingValue(error: unknown): string | undefined {
  if (!(error instanceof pg.DatabaseError)) return undefined;
  return /=\((.*)\)/s.exec(error.detail ?? '')?.[1];
}

/** A row that is referred to does not exist, or one that others refer to would go. */
export function isForeignKeyViolation(error: unknown, constraint?: string): boolean {
  return isViolation(error, '23503', constraint);
}

/**
 * The value itself is what the server cannot store (class 22, data exceptions, and 23, integrity):
 * sending it again cannot help.
 */
export function isDataError(error: unknown): boolean {
  const state = sqlState(error);
  return state !== undefined && (state.startsWith('22') || state.startsWith('23'));
}

/** The server said that it, not the statement, is the reason. */
export function isServerTrouble(error: unknown): boolean {
  const state = sqlState(error);
  return state === undefined || SERVER_TROUBLE.some((prefix) => state.startsWith(prefix));
}

const SERVER_TROUBLE = [
  '08', // connection exception
  '25006', // read-only: this is a standby, or the primary has been demoted
  '28', // not let in: only while connecting
  '3D', // no such database: only while connecting
  '53', // out of connections, memory or disk
  '57', // shutting down, starting up, cancelled
  '58', // I/O errors
  'XX', // internal errors, corruption
];

function isViolation(error: unknown, state: string, constraint: string | undefined): boolean {
  return (
    error instanceof pg.DatabaseError &&
    error.code === state &&
    (constraint === undefined || error.constraint === constraint)
  );
}
