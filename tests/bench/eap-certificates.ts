// The certificates of the EAP-TLS scenarios: one authority, one server, some devices, all P-256. Made by
// the openssl program, so that neither contender has made them.

import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCertificateAuthority } from '../servers/certificate-authority.ts';

export type EapCertificates = Disposable & {
  /** With ca.pem, user0.pem, user0.key, … */
  directory: string;
  authorityFile: string;
  server: { certificateFile: string; keyFile: string };
};

/** For user0, user1 and so on. */
export const CLIENT_CERTIFICATES = 16;

export function createEapCertificates(): EapCertificates {
  using opened = new DisposableStack();
  const authority = opened.use(createCertificateAuthority('Bench Root'));
  const directory = mkdtempSync(join(tmpdir(), 'evergate-bench-'));
  opened.defer(() => rmSync(directory, { recursive: true, force: true }));
  const server = authority.issue({
    commonName: 'radius.example',
    usage: 'server',
    names: ['DNS:radius.example'],
  });
  const authorityFile = join(directory, 'ca.pem');
  copyFileSync(authority.certificateFile, authorityFile);
  for (let user = 0; user < CLIENT_CERTIFICATES; user++) {
    const issued = authority.issue({ commonName: `user${user}`, usage: 'client' });
    copyFileSync(issued.certificateFile, join(directory, `user${user}.pem`));
    copyFileSync(issued.keyFile, join(directory, `user${user}.key`));
  }
  const closing = opened.move();
  return { directory, authorityFile, server, [Symbol.dispose]: () => closing.dispose() };
}
