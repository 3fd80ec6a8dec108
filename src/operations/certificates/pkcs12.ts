// A certificate, its key and its authority in one file, as phones and Windows import them (PKCS #12,
// RFC 7292). Made by the openssl command, where there is one.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

type Wanted = {
  name: string;
  certificatePem: string;
  privateKeyPem: string;
  authorityPem: string;
  password: string;
};

/**
 * Android before 14, Windows before 2019 and older iPhones cannot open what openssl makes today. Its
 * encryption is of little use in any case: what protects the file is the password, so make it long.
 */
const UNDERSTOOD_BY_ALL = '-keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg sha1'.split(' ');

/** Undefined: there is no openssl command. */
export function pkcs12Of(wanted: Wanted): Buffer | undefined {
  const { name, certificatePem, privateKeyPem, authorityPem, password } = wanted;
  const directory = mkdtempSync(join(tmpdir(), 'evergate-pkcs12-')); // mode 700
  try {
    const [own, authority] = [join(directory, 'own.pem'), join(directory, 'authority.pem')];
    writeFileSync(own, `${certificatePem}${privateKeyPem}`, { mode: 0o600 });
    writeFileSync(authority, authorityPem);
    const args = ['-in', own, '-certfile', authority, '-name', name];
    const protection = [...UNDERSTOOD_BY_ALL, '-passout', 'env:PKCS12_PASSWORD'];
    return execFileSync('openssl', ['pkcs12', '-export', ...args, ...protection], {
      env: { PATH: process.env['PATH'], PKCS12_PASSWORD: password },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new Error('openssl could not make the PKCS #12 file', { cause: error });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
