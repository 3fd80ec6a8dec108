// Evergate itself, as its operator starts it: `bin/evergate up` or `bin/evergate start …` as a real
// process, with its data in a temporary directory and on free ports of the loopback interface.
// It is spoken to from outside only, by RADIUS and HTTP.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { freeTcpPort, freeUdpPort } from './free-port.ts';
import type { ServerProcess } from './server-process.ts';
import { startServerProcess } from './server-process.ts';

export type Evergate = AsyncDisposable & {
  readonly process: ServerProcess;
  readonly authPort: number;
  readonly acctPort: number;
  readonly httpPort: number;
  readonly dataDirectory: string;
  /** The options that start the same node again, on the same data and ports; dispose of both. */
  readonly again: EvergateOptions;
  http(path: string, init?: RequestInit): Promise<Response>;
  /** The same with the operator's key, which `up` writes into its data directory. */
  api(path: string, init?: RequestInit): Promise<Response>;
  /** The sum of all samples of a metric whose labels include these. */
  metric(name: string, labels?: Record<string, string>): Promise<number>;
};

/** What `--apply` is given; a part of what DESIGN.md calls desired state. */
export type DesiredState = {
  sites?: object[];
  routers?: object[];
  plans?: object[];
  subscribers?: object[];
  vouchers?: object[];
};

export type EvergateOptions = {
  /** Undefined: `up`, all services in one process. */
  services?: string[];
  apply?: DesiredState;
  /** Configuration keys, such as `EVERGATE_STATE_URL`. */
  environment?: Record<string, string>;
  /** Kept when the process stops. Without it: a temporary one, removed at the end. */
  dataDirectory?: string;
  authPort?: number;
  acctPort?: number;
  httpPort?: number;
  core?: number;
};

const EXECUTABLE = resolve(import.meta.dirname, '../../bin/evergate');

/** Resolves when the process says that it is ready. */
export async function startEvergate(options: EvergateOptions = {}): Promise<Evergate> {
  const temporary =
    options.dataDirectory === undefined ? mkdtempSync(join(tmpdir(), 'evergate-data-')) : undefined;
  const dataDirectory = options.dataDirectory ?? temporary ?? '';
  const authPort = options.authPort ?? (await freeUdpPort());
  const acctPort = options.acctPort ?? (await freeUdpPort());
  const httpPort = options.httpPort ?? (await freeTcpPort());

  const args = options.services === undefined ? ['up'] : ['start', ...options.services];
  if (options.services === undefined) args.push('--data', dataDirectory);
  if (options.apply !== undefined) {
    const file = join(dataDirectory, 'apply.yaml');
    writeFileSync(file, JSON.stringify(options.apply)); // JSON is YAML too
    args.push('--apply', file);
  }

  const environment: Record<string, string> = {
    EVERGATE_DATA: dataDirectory,
    EVERGATE_RADIUS_HOST: '127.0.0.1',
    EVERGATE_RADIUS_AUTH_PORT: String(authPort),
    EVERGATE_RADIUS_ACCT_PORT: String(acctPort),
    EVERGATE_GATEWAY_HOST: '127.0.0.1',
    EVERGATE_HEALTH_HOST: '127.0.0.1',
    ...options.environment,
  };
  const servesApi = options.services === undefined || options.services.includes('gateway');
  environment[servesApi ? 'EVERGATE_GATEWAY_PORT' : 'EVERGATE_RADIUS_HTTP_PORT'] = String(httpPort);

  const http = (path: string, init?: RequestInit) =>
    fetch(`http://127.0.0.1:${httpPort}${path}`, { signal: AbortSignal.timeout(10_000), ...init });

  await using opened = new AsyncDisposableStack();
  if (temporary !== undefined) {
    opened.defer(() => rmSync(temporary, { recursive: true, force: true }));
  }
  const server = await startServerProcess({
    name: `evergate ${args.slice(0, 2).join(' ')}`,
    command: EXECUTABLE,
    args,
    environment,
    workingDirectory: dataDirectory,
    ...(options.core === undefined ? {} : { core: options.core }),
    isReady: () => answersReady(http),
    readyWithinMs: 90_000,
  });
  opened.use(server);
  const closing = opened.move();

  return {
    process: server,
    authPort,
    acctPort,
    httpPort,
    dataDirectory,
    again: { ...options, dataDirectory, authPort, acctPort, httpPort },
    http,
    api(path, init) {
      const token = readFileSync(join(dataDirectory, 'admin.token'), 'utf8').trim();
      const headers = new Headers(init?.headers);
      headers.set('authorization', `Bearer ${token}`);
      return http(path, { ...init, headers });
    },
    async metric(name, labels = {}) {
      const response = await http('/metrics');
      return sumOf(await response.text(), name, labels);
    },
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
}

async function answersReady(http: Evergate['http']): Promise<boolean> {
  try {
    const response = await http('/health/readiness');
    return response.status === 200;
  } catch {
    return false; // it does not listen yet
  }
}

/** Reads the text format of Prometheus: `name{label="value",…} number`. */
function sumOf(text: string, name: string, labels: Record<string, string>): number {
  let sum = 0;
  for (const line of text.split('\n')) {
    if (!line.startsWith(`${name}{`) && !line.startsWith(`${name} `)) continue;
    const wanted = Object.entries(labels).every(([label, value]) =>
      line.includes(`${label}="${value}"`),
    );
    if (wanted) sum += Number(line.slice(line.lastIndexOf(' ') + 1));
  }
  return sum;
}
