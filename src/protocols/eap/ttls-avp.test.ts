import { array, assert, boolean, integer, property, record, uint8Array } from 'fast-check';
import { expect, test } from 'vitest';
import { encodeAvps, parseAvps } from './ttls-avp.ts';

const avps = array(
  record({
    code: integer({ min: 0, max: 0xffffffff }),
    vendor: integer({ min: 0, max: 0xffffffff }),
    isMandatory: boolean(),
    data: uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
  }),
  { maxLength: 5 },
);

test('what is encoded is parsed again, whatever the padding', () => {
  assert(
    property(avps, (list) => {
      expect(parseAvps(encodeAvps(list))).toEqual(list);
    }),
  );
});

test('cut off anywhere but in the padding, it is refused', () => {
  const avp = { code: 1, vendor: 311, isMandatory: true, data: Buffer.from('alice') };
  const bytes = encodeAvps([avp]);
  for (let length = 1; length < bytes.length; length++) {
    const isWhole = length >= 12 + avp.data.length;
    expect(parseAvps(bytes.subarray(0, length))).toEqual(isWhole ? [avp] : undefined);
  }
});

test('any bytes are parsed or refused', () => {
  assert(
    property(uint8Array({ maxLength: 60 }), (bytes) => {
      parseAvps(Buffer.from(bytes));
    }),
  );
});

test('a length below the header cannot go round in a circle', () => {
  expect(parseAvps(Buffer.from('0000000100000000', 'hex'))).toBeUndefined();
  expect(parseAvps(Buffer.from('0000000180000008', 'hex'))).toBeUndefined();
});
