import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeState, ownerOf, ownerText, readState } from './conversation-owner.ts';

const random = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex');

test('a State says what was put in', () => {
  const name = fc.record({
    random: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes)),
    kind: fc.constantFrom('shared' as const, 'local-only' as const),
    owner: fc.nat(0xffff_ffff),
  });
  fc.assert(
    fc.property(name, (given) => {
      expect(readState(encodeState(given))).toEqual(given);
    }),
  );
});

test('a State has 16 random bytes, the kind and the owner', () => {
  const state = encodeState({ random, kind: 'local-only', owner: 0xcafe0001 });
  expect(state.toString('hex')).toBe('000102030405060708090a0b0c0d0e0f02cafe0001');
});

test.each([
  ['nothing', ''],
  ['a State of another server', '00'.repeat(16)],
  ['one that is cut', `${'00'.repeat(16)}01cafe00`],
  ['one that is too long', `${'00'.repeat(16)}01cafe000100`],
  ['an unknown kind', `${'00'.repeat(16)}03cafe0001`],
])('%s is not ours', (_, hex) => {
  expect(readState(Buffer.from(hex, 'hex'))).toBeUndefined();
});

test('no bytes make it throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const read = readState(Buffer.from(bytes));
      expect(read === undefined || encodeState(read).equals(Buffer.from(bytes))).toBe(true);
    }),
  );
});

test('another life is another owner', () => {
  expect(ownerOf(random)).toBe(ownerOf(Buffer.from(random)));
  expect(ownerOf(random)).not.toBe(ownerOf(Buffer.alloc(16)));
  expect(ownerText(0x2a)).toBe('0000002a');
});
