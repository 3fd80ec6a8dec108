// The files of a private authority: whole at every moment, whoever else is at work.

import {
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { certificatesFromPem } from '../protocols/x509/certificate.ts';
import type { Certificate } from '../protocols/x509/certificate.ts';
import { authorityFromPem } from '../protocols/x509/create.ts';
import { validatePath } from '../protocols/x509/path-validation.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { createSystemRuntime } from '../runtime/system-runtime.ts';
import { createServerFiles, ensureServerCertificate } from './certificates.ts';
import { createAuthorityFiles } from './certificates/authority.ts';
import { createClientFiles, revokeClient } from './certificates/clients.ts';
import { serverNames } from './certificates/names.ts';
import { readList } from './certificates/revocation-list.ts';

const DAY_MS = 86_400_000;
let directory = '';
let nowMs = Date.now();
const system = createSystemRuntime({
  log: { level: 'silent', format: 'json' },
  fields: {},
  engine: 'dgram',
  processMetrics: false,
});
const runtime: Runtime = { ...system, clock: { ...system.clock, nowMs: () => nowMs } };

beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), 'evergate-certificates-')), 'certificates');
  nowMs = Date.now();
});
afterEach(() => rmSync(join(directory, '..'), { recursive: true }));

function read(file: string): Certificate {
  const [certificate] = certificatesFromPem(readFileSync(file, 'utf8')) ?? [];
  if (certificate === undefined) throw new Error(`${file} cannot be read`);
  return certificate;
}

function isPair(certificateFile: string, keyFile: string): boolean {
  const [certificate, key] = [certificateFile, keyFile].map((file) => readFileSync(file, 'utf8'));
  return authorityFromPem(certificate ?? '', key ?? '') !== undefined;
}

const alice = { name: 'alice', emails: [], principalNames: [], replace: false };

describe('ensureServerCertificate', () => {
  test('makes an authority and a server certificate once', async () => {
    const files = await ensureServerCertificate(directory, runtime);
    expect(files.outcome).toBe('created');
    expect(isPair(files.certificateFile, files.keyFile)).toBe(true);
    expect(statSync(files.keyFile).mode & 0o777).toBe(0o600);
    expect(statSync(join(directory, 'authority', 'authority.key')).mode & 0o777).toBe(0o600);
    const outcome = validatePath(
      [read(files.certificateFile).der],
      { anchors: [read(files.authorityFile)], intermediates: [], crls: [], revocation: 'none' },
      { nowMs, usage: 'server' },
    );
    expect(outcome.kind).toBe('valid');
    const again = await ensureServerCertificate(directory, runtime);
    expect(again).toEqual({ ...files, outcome: 'present' });
    expect(readdirSync(directory).toSorted()).toEqual(['authority', 'revoked.crl', 'server']);
  });

  test('renews the certificate and the list when fewer than 30 days are left, for the same key and names', async () => {
    const first = await ensureServerCertificate(directory, runtime, {
      names: ['radius.example.org', '192.0.2.1'],
    });
    const [before, list] = [read(first.certificateFile), readList(first.revocationListFile ?? '')];
    nowMs = before.notAfterMs - 31 * DAY_MS;
    expect(await ensureServerCertificate(directory, runtime)).toMatchObject({ outcome: 'present' });
    nowMs = before.notAfterMs - 29 * DAY_MS;
    const renewed = await ensureServerCertificate(directory, runtime);
    const after = read(renewed.certificateFile);
    expect(renewed.outcome).toBe('renewed');
    expect(after.notAfterMs).toBeGreaterThan(before.notAfterMs);
    expect(after.serial).not.toBe(before.serial);
    expect(after.publicKeyDer).toEqual(before.publicKeyDer);
    expect(after.subjectAltName).toEqual(before.subjectAltName);
    expect(isPair(renewed.certificateFile, renewed.keyFile)).toBe(true);
    const later = readList(renewed.revocationListFile ?? '');
    expect(later?.nextUpdateMs).toBeGreaterThan(list?.nextUpdateMs ?? Infinity);
  });

  test('a server certificate of another authority is made anew', async () => {
    const first = await ensureServerCertificate(directory, runtime);
    renameSync(join(directory, 'authority'), join(directory, 'old'));
    createAuthorityFiles(directory, runtime);
    rmSync(join(directory, 'revoked.crl'));
    const second = await ensureServerCertificate(directory, runtime);
    expect(second.outcome).toBe('renewed');
    expect(read(second.certificateFile).authorityKeyId).toEqual(
      read(first.authorityFile).subjectKeyId,
    );
  });

  test('without the key of the authority, put away by its owner, the present one stays', async () => {
    const first = await ensureServerCertificate(directory, runtime);
    rmSync(join(directory, 'authority', 'authority.key'));
    nowMs = first.notAfterMs - DAY_MS;
    expect(await ensureServerCertificate(directory, runtime)).toMatchObject({ outcome: 'present' });
    expect(() => createClientFiles(directory, runtime, alice)).toThrow(
      'is not there: bring it back',
    );
  });

  test('what a killed process left behind does not matter', async () => {
    await ensureServerCertificate(join(directory, 'elsewhere'), runtime);
    renameSync(join(directory, 'elsewhere', 'authority'), join(directory, '.making-abc'));
    const files = await ensureServerCertificate(directory, runtime);
    expect(isPair(files.certificateFile, files.keyFile)).toBe(true);
  });

  test('a certificate whose key is another one stops it, and says so', async () => {
    const files = await ensureServerCertificate(directory, runtime);
    writeFileSync(files.keyFile, readFileSync(join(directory, 'authority', 'authority.key')));
    await expect(ensureServerCertificate(directory, runtime)).rejects.toThrow('do not match');
  });
});

