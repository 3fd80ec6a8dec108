import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { certificateCheck } from './certificates.ts';
import type { CertificatePaths } from './certificates.ts';

const DAY_MS = 86_400_000;
let directory = '';
let own: CertificatePaths;
let other: CertificatePaths;
let madeAtMs = 0;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'evergate-doctor-certificates-'));
  own = selfSigned('own');
  other = selfSigned('other');
  madeAtMs = Date.now();
});
afterAll(() => rmSync(directory, { recursive: true }));

/** For 100 days. */
function selfSigned(name: string): CertificatePaths {
  const certificateFile = join(directory, `${name}.pem`);
  const keyFile = join(directory, `${name}.key`);
  const key = [
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-keyout',
    keyFile,
  ];
  const subject = ['-subj', `/CN=${name}`, '-days', '100', '-out', certificateFile];
  execFileSync('openssl', ['req', '-x509', ...key, ...subject], { stdio: 'ignore' });
  chmodSync(keyFile, 0o600);
  return { certificateFile, keyFile, clientCaFile: undefined };
}

const examine = (paths: CertificatePaths, daysLater = 0) =>
  certificateCheck('eap', paths, madeAtMs + daysLater * DAY_MS).run();

test('a certificate with time left is fine', async () => {
  expect(await examine(own)).toMatchObject({
    status: 'ok',
    detail: expect.stringMatching(/^own, until /),
  });
});

test.each([
  { daysLater: 80, status: 'warning', says: 'ends in 19 days' },
  { daysLater: 95, status: 'wrong', says: 'ends in 4 days' },
  { daysLater: 101, status: 'wrong', says: 'has expired' },
])('$daysLater days after it was made for 100, it $says', async ({ daysLater, status, says }) => {
  const finding = await examine(own, daysLater);
  expect(finding.status).toBe(status);
  expect(finding.detail).toContain(says);
  expect(finding.hint).toContain('replace');
});

test('a client authority that ends is as bad', async () => {
  const finding = await examine({ ...own, clientCaFile: other.certificateFile }, 95);
  expect(finding.status).toBe('wrong');
});

test('the key of another certificate is found out', async () => {
  const finding = await examine({ ...own, keyFile: other.keyFile });
  expect(finding).toMatchObject({
    status: 'wrong',
    detail: expect.stringContaining('is not the key'),
  });
});

test('a key that others may read is a warning', async () => {
  const open = selfSigned('open');
  chmodSync(open.keyFile ?? '', 0o644);
  expect(await examine(open)).toMatchObject({
    status: 'warning',
    hint: expect.stringContaining('chmod 600'),
  });
});

test('a file without a certificate is named', async () => {
  const empty = join(directory, 'empty.pem');
  writeFileSync(empty, 'nothing here');
  const finding = await examine({ ...own, certificateFile: empty });
  expect(finding).toMatchObject({ status: 'wrong', detail: expect.stringContaining(empty) });
});

test('without certificates there is nothing to examine, and a hint how to get some', async () => {
  const nothing = { certificateFile: undefined, keyFile: undefined, clientCaFile: undefined };
  expect(await examine(nothing)).toMatchObject({
    status: 'skipped',
    hint: expect.stringContaining('certificate create'),
  });
});
