import { expect, test } from 'vitest';
import { systemRandom } from '../../../runtime/random.ts';
import { newCodes } from './vouchers.ts';

test('codes are distinct, readable aloud, and use every character', () => {
  const codes = newCodes(systemRandom(), 1_000, 'CAFE');
  expect(new Set(codes).size).toBe(1_000);
  for (const code of codes) expect(code).toMatch(/^CAFE(-[2-9A-HJKMNP-Z]{4}){2}$/);
  const characters = new Set(codes.flatMap((code) => code.slice(5).replace('-', '').split('')));
  expect(characters.size).toBe(31);
});

test('a byte that would favour a character is thrown away', () => {
  const batches = [
    Buffer.alloc(8, 255),
    Buffer.from([0, 30, 31, 247, 248, 1, 2, 3]),
    Buffer.alloc(8, 4),
  ];
  const random = { bytes: () => batches.shift() ?? Buffer.alloc(8), fraction: () => 0 };
  expect(newCodes(random, 1, undefined)).toEqual(['2Z2Z-3456']);
});
