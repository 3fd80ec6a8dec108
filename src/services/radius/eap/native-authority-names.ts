// What OpenSSL is told about the authorities: their names, which it tells the client, and nothing that it
// could verify a signature with. It would check the chain of each client, which native-client-certificate.ts
// does anyway, by stricter rules, and send the root after a server certificate of the same authority: that
// costs 75 µs of a login's 700, and often one more round. Node cannot pass names alone.

import type { Certificate } from '../../../protocols/x509/certificate.ts';

/** `2.5.29.14`, subjectKeyIdentifier. RFC 5280 §4.2.1.2. */
const KEY_ID_EXTENSION = Buffer.from('0603551d0e', 'hex');

/**
 * The certificate with another key identifier: for OpenSSL it has issued nothing that names the real one.
 * An authority without an identifier stays what it is, and is checked twice.
 */
export function nameOnly({ der, subjectKeyId }: Certificate): Buffer {
  const copy = Buffer.from(der);
  const extension = copy.indexOf(KEY_ID_EXTENSION);
  if (subjectKeyId === undefined || extension < 0) return copy;
  const start = copy.indexOf(subjectKeyId, extension);
  for (let i = start; i >= 0 && i < start + subjectKeyId.length; i++) copy[i] = ~(copy[i] ?? 0);
  return copy;
}
