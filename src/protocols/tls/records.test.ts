// Protection in both versions, and the limits of records.

import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CipherSuite, cipherSuites } from './cipher-suites.ts';
import type { RecordKeys } from './connection.ts';
import {
  MAX_PLAINTEXT_BYTES,
  contentTypes,
  plainRecord,
  protect,
  takeRecord,
  unprotect,
} from './records.ts';
import { TlsAlert } from './wire.ts';

function newKeys({ name, keyBytes, ivBytes }: CipherSuite): RecordKeys {
  return { suite: name, key: randomBytes(keyBytes), iv: randomBytes(ivBytes), sequence: 0 };
}

function taken(bytes: Buffer, version: '1.2' | '1.3') {
  const found = takeRecord(bytes, version);
  if (!found) throw new Error('the record is not whole');
  return found.record;
}

function alertOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof TlsAlert) return error.alert;
    throw error;
  }
  return 'nothing';
}

describe.each(cipherSuites.map((suite) => [suite.name, suite] as const))('%s', (_name, suite) => {
  const { version } = suite;

  test('what one side protects, the other reads, record after record', () => {
    const write = newKeys(suite);
    const read = { ...write };
    const contents = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 });
    fc.assert(
      fc.property(contents, (list) => {
        for (const bytes of list) {
          const content = Buffer.from(bytes);
          const record = protect(write, contentTypes.applicationData, content);
          expect(unprotect(read, taken(record, version))).toEqual({
            type: contentTypes.applicationData,
            content,
          });
        }
        expect(read.sequence).toBe(write.sequence);
      }),
    );
  });

  test('a record that is changed, repeated or left out is a bad_record_mac', () => {
    const write = newKeys(suite);
    const content = Buffer.from('hello');
    const [first, second] = [1, 2].map(() => protect(write, contentTypes.applicationData, content));
    if (!first || !second) throw new Error('there are two');
    const fresh = (sequence: number) => ({ ...write, sequence });
    for (let place = 5; place < first.length; place += 1) {
      const changed = Buffer.from(first);
      changed[place] = (changed[place] ?? 0) ^ 1;
      expect(alertOf(() => unprotect(fresh(0), taken(changed, version)))).toBe('bad_record_mac');
    }
    expect(alertOf(() => unprotect(fresh(0), taken(second, version)))).toBe('bad_record_mac');
    expect(alertOf(() => unprotect(fresh(1), taken(first, version)))).toBe('bad_record_mac');
    const short = plainRecord(contentTypes.applicationData, Buffer.alloc(16));
    const expected = 'bad_record_mac';
    expect(alertOf(() => unprotect(fresh(0), taken(short, version)))).toBe(expected);
  });

  test('a key is given up before it has protected too much', () => {
    const keys = { ...newKeys(suite), sequence: 2 ** 24 - 1 };
    protect(keys, contentTypes.applicationData, Buffer.from('the last'));
    const observed: unknown[] = [];
    const more = () =>
      protect(keys, contentTypes.applicationData, Buffer.from('no more'), (record) =>
        observed.push(record),
      );
    expect(alertOf(more)).toBe('internal_error');
    expect(observed).toEqual([]);
  });
});

test('zeros behind the content are no part of it, and only zeros are no record', () => {
  const suite = cipherSuites.find(({ version }) => version === '1.3');
  if (!suite) throw new Error('there is one');
  const write = newKeys(suite);
  const padded = Buffer.concat([Buffer.from('hi'), Buffer.from([22]), Buffer.alloc(100)]);
  // Written with the last zero as its type, so the rest is what a client would have put inside.
  const record = protect({ ...write }, 0, padded.subarray(0, -1));
  expect(unprotect({ ...write }, taken(record, '1.3'))).toEqual({
    type: 22,
    content: Buffer.from('hi'),
  });
  const empty = protect({ ...write }, 0, Buffer.alloc(50));
  expect(alertOf(() => unprotect({ ...write }, taken(empty, '1.3')))).toBe('unexpected_message');
});

test('the bytes of records are waited for, but not too many of them', () => {
  const record = plainRecord(contentTypes.handshake, randomBytes(MAX_PLAINTEXT_BYTES));
  for (const length of [0, 1, 4, 5, 6, record.length - 1])
    expect(takeRecord(record.subarray(0, length), 'nothing')).toBeUndefined();
  const two = takeRecord(Buffer.concat([record, record]), 'nothing');
  expect(two?.rest).toEqual(record);
  expect(two?.record.fragment).toHaveLength(MAX_PLAINTEXT_BYTES);
});

test.each([
  ['in the open', 'nothing', MAX_PLAINTEXT_BYTES],
  ['TLS 1.3', '1.3', MAX_PLAINTEXT_BYTES + 256],
  ['TLS 1.2', '1.2', MAX_PLAINTEXT_BYTES + 2048],
] as const)('a record has a longest length, %s', (_name, version, limit) => {
  const header = (length: number) => Buffer.from([23, 3, 3, length >> 8, length & 0xff]);
  expect(takeRecord(header(limit), version)).toBeUndefined();
  expect(alertOf(() => takeRecord(header(limit + 1), version))).toBe('record_overflow');
});

test.each([
  ['of no known type', [24, 3, 3, 0, 1], 'unexpected_message'],
  ['of another protocol', [71, 69, 84, 32, 47], 'unexpected_message'],
  ['of another version', [22, 2, 0, 0, 1], 'protocol_version'],
] as const)('a record %s is refused at its first bytes', (_name, bytes, alert) => {
  expect(alertOf(() => takeRecord(Buffer.from(bytes), 'nothing'))).toBe(alert);
});
