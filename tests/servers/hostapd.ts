// hostapd, which is not ours, as a switch that lets nobody in before a login: 802.1X on one port, RADIUS
// to the servers it is given, the first one first. Its driver for wires does no more than say that a port
// is open. Debug output is on: what it does with its servers it says nowhere else.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureDebianPackage, findProgram } from './ensure-package.ts';
import type { NetworkNamespace } from './network-namespace.ts';
import type { ServerProcess } from './server-process.ts';
import { startServerProcess } from './server-process.ts';

export type Hostapd = AsyncDisposable & {
  readonly process: ServerProcess;
  /** What `hostapd_cli` prints. */
  cli(...args: string[]): string;
  /** `flags`, `dot1xAuthSessionUserName` and what else `hostapd_cli sta` tells of a device. */
  device(address: string): Record<string, string>;
};

export type HostapdOptions = {
  namespace: NetworkNamespace;
  /** The port that devices are plugged into. */
  interface: string;
  /** As NAS-Identifier. */
  name: string;
  secret: string;
  servers: readonly { address: string; authPort: number; acctPort: number }[];
};

export async function startHostapd(options: HostapdOptions): Promise<Hostapd> {
  ensureHostap('hostapd', ['hostapd', 'hostapd_cli'], 'hostapd.service');
  const directory = mkdtempSync(join(tmpdir(), 'evergate-hostapd-'));
  const file = join(directory, 'hostapd.conf');
  const control = join(directory, 'control');
  writeFileSync(file, configuration(options, control));

  await using opened = new AsyncDisposableStack();
  opened.defer(() => rmSync(directory, { recursive: true, force: true }));
  const server = await startServerProcess({
    name: 'hostapd',
    ...options.namespace.inside('hostapd', ['-d', '-t', file]),
    isReady: ({ output }) => output().includes('AP-ENABLED'),
  });
  opened.use(server);
  const closing = opened.move();
  const cli = (...args: string[]) =>
    execFileSync('hostapd_cli', ['-p', control, '-i', options.interface, ...args], {
      encoding: 'utf8',
    });
  return {
    process: server,
    cli,
    device: (address) => readFields(cli('sta', address)),
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
}

/** Lines of `name=value`, as the programs of hostap print them. */
export function readFields(text: string): Record<string, string> {
  return Object.fromEntries(
    text
      .split('\n')
      .filter((line) => line.includes('='))
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
}

/** Installs programs of hostap without the services that their package would run at every boot. */
export function ensureHostap(packageName: string, programs: readonly string[], unit: string): void {
  const isInstalled = programs.every((program) => findProgram(program) !== undefined);
  ensureDebianPackage([packageName], programs);
  if (isInstalled) return; // and what runs is somebody's wish
  const quietly = { stdio: 'ignore' } as const;
  if (existsSync(`/etc/init.d/${packageName}`)) {
    execFileSync('update-rc.d', [packageName, 'disable'], quietly);
  }
  if (findProgram('systemctl') !== undefined) {
    const now = existsSync('/run/systemd/system') ? ['--now'] : [];
    execFileSync('systemctl', ['disable', ...now, unit], quietly);
  }
}

function configuration(options: HostapdOptions, control: string): string {
  const { servers, secret } = options;
  const section = (kind: 'auth' | 'acct') =>
    servers
      .map(
        ({ address, authPort, acctPort }) => `${kind}_server_addr=${address}
${kind}_server_port=${kind === 'auth' ? authPort : acctPort}
${kind}_server_shared_secret=${secret}
`,
      )
      .join('');
  return `interface=${options.interface}
driver=wired
ctrl_interface=${control}
logger_stdout=-1
logger_stdout_level=0
ieee8021x=1
use_pae_group_addr=1
eap_reauth_period=0
nas_identifier=${options.name}
${section('auth')}${section('acct')}`;
}
