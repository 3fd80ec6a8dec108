import { describe, expect, test } from 'vitest';
import { hideSecrets, parseStateUrl } from './state-url.ts';

const open = { username: undefined, password: undefined, tls: false };

test.each([
  ['memory', { kind: 'memory' }],
  ['valkey://h', { kind: 'single', host: 'h', port: 6379, database: 0, ...open }],
  ['redis://h:7000/3', { kind: 'single', host: 'h', port: 7000, database: 3, ...open }],
  ['redis://h/', { kind: 'single', host: 'h', port: 6379, database: 0, ...open }],
  ['rediss://h', { kind: 'single', host: 'h', port: 6379, database: 0, ...open, tls: true }],
  [
    'valkeys://[::1]:7000',
    { kind: 'single', host: '::1', port: 7000, database: 0, ...open, tls: true },
  ],
  [
    'valkey://u:p%40%2F%25@h',
    {
      kind: 'single',
      host: 'h',
      port: 6379,
      database: 0,
      username: 'u',
      password: 'p@/%',
      tls: false,
    },
  ],
  [
    'valkey://:p@h',
    {
      kind: 'single',
      host: 'h',
      port: 6379,
      database: 0,
      username: undefined,
      password: 'p',
      tls: false,
    },
  ],
  [
    'valkey://:p?@h',
    { kind: 'single', host: 'h', port: 6379, database: 0, ...open, password: 'p?' },
  ],
  [
    'valkey://p@h',
    {
      kind: 'single',
      host: 'h',
      port: 6379,
      database: 0,
      username: undefined,
      password: 'p',
      tls: false,
    },
  ],
  [
    'valkey+sentinel://:p@s1,s2:7000,s3/mymaster',
    {
      kind: 'sentinel',
      sentinels: [
        { host: 's1', port: 26379 },
        { host: 's2', port: 7000 },
        { host: 's3', port: 26379 },
      ],
      masterName: 'mymaster',
      database: 0,
      sentinelPassword: undefined,
      username: undefined,
      password: 'p',
      tls: false,
    },
  ],
  [
    'redis+sentinel://s1/m/2?sentinel_password=a%26b',
    {
      kind: 'sentinel',
      sentinels: [{ host: 's1', port: 26379 }],
      masterName: 'm',
      database: 2,
      sentinelPassword: 'a&b',
      ...open,
    },
  ],
  [
    'rediss+cluster://h1,h2:7000',
    {
      kind: 'cluster',
      nodes: [
        { host: 'h1', port: 6379 },
        { host: 'h2', port: 7000 },
      ],
      ...open,
      tls: true,
    },
  ],
])('%s', (text, address) => {
  expect(parseStateUrl(text)).toEqual(address);
});

describe('what is no address is refused with the reason, and never shows the password', () => {
  test.each([
    ['', 'is none of memory, valkey://host:6379'],
    ['memory://', 'is none of'],
    ['http://:top5ecret@h', 'is none of'],
    ['valkey:/:top5ecret@h', 'is none of'],
    ['valkey://:top5ecret@', 'is none of'],
    ['valkey://:top5ecret@h@i', 'is none of'],
    ['valkey://:top5/ecret@h', 'in a password write / as %2F'],
    ['valkey://:top5ecret%@h', 'write % as %25'],
    ['valkey://:top5ecret@h:99999', '"h:99999" is no host or host:port'],
    ['valkey://:top5ecret@h:x', '"h:x" is no host'],
    ['valkey://:top5ecret@h1,h2', 'names 2 servers: say what they are with valkey+sentinel://'],
    ['valkey://:top5ecret@h/one', '"one" is no database number'],
    ['valkey+sentinel://:top5ecret@s1,s2', 'the name of the master: /mymaster'],
    ['valkey+cluster://:top5ecret@h1/0', 'a Cluster has no databases'],
    ['valkey://:top5ecret@h?sentinel_password=top5ecret', 'unknown setting "sentinel_password"'],
  ])('%s', (text, reason) => {
    expect(() => parseStateUrl(text)).toThrow(reason);
    expect(() => parseStateUrl(text)).not.toThrow(/top5|ecret/);
  });
});

test('a shown address has no secrets', () => {
  expect(hideSecrets('valkey+sentinel://u:s3@cret@s1/m?sentinel_password=s3cret')).toBe(
    'valkey+sentinel://***@s1/m?sentinel_password=***',
  );
  expect(hideSecrets('valkey://h:6379/1')).toBe('valkey://h:6379/1');
});
