// `evergate certificate …` as an operator meets it, and what openssl says to its files.

import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { certificatesFromPem } from '../../src/protocols/x509/certificate.ts';
import { authorityFromPem } from '../../src/protocols/x509/create.ts';
import { ensureDebianPackage } from '../servers/ensure-package.ts';

const EXECUTABLE = resolve(import.meta.dirname, '../../bin/evergate');
let directory = '';

beforeAll(() => ensureDebianPackage(['openssl'], ['openssl']));
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'evergate-certificate-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

function evergate(args: string, path = process.env['PATH']) {
  const { status, stdout, stderr } = spawnSync(EXECUTABLE, ['certificate', ...args.split(' ')], {
    encoding: 'utf8',
    cwd: directory,
    env: { PATH: path, HOME: directory },
  });
  return { status, stdout, stderr };
}

function json(args: string) {
  const { status, stdout, stderr } = evergate(`${args} --json`);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return JSON.parse(stdout);
}

function openssl(...args: string[]): string {
  const { stdout, stderr } = spawnSync('openssl', args, { encoding: 'utf8', cwd: directory });
  return stdout + stderr;
}

test('from nothing to a revoked client, and openssl agrees at each step', () => {
  const setup = evergate('create');
  expect(setup).toMatchObject({ status: 0, stderr: '' });
  for (const line of [
    'certificate: certificates/server/server.crt',
    'key: certificates/server/server.key',
    'client_ca: certificates/authority/authority.crt',
    'client_crl: certificates/revoked.crl',
    'evergate certificate create client alice',
  ]) {
    expect(setup.stdout).toContain(line);
  }
  const verify = ['verify', '-x509_strict', '-CAfile', 'certificates/authority/authority.crt'];
  const asServer = openssl(...verify, '-purpose', 'sslserver', 'certificates/server/server.crt');
  expect(asServer).toContain('OK');

  const client = json('create client alice --email alice@example.org --principal alice@corp');
  expect(openssl(...verify, '-purpose', 'sslclient', client.certificate)).toContain('OK');
  expect(statSync(join(directory, client.key)).mode & 0o777).toBe(0o600);
  const phone = ['pkcs12', '-in', client.pkcs12, '-passin', `pass:${client.password}`, '-nodes'];
  expect(openssl(...phone)).toContain('friendlyName: alice');

  const checked = [...verify, '-crl_check', '-CRLfile', 'certificates/revoked.crl'];
  expect(openssl(...checked, client.certificate)).toContain('OK');
  expect(json('revoke alice')).toMatchObject({
    serial: client.serial,
    revocation_list: { file: 'certificates/revoked.crl', entries: 1 },
  });
  const place = `certificates/revoked/alice-${client.serial}/alice.crt`;
  expect(openssl(...checked, place)).toContain('certificate revoked');
  const authority = ['-CAfile', 'certificates/authority/authority.crt'];
  const list = openssl('crl', '-in', 'certificates/revoked.crl', '-verify', ...authority, '-noout');
  expect(list).toContain('verify OK');
});

test('nothing is overwritten without being asked', () => {
  const { certificate } = json('create');
  const before = readFileSync(join(directory, certificate), 'utf8');
  expect(json('create')).toMatchObject({ outcome: 'present' });
  for (const args of ['create authority', 'create server']) {
    expect(evergate(args)).toMatchObject({ status: 1, stdout: '' });
  }
  expect(readFileSync(join(directory, certificate), 'utf8')).toBe(before);
  json('create server radius.example.org --replace --days 90');
  expect(openssl('x509', '-in', certificate, '-noout', '-ext', 'subjectAltName')).toContain(
    'DNS:radius.example.org',
  );
  const { serial } = json('create client alice');
  expect(evergate('create client alice').stderr).toContain('--replace revokes it');
  expect(json('create client alice --replace')).toMatchObject({ revoked: serial });
});

test('several processes at once make one authority and one whole pair', async () => {
  const codes = await Promise.all(
    Array.from({ length: 4 }, () => {
      const child = spawn(EXECUTABLE, ['certificate', 'create'], {
        cwd: directory,
        stdio: 'ignore',
      });
      return new Promise((done) => child.once('exit', done));
    }),
  );
  expect(codes).toEqual([0, 0, 0, 0]);
  const read = (name: string) => readFileSync(join(directory, 'certificates', name), 'utf8');
  expect(authorityFromPem(read('server/server.crt'), read('server/server.key'))).toBeDefined();
  expect(readdirSync(join(directory, 'certificates')).toSorted()).toEqual([
    'authority',
    'revoked.crl',
    'server',
  ]);
  const [server] = certificatesFromPem(read('server/server.crt')) ?? [];
  const [authority] = certificatesFromPem(read('authority/authority.crt')) ?? [];
  expect(server?.authorityKeyId).toEqual(authority?.subjectKeyId);
});

test('without an openssl command a client gets its certificate, and is told how the phone file is made', () => {
  json('create');
  const tools = mkdtempSync(join(directory, 'tools-'));
  for (const name of ['readlink', 'dirname']) {
    const found = spawnSync('which', [name], { encoding: 'utf8' }).stdout.trim();
    writeFileSync(join(tools, name), `#!/bin/sh\nexec ${found} "$@"\n`, { mode: 0o755 });
  }
  const { status, stdout } = evergate('create client alice', tools);
  expect(status).toBe(0);
  expect(stdout).toContain('There is no openssl command here');
  expect(readdirSync(join(directory, 'certificates/clients/alice'))).toEqual([
    'alice.crt',
    'alice.key',
  ]);
});

test('show tells what is in a certificate and in a revocation list', () => {
  json('create --key rsa');
  expect(json('show certificates/server/server.crt')).toMatchObject([
    { kind: 'certificate', purposes: ['server'], key: 'RSA 2048 bits', state: 'valid today' },
  ]);
  expect(json('show certificates/authority/authority.crt')).toMatchObject([{ kind: 'authority' }]);
  expect(json('show certificates/revoked.crl')).toMatchObject([
    { kind: 'revocation list', entries: 0, state: 'fresh' },
  ]);
  expect(evergate('show certificates/server/server.crt').stdout).toMatch(/^purposes +server$/m);
});

describe('what is wrong is said in one line', () => {
  test.each<[number, string, string]>([
    [2, 'create thing', 'Allowed choices are authority, server, client, revocation-list'],
    [2, 'create client', 'needs one name'],
    [2, 'create client ../x', 'cannot be the name'],
    [2, 'create client a --email nobody', 'nobody is not a mail address'],
    [2, 'create server -_-', 'unknown option'],
    [2, 'create server under_score', 'DNS names and IP addresses'],
    [2, 'create --days 0', '--days is 0; allowed is 1 to 36500'],
    [2, 'create --replace', '--replace belongs to'],
    [2, 'revoke ../x', 'names no certificate'],
    [
      1,
      'create client alice',
      'there is no authority in certificates: `evergate certificate create` makes one',
    ],
    [1, 'revoke alice', 'there is no authority in certificates'],
    [1, 'show nothing.pem', 'nothing.pem cannot be read: ENOENT'],
    [
      1,
      'create authority --directory /dev/null/x',
      '/dev/null/x/authority cannot be written: ENOTDIR',
    ],
    [1, 'create --directory /dev/null/x', '/dev/null/x/server/server.crt cannot be read: ENOTDIR'],
  ])('%i: evergate certificate %s', (code, args, sentence) => {
    const { status, stdout, stderr } = evergate(args);
    expect({ status, stdout }).toEqual({ status: code, stdout: '' });
    expect(stderr).toContain(sentence);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  });
});
