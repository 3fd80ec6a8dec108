import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createReplayWindow } from './replay-window.ts';

const SIZE = 16;

test('a number is new until it is marked or far behind the highest', () => {
  const numbers = fc.array(fc.integer({ min: 1, max: 100 }), { maxLength: 200 });
  fc.assert(
    fc.property(numbers, (arriving) => {
      const window = createReplayWindow(SIZE);
      const marked = new Set<number>();
      for (const number of arriving) {
        const highest = Math.max(0, ...marked);
        expect(window.isNew(number)).toBe(!marked.has(number) && number > highest - SIZE);
        if (!window.isNew(number)) continue;
        window.mark(number);
        marked.add(number);
      }
    }),
  );
});
