// The nodes and the gateway of a cluster: `evergate start radius` and `evergate start gateway`, as on
// servers of their own, each with an evergate.yaml that people can read and take along.

import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { stringify } from 'yaml';
import { httpRequest } from '../../runtime/http-client.ts';
import { guarded } from './guard.ts';
import type { PartOptions } from './part.ts';
import { HOST } from './ports.ts';
import type { NodePorts } from './ports.ts';
import { writeSecretFile } from './secret-files.ts';

export type NodeSurroundings = {
  directory: string;
  logDirectory: string;
  secretsKeyFile: string;
  databaseUrl: string;
  stateUrl: string;
  /** More configuration, as variables: it wins over what stands in evergate.yaml. */
  environment: Record<string, string>;
};

const EXECUTABLE = resolve(import.meta.dirname, '../../../bin/evergate');
const ANSWER_WITHIN_MS = 2_000;

export function radiusNode(
  name: string,
  { auth, acct, http }: NodePorts,
  surroundings: NodeSurroundings,
): PartOptions {
  const settings = {
    radius: { host: HOST, auth_port: auth, acct_port: acct, http_port: http, workers: 1 },
    health: { host: HOST },
  };
  return {
    ...service(name, 'radius', http, settings, surroundings),
    ports: { auth, acct, http },
    listensOn: { tcp: [http], udp: [auth, acct] },
  };
}

export function gateway(port: number, surroundings: NodeSurroundings): PartOptions {
  const settings = { gateway: { host: HOST, port } };
  return {
    ...service('gateway', 'gateway', port, settings, surroundings),
    ports: { http: port },
    listensOn: { tcp: [port] },
  };
}

function service(
  name: string,
  role: 'radius' | 'gateway',
  httpPort: number,
  settings: object,
  surroundings: NodeSurroundings,
): Omit<PartOptions, 'ports' | 'listensOn'> {
  const home = join(surroundings.directory, name);
  const file = join(home, 'evergate.yaml');
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const configuration = {
    node: name,
    data: home,
    secrets: { key_file: surroundings.secretsKeyFile },
    database: { url: surroundings.databaseUrl },
    state: { url: surroundings.stateUrl },
    ...settings,
  };
  writeSecretFile(file, `# Written at each start of this cluster.\n${stringify(configuration)}`);
  return {
    name,
    role,
    command: () => guarded([EXECUTABLE, 'start', role, '--config', file]),
    environment: { ...withoutOurVariables(process.env), ...surroundings.environment },
    directory: process.cwd(), // paths in variables begin where the operator is
    logFile: join(surroundings.logDirectory, `${name}.log`),
    stopSignal: 'SIGTERM',
    async isReady() {
      const answer = await get(httpPort, '/health/readiness');
      return answer.status === 200;
    },
  };
}

/** What is meant for the process that starts the cluster is not meant for its nodes. */
function withoutOurVariables(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(environment).filter(([name]) => !name.startsWith('EVERGATE_')),
  );
}

/** `healthy`, `degraded` or `unhealthy`, and which checks do not pass. */
export async function healthOf(httpPort: number): Promise<{ status: string; detail: string }> {
  const { body } = await get(httpPort, '/health');
  const { status = 'unhealthy', checks = [] } = JSON.parse(body) as {
    status?: string;
    checks?: { name: string; status: string }[];
  };
  const bad = checks.filter((check) => check.status !== 'pass').map((check) => check.name);
  return { status, detail: bad.join(' and ') };
}

/** Accepted and rejected logins since the node started. */
export async function loginsOf(httpPort: number): Promise<number> {
  const { body } = await get(httpPort, '/metrics');
  return body
    .split('\n')
    .filter((line) => line.startsWith('evergate_logins_total{'))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

function get(port: number, path: string) {
  const url = `http://${HOST}:${port}${path}`;
  return httpRequest({ method: 'GET', url, timeoutMs: ANSWER_WITHIN_MS });
}
