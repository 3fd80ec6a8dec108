// ITU-T X.690 §8, §10, §11, as strict as it is meant.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  Tag,
  derReader,
  onlyValue,
  parseDer,
  readBoolean,
  readNamedBits,
  readObjectIdentifier,
  readSmallNumber,
  readTime,
  readUnsigned,
  valuesIn,
} from './der.ts';
import {
  write,
  writeNamedBits,
  writeObjectIdentifier,
  writeOctetString,
  writeSequence,
  writeTime,
  writeUnsigned,
} from './der-writer.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

describe('a value that is not strict DER is refused', () => {
  test.each([
    ['nothing', ''],
    ['a tag alone', '30'],
    ['content that is cut short', '04 03 01 02'],
    ['a length that is cut short', '04 82 01'],
    ['an indefinite length', '30 80 00 00'],
    ['a long length for a short value', '04 81 01 00'],
    ['a length with a zero in front', '04 82 00 80' + '00'.repeat(128)],
    ['a length of five bytes', '04 85 00 00 00 00 01 00'],
    ['a length beyond everything', '04 84 ff ff ff ff 00'],
    ['a tag of several bytes', '1f 81 00 01 00'],
    ['something behind it', '05 00 00'],
  ])('%s', (_, bytes) => {
    expect(parseDer(hex(bytes), (value) => value)).toBeUndefined();
  });

  test.each<[string, (value: ReturnType<typeof onlyValue>) => unknown, string]>([
    ['a boolean that is neither', readBoolean, '01 01 01'],
    ['a boolean of two bytes', readBoolean, '01 02 ff ff'],
    ['a negative number', readUnsigned, '02 01 80'],
    ['an overlong number', readUnsigned, '02 02 00 7f'],
    ['a number without bytes', readUnsigned, '02 00'],
    ['a number too large to count with', readSmallNumber, '02 07 01 00 00 00 00 00 00'],
    ['an object identifier without an end', readObjectIdentifier, '06 02 2a 86'],
    ['an overlong object identifier', readObjectIdentifier, '06 03 2a 80 01'],
    ['bits beyond the last', readNamedBits, '03 02 08 80'],
    ['unused bits that are set', readNamedBits, '03 02 07 c0'],
    ['the 30th of February', readTime, `17 0d ${Buffer.from('260230000000Z').toString('hex')}`],
    ['a time without seconds', readTime, `17 0b ${Buffer.from('2602280000Z').toString('hex')}`],
    ['a time zone', readTime, `17 11 ${Buffer.from('260228000000+0100').toString('hex')}`],
    ['hour 24', readTime, `17 0d ${Buffer.from('260228240000Z').toString('hex')}`],
  ])('%s', (_, read, bytes) => {
    expect(parseDer(hex(bytes), read)).toBeUndefined();
  });
});

test('what is written is read again', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 300 }),
      fc.nat({ max: 2 ** 31 - 1 }),
      fc.uniqueArray(fc.nat({ max: 15 })),
      fc.array(fc.nat({ max: 2 ** 40 }), { maxLength: 8 }),
      (bytes, number, bits, arcs) => {
        const identifier = ['1.3', ...arcs].join('.');
        const written = writeSequence(
          writeOctetString(Buffer.from(bytes)),
          writeUnsigned(number),
          writeNamedBits(bits),
          writeObjectIdentifier(identifier),
        );
        const [octets, integer, bitString, objectIdentifier] = valuesIn(onlyValue(written));
        expect(octets?.content).toEqual(Buffer.from(bytes));
        expect(integer && readSmallNumber(integer)).toBe(number);
        expect(bitString && readNamedBits(bitString)).toEqual(bits.toSorted((a, b) => a - b));
        expect(objectIdentifier && readObjectIdentifier(objectIdentifier)).toBe(identifier);
      },
    ),
  );
});

test.each([
  '1950-01-01T00:00:00Z',
  '2049-12-31T23:59:59Z',
  '2050-01-01T00:00:00Z',
  '9999-12-31T23:59:59Z',
  '1949-06-01T12:00:00Z',
])('the moment %s is written in the form that its year wants', (moment) => {
  const written = onlyValue(writeTime(Date.parse(moment)));
  const year = Number(moment.slice(0, 4));
  expect(written.tag).toBe(year >= 1950 && year < 2050 ? Tag.utcTime : Tag.generalizedTime);
  expect(readTime(written)).toBe(Date.parse(moment));
});

test('any bytes are read or refused, and nothing else happens', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const walk = (content: Buffer): number => {
        const reader = derReader(content);
        let count = 0;
        while (!reader.isAtEnd()) {
          reader.any();
          count += 1;
        }
        return count;
      };
      const bytesInside = write(Tag.sequence, Buffer.from(bytes));
      const count = parseDer(bytesInside, ({ content }) => walk(content));
      expect(count === undefined || count <= bytes.length / 2).toBe(true);
    }),
  );
});
