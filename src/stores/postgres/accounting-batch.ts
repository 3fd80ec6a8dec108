// A batch of accounting records as one array per column: the text that PostgreSQL reads for
// unnest($1::uuid[], …). Built by hand, because this is the hot path and pg's own array writer takes
// several times as long. What a record says is not judged here, except for what no column can hold.

import { isIP } from 'node:net';
import type { AccountingRecord } from '../../domain/accounting.ts';
import type { FoldedRecord } from './session-folding.ts';

type BatchColumn = {
  name: string;
  type: 'uuid' | 'text' | 'inet' | 'bigint' | 'float8' | 'boolean' | 'smallint';
  /** One element of the array literal. */
  text: (record: AccountingRecord | FoldedRecord) => string;
};

/** The bits of the column `reported`; `current_<name>` is the column of the counter. */
export const COUNTERS = [
  { name: 'seconds', bit: 1, of: (record: AccountingRecord) => record.sessionSeconds },
  { name: 'input_octets', bit: 2, of: (record: AccountingRecord) => record.inputOctets },
  { name: 'output_octets', bit: 4, of: (record: AccountingRecord) => record.outputOctets },
  { name: 'input_packets', bit: 8, of: (record: AccountingRecord) => record.inputPackets },
  { name: 'output_packets', bit: 16, of: (record: AccountingRecord) => record.outputPackets },
] as const;

/** Facts about the session's circumstances: the newest record decides, older ones fill in. */
export const CIRCUMSTANCES = [
  textColumn('multi_session_id', (record) => record.multiSessionId),
  textColumn('calling_station_id', (record) => record.callingStationId),
  textColumn('called_station_id', (record) => record.calledStationId),
  textColumn('nas_identifier', (record) => record.nasIdentifier),
  inetColumn('nas_ip_address', (record) => record.nasIpAddress),
  numberColumn('nas_port', (record) => record.nasPort),
  textColumn('nas_port_id', (record) => record.nasPortId),
  inetColumn('framed_ip_address', (record) => record.framedIpAddress),
  inetColumn('framed_ipv6_prefix', (record) => record.framedIpv6Prefix),
] as const satisfies BatchColumn[];

export const BATCH_COLUMNS: readonly BatchColumn[] = [
  { name: 'session_key', type: 'uuid', text: (record) => quote(record.sessionKey) },
  { name: 'router_id', type: 'uuid', text: (record) => quote(record.routerId) },
  { name: 'site_id', type: 'uuid', text: (record) => quote(record.siteId) },
  textColumn('acct_session_id', (record) => record.acctSessionId),
  textColumn('username', (record) => record.username),
  ...CIRCUMSTANCES,
  // Seconds since 1970, as to_timestamp takes them: to the millisecond a double is exact enough.
  {
    name: 'began',
    type: 'float8',
    text: (record) =>
      'beganAtMs' in record
        ? String(record.beganAtMs / 1000)
        : String(record.occurredAtMs / 1000 - (record.sessionSeconds ?? 0)),
  },
  { name: 'occurred', type: 'float8', text: (record) => String(record.occurredAtMs / 1000) },
  { name: 'is_stop', type: 'boolean', text: (record) => (record.kind === 'stop' ? 't' : 'f') },
  numberColumn('terminate_cause', (record) =>
    record.kind === 'stop' ? record.terminateCause : undefined,
  ),
  {
    name: 'reported',
    type: 'smallint',
    text: (record) =>
      String(
        COUNTERS.reduce((bits, { bit, of }) => (of(record) === undefined ? bits : bits | bit), 0),
      ),
  },
  ...COUNTERS.map(({ name, of }) => numberColumn(`current_${name}`, (record) => of(record) ?? 0)),
];

/** What a folded record has besides. */
export const FOLDED_COLUMN = { name: 'counting_since', type: 'float8' } as const;

