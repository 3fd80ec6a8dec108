// The private authority itself, and what every certificate of it has in common.

import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Certificate } from '../../protocols/x509/certificate.ts';
import { authorityFromPem, createAuthority } from '../../protocols/x509/create.ts';
import type { Authority, Issued, KeyKind } from '../../protocols/x509/create.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { placeDirectory, readText } from './files.ts';
import type { NewFile } from './files.ts';

const DAY_MS = 86_400_000;
/** Devices whose clock is behind accept it at once. */
const BACKDATED_MS = 60 * 60_000;
const AUTHORITY_DAYS = 3650;
/** What is this close to its end is made anew. */
export const RENEW_BEFORE_MS = 30 * DAY_MS;

export type CreatedFile = { certificateFile: string; keyFile: string; certificate: Certificate };

export type Terms = { days?: number | undefined; keyKind?: KeyKind | undefined };

/** Throws when there is one: another would make all that this one has issued worthless. */
export function createAuthorityFiles(
  directory: string,
  runtime: Runtime,
  terms: Terms & { name?: string | undefined } = {},
): CreatedFile {
  const files = authorityPaths(directory);
  const certificate = placeAuthority(directory, runtime, terms);
  if (certificate !== undefined) return { ...files, certificate };
  throw new Error(
    `there is an authority in ${join(directory, 'authority')}; devices that trust it would not know another. ` +
      'Choose another --directory, or move it away',
  );
}

export function placeAuthority(
  directory: string,
  runtime: Runtime,
  { days = AUTHORITY_DAYS, keyKind, name }: Terms & { name?: string | undefined },
): Certificate | undefined {
  const issued = createAuthority({
    ...lifetime(days, undefined, runtime),
    ...(keyKind === undefined ? {} : { keyKind }),
    commonName: name ?? `Evergate authority of ${hostname()}`.slice(0, 64),
  });
  const isPlaced = placeDirectory(join(directory, 'authority'), pairFiles('authority', issued));
  return isPlaced ? issued.certificate : undefined;
}

export function openAuthority(directory: string): Authority {
  const { certificateFile, keyFile } = authorityPaths(directory);
  const certificatePem = readText(certificateFile);
  const privateKeyPem = readText(keyFile);
  if (certificatePem === undefined) {
    throw new Error(
      `there is no authority in ${directory}: \`evergate certificate create\` makes one`,
    );
  }
  if (privateKeyPem === undefined) {
    throw new Error(`the key of the authority, ${keyFile}, is not there: bring it back for this`);
  }
  const authority = authorityFromPem(certificatePem, privateKeyPem);
  if (authority === undefined) throw new Error(`${certificateFile} and ${keyFile} do not match`);
  return authority;
}

export function hasAuthorityKey(directory: string): boolean {
  return existsSync(authorityPaths(directory).keyFile);
}

export type Pair = { certificate: Certificate; privateKeyPem: string };

/** Undefined: neither is there. */
export function readPair(certificateFile: string, keyFile: string): Pair | undefined {
  const certificatePem = readText(certificateFile);
  const privateKeyPem = readText(keyFile);
  if (certificatePem === undefined && privateKeyPem === undefined) return undefined;
  const pair = authorityFromPem(certificatePem ?? '', privateKeyPem ?? '');
  if (pair === undefined || privateKeyPem === undefined) {
    throw new Error(
      `${certificateFile} and ${keyFile} do not match; move them away for a new pair`,
    );
  }
  return { certificate: pair.certificate, privateKeyPem };
}

export function lifetime(
  days: number,
  authority: Authority | undefined,
  { clock, random }: Runtime,
) {
  const nowMs = clock.nowMs();
  const notAfterMs = nowMs + days * DAY_MS;
  const last = authority?.certificate.notAfterMs ?? notAfterMs;
  return {
    serial: random.bytes(16),
    notBeforeMs: nowMs - BACKDATED_MS,
    notAfterMs: Math.min(notAfterMs, last), // it would not be believed for longer anyway
  };
}

export function pairFiles(name: string, { certificatePem, privateKeyPem }: Issued): NewFile[] {
  return [
    { name: `${name}.crt`, content: certificatePem, isSecret: false },
    { name: `${name}.key`, content: privateKeyPem, isSecret: true },
  ];
}

export function authorityPaths(directory: string) {
  const place = join(directory, 'authority');
  return { certificateFile: join(place, 'authority.crt'), keyFile: join(place, 'authority.key') };
}
