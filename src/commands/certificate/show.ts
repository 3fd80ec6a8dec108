// `evergate certificate show FILE`: what is in it.

import { readFileSync } from 'node:fs';
import { describeCertificates } from '../../operations/certificates/describe.ts';
import { quietRuntime } from '../quiet-runtime.ts';
import { formatTable } from '../table.ts';
import { dim, print, printJson } from '../terminal.ts';

export function showCertificate(file: string, { json }: { json?: boolean }): void {
  const described = describeCertificates(readBytes(file), quietRuntime().clock.nowMs());
  if (described === undefined) {
    throw new Error(`${file} is neither a certificate nor a revocation list that can be read`);
  }
  if (json === true) {
    printJson(described);
    return;
  }
  const tables = described.map((one) =>
    formatTable(Object.entries(one).map(([name, value]) => [dim(label(name)), shown(value)])),
  );
  print(tables.join('\n\n'));
}

function readBytes(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new Error(`${file} cannot be read`, { cause: error });
  }
}

function label(name: string): string {
  return name.replaceAll('_', ' ');
}

function shown(value: string | number | boolean | readonly string[]): string {
  return typeof value === 'object' ? value.join(', ') : String(value);
}
