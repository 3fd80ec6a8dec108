import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createFramer } from './framing.ts';

function packet(attributeBytes: number): Buffer {
  const bytes = Buffer.alloc(20 + attributeBytes, 7);
  bytes.writeUInt16BE(bytes.length, 2);
  return bytes;
}

test('packets come out as they went in, however the bytes are cut', () => {
  const property = fc.property(
    fc.array(fc.integer({ min: 0, max: 4076 }), { maxLength: 5 }),
    fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 20 }),
    (sizes, cuts) => {
      const packets = sizes.map(packet);
      const stream = Buffer.concat(packets);
      const framer = createFramer();
      const found: Buffer[] = [];
      for (let at = 0, cut = 0; at < stream.length; cut++) {
        const end = at + (cuts[cut % cuts.length] ?? 1);
        framer.push(stream.subarray(at, end));
        at = end;
        let frame = framer.next();
        for (; frame.kind === 'packet'; frame = framer.next()) found.push(frame.bytes);
      }
      expect(found).toEqual(packets);
      expect(framer.isWaiting).toBe(false);
    },
  );
  fc.assert(property, { numRuns: 50 });
});

test.each([
  [0, 'bad-length'],
  [19, 'bad-length'],
  [4097, 'too-long'],
  [65_535, 'too-long'],
])('a length of %i ends it before the rest has come', (length, reason) => {
  const framer = createFramer();
  const header = Buffer.alloc(4);
  header.writeUInt16BE(length, 2);
  framer.push(header);
  expect(framer.next()).toEqual({ kind: 'malformed', reason });
});

test('half a packet waits', () => {
  const framer = createFramer();
  framer.push(packet(10).subarray(0, 12));
  expect(framer.next()).toEqual({ kind: 'incomplete' });
  expect(framer.isWaiting).toBe(true);
});
