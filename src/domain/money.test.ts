import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatMoney, parseMoney } from './money.ts';

test.each([
  ['5000 VND', 5_000n, 'VND'],
  ['1000 UGX', 1_000n, 'UGX'],
  ['4.99 USD', 499n, 'USD'],
  ['5 USD', 500n, 'USD'],
  ['0.5 EUR', 50n, 'EUR'],
  ['1.234 KWD', 1_234n, 'KWD'],
  ['0 USD', 0n, 'USD'],
])('%s is exact', (text, minorUnits, currency) => {
  expect(parseMoney(text)).toEqual({ kind: 'parsed', value: { minorUnits, currency } });
});

test.each([
  ['5000', 'such as "5000 VND"'],
  ['VND 5000', 'such as "5000 VND"'],
  ['5,000 VND', 'such as "5000 VND"'],
  ['-1 USD', 'such as "5000 VND"'],
  ['1 usd', 'such as "5000 VND"'],
  ['1 XXX', 'not an active ISO 4217 currency'],
  ['5000.5 VND', 'VND has 0 decimals'],
  ['4.999 USD', 'USD has 2 decimals'],
  ['9999999999999999 USD', 'more than can be stored'],
])('refuses %j and says why', (text, reason) => {
  expect(parseMoney(text)).toMatchObject({
    kind: 'refused',
    reason: expect.stringContaining(reason),
  });
});

test('what is printed is parsed to the same', () => {
  const currency = fc.constantFrom('VND', 'USD', 'KWD', 'CLF', 'UGX', 'EUR');
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 53n - 1n }), currency, (minorUnits, currency) => {
      const money = { minorUnits, currency };
      expect(parseMoney(formatMoney(money))).toEqual({ kind: 'parsed', value: money });
    }),
  );
});

test('a debt is printed with its sign', () => {
  expect(formatMoney({ minorUnits: -5n, currency: 'USD' })).toBe('-0.05 USD');
});