/** The parameters of INSERT_SESSIONS: those of an upsert, and `FOLDED_COLUMN`. */
export function foldedLiterals(records: readonly FoldedRecord[]): string[] {
  const since = records.map((record) => String(record.countingSinceMs / 1000));
  return [...arrayLiterals(records), `{${since.join(',')}}`];
}

/** The parameters of one statement, in the order of `BATCH_COLUMNS`. */
export function arrayLiterals(records: readonly AccountingRecord[]): string[] {
  return BATCH_COLUMNS.map(({ text }) => {
    let literal = '';
    for (const record of records) literal += `,${text(record)}`;
    return `{${literal.slice(1)}}`;
  });
}

/** The record without what no column can hold, for one that PostgreSQL has refused. */
export function sanitize(record: AccountingRecord): AccountingRecord {
  const count = (value: unknown) =>
    typeof value === 'number' && value >= 0 ? Math.trunc(value) : undefined;
  const brief = (value: unknown) =>
    typeof value === 'string' ? value.slice(0, LONGEST_TEXT) : undefined;
  const address = (value: unknown) =>
    typeof value === 'string' && isIP(value) !== 0 ? value : undefined;
  return {
    ...record,
    acctSessionId: brief(record.acctSessionId) ?? '',
    multiSessionId: brief(record.multiSessionId),
    username: brief(record.username) ?? '',
    callingStationId: brief(record.callingStationId),
    calledStationId: brief(record.calledStationId),
    nasIdentifier: brief(record.nasIdentifier),
    nasIpAddress: address(record.nasIpAddress),
    nasPort: count(record.nasPort),
    nasPortId: brief(record.nasPortId),
    framedIpAddress: address(record.framedIpAddress),
    framedIpv6Prefix: ipv6Prefix(record.framedIpv6Prefix),
    sessionSeconds: count(record.sessionSeconds),
    inputOctets: count(record.inputOctets),
    outputOctets: count(record.outputOctets),
    inputPackets: count(record.inputPackets),
    outputPackets: count(record.outputPackets),
    terminateCause: count(record.terminateCause),
  };
}

/** An attribute has at most 253 bytes; an index entry has room for about 2,700. */
const LONGEST_TEXT = 512;

/** Needs no quotes in an array literal, unless it is the word NULL. */
const PLAIN = /^[\w.:@-]+$/;

function quote(text: string): string {
  if (PLAIN.test(text) && !(text.length === 4 && text.toUpperCase() === 'NULL')) return text;
  return `"${withoutNul(text).replaceAll(/["\\]/g, String.raw`\$&`)}"`;
}

/** PostgreSQL cannot store the character NUL in a text, and jsonb cannot hold it either. */
export function withoutNul(text: string): string {
  return text.replaceAll('\0', '\uFFFD');
}

function textColumn(
  name: string,
  of: (record: AccountingRecord) => string | undefined,
  type: 'text' | 'inet' = 'text',
): BatchColumn {
  const text = (record: AccountingRecord) => {
    const value = of(record);
    return value === undefined ? 'NULL' : quote(value);
  };
  return { name, type, text };
}

function inetColumn(name: string, of: (record: AccountingRecord) => string | undefined) {
  return textColumn(name, of, 'inet');
}

/** What is beyond 2^53 could not be read back exactly: it stays at the largest number that can. */
function numberColumn(
  name: string,
  of: (record: AccountingRecord) => number | undefined,
): BatchColumn {
  const text = (record: AccountingRecord) => {
    const value = of(record);
    return value === undefined ? 'NULL' : String(Math.min(value, Number.MAX_SAFE_INTEGER));
  };
  return { name, type: 'bigint', text };
}

function ipv6Prefix(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined;
  const [address = '', length = '128', ...rest] = value.split('/');
  const isPrefix = isIP(address) === 6 && /^\d{1,3}$/.test(length) && Number(length) <= 128;
  return isPrefix && rest.length === 0 ? value : undefined;
}
