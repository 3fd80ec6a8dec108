// Two boxes of one cluster, and time that passes.

import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { createTicketBox } from './ticket-box.ts';

const HOUR_MS = 3_600_000;
const NOW_MS = 1_000_000 * HOUR_MS;
const clusterKey = randomBytes(32);
const box = createTicketBox(clusterKey, HOUR_MS);
const other = createTicketBox(clusterKey, HOUR_MS);
const content = Buffer.from('what a login has earned');

test('what one node seals, another opens', () => {
  expect(other.open(box.seal(content, NOW_MS), NOW_MS)).toEqual(content);
  expect(other.open(box.seal(Buffer.alloc(0), NOW_MS), NOW_MS)).toEqual(Buffer.alloc(0));
});

test('the same content is sealed in the same way by every node, another under another nonce', () => {
  const sealed = box.seal(content, NOW_MS);
  expect(other.seal(content, NOW_MS)).toEqual(sealed);
  const nonceOf = (bytes: Buffer) => bytes.subarray(7, 19).toString('hex');
  const changed = Buffer.from(content);
  changed[0] = 0;
  expect(nonceOf(box.seal(changed, NOW_MS))).not.toBe(nonceOf(sealed));
  expect(nonceOf(box.seal(content, NOW_MS + HOUR_MS))).not.toBe(nonceOf(sealed));
});

test.each([
  ['at once', 0, true],
  ['in the same period', HOUR_MS - 1, true],
  ['in the next period', 2 * HOUR_MS - 1, true],
  ['in the one after', 2 * HOUR_MS, false],
  ['by a clock that is a little behind', -1, true],
  ['by a clock that is far behind', -2 * HOUR_MS, false],
])('opened %s', (_name, laterMs, isOpened) => {
  const opened = other.open(box.seal(content, NOW_MS), NOW_MS + laterMs);
  expect(opened).toEqual(isOpened ? content : undefined);
});

test('a key is another in each period, for each cluster and for each length of a period', () => {
  const sealed = box.seal(content, NOW_MS);
  expect(createTicketBox(randomBytes(32), HOUR_MS).open(sealed, NOW_MS)).toBeUndefined();
  expect(createTicketBox(clusterKey, HOUR_MS / 2).open(sealed, NOW_MS)).toBeUndefined();
  const later = Buffer.from(sealed);
  later.writeUIntBE(later.readUIntBE(1, 6) + 1, 1, 6); // the period that the header names
  expect(box.open(later, NOW_MS)).toBeUndefined();
});

test('not a bit may change, and no byte may be missing', () => {
  const sealed = box.seal(content, NOW_MS);
  for (let place = 0; place < sealed.length; place += 1) {
    const changed = Buffer.from(sealed);
    changed[place] = (changed[place] ?? 0) ^ 0x40;
    expect(box.open(changed, NOW_MS)).toBeUndefined();
    expect(box.open(sealed.subarray(0, place), NOW_MS)).toBeUndefined();
  }
});

test('a cluster key that is too short is refused', () => {
  expect(() => createTicketBox(Buffer.alloc(16), HOUR_MS)).toThrow(RangeError);
});
