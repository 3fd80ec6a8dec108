// What a stranger may make of a line of our log: nothing but text.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { printable } from './printable.ts';

test.each([
  ['Zoë Müller, 東京 🙂', 'Zoë Müller, 東京 🙂'],
  ['a\nlevel=info b', 'a\\u{a}level=info b'],
  ['\u001b[31mred', '\\u{1b}[31mred'],
  ['user\u202egpj', 'user\\u{202e}gpj'],
  ['a\u2028b\u0085c\u007f', 'a\\u{2028}b\\u{85}c\\u{7f}'],
  ['half \ud83d', 'half \\u{d83d}'],
])('%j becomes %j', (text, shown) => {
  expect(printable(text)).toBe(shown);
});

test('what is too long ends in an ellipsis', () => {
  expect(printable('abcdef', 6)).toBe('abcdef');
  expect(printable('abcdefg', 6)).toBe('abcde…');
});

test('it is never longer than allowed, well formed, and without anything invisible', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 80 }),
      fc.integer({ min: 1, max: 60 }),
      (text, max) => {
        const shown = printable(text, max);
        expect(shown.length).toBeLessThanOrEqual(max);
        expect(shown.isWellFormed()).toBe(true);
        expect(shown).toMatch(/^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]*$/u);
      },
    ),
  );
});
