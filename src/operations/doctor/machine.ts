// What `doctor` looks at on this machine: runtime, directories, keys, ports, kernel settings.

import { readFileSync, readdirSync, statSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../../runtime/config.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { Check, Finding } from '../doctor.ts';
import { prepareDataDirectory } from '../data-directory.ts';

const MIB = 2 ** 20;
const LITTLE_SPACE_BYTES = 1024 * MIB;
const NO_SPACE_BYTES = 128 * MIB;
const MUCH_JOURNAL_BYTES = 64 * MIB;

export function machineChecks(config: Config, runtime: Runtime): Check[] {
  return [
    { name: 'runtime', run: async () => checkRuntime() },
    { name: 'data directory', run: () => checkDataDirectory(config) },
    { name: 'secrets key', run: async () => checkSecretsKey(config) },
    { name: 'journal', run: async () => checkJournal(config) },
    { name: 'receive buffer', run: async () => checkReceiveBuffer(config) },
    { name: 'udp engine', run: () => checkEngine(config, runtime) },
  ];
}

function checkRuntime(): Finding {
  const major = Number(process.versions.node.split('.')[0]);
  const detail = `Node.js ${process.versions.node} on ${process.platform} ${process.arch}`;
  if (major >= 24) return { status: 'ok', detail };
  return { status: 'wrong', detail, hint: 'Evergate needs Node.js 24 or newer' };
}

async function checkDataDirectory({ data }: Config): Promise<Finding> {
  if (statSync(data, { throwIfNoEntry: false }) === undefined) {
    return { status: 'skipped', detail: `${data} is not there yet; \`evergate up\` makes it` };
  }
  prepareDataDirectory(data);
  const { bavail, bsize } = await statfs(data);
  const freeBytes = bavail * bsize;
  const detail = `${data}, ${Math.floor(freeBytes / MIB)} MiB free`;
  if (freeBytes < NO_SPACE_BYTES) {
    return { status: 'wrong', detail, hint: 'make room: without it, accounting cannot be kept' };
  }
  if (freeBytes < LITTLE_SPACE_BYTES) {
    return { status: 'warning', detail, hint: 'make room before it becomes urgent' };
  }
  if ((statSync(data).mode & 0o022) !== 0) {
    return { status: 'warning', detail: `${detail}; others may write`, hint: `chmod go-w ${data}` };
  }
  return { status: 'ok', detail };
}

function checkSecretsKey({ secrets }: Config): Finding {
  if (secrets.key !== undefined) return { status: 'ok', detail: 'given by secrets.key' };
  const { keyFile } = secrets;
  const stats = statSync(keyFile, { throwIfNoEntry: false });
  if (stats === undefined) {
    return {
      status: 'skipped',
      detail: `${keyFile} is not there yet; the first \`evergate up\` makes it`,
    };
  }
  if ((stats.mode & 0o077) !== 0) {
    const mode = (stats.mode & 0o777).toString(8);
    return {
      status: 'wrong',
      detail: `${keyFile} has mode ${mode}: others can read it`,
      hint: `chmod 600 ${keyFile}`,
    };
  }
  return { status: 'ok', detail: `${keyFile}; keep a copy elsewhere` };
}

function checkJournal({ accounting }: Config): Finding {
  const directory = accounting.journalDirectory;
  if (statSync(directory, { throwIfNoEntry: false }) === undefined) {
    return { status: 'skipped', detail: 'nothing was ever journalled here' };
  }
  let bytes = 0;
  for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
    const stats = statSync(join(directory, name), { throwIfNoEntry: false });
    if (stats?.isFile() === true) bytes += stats.size;
  }
  const detail = `${directory}, ${Math.ceil(bytes / 1024)} KiB`;
  if (bytes < MUCH_JOURNAL_BYTES) return { status: 'ok', detail };
  const hint = 'many records wait for the database: is it away or too slow?';
  return { status: 'warning', detail, hint };
}

function checkReceiveBuffer({ radius }: Config): Finding {
  let largestBytes: number;
  try {
    largestBytes = Number(readFileSync('/proc/sys/net/core/rmem_max', 'utf8'));
  } catch {
    return { status: 'skipped', detail: 'this system does not say how much it grants' };
  }
  const wantedBytes = radius.receiveBufferBytes;
  const granted = `the kernel grants ${kib(Math.min(largestBytes, wantedBytes))} of ${kib(wantedBytes)}`;
  if (largestBytes >= wantedBytes) return { status: 'ok', detail: granted };
  return {
    status: 'warning',
    detail: `${granted}: a burst of requests can lose packets`,
    hint: `sysctl -w net.core.rmem_max=${wantedBytes}, and the same in /etc/sysctl.d/`,
  };
}

async function checkEngine({ radius }: Config, { network }: Runtime): Promise<Finding> {
  await using socket = await network.bindUdp({
    host: '127.0.0.1',
    port: 0,
    onBatch: () => undefined,
  });
  if (socket.engine === 'batched') {
    return { status: 'ok', detail: 'batched: many datagrams per system call' };
  }
  const detail = 'dgram: one datagram per system call';
  if (radius.engine === 'dgram') return { status: 'ok', detail: `${detail}, as configured` };
  const hint = 'the batched engine does not load here; everything works, at about half the speed';
  return { status: 'warning', detail, hint };
}

function kib(bytes: number): string {
  return `${Math.floor(bytes / 1024)} KiB`;
}
