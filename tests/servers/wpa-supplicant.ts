// wpa_supplicant, which is not ours, as a device on a cable that has to log in by 802.1X. It says on its
// output what it does, and waits for an answer where a person would have to give one.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureHostap, readFields } from './hostapd.ts';
import type { NetworkNamespace } from './network-namespace.ts';
import type { ServerProcess } from './server-process.ts';
import { startServerProcess } from './server-process.ts';

export type WpaSupplicant = AsyncDisposable & {
  readonly process: ServerProcess;
  /** What `wpa_cli` prints, such as for `logoff`. */
  cli(...args: string[]): string;
  /** `suppPortStatus`, `tls_session_reused` and what else `wpa_cli status` tells. */
  status(): Record<string, string>;
};

export type WpaSupplicantOptions = {
  namespace: NetworkNamespace;
  interface: string;
  /** Lines of its network block, such as `eap=PEAP`. */
  network: readonly string[];
};

export async function startWpaSupplicant(options: WpaSupplicantOptions): Promise<WpaSupplicant> {
  ensureHostap('wpasupplicant', ['wpa_supplicant', 'wpa_cli'], 'wpa_supplicant.service');
  const directory = mkdtempSync(join(tmpdir(), 'evergate-wpa-supplicant-'));
  const file = join(directory, 'wpa_supplicant.conf');
  const control = join(directory, 'control');
  writeFileSync(file, configuration(options, control));

  const wired = ['-D', 'wired', '-i', options.interface];
  await using opened = new AsyncDisposableStack();
  opened.defer(() => rmSync(directory, { recursive: true, force: true }));
  const device = await startServerProcess({
    name: 'wpa_supplicant',
    ...options.namespace.inside('wpa_supplicant', [...wired, '-c', file, '-d', '-t']),
    isReady: ({ output }) => output().includes('Associated with'),
  });
  opened.use(device);
  const closing = opened.move();
  const cli = (...args: string[]) =>
    execFileSync('wpa_cli', ['-p', control, '-i', options.interface, ...args], {
      encoding: 'utf8',
    });
  return {
    process: device,
    cli,
    status: () => readFields(cli('status')),
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
}

function configuration({ network }: WpaSupplicantOptions, control: string): string {
  return `ctrl_interface=${control}
ap_scan=0
network={
  key_mgmt=IEEE8021X
  eapol_flags=0
  ${network.join('\n  ')}
}
`;
}
