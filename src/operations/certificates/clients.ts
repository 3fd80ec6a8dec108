// The clients of the private authority: who has a certificate, and whose was taken back.

import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { certificatesFromPem } from '../../protocols/x509/certificate.ts';
import { issueCertificate } from '../../protocols/x509/create.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import {
  RENEW_BEFORE_MS,
  authorityPaths,
  hasAuthorityKey,
  lifetime,
  openAuthority,
  pairFiles,
} from './authority.ts';
import type { CreatedFile, Terms } from './authority.ts';
import { placeDirectory, readText } from './files.ts';
import type { NewFile } from './files.ts';
import { pkcs12Of } from './pkcs12.ts';
import {
  REVOCATION_LIST_FILE,
  REVOKED_DIRECTORY,
  lacksEntries,
  readList,
  writeRevocationList,
} from './revocation-list.ts';
import type { RevocationListSummary } from './revocation-list.ts';

const CLIENT_DAYS = 825;
const REVOCATION_LIST_DAYS = 365;

export type ClientFiles = CreatedFile & {
  /** Undefined: there is no openssl command here. */
  pkcs12?: { file: string; password: string };
  /** The serial number of the one that it replaces, which is revoked now. */
  revoked?: string;
};

export function createClientFiles(
  directory: string,
  runtime: Runtime,
  wanted: Terms & {
    name: string;
    emails: readonly string[];
    principalNames: readonly string[];
    replace: boolean;
  },
): ClientFiles {
  const { name, emails, principalNames, keyKind, days = CLIENT_DAYS } = wanted;
  const authority = openAuthority(directory);
  const place = clientDirectory(directory, name);
  if (existsSync(place) && !wanted.replace) {
    throw new Error(
      `${name} has a certificate in ${place}; --replace revokes it and makes another`,
    );
  }
  const issued = issueCertificate({
    ...lifetime(days, authority, runtime),
    ...(keyKind === undefined ? {} : { keyKind }),
    authority,
    usage: 'client',
    commonName: name,
    emails,
    principalNames,
  });
  const password = newPassword(runtime);
  const { certificatePem, privateKeyPem } = issued;
  const authorityPem = readText(authorityPaths(directory).certificateFile) ?? '';
  const pkcs12 = pkcs12Of({ name, certificatePem, privateKeyPem, authorityPem, password });
  const bundle: NewFile[] =
    pkcs12 === undefined ? [] : [{ name: `${name}.p12`, content: pkcs12, isSecret: true }];
  const revoked = existsSync(place) ? revokeClient(directory, name, runtime).serial : undefined;
  if (!placeDirectory(place, [...pairFiles(name, issued), ...bundle])) {
    throw new Error(`${name} has just got a certificate from somebody else, in ${place}`);
  }
  return {
    certificateFile: join(place, `${name}.crt`),
    keyFile: join(place, `${name}.key`),
    certificate: issued.certificate,
    ...(pkcs12 === undefined ? {} : { pkcs12: { file: join(place, `${name}.p12`), password } }),
    ...(revoked === undefined ? {} : { revoked }),
  };
}

type Revoked = RevocationListSummary & { serial: string };

/** From the moment that the servers have read the list, its certificate lets nobody in. */
export function revokeClient(directory: string, name: string, runtime: Runtime): Revoked {
  const authority = openAuthority(directory);
  const place = clientDirectory(directory, name);
  const [certificate] = certificatesFromPem(readText(join(place, `${name}.crt`)) ?? '') ?? [];
  if (certificate === undefined) {
    if (lacksEntries(directory)) createRevocationListFile(directory, runtime); // somebody was killed at it
    throw new Error(`there is no certificate of ${name} in ${join(directory, 'clients')}`);
  }
  const revoked = join(directory, REVOKED_DIRECTORY);
  mkdirSync(revoked, { recursive: true });
  renameSync(place, join(revoked, `${name}-${certificate.serial}`));
  const list = writeRevocationList(directory, authority, REVOCATION_LIST_DAYS, runtime);
  return { ...list, serial: certificate.serial };
}

export function createRevocationListFile(
  directory: string,
  runtime: Runtime,
  days = REVOCATION_LIST_DAYS,
): RevocationListSummary {
  return writeRevocationList(directory, openAuthority(directory), days, runtime);
}

/** Its path; undefined when there is none and the key of the authority is elsewhere. */
export function ensureRevocationList(directory: string, runtime: Runtime): string | undefined {
  const file = join(directory, REVOCATION_LIST_FILE);
  const present = readList(file);
  const isOld = (present?.nextUpdateMs ?? 0) - runtime.clock.nowMs() < RENEW_BEFORE_MS;
  const isDue = isOld || lacksEntries(directory);
  if (isDue && hasAuthorityKey(directory)) createRevocationListFile(directory, runtime);
  else if (present === undefined) return undefined;
  return file;
}

function clientDirectory(directory: string, name: string): string {
  return join(directory, 'clients', name);
}

/** 80 bits, in letters that nobody mistakes for others. */
function newPassword({ random }: Runtime): string {
  const letters = 'abcdefghjkmnpqrstuvwxyz23456789';
  const password = Array.from(random.bytes(16), (byte) => letters[byte % letters.length]).join('');
  return password.replaceAll(/(.{4})(?=.)/g, '$1-');
}
