import { expect, test } from 'vitest';
import { parseInt8, parseTimestamp } from './values.ts';

test.each([
  ['0', 0],
  ['-9007199254740991', -9007199254740991],
  ['9007199254740991', 9007199254740991],
])('bigint %s is an exact number', (text, value) => {
  expect(parseInt8(text)).toBe(value);
});

test.each(['9007199254740992', '9223372036854775807'])(
  'bigint %s is not rounded but refused',
  (text) => {
    expect(() => parseInt8(text)).toThrow('would lose digits');
  },
);

test.each([
  ['2026-01-02 03:04:05+00', Date.UTC(2026, 0, 2, 3, 4, 5)],
  ['2026-01-02 03:04:05.6+00', Date.UTC(2026, 0, 2, 3, 4, 5, 600)],
  ['2026-01-02 03:04:05.678999+00', Date.UTC(2026, 0, 2, 3, 4, 5, 678)],
  ['1969-12-31 23:59:59.999+00', -1],
  ['infinity', Infinity],
  ['-infinity', -Infinity],
])('the time %s arrives in milliseconds', (text, value) => {
  expect(parseTimestamp(text)).toBe(value);
});

test('a time before our era is refused rather than misread', () => {
  expect(() => parseTimestamp('0044-03-15 00:00:00+00 BC')).toThrow('impossible time');
});
