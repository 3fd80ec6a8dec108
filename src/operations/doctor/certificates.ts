// What `doctor` looks at in the certificates of EAP and RadSec: that they can be read, belong to their
// keys, are secret where they must be, and do not end soon.

import { X509Certificate, createPrivateKey } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import type { Check, Finding } from '../doctor.ts';

export type CertificatePaths = {
  certificateFile: string | undefined;
  keyFile: string | undefined;
  clientCaFile: string | undefined;
};

const DAY_MS = 86_400_000;
const SOON_DAYS = 30;
/** A person needs a week to get a new one. */
const URGENT_DAYS = 7;

/** `name`: `eap` or `radsec`. */
export function certificateCheck(name: string, paths: CertificatePaths, nowMs: number): Check {
  return { name: `${name} certificate`, run: async () => examineCertificates(name, paths, nowMs) };
}

function examineCertificates(name: string, paths: CertificatePaths, nowMs: number): Finding {
  const { certificateFile, keyFile, clientCaFile } = paths;
  if (certificateFile === undefined || keyFile === undefined) {
    return {
      status: 'skipped',
      detail: `radius.${name}.certificate and radius.${name}.key are not set`,
      hint: 'evergate certificate create makes certificates for trying',
    };
  }
  const [own] = readChain(certificateFile);
  if (own === undefined) return wrong(`${certificateFile} holds no certificate in PEM`);
  if (!own.checkPrivateKey(createPrivateKey(readFileSync(keyFile)))) {
    return wrong(`${keyFile} is not the key of ${certificateFile}`);
  }
  const authorities = clientCaFile === undefined ? [] : readChain(clientCaFile);
  if (clientCaFile !== undefined && authorities.length === 0) {
    return wrong(`${clientCaFile} holds no certificate in PEM`);
  }
  const ending = [
    { what: 'it', daysLeft: daysLeft(own, nowMs) },
    ...authorities.map((one) => ({
      what: `the client authority ${commonName(one)}`,
      daysLeft: daysLeft(one, nowMs),
    })),
  ].toSorted((a, b) => a.daysLeft - b.daysLeft);
  return judge(`${commonName(own)}, until ${own.validTo}`, ending, keyFile);
}

function judge(
  detail: string,
  ending: readonly { what: string; daysLeft: number }[],
  keyFile: string,
): Finding {
  const first = ending.at(0);
  const hint = 'replace the file: the server reads it again by itself';
  if (first !== undefined && first.daysLeft < SOON_DAYS) {
    const { what, daysLeft: days } = first;
    if (days < 0) return { status: 'wrong', detail: `${detail}; ${what} has expired`, hint };
    const status = days < URGENT_DAYS ? 'wrong' : 'warning';
    return { status, detail: `${detail}; ${what} ends in ${days} days`, hint };
  }
  if ((statSync(keyFile).mode & 0o077) !== 0) {
    const others = `${detail}; others may read its key`;
    return { status: 'warning', detail: others, hint: `chmod 600 ${keyFile}` };
  }
  return { status: 'ok', detail };
}

function readChain(file: string): X509Certificate[] {
  const blocks = readFileSync(file, 'latin1').match(PEM_CERTIFICATE) ?? [];
  return blocks.map((block) => new X509Certificate(block));
}

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

function daysLeft({ validTo }: X509Certificate, nowMs: number): number {
  return Math.floor((Date.parse(validTo) - nowMs) / DAY_MS);
}

function commonName({ subject }: X509Certificate): string {
  return /^CN=(.*)$/m.exec(subject)?.[1] ?? subject.replaceAll('\n', ', ');
}

function wrong(detail: string): Finding {
  return { status: 'wrong', detail, hint: 'evergate certificate show FILE says what a file holds' };
}
