// Certificates that are renewed under a running server: the files are looked at every few seconds, and
// what has changed counts from the next login on. A renewal that went wrong changes nothing: the old
// certificate stays, and health says what is the matter.

import { statSync } from 'node:fs';
import { describeError } from '../../../runtime/describe-error.ts';
import type { CheckResult } from '../../../runtime/http/health.ts';
import type { Runtime } from '../../../runtime/runtime.ts';
import { readCertificates } from './certificate-files.ts';
import type { CertificateFiles, Certificates } from './certificate-files.ts';

export type WatchedCertificates = Disposable & {
  /** What is in effect now. The same object until something changes. */
  current(): Certificates;
  /** Calls when other certificates are in effect. */
  onChange(listener: () => void): void;
  check(): CheckResult;
};

const LOOK_EVERY_MS = 5_000;
const DAY_MS = 86_400_000;
/** From then on health says so: a week is what a person needs. */
const EXPIRES_SOON_MS = 7 * DAY_MS;

/**
 * `name`: what they are for, in metrics and the log: `eap`, `radsec`. `isCounted`: this worker speaks for
 * the others, whose metrics are added up. Throws if the certificates cannot be used.
 */
export function watchCertificates(
  { name, isCounted }: { name: string; isCounted: boolean },
  files: CertificateFiles,
  runtime: Pick<Runtime, 'clock' | 'log' | 'metrics'>,
): WatchedCertificates {
  const { clock, log, metrics } = runtime;
  const paths = [files.certificateFile, files.keyFile, files.clientCaFile, files.clientCrlFile];
  const listeners = new Set<() => void>();
  let seen = signatureOf(paths);
  let current = readCertificates(files);
  let problem: string | undefined;

  if (isCounted) {
    metrics.measured(
      'evergate_certificate_expires_timestamp_seconds',
      'When a certificate of this server ends, in seconds since 1970.',
      () => current.own.notAfterMs / 1000,
      { certificate: name },
    );
  }

  function look() {
    const now = signatureOf(paths);
    if (now === seen) return;
    seen = now;
    try {
      current = readCertificates(files);
      problem = undefined;
    } catch (error) {
      problem = describeError(error);
      log.error('changed certificates cannot be used; the old ones stay', { name, error });
      return;
    }
    const expires = new Date(current.own.notAfterMs).toISOString();
    log.info('certificates were read again', { name, expires });
    for (const listener of listeners) listener();
  }

  const looking = clock.every(LOOK_EVERY_MS, look);

  return {
    current: () => current,
    onChange: (listener) => void listeners.add(listener),
    check() {
      if (problem !== undefined) return { status: 'degraded', detail: problem };
      const detail = expiryOf(name, current.own.notAfterMs, clock.nowMs());
      return detail === undefined ? { status: 'pass' } : { status: 'degraded', detail };
    },
    [Symbol.dispose]: () => looking[Symbol.dispose](),
  };
}

/** Undefined while there is time. */
function expiryOf(name: string, notAfterMs: number, nowMs: number): string | undefined {
  const leftMs = notAfterMs - nowMs;
  if (leftMs > EXPIRES_SOON_MS) return undefined;
  const on = new Date(notAfterMs).toISOString().slice(0, 10);
  if (leftMs <= 0) return `the ${name} certificate expired on ${on}`;
  return `the ${name} certificate expires on ${on}, in ${String(Math.floor(leftMs / DAY_MS))} days`;
}

/** Changes when a file does; also when it is replaced by a link, as Kubernetes and certbot do. */
function signatureOf(paths: readonly (string | undefined)[]): string {
  return paths
    .map((path) => {
      const file = path === undefined ? undefined : statSync(path, { throwIfNoEntry: false });
      return file === undefined ? '-' : `${file.ino} ${file.size} ${file.mtimeMs} ${file.ctimeMs}`;
    })
    .join(',');
}
