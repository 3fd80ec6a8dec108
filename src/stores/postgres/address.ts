// Where a PostgreSQL server is: postgres://user:password@db1:5432,db2/evergate?sslmode=verify-full.
// Several hosts are the members of one replicated pair or cluster; connect.ts finds the primary.
// The form is libpq's: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING

import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';

export type PostgresHost = {
  /** A name, an address, or the directory of a Unix socket. */
  host: string;
  port: number;
};

export type PostgresAddress = {
  hosts: PostgresHost[];
  user: string;
  password: string | undefined;
  database: string;
  /** False: no TLS. */
  tls: false | ConnectionOptions;
};

const DEFAULT_PORT = 5432;

const URL_FORM =
  /^postgres(?:ql)?:\/\/(?:(?<user>[^:@/?]*)(?::(?<password>[^@/]*))?@)?(?<hosts>[^/?]*)(?:\/(?<database>[^?]*))?(?:\?(?<parameters>.*))?$/;

/** Errors never repeat the URL: it holds a password. */
export function parsePostgresUrl(url: string): PostgresAddress {
  const parts = URL_FORM.exec(url)?.groups;
  if (parts === undefined) {
    throw new Error('the database URL is not of the form postgres://user:password@host:port/name');
  }
  const parameters = new URLSearchParams(parts['parameters'] ?? '');
  const user = decode(parts['user'] ?? '') || 'evergate';
  const socketDirectory = parameters.get('host');
  const hosts = (parts['hosts'] || socketDirectory || 'localhost').split(',').map(parseHost);
  return {
    hosts,
    user,
    password: parts['password'] === undefined ? undefined : decode(parts['password']),
    database: decode(parts['database'] ?? '') || user,
    tls: tlsOptions(parameters.get('sslmode'), parameters.get('sslrootcert')),
  };
}

/** For logs and errors: without user and password. */
export function describeHost({ host, port }: PostgresHost): string {
  return host.startsWith('/') ? host : `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function parseHost(text: string): PostgresHost {
  const bracketed = /^\[(?<host>[^\]]+)\](?::(?<port>\d+))?$/.exec(text)?.groups;
  const plain = /^(?<host>[^:]+)(?::(?<port>\d+))?$/.exec(text)?.groups;
  const host = decode(bracketed?.['host'] ?? plain?.['host'] ?? '');
  const port = Number(bracketed?.['port'] ?? plain?.['port'] ?? DEFAULT_PORT);
  if (host === '' || port < 1 || port > 65535) {
    throw new Error('the database URL has an impossible host or port; an IPv6 address goes in [ ]');
  }
  return { host, port };
}

/** As libpq: `require` encrypts without asking who answers; the two verify modes ask. */
function tlsOptions(
  mode: string | null,
  rootCertificate: string | null,
): false | ConnectionOptions {
  const ca = rootCertificate === null ? {} : { ca: readFileSync(rootCertificate) };
  switch (mode) {
    case null:
    case 'disable':
      return false;
    case 'require':
      return { rejectUnauthorized: false };
    case 'verify-ca':
      return { ...ca, checkServerIdentity: () => undefined };
    case 'verify-full':
      return ca;
    default:
      throw new Error(
        `sslmode=${mode} is not supported: use disable, require, verify-ca or verify-full`,
      );
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Error('the database URL has a broken %-escape: a % itself is written %25');
  }
}
