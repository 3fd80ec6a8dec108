// Durations, amounts of data and rates as people write them: `1h30m`, `500MB`, `1GiB`, `2M/10M`.
// Exact integers in both directions: what cannot be said exactly is refused with a sentence that
// names what is allowed. Prices are in money.ts.

/** What a parser made of a text. The reason is a sentence for whoever wrote the text. */
export type Parsed<T> = { kind: 'parsed'; value: T } | { kind: 'refused'; reason: string };

const SECONDS: Record<string, bigint> = { s: 1n, m: 60n, h: 3_600n, d: 86_400n, w: 604_800n };

const BYTES: Record<string, bigint> = {
  B: 1n,
  kB: 1_000n,
  KB: 1_000n,
  KiB: 1_024n,
  MB: 1_000n ** 2n,
  MiB: 1_024n ** 2n,
  GB: 1_000n ** 3n,
  GiB: 1_024n ** 3n,
  TB: 1_000n ** 4n,
  TiB: 1_024n ** 4n,
};

/** Rates count in thousands, as network equipment does. */
const BITS_PER_SECOND: Record<string, bigint> = {
  '': 1n,
  k: 1_000n,
  K: 1_000n,
  M: 1_000n ** 2n,
  G: 1_000n ** 3n,
};

const DURATION_ALLOWED = 'a number and a unit (s, m, h, d, w), such as 30m, 1h, 1h30m or 7d';
const DATA_ALLOWED =
  'a number and a unit (B, kB, MB, GB, TB or KiB, MiB, GiB, TiB), such as 500MB or 1GiB';
const RATE_ALLOWED =
  'upload/download in bits per second with k, M or G, such as 2M/10M or unlimited/10M';

/** `30m`, `1h30m`, `7d` → seconds, at least 1. */
export function parseDuration(text: string): Parsed<number> {
  const refused = refusal(text, 'a duration', DURATION_ALLOWED);
  const written = text.trim();
  if (!/^(?:\d+(?:\.\d+)?[smhdw])+$/.test(written)) return refused;
  let total = 0n;
  let unitBefore: bigint | undefined;
  for (const [, digits = '', unit = ''] of written.matchAll(/([\d.]+)([smhdw])/g)) {
    const size = SECONDS[unit] ?? 0n;
    // `30m1h` and `1h1h` are slips of the pen rather than durations.
    if (unitBefore !== undefined && size >= unitBefore) return refused;
    const seconds = exactly(digits, size);
    if (seconds === undefined) return refused;
    total += seconds;
    unitBefore = size;
  }
  return within(total, refused);
}

export function formatDuration(seconds: number): string {
  return shortest(BigInt(seconds), { s: 1n, m: 60n, h: 3_600n, d: 86_400n });
}

/** `500MB`, `1GiB` → bytes, at least 1. */
export function parseData(text: string): Parsed<number> {
  const refused = refusal(text, 'an amount of data', DATA_ALLOWED);
  const [, digits, unit] = /^(\d+(?:\.\d+)?) ?([kKMGT]?i?B)$/.exec(text.trim()) ?? [];
  const size = BYTES[unit ?? ''];
  if (digits === undefined || size === undefined) return refused;
  return within(exactly(digits, size), refused);
}

export function formatData(bytes: number): string {
  const { KB: _, ...units } = BYTES;
  return shortest(BigInt(bytes), units);
}

/** Bits per second; undefined is unlimited. */
export type Rate = {
  uploadBitsPerSecond: number | undefined;
  downloadBitsPerSecond: number | undefined;
};

/** `2M/10M`: upload (from the subscriber), then download. */
export function parseRate(text: string): Parsed<Rate> {
  const refused = refusal(text, 'a rate', RATE_ALLOWED);
  const directions = text.trim().split('/');
  if (directions.length !== 2) return refused;
  const [upload, download] = directions.map((direction) => parseOneRate(direction.trim()));
  if (upload === undefined || download === undefined) return refused;
  return {
    kind: 'parsed',
    value: {
      uploadBitsPerSecond: upload === 'unlimited' ? undefined : upload,
      downloadBitsPerSecond: download === 'unlimited' ? undefined : download,
    },
  };
}

export function formatRate(rate: Rate): string {
  const { K: _, ...units } = BITS_PER_SECOND;
  const one = (bits: number | undefined) =>
    bits === undefined ? 'unlimited' : shortest(BigInt(bits), units);
  return `${one(rate.uploadBitsPerSecond)}/${one(rate.downloadBitsPerSecond)}`;
}

function parseOneRate(text: string): number | 'unlimited' | undefined {
  if (text === 'unlimited') return 'unlimited';
  const [, digits, unit] = /^(\d+(?:\.\d+)?)([kKMG]?)$/.exec(text) ?? [];
  const size = BITS_PER_SECOND[unit ?? ''];
  if (digits === undefined || size === undefined) return undefined;
  const bits = exactly(digits, size);
  return bits !== undefined && isStorable(bits) ? Number(bits) : undefined;
}

/** `1.5` of a unit, if that is a whole number. Bounded digits keep the arithmetic small. */
function exactly(digits: string, unit: bigint): bigint | undefined {
  const [whole = '', fraction = ''] = digits.split('.');
  if (whole.length > 20 || fraction.length > 20) return undefined;
  const scale = 10n ** BigInt(fraction.length);
  const scaled = BigInt(whole + fraction) * unit;
  return scaled % scale === 0n ? scaled / scale : undefined;
}

/** In the unit that needs the smallest number and still says it exactly. */
function shortest(value: bigint, units: Record<string, bigint>): string {
  let best = { count: value, unit: Object.keys(units)[0] ?? '' };
  for (const [unit, size] of Object.entries(units)) {
    if (value % size === 0n && value / size < best.count) best = { count: value / size, unit };
  }
  return `${best.count}${best.unit}`;
}

function within(value: bigint | undefined, refused: Parsed<number>): Parsed<number> {
  if (value === undefined || !isStorable(value)) return refused;
  return { kind: 'parsed', value: Number(value) };
}

/** Nothing is not a quantity to sell, and JSON numbers are exact up to 2^53 - 1 only. */
function isStorable(value: bigint): boolean {
  return value >= 1n && value <= BigInt(Number.MAX_SAFE_INTEGER);
}

function refusal(text: string, what: string, allowed: string): { kind: 'refused'; reason: string } {
  const shown = text.length > 40 ? `${text.slice(0, 40)}…` : text;
  return {
    kind: 'refused',
    reason: `${JSON.stringify(shown)} is not ${what}; allowed is ${allowed}`,
  };
}
