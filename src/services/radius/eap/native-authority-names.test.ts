import { X509Certificate, randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { authorityOf, createAuthority, issueCertificate } from '../../../protocols/x509/create.ts';
import { nameOnly } from './native-authority-names.ts';

test('an authority keeps its name for OpenSSL, and has issued nothing', () => {
  const terms = () => ({ serial: randomBytes(16), notBeforeMs: 0, notAfterMs: 2 ** 40 });
  const root = createAuthority({ ...terms(), commonName: 'Root' });
  const authority = authorityOf(root);
  const issued = issueCertificate({ ...terms(), commonName: 'a', usage: 'client', authority });
  const leaf = new X509Certificate(issued.certificate.der);
  const real = new X509Certificate(root.certificate.der);
  const shown = new X509Certificate(nameOnly(root.certificate));

  expect(leaf.checkIssued(real)).toBe(true);
  expect(leaf.checkIssued(shown)).toBe(false);
  expect(shown.subject).toBe(real.subject);
});
