// radsecproxy, which is not ours, as a router's way to RADIUS over TLS: it takes datagrams and passes them
// on through one TLS connection, with the certificate it is given.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureDebianPackage } from './ensure-package.ts';
import { freeUdpPort } from './free-port.ts';
import type { ServerProcess } from './server-process.ts';
import { startServerProcess } from './server-process.ts';

export type Radsecproxy = AsyncDisposable & {
  readonly process: ServerProcess;
  /** Takes authentication and accounting. */
  readonly port: number;
};

export type RadsecproxyOptions = {
  /** Of those who send datagrams to it. */
  secret: string;
  serverPort: number;
  caFile: string;
  certificateFile: string;
  keyFile: string;
};

export async function startRadsecproxy(options: RadsecproxyOptions): Promise<Radsecproxy> {
  ensureDebianPackage(['radsecproxy'], ['radsecproxy']);
  const directory = mkdtempSync(join(tmpdir(), 'evergate-radsecproxy-'));
  const port = await freeUdpPort();
  const file = join(directory, 'radsecproxy.conf');
  writeFileSync(file, configuration(options, port));

  await using opened = new AsyncDisposableStack();
  opened.defer(() => rmSync(directory, { recursive: true, force: true }));
  const server = await startServerProcess({
    name: 'radsecproxy',
    command: 'radsecproxy',
    args: ['-f', '-d', '2', '-c', file],
    isReady: ({ output }) => output().includes('listening for udp'),
  });
  opened.use(server);
  const closing = opened.move();
  return { process: server, port, [Symbol.asyncDispose]: () => closing.disposeAsync() };
}

function configuration(options: RadsecproxyOptions, port: number): string {
  return `
ListenUDP 127.0.0.1:${port}
LogLevel 2
tls default {
  CACertificateFile ${options.caFile}
  CertificateFile ${options.certificateFile}
  CertificateKeyFile ${options.keyFile}
}
client 127.0.0.1 {
  type udp
  secret ${options.secret}
}
server evergate {
  host 127.0.0.1
  port ${options.serverPort}
  type tls
  tls default
  secret radsec
  StatusServer on
}
realm * {
  server evergate
  accountingServer evergate
}
`;
}
