import { expect, test } from 'vitest';
import { systemRandom } from './random.ts';

test('no byte is given out twice, and what was given out does not change', () => {
  const random = systemRandom();
  const given = Array.from({ length: 2_000 }, (_, i) => random.bytes(1 + (i % 40)));
  const before = given.map((bytes) => bytes.toString('hex'));
  for (let i = 0; i < 2_000; i++) random.bytes(32);
  expect(given.map((bytes) => bytes.toString('hex'))).toEqual(before);
  const long = before.filter((hex) => hex.length >= 32);
  expect(new Set(long).size).toBe(long.length);
});

test('any number of bytes, also more than are at hand', () => {
  const random = systemRandom();
  for (const count of [0, 1, 255, 256, 257, 4_096, 100_000]) {
    expect(random.bytes(count)).toHaveLength(count);
  }
});

test('a fraction is at least 0 and less than 1', () => {
  const random = systemRandom();
  const fractions = Array.from({ length: 1_000 }, () => random.fraction());
  expect(Math.min(...fractions)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...fractions)).toBeLessThan(1);
  expect(new Set(fractions).size).toBeGreaterThan(990);
});
