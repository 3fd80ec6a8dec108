// How PostgreSQL values arrive in TypeScript: bigint as a number while that is exact, timestamptz as
// milliseconds since 1970, bytea as a Buffer, all else as pg does it.

import pg from 'pg';

const INT8 = 20;
const INT8_ARRAY = 1016;
const DATE = 1082;
const TIMESTAMPTZ = 1184;

type TypeId = Parameters<typeof pg.types.getTypeParser>[0];

/** For the `types` option of a client. Sessions run with TimeZone=UTC and DateStyle=ISO. */
export const valueTypes: pg.CustomTypesConfig = {
  getTypeParser: ((oid: TypeId, format?: 'text' | 'binary') => {
    if (format === 'binary') return pg.types.getTypeParser(oid, format);
    switch (oid as number) {
      case INT8:
        return parseInt8;
      case INT8_ARRAY:
        return parseInt8Array;
      case DATE:
        return (text: string) => text; // a calendar day has no moment
      case TIMESTAMPTZ:
        return parseTimestamp;
      default:
        return pg.types.getTypeParser(oid, format);
    }
  }) as typeof pg.types.getTypeParser,
};

export function parseInt8(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) {
    throw new RangeError(`the database holds ${text}, which is beyond 2^53 and would lose digits`);
  }
  return value;
}

/** `2026-01-31 12:00:00.123456+00` → milliseconds; microseconds are cut off. */
export function parseTimestamp(text: string): number {
  if (text === 'infinity') return Infinity;
  if (text === '-infinity') return -Infinity;
  const value = Date.parse(text.replace(' ', 'T').replace(/\+00$/, 'Z'));
  if (Number.isNaN(value)) throw new RangeError(`the database holds the impossible time ${text}`);
  return value;
}

function parseInt8Array(text: string): (number | null)[] {
  if (text === '{}') return [];
  return text
    .slice(1, -1)
    .split(',')
    .map((item) => (item === 'NULL' ? null : parseInt8(item)));
}
