import { expect, test } from 'vitest';
import { accountingRequest } from '../../../tests/simulation/packets.ts';
import { parseAccounting } from './accounting-packet.ts';
import { decodeJournalEntry, encodeJournalEntry } from './journal-entry.ts';

const router = {
  id: '01890a5d-ac96-774b-bcce-b302099a8057',
  siteId: '01890a5d-ac96-774b-bcce-b302099a8058',
};
const RECEIVED_AT_MS = Date.UTC(2026, 10, 20, 12) + 0.25;

const packet = accountingRequest((writer) => {
  writer.integer(40, 3);
  writer.text(44, '0001');
  writer.text(1, 'alice');
  writer.integer(41, 7);
  writer.integer(42, 1_000);
});

test('what comes out is the fact that went in, as of the moment it was received', () => {
  const entry = encodeJournalEntry(packet, router, RECEIVED_AT_MS);
  expect(decodeJournalEntry(entry)).toEqual(parseAccounting(packet, router, RECEIVED_AT_MS));
});

test.each([
  ['nothing', Buffer.alloc(0)],
  ['another version', Buffer.alloc(100, 2)],
  ['a torn packet', encodeJournalEntry(packet, router, RECEIVED_AT_MS).subarray(0, 70)],
])('%s is unreadable and says why', (_name, entry) => {
  expect(decodeJournalEntry(entry)).toMatchObject({
    kind: 'unreadable',
    reason: expect.stringMatching(/./) as string,
  });
});

test('what is no record of a session is unreadable, not a fact', () => {
  const without = accountingRequest((writer) => writer.text(44, '0001'));
  const entry = encodeJournalEntry(without, router, RECEIVED_AT_MS);
  expect(decodeJournalEntry(entry)).toEqual({ kind: 'unreadable', reason: 'no-status-type' });
});