describe('clients', () => {
  test('a client certificate stays until it is replaced, and then it is revoked', async () => {
    await ensureServerCertificate(directory, runtime);
    const first = createClientFiles(directory, runtime, alice);
    expect(() => createClientFiles(directory, runtime, alice)).toThrow('--replace revokes it');
    const second = createClientFiles(directory, runtime, { ...alice, replace: true });
    expect(second.revoked).toBe(first.certificate.serial);
    const list = readList(join(directory, 'revoked.crl'));
    expect(list?.revoked.has(first.certificate.serial)).toBe(true);
    expect(list?.revoked.has(second.certificate.serial)).toBe(false);
  });

  test('who was revoked stays on the list, and the moment with it', async () => {
    await ensureServerCertificate(directory, runtime);
    const first = createClientFiles(directory, runtime, alice).certificate;
    revokeClient(directory, 'alice', runtime);
    const atMs = readList(join(directory, 'revoked.crl'))?.revoked.get(first.serial)?.atMs;
    nowMs += DAY_MS;
    const second = createClientFiles(directory, runtime, alice).certificate;
    revokeClient(directory, 'alice', runtime);
    const list = readList(join(directory, 'revoked.crl'));
    expect(list?.revoked.get(first.serial)?.atMs).toBe(atMs);
    expect(list?.revoked.has(second.serial)).toBe(true);
    expect(() => revokeClient(directory, 'alice', runtime)).toThrow(
      'there is no certificate of alice',
    );
  });

  test('a revocation that was killed before it wrote the list is made up for', async () => {
    const { revocationListFile = '' } = await ensureServerCertificate(directory, runtime);
    const { certificate } = createClientFiles(directory, runtime, alice);
    const empty = readFileSync(revocationListFile);
    revokeClient(directory, 'alice', runtime);
    writeFileSync(revocationListFile, empty);
    await ensureServerCertificate(directory, runtime);
    expect(readList(revocationListFile)?.revoked.has(certificate.serial)).toBe(true);
  });
});

test('authority and server are not overwritten unless asked', () => {
  createAuthorityFiles(directory, runtime, { name: 'Mine' });
  expect(() => createAuthorityFiles(directory, runtime)).toThrow('devices that trust it');
  const wanted = { names: ['a.example'], replace: false };
  const first = createServerFiles(directory, runtime, wanted).certificate;
  expect(() => createServerFiles(directory, runtime, wanted)).toThrow('--replace');
  const second = createServerFiles(directory, runtime, { names: ['b.example'], replace: true });
  expect(second.certificate.subjectAltName.dnsNames).toEqual(['b.example']);
  expect(second.certificate.publicKeyDer).toEqual(first.publicKeyDer);
});

test.each([
  ['192.0.2.1', 'c0000201'],
  ['::1', '00000000000000000000000000000001'],
  ['2001:db8::a:1', '20010db80000000000000000000a0001'],
  ['::ffff:192.0.2.1', '00000000000000000000ffffc0000201'],
  ['fe80::', 'fe800000000000000000000000000000'],
])('the address %s goes into a certificate', (address, bytes) => {
  expect(serverNames([address])?.ipAddresses.map((one) => one.toString('hex'))).toEqual([bytes]);
});

test.each(['two words', 'under_score', '-a', 'a..b', ''])('%j is no name of a server', (name) => {
  expect(serverNames([name])).toBeUndefined();
});
