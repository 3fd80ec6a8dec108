import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeCursor, encodeCursor } from './cursor.ts';

test('what is encoded is decoded to the same, for its own list alone', () => {
  const place = fc.array(
    fc.string().filter((text) => !text.includes('\0')),
    {
      minLength: 1,
      maxLength: 3,
    },
  );
  fc.assert(
    fc.property(place, (place) => {
      const cursor = encodeCursor('sites', place);
      expect(cursor).toMatch(/^[\w-]+$/);
      expect(decodeCursor('sites', place.length, cursor)).toEqual(place);
      expect(decodeCursor('plans', place.length, cursor)).toBeUndefined();
      expect(decodeCursor('sites', place.length + 1, cursor)).toBeUndefined();
    }),
    { numRuns: 30 },
  );
});

test('no text makes the decoder throw', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(decodeCursor('sites', 1, text)).toBeUndefined();
    }),
  );
});
