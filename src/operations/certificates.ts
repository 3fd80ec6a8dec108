// A private authority in a directory, its server certificate, and those of its clients.
//
//   authority/authority.crt, authority.key     install the first on devices; keep the second
//   server/server.crt, server.key              what EAP over TLS shows
//   clients/<name>/<name>.crt, .key, .p12      one for each client
//   revoked/<name>-<serial>/                   clients that are revoked
//   revoked.crl                                what tells servers so
//
// Here the server's; the others are in certificates/. What is in a certificate belongs to
// protocols/x509/create.ts.

import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { certificatesFromPem } from '../protocols/x509/certificate.ts';
import type { Certificate } from '../protocols/x509/certificate.ts';
import { importPrivateKey, issueCertificate } from '../protocols/x509/create.ts';
import type { Authority } from '../protocols/x509/create.ts';
import { verifySignature } from '../protocols/x509/signature.ts';
import type { Runtime } from '../runtime/runtime.ts';
import {
  RENEW_BEFORE_MS,
  authorityPaths,
  hasAuthorityKey,
  lifetime,
  openAuthority,
  pairFiles,
  placeAuthority,
  readPair,
} from './certificates/authority.ts';
import type { CreatedFile, Pair, Terms } from './certificates/authority.ts';
import { ensureRevocationList } from './certificates/clients.ts';
import { placeDirectory, readText, replaceFile } from './certificates/files.ts';
import { isDnsName, serverNames } from './certificates/names.ts';

/** Apple accepts no server certificate that is valid for longer. */
const SERVER_DAYS = 825;

export type ServerFiles = {
  certificateFile: string;
  keyFile: string;
  authorityFile: string;
  /** Undefined: the key of the authority is elsewhere, and it has never written one. */
  revocationListFile?: string;
  /** What had to be done. */
  outcome: 'created' | 'renewed' | 'present';
  notAfterMs: number;
  /** What devices may be told that the server is called. */
  names: readonly string[];
};

/**
 * An authority, a server certificate of it, and its revocation list: made when they are not there,
 * renewed when they age. Any number of processes may call it at once, and be killed meanwhile.
 */
export async function ensureServerCertificate(
  directory: string,
  runtime: Runtime,
  terms: Terms & { names?: readonly string[] } = {},
): Promise<ServerFiles> {
  const files = ensureServer(directory, runtime, terms);
  const revocationListFile = ensureRevocationList(directory, runtime);
  return { ...files, ...(revocationListFile === undefined ? {} : { revocationListFile }) };
}

function ensureServer(
  directory: string,
  runtime: Runtime,
  { names = [], days = SERVER_DAYS, keyKind }: Terms & { names?: readonly string[] },
): ServerFiles {
  const files = serverPaths(directory);
  const nowMs = runtime.clock.nowMs();
  const present = readPair(files.certificateFile, files.keyFile);
  const outcome = (kind: ServerFiles['outcome'], certificate: Certificate): ServerFiles => ({
    ...files,
    outcome: kind,
    notAfterMs: certificate.notAfterMs,
    names: certificate.subjectAltName.dnsNames,
  });
  if (present !== undefined && isGoodFor(present.certificate, files.authorityFile, nowMs)) {
    return outcome('present', present.certificate);
  }
  if (present === undefined && !existsSync(authorityPaths(directory).certificateFile)) {
    placeAuthority(directory, runtime, { keyKind }); // or somebody else did meanwhile
  }
  if (present !== undefined && !hasAuthorityKey(directory)) {
    return outcome('present', present.certificate); // its key was put away, as is wise: none to renew with
  }
  const authority = openAuthority(directory);
  if (present !== undefined) {
    return outcome('renewed', renewServer(directory, authority, present, days, runtime));
  }
  const terms = { names, days, keyKind };
  const created = placeServer(directory, authority, terms, runtime);
  if (created !== undefined) return outcome('created', created);
  const theirs = readPair(files.certificateFile, files.keyFile); // made in this moment by another process
  if (theirs === undefined) throw new Error(`${files.certificateFile} and its key do not match`);
  return outcome('present', theirs.certificate);
}

export function createServerFiles(
  directory: string,
  runtime: Runtime,
  { replace, days = SERVER_DAYS, ...terms }: Terms & { names: readonly string[]; replace: boolean },
): CreatedFile {
  const { certificateFile, keyFile } = serverPaths(directory);
  const authority = openAuthority(directory);
  const created = placeServer(directory, authority, { ...terms, days }, runtime);
  if (created !== undefined) return { certificateFile, keyFile, certificate: created };
  if (!replace) {
    throw new Error(
      `there is a server certificate in ${join(directory, 'server')}; --replace makes a new one for its key`,
    );
  }
  const present = readPair(certificateFile, keyFile);
  if (present === undefined) throw new Error(`${certificateFile} and its key do not match`);
  const certificate = renewServer(directory, authority, present, days, runtime, terms.names);
  return { certificateFile, keyFile, certificate };
}

/** Undefined: there is one already. */
function placeServer(
  directory: string,
  authority: Authority,
  { names, days = SERVER_DAYS, keyKind }: Terms & { names: readonly string[] },
  runtime: Runtime,
): Certificate | undefined {
  const place = join(directory, 'server');
  if (existsSync(place)) return undefined;
  const issued = issueCertificate({
    ...lifetime(days, authority, runtime),
    ...(keyKind === undefined ? {} : { keyKind }),
    ...namesOfServer(names),
    authority,
    usage: 'server',
  });
  return placeDirectory(place, pairFiles('server', issued)) ? issued.certificate : undefined;
}

/** For the same key: the pair is whole at every moment, since only one file changes. */
function renewServer(
  directory: string,
  authority: Authority,
  { certificate, privateKeyPem }: Pair,
  days: number,
  runtime: Runtime,
  names: readonly string[] = [],
): Certificate {
  const privateKey = importPrivateKey(privateKeyPem);
  if (privateKey === undefined) throw new Error('the private key of the server cannot be read');
  const { dnsNames, ipAddresses } = certificate.subjectAltName;
  const [commonName = hostname()] = dnsNames;
  const issued = issueCertificate({
    ...lifetime(days, authority, runtime),
    ...(names.length === 0 ? { commonName, dnsNames, ipAddresses } : namesOfServer(names)),
    authority,
    usage: 'server',
    privateKey,
  });
  replaceFile(serverPaths(directory).certificateFile, issued.certificatePem);
  return issued.certificate;
}

/** Not about to end, and of the authority that devices are told to trust. */
function isGoodFor(certificate: Certificate, authorityFile: string, nowMs: number): boolean {
  const [authority] = certificatesFromPem(readText(authorityFile) ?? '') ?? [];
  const key = authority?.publicKey;
  return (
    certificate.notAfterMs - nowMs > RENEW_BEFORE_MS &&
    key !== undefined &&
    verifySignature(certificate, key)
  );
}

/** Devices compare the name that they were told with a DNS name of the certificate. */
function namesOfServer(names: readonly string[]) {
  const own = isDnsName(hostname()) ? hostname() : 'radius.internal';
  const wanted = serverNames(names.length === 0 ? [own] : names);
  if (wanted === undefined)
    throw new Error(`${names.join(', ')}: not names that a server can have`);
  return { ...wanted, commonName: (names[0] ?? own).slice(0, 64) };
}

function serverPaths(directory: string) {
  const place = join(directory, 'server');
  return {
    certificateFile: join(place, 'server.crt'),
    keyFile: join(place, 'server.key'),
    authorityFile: authorityPaths(directory).certificateFile,
  };
}
