import { describe, expect, test } from 'vitest';
import { describeHost, parsePostgresUrl } from './address.ts';

describe('a database URL', () => {
  test.each([
    [
      'postgres://eve:p%40ss%3A%25@db1,db2:5433/evergate',
      { user: 'eve', password: 'p@ss:%', database: 'evergate', tls: false },
      ['db1:5432', 'db2:5433'],
    ],
    [
      'postgresql://db',
      { user: 'evergate', password: undefined, database: 'evergate', tls: false },
      ['db:5432'],
    ],
    [
      'postgres://eve@[2001:db8::1]:1,10.0.0.1/x?sslmode=require',
      { user: 'eve', password: undefined, database: 'x', tls: { rejectUnauthorized: false } },
      ['[2001:db8::1]:1', '10.0.0.1:5432'],
    ],
    [
      'postgres://eve@%2Frun%2Fpostgresql/x?sslmode=disable',
      { user: 'eve', password: undefined, database: 'x', tls: false },
      ['/run/postgresql'],
    ],
    [
      'postgres:///x?host=/run/postgresql&sslmode=verify-full',
      { user: 'evergate', password: undefined, database: 'x', tls: {} },
      ['/run/postgresql'],
    ],
  ])('%s is understood', (url, parts, hosts) => {
    const address = parsePostgresUrl(url);
    expect(address).toMatchObject(parts);
    expect(address.hosts.map(describeHost)).toEqual(hosts);
  });

  test.each([
    ['mysql://eve:sesame@db/x', 'not of the form'],
    ['eve:sesame', 'not of the form'],
    ['postgres://eve:sesame@db:0/x', 'impossible host or port'],
    ['postgres://eve:sesame@db:99999/x', 'impossible host or port'],
    ['postgres://eve:sesame@db1,/x', 'impossible host or port'],
    ['postgres://eve:sesame@2001:db8::1/x', 'IPv6 address goes in [ ]'],
    ['postgres://eve:sesame%@db/x', 'broken %-escape'],
    ['postgres://eve:sesame@db/x?sslmode=perhaps', 'sslmode=perhaps is not supported'],
  ])('%s is refused, and the password is not repeated', (url, message) => {
    expect(() => parsePostgresUrl(url)).toThrow(message);
    expect(() => parsePostgresUrl(url)).not.toThrow('sesame');
  });
});
