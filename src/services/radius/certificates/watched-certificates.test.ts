import { createPrivateKey, randomBytes } from 'node:crypto';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { virtualRuntime } from '../../../../tests/simulation/virtual-runtime.ts';
import type { VirtualRuntime } from '../../../../tests/simulation/virtual-runtime.ts';
import {
  createAuthority,
  createRevocationList,
  issueCertificate,
} from '../../../protocols/x509/create.ts';
import type { Authority } from '../../../protocols/x509/create.ts';
import type { CertificateFiles } from './certificate-files.ts';
import { watchCertificates } from './watched-certificates.ts';

const DAY_MS = 86_400_000;

let directory = '';
let runtime: VirtualRuntime;
let authority: Authority & { pem: string };
let files: CertificateFiles;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'evergate-certificates-'));
  runtime = virtualRuntime();
  authority = newAuthority('Try');
  files = {
    certificateFile: join(directory, 'server.crt'),
    keyFile: join(directory, 'server.key'),
    clientCaFile: join(directory, 'authority.crt'),
    clientCrlFile: undefined,
    revocation: 'when-present',
  };
  writeFileSync(files.clientCaFile ?? '', authority.pem);
  writeServer(100);
});
afterEach(() => rmSync(directory, { recursive: true }));

function terms(days: number) {
  const nowMs = runtime.clock.nowMs();
  return {
    serial: randomBytes(16),
    notBeforeMs: nowMs - DAY_MS,
    notAfterMs: nowMs + days * DAY_MS,
  };
}

function newAuthority(commonName: string): Authority & { pem: string } {
  const issued = createAuthority({ ...terms(1_000), commonName });
  const privateKey = createPrivateKey(issued.privateKeyPem);
  return { certificate: issued.certificate, privateKey, pem: issued.certificatePem };
}

function writeServer(days: number) {
  const server = { authority, usage: 'server', commonName: 'radius.test' } as const;
  const { certificatePem, privateKeyPem } = issueCertificate({ ...terms(days), ...server });
  writeFileSync(files.certificateFile, certificatePem + authority.pem);
  writeFileSync(files.keyFile, privateKeyPem);
}

function watch(isCounted = true) {
  return watchCertificates({ name: 'eap', isCounted }, files, runtime);
}

test('the root is not sent to clients, who have it or would not believe it', () => {
  using watched = watch();
  const { identity, own } = watched.current();
  expect(identity.chain).toEqual([own.der]);
});

test('renewed files count within seconds, without a restart', async () => {
  using watched = watch();
  const before = watched.current();
  let changes = 0;
  watched.onChange(() => changes++);
  await runtime.scheduler.run(20_000);
  expect(watched.current()).toBe(before); // nothing is read without need

  writeServer(200);
  await runtime.scheduler.run(5_001);
  expect(watched.current().own.notAfterMs).toBeGreaterThan(before.own.notAfterMs);
  expect(changes).toBe(1);
  expect(watched.check()).toEqual({ status: 'pass' });
});

test('a file that is replaced by another of the same size is seen too', async () => {
  using watched = watch();
  const before = watched.current();
  const { certificateFile } = files;
  const renewed = `${certificateFile}.new`;
  writeServer(100);
  writeFileSync(renewed, authority.pem);
  renameSync(renewed, files.clientCaFile ?? '');
  await runtime.scheduler.run(5_001);
  expect(watched.current()).not.toBe(before);
});

test('a renewal that went wrong changes nothing, and health says why until it is mended', async () => {
  using watched = watch();
  const before = watched.current();
  writeFileSync(files.certificateFile, 'half a cert');
  await runtime.scheduler.run(5_001);
  expect(watched.current()).toBe(before);
  const { status, detail } = watched.check();
  expect(status).toBe('degraded');
  expect(detail).toContain(files.certificateFile);

  writeServer(100);
  await runtime.scheduler.run(5_001);
  expect(watched.check()).toEqual({ status: 'pass' });
});

test('the last week of a certificate is a degraded state, and so is what comes after', async () => {
  writeServer(8);
  using watched = watch();
  expect(watched.check()).toEqual({ status: 'pass' });
  await runtime.scheduler.run(2 * DAY_MS);
  expect(watched.check()).toMatchObject({
    status: 'degraded',
    detail: expect.stringContaining('in 6 days'),
  });
  await runtime.scheduler.run(7 * DAY_MS);
  expect(watched.check()).toMatchObject({
    status: 'degraded',
    detail: expect.stringContaining('expired on'),
  });
});

test('its end is a metric, of one worker alone', async () => {
  using counted = watch();
  expect(await runtime.metrics.text()).toContain(
    `evergate_certificate_expires_timestamp_seconds{certificate="eap"} ${counted.current().own.notAfterMs / 1000}`,
  );
});

describe('what cannot be used is said at once, with the name of the file', () => {
  test.each([
    ['a certificate that is none', () => writeFileSync(files.certificateFile, 'x'), 'server.crt'],
    ['a key that is none', () => writeFileSync(files.keyFile, 'x'), 'server.key'],
    ['a missing file', () => rmSync(files.keyFile), 'server.key'],
    [
      'authorities that are none',
      () => writeFileSync(files.clientCaFile ?? '', 'x'),
      'authority.crt',
    ],
    ['the key of another', () => writeFileSync(files.keyFile, keyOfAnother()), 'is not the key of'],
  ])('%s', (_name, spoil, says) => {
    spoil();
    expect(watch).toThrow(says);
  });

  function keyOfAnother(): string {
    const client = { authority, usage: 'client', commonName: 'alice' } as const;
    return issueCertificate({ ...terms(10), ...client }).privateKeyPem;
  }
});

test('revocation lists are read with their authorities', async () => {
  files = { ...files, clientCrlFile: join(directory, 'revoked.crl') };
  const nowMs = runtime.clock.nowMs();
  const writeList = (serials: string[]) => {
    const revoked = serials.map((serial) => ({ serial, atMs: nowMs }));
    const dates = { thisUpdateMs: nowMs, nextUpdateMs: nowMs + DAY_MS };
    const pem = createRevocationList({ authority, number: serials.length + 1, ...dates, revoked });
    writeFileSync(files.clientCrlFile ?? '', pem);
  };
  writeList([]);
  using watched = watch();
  expect(watched.current().clientTrust?.crls[0]?.revoked.size).toBe(0);
  writeList(['0a0b']);
  await runtime.scheduler.run(5_001);
  expect([...(watched.current().clientTrust?.crls[0]?.revoked.keys() ?? [])]).toEqual(['0a0b']);
});
