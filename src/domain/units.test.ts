import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  formatData,
  formatDuration,
  formatRate,
  parseData,
  parseDuration,
  parseRate,
} from './units.ts';

const parsed = <T>(value: T) => ({ kind: 'parsed', value });
const quantity = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });

describe('durations', () => {
  test.each([
    ['30s', 30],
    ['30m', 1_800],
    ['1h', 3_600],
    ['1h30m', 5_400],
    ['1.5h', 5_400],
    ['7d', 604_800],
    ['2w', 1_209_600],
    [' 1d12h ', 129_600],
  ])('%s is %d seconds', (text, seconds) => {
    expect(parseDuration(text)).toEqual(parsed(seconds));
  });

  test.each([
    '',
    '1',
    '0s',
    '-1h',
    '1 hour',
    '1H',
    '30m1h',
    '1h1h',
    '1.0001s',
    '1e3s',
    '9'.repeat(30) + 's',
  ])('refuses %j and says what is allowed', (text) => {
    expect(parseDuration(text)).toMatchObject({
      kind: 'refused',
      reason: expect.stringContaining('30m, 1h'),
    });
  });

  test.each([
    [60, '1m'],
    [90, '90s'],
    [5_400, '90m'],
    [86_400, '1d'],
    [604_800, '7d'],
  ])('%d seconds are printed as %s', (seconds, text) => {
    expect(formatDuration(seconds)).toBe(text);
  });

  test('what is printed is parsed to the same', () => {
    fc.assert(
      fc.property(quantity, (n) => {
        expect(parseDuration(formatDuration(n))).toEqual(parsed(n));
      }),
    );
  });
});

describe('amounts of data', () => {
  test.each([
    ['500MB', 500_000_000],
    ['1GiB', 1_073_741_824],
    ['1.5GiB', 1_610_612_736],
    ['10 GB', 10_000_000_000],
    ['1kB', 1_000],
    ['7B', 7],
  ])('%s is %d bytes', (text, bytes) => {
    expect(parseData(text)).toEqual(parsed(bytes));
  });

  test.each(['1G', '500', '1gb', '0MB', '0.0001kB', '-1GB', 'GB', '1GiBs', '99999999TiB'])(
    'refuses %j and says what is allowed',
    (text) => {
      expect(parseData(text)).toMatchObject({
        kind: 'refused',
        reason: expect.stringContaining('500MB'),
      });
    },
  );

  test('what is printed is parsed to the same', () => {
    fc.assert(
      fc.property(quantity, (n) => {
        expect(parseData(formatData(n))).toEqual(parsed(n));
      }),
    );
    expect(formatData(1_073_741_824)).toBe('1GiB');
    expect(formatData(512_000_000)).toBe('512MB');
    expect(formatData(1_024_000)).toBe('1000KiB');
  });
});

describe('rates', () => {
  test.each([
    ['2M/10M', 2_000_000, 10_000_000],
    ['512k/1.5M', 512_000, 1_500_000],
    ['unlimited/10M', undefined, 10_000_000],
    ['1G/1G', 1_000_000_000, 1_000_000_000],
  ])('%s is upload and download', (text, upload, download) => {
    expect(parseRate(text)).toEqual(
      parsed({ uploadBitsPerSecond: upload, downloadBitsPerSecond: download }),
    );
  });

  test.each(['10M', '2M/10M/1M', '0/10M', '2m/10m', '/', '2M/', '-1M/2M'])(
    'refuses %j and says what is allowed',
    (text) => {
      expect(parseRate(text)).toMatchObject({
        kind: 'refused',
        reason: expect.stringContaining('2M/10M'),
      });
    },
  );

  test('what is printed is parsed to the same', () => {
    const direction = fc.option(quantity, { nil: undefined });
    fc.assert(
      fc.property(direction, direction, (uploadBitsPerSecond, downloadBitsPerSecond) => {
        const rate = { uploadBitsPerSecond, downloadBitsPerSecond };
        expect(parseRate(formatRate(rate))).toEqual(parsed(rate));
      }),
    );
  });
});

test('no text makes a parser throw', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 60 }), (text) => {
      for (const parse of [parseDuration, parseData, parseRate])
        expect(parse(text).kind).toMatch(/parsed|refused/);
    }),
  );
});
