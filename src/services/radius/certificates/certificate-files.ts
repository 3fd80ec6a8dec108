// Certificates as they lie on the disk, read and understood: the server's own chain with its key, the
// authorities of its clients, and what these have revoked. Whatever is wrong is said in one sentence
// that names the file.

import { createPrivateKey, createPublicKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { ServerIdentity } from '../../../protocols/tls/settings.ts';
import { certificatesFromPem } from '../../../protocols/x509/certificate.ts';
import type { Certificate } from '../../../protocols/x509/certificate.ts';
import type { ClientTrust } from '../../../protocols/x509/path-validation.ts';
import { crlsFromPem } from '../../../protocols/x509/revocation.ts';
import type { Crl } from '../../../protocols/x509/revocation.ts';

export type CertificateFiles = {
  certificateFile: string;
  keyFile: string;
  clientCaFile: string | undefined;
  clientCrlFile: string | undefined;
  revocation: ClientTrust['revocation'];
};

export type Certificates = {
  /** The server's own certificate, of which people want to know when it ends. */
  own: Certificate;
  identity: ServerIdentity;
  clientTrust: ClientTrust | undefined;
};

/** A file that is missing, unreadable, or does not hold what it should. */
class CertificateError extends Error {
  override name = 'CertificateError';
}

/** Throws `CertificateError`. */
export function readCertificates(files: CertificateFiles): Certificates {
  const chain = readChain(files.certificateFile);
  const [own] = chain;
  const privateKey = readKey(files.keyFile);
  if (own.publicKey === undefined) {
    throw new CertificateError(`${files.certificateFile}: its kind of key is not supported`);
  }
  if (!isPair(own.publicKey, privateKey)) {
    throw new CertificateError(
      `${files.keyFile} is not the key of the first certificate in ${files.certificateFile}`,
    );
  }
  return {
    own,
    identity: { chain: withoutRoot(chain).map(({ der }) => der), privateKey },
    clientTrust: readTrust(files),
  };
}

function readTrust({
  clientCaFile,
  clientCrlFile,
  revocation,
}: CertificateFiles): ClientTrust | undefined {
  if (clientCaFile === undefined) return undefined;
  const authorities = readChain(clientCaFile);
  const anchors = authorities.filter(isSelfIssued);
  if (anchors.length === 0) {
    // Somebody trusts an intermediate alone, without its root.
    return { anchors: authorities, intermediates: [], crls: readCrls(clientCrlFile), revocation };
  }
  const intermediates = authorities.filter((authority) => !isSelfIssued(authority));
  return { anchors, intermediates, crls: readCrls(clientCrlFile), revocation };
}

function readChain(file: string): [Certificate, ...Certificate[]] {
  const certificates = certificatesFromPem(read(file));
  const [first, ...others] = certificates ?? [];
  if (first === undefined) {
    throw new CertificateError(`${file} holds no certificate that can be read: PEM is expected`);
  }
  return [first, ...others];
}

function readCrls(file: string | undefined): Crl[] {
  if (file === undefined) return [];
  return crlsFromPem(read(file)).map((parsed) => {
    if (parsed.kind === 'crl') return parsed.crl;
    throw new CertificateError(`${file}: a revocation list cannot be used: ${parsed.detail}`);
  });
}

function readKey(file: string): KeyObject {
  const text = read(file);
  try {
    return createPrivateKey(text);
  } catch (error) {
    const isEncrypted = text.includes('ENCRYPTED');
    const why = isEncrypted ? 'it is protected by a password' : 'PEM is expected';
    throw new CertificateError(`${file} holds no private key that can be read: ${why}`, {
      cause: error,
    });
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch (error) {
    throw new CertificateError(`${file} cannot be read`, { cause: error });
  }
}

function isPair(publicKey: KeyObject, privateKey: KeyObject): boolean {
  const { asymmetricKeyType } = privateKey;
  if (publicKey.asymmetricKeyType !== asymmetricKeyType) return false;
  return createPublicKey(privateKey).equals(publicKey);
}

/** The client has the root already, or would not believe it. RFC 8446 §4.4.2. */
function withoutRoot(chain: readonly Certificate[]): readonly Certificate[] {
  return chain.filter((certificate, i) => i === 0 || !isSelfIssued(certificate));
}

function isSelfIssued({ subject, issuer }: Certificate): boolean {
  return subject.key === issuer.key;
}
