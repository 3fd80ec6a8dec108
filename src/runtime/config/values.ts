// What a configuration value may be: each kind says in words what is allowed and turns text into a
// value. The file and the environment both give text, so that the same words mean the same in both.

import { isIP } from 'node:net';

export type Kind<T> = {
  /** Completes the sentence "allowed is …". */
  allowed: string;
  /** Undefined: impossible. */
  parse(text: string): T | undefined;
};

export const text: Kind<string> = {
  allowed: 'a text that is not empty',
  parse: (value) => (value.trim() === '' ? undefined : value),
};

export const path: Kind<string> = {
  allowed: 'the path of a file or directory',
  parse: (value) => (value.trim() === '' || value.includes('\0') ? undefined : value),
};

export const host: Kind<string> = {
  allowed: 'an address to listen on, such as 0.0.0.0, :: or 127.0.0.1',
  parse: (value) => (/^[0-9A-Za-z.:_%-]+$/.test(value) ? value : undefined),
};

export const address: Kind<string> = {
  allowed: 'an IP address, such as 10.0.0.1',
  parse: (value) => (isIP(value) === 0 ? undefined : value),
};

export const port: Kind<number> = {
  allowed: 'a port from 0 to 65535 (0 picks a free one)',
  parse: (value) => wholeNumber(value, 0, 65_535),
};

export function count(min: number, max: number): Kind<number> {
  return {
    allowed: `a whole number from ${min} to ${max}`,
    parse: (value) => wholeNumber(value, min, max),
  };
}

export function oneOf<const T extends string>(values: readonly T[]): Kind<T> {
  return {
    allowed: `one of ${values.join(', ')}`,
    parse: (value) => values.find((candidate) => candidate === value),
  };
}

/** Some of these words, each once; their order counts. */
export function listOf<const T extends string>(words: readonly T[]): Kind<readonly T[]> {
  return {
    allowed: `a list of ${words.join(', ')}, separated by commas`,
    parse(value) {
      const given = value.split(',').map((word) => word.trim());
      const found = given.flatMap((word) => words.filter((candidate) => candidate === word));
      const isWhole = found.length === given.length && new Set(found).size === found.length;
      return isWhole ? found : undefined;
    },
  };
}

/** Either a word such as `auto`, or what the other kind allows. */
export function wordOr<const W extends string, T>(word: W, other: Kind<T>): Kind<W | T> {
  return {
    allowed: `${word} or ${other.allowed}`,
    parse: (value) => (value === word ? word : other.parse(value)),
  };
}

const UNITS_MS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** In milliseconds. */
export function duration(minMs: number, maxMs: number): Kind<number> {
  return {
    allowed: `a time from ${formatDuration(minMs)} to ${formatDuration(maxMs)}, such as 200ms, 2s, 5m, 24h or 7d`,
    parse(value) {
      const match = /^(\d+(?:\.\d+)?) ?(ms|s|m|h|d)$/.exec(value);
      const durationMs =
        value === '0' ? 0 : Math.round(Number(match?.[1]) * (UNITS_MS[match?.[2] ?? ''] ?? NaN));
      return durationMs >= minMs && durationMs <= maxMs ? durationMs : undefined;
    },
  };
}

function formatDuration(durationMs: number): string {
  if (durationMs === 0) return '0s';
  for (const unit of ['d', 'h', 'm', 's']) {
    const unitMs = UNITS_MS[unit] ?? 1;
    if (durationMs % unitMs === 0) return `${durationMs / unitMs}${unit}`;
  }
  return `${durationMs}ms`;
}

const UNITS_BYTES: Record<string, number> = {
  '': 1,
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
};

/** In bytes. */
export function size(minBytes: number, maxBytes: number): Kind<number> {
  return {
    allowed: 'a size such as 512KiB, 4MiB or 1GiB',
    parse(value) {
      const match = /^(\d+) ?([kKMG]i?B|B)?$/.exec(value);
      const bytes = Number(match?.[1]) * (UNITS_BYTES[match?.[2] ?? ''] ?? NaN);
      return bytes >= minBytes && bytes <= maxBytes ? bytes : undefined;
    },
  };
}

export const databaseUrl: Kind<string> = {
  allowed: 'embedded, or postgres://user:password@host,host/database',
  parse: (value) =>
    value === 'embedded' || /^postgres(ql)?:\/\/[^\s]+$/.test(value) ? value : undefined,
};

export const stateUrl: Kind<string> = {
  allowed:
    'memory, valkey://host:6379, valkey+sentinel://host,host,host/name or valkey+cluster://host,host,host (redis, rediss and valkeys too)',
  parse: (value) =>
    value === 'memory' || /^(valkeys?|rediss?)(\+(sentinel|cluster))?:\/\/[^\s]+$/.test(value)
      ? value
      : undefined,
};

/** A URL without the password in it, fit for a screen or a log. */
export function withoutPassword(url: string): string {
  return (
    url
      .replace(/^([a-z+]+:\/\/[^:@/]*):.*@/i, '$1:***@')
      // A lone word before the host is a password to Redis people.
      .replace(/^((?:valkeys?|rediss?)(?:\+\w+)?:\/\/)[^:@/]+@/i, '$1***@')
      .replace(/([?&]\w*password=)[^&]*/gi, '$1***')
  );
}

function wholeNumber(value: string, min: number, max: number): number | undefined {
  if (!/^\d{1,15}$/.test(value)) return undefined;
  const number = Number(value);
  return number >= min && number <= max ? number : undefined;
}
