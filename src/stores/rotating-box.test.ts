import { expect, test } from 'vitest';
import { createRotatingBox } from './rotating-box.ts';

const DAY_MS = 86_400_000;
const key = Buffer.alloc(32, 1);
const olderKey = Buffer.alloc(32, 2);
const secret = Buffer.from('a conversation');

function boxAt(
  nowMs: number,
  keys: readonly [Buffer, ...Buffer[]] = [key],
  purpose = 'conversations',
) {
  return createRotatingBox(keys, purpose, { nowMs: () => nowMs });
}

test('what one node has sealed another one opens, also over midnight and with a clock that is behind', () => {
  const box = boxAt(10 * DAY_MS).seal(secret, 'c');
  for (const nowMs of [9.5 * DAY_MS, 10 * DAY_MS, 11.9 * DAY_MS]) {
    expect(boxAt(nowMs).open(box, 'c')).toEqual(secret);
  }
});

test('another day has another key, and what is two days old stays closed', () => {
  const box = boxAt(10 * DAY_MS).seal(secret, 'c');
  expect(() => boxAt(12 * DAY_MS).open(box, 'c')).toThrow('another key');
});

test('another purpose has another key', () => {
  const box = boxAt(10 * DAY_MS).seal(secret, 'c');
  expect(() => boxAt(10 * DAY_MS, [key], 'peers').open(box, 'c')).toThrow('another key');
});

test('while the key of the cluster is changed, the old one still opens', () => {
  const box = boxAt(10 * DAY_MS, [olderKey]).seal(secret, 'c');
  expect(boxAt(10.2 * DAY_MS, [key, olderKey]).open(box, 'c')).toEqual(secret);
});
