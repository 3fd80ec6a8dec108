// The revocation list of the private authority. The truth is the directory `revoked`: whatever lies in it
// is revoked, and the list is written after it, so that it can be written again at any time.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { certificatesFromPem } from '../../protocols/x509/certificate.ts';
import { createRevocationList } from '../../protocols/x509/create.ts';
import type { Authority } from '../../protocols/x509/create.ts';
import { crlsFromPem } from '../../protocols/x509/revocation.ts';
import type { Crl } from '../../protocols/x509/revocation.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { readText, replaceFile } from './files.ts';

export const REVOCATION_LIST_FILE = 'revoked.crl';
export const REVOKED_DIRECTORY = 'revoked';

const DAY_MS = 86_400_000;
/** The clocks of those who read it may be a little behind. */
const BACKDATED_MS = 60 * 60_000;
/** Others may write it too: as often as it takes until it says all. */
const MAX_WRITES = 10;

export type RevocationListSummary = { file: string; entries: number; nextUpdateMs: number };

/** Two who revoke at once both come out in the list: each looks again after it has written. */
export function writeRevocationList(
  directory: string,
  authority: Authority,
  days: number,
  runtime: Runtime,
): RevocationListSummary {
  const file = join(directory, REVOCATION_LIST_FILE);
  const nowMs = runtime.clock.nowMs();
  const nextUpdateMs = nowMs + days * DAY_MS;
  for (let writes = 0; writes < MAX_WRITES; writes += 1) {
    const present = readList(file);
    const revoked = new Map(present?.revoked);
    for (const serial of revokedSerials(directory)) {
      if (!revoked.has(serial)) revoked.set(serial, { atMs: nowMs });
    }
    const list = createRevocationList({
      authority,
      number: Number.parseInt(present?.number ?? '0', 16) + 1,
      thisUpdateMs: nowMs - BACKDATED_MS,
      nextUpdateMs,
      revoked: [...revoked].map(([serial, entry]) => ({ serial, ...entry })),
    });
    replaceFile(file, list);
    if (!lacksEntries(directory)) return { file, entries: revoked.size, nextUpdateMs };
  }
  throw new Error(`${file} is being written by somebody else all the time`);
}

/** Undefined: there is none yet. */
export function readList(file: string): Crl | undefined {
  const text = readText(file);
  if (text === undefined) return undefined;
  const [parsed] = crlsFromPem(text);
  if (parsed?.kind === 'crl') return parsed.crl;
  throw new Error(`${file} is not a revocation list: ${parsed?.detail ?? 'there is none in it'}`);
}

/** Somebody was killed between revoking and writing the list. */
export function lacksEntries(directory: string): boolean {
  const list = readList(join(directory, REVOCATION_LIST_FILE));
  return revokedSerials(directory).some((serial) => list?.revoked.has(serial) !== true);
}

function revokedSerials(directory: string): string[] {
  const revoked = join(directory, REVOKED_DIRECTORY);
  return readDirectory(revoked).flatMap((name) =>
    readDirectory(join(revoked, name))
      .filter((file) => file.endsWith('.crt'))
      .flatMap((file) => certificatesFromPem(readText(join(revoked, name, file)) ?? '') ?? [])
      .map(({ serial }) => serial),
  );
}

function readDirectory(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
