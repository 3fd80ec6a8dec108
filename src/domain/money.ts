// Money is an integer of minor units and an ISO 4217 currency: never a fraction, never a guess.
// People write `5000 VND` or `4.99 USD`; how many decimals a currency has is part of ISO 4217.

import type { Parsed } from './units.ts';

export type Money = { minorUnits: bigint; currency: string };

/** The currencies that do not have two decimals, by how many they have. */
const DECIMALS: Record<string, number> = Object.fromEntries([
  ...'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF'
    .split(' ')
    .map((currency) => [currency, 0]),
  ...'BHD IQD JOD KWD LYD OMR TND'.split(' ').map((currency) => [currency, 3]),
  ...'CLF UYW'.split(' ').map((currency) => [currency, 4]),
]);

/** ISO 4217, active codes with two decimals. */
const TWO_DECIMALS =
  `AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD
  CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS
  GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL
  MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK
  PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS
  TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG`.split(/\s+/);

const CURRENCIES = new Set([...TWO_DECIMALS, ...Object.keys(DECIMALS)]);

/** More than any price; and well inside a 64-bit column. */
const MAX_MINOR_UNITS = BigInt(Number.MAX_SAFE_INTEGER);

/** `5000 VND`, `4.99 USD`. Never rounds: more decimals than the currency has are refused. */
export function parseMoney(text: string): Parsed<Money> {
  const [, whole, fraction = '', currency = ''] =
    /^(\d{1,16})(?:\.(\d{1,4}))? ([A-Z]{3})$/.exec(text.trim()) ?? [];
  if (whole === undefined) {
    const shown = JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
    return refused(
      `${shown} is not a price; allowed is an amount and an ISO 4217 currency, such as "5000 VND" or "4.99 USD"`,
    );
  }
  if (!isCurrency(currency)) {
    return refused(`${currency} is not an active ISO 4217 currency, such as VND, UGX, USD or EUR`);
  }
  const decimals = minorUnitDigits(currency);
  if (fraction.length > decimals) {
    return refused(`${currency} has ${decimals} decimals; ${text.trim()} has ${fraction.length}`);
  }
  const minorUnits = BigInt(whole + fraction.padEnd(decimals, '0'));
  if (minorUnits > MAX_MINOR_UNITS) return refused(`${text.trim()} is more than can be stored`);
  return { kind: 'parsed', value: { minorUnits, currency } };
}

export function formatMoney({ minorUnits, currency }: Money): string {
  const decimals = minorUnitDigits(currency);
  const sign = minorUnits < 0n ? '-' : '';
  const digits = String(minorUnits < 0n ? -minorUnits : minorUnits).padStart(decimals + 1, '0');
  const whole = digits.slice(0, digits.length - decimals);
  const fraction = decimals === 0 ? '' : `.${digits.slice(-decimals)}`;
  return `${sign}${whole}${fraction} ${currency}`;
}

export function isCurrency(code: string): boolean {
  return CURRENCIES.has(code);
}

function minorUnitDigits(currency: string): number {
  return DECIMALS[currency] ?? 2;
}

function refused(reason: string): { kind: 'refused'; reason: string } {
  return { kind: 'refused', reason };
}
