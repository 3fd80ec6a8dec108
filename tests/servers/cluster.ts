// A whole cluster for tests and drills: what `evergate cluster up` starts, by the same code, in a
// temporary directory and on free ports. Its nodes are killed, frozen and started again through their
// handles; what dies stays down unless the test asks for restarts.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCluster } from '../../src/operations/cluster/cluster.ts';
import type { Cluster, ClusterAddresses } from '../../src/operations/cluster/cluster.ts';
import type { Part } from '../../src/operations/cluster/part.ts';
import { createSystemRuntime } from '../../src/runtime/system-runtime.ts';
import { ensureDebianPackage, findProgram } from './ensure-package.ts';
import type { DesiredState } from './evergate.ts';

type ClusterNode = {
  readonly name: string;
  readonly authPort: number;
  readonly acctPort: number;
  readonly httpPort: number;
  pid(): number | undefined;
  /** SIGKILL. */
  kill(): Promise<void>;
  freeze(): void;
  thaw(): void;
  /** Killed if it runs; resolves when it is ready again. */
  restart(): Promise<void>;
  http(path: string): Promise<Response>;
  /** The sum of all samples of a metric. */
  metric(name: string): Promise<number>;
};

export type TestCluster = AsyncDisposable & {
  readonly directory: string;
  readonly nodes: readonly ClusterNode[];
  /** `postgres`, `redis-1`, `redis-2`, `sentinel-1` …, `gateway`, and the nodes. */
  part(name: string): Part;
  /** The Redis server that most Sentinels call the primary. */
  redisPrimary(): Promise<Part>;
  look: Cluster['look'];
  readonly addresses: ClusterAddresses;
  readonly adminToken: string;
  /** The API, with that key. */
  api(path: string, init?: RequestInit): Promise<Response>;
};

export type TestClusterOptions = {
  /** 3 unless told otherwise. */
  nodes?: number;
  apply?: DesiredState;
  /** Configuration of the nodes, such as `EVERGATE_RADIUS_RATE_LIMIT_PER_MINUTE`. */
  nodeEnvironment?: Record<string, string>;
  restartAfterMs?: number;
  /** Kept at the end; without it a temporary one. */
  directory?: string;
};

const ANSWER_WITHIN_MS = 10_000;

export async function startCluster(options: TestClusterOptions = {}): Promise<TestCluster> {
  if (findProgram('valkey-server') === undefined) {
    ensureDebianPackage(['redis-server'], ['redis-server']);
  }
  await using opened = new AsyncDisposableStack();
  const directory = options.directory ?? mkdtempSync(join(tmpdir(), 'evergate-cluster-'));
  if (options.directory === undefined) {
    opened.defer(() => rmSync(directory, { recursive: true, force: true }));
  }
  const runtime = createSystemRuntime({
    log: { level: 'silent', format: 'json' },
    fields: {},
    engine: 'auto',
    processMetrics: false,
  });
  const cluster = opened.use(
    await openCluster(
      {
        directory,
        nodes: options.nodes ?? 3,
        restartAfterMs: options.restartAfterMs,
        nodeEnvironment: options.nodeEnvironment ?? {},
      },
      runtime,
    ),
  );
  await cluster.start();
  const addresses = cluster.addresses();
  const adminToken = readFileSync(addresses.adminTokenFile, 'utf8').trim();
  const api: TestCluster['api'] = (path, init) => {
    const headers = new Headers(init?.headers);
    headers.set('authorization', `Bearer ${adminToken}`);
    return fetch(addresses.gatewayUrl + path, { signal: timeout(), ...init, headers });
  };
  if (options.apply !== undefined) await apply(options.apply, api);

  const closing = opened.move();
  return {
    directory,
    nodes: addresses.nodes.map((node) => handle(cluster.part(node.name), node)),
    part: (name) => cluster.part(name),
    async redisPrimary() {
      const name = await cluster.redisPrimary();
      if (name === undefined) throw new Error('the Sentinels do not agree on a primary');
      return cluster.part(name);
    },
    look: () => cluster.look(),
    addresses,
    adminToken,
    api,
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
}

function handle(part: Part, node: ClusterAddresses['nodes'][number]): ClusterNode {
  const http = (path: string) =>
    fetch(`http://127.0.0.1:${node.httpPort}${path}`, { signal: timeout() });
  return {
    ...node,
    pid: () => part.pid(),
    kill: () => part.kill(),
    freeze: () => part.freeze(),
    thaw: () => part.thaw(),
    async restart() {
      if (part.pid() !== undefined) await part.kill();
      await part.start();
    },
    http,
    async metric(name) {
      const text = await (await http('/metrics')).text();
      return text
        .split('\n')
        .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
        .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
    },
  };
}

async function apply(state: DesiredState, api: TestCluster['api']): Promise<void> {
  const response = await api('/v1/apply', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(state),
  });
  if (!response.ok) throw new Error(`apply: ${response.status} ${await response.text()}`);
}

function timeout(): AbortSignal {
  return AbortSignal.timeout(ANSWER_WITHIN_MS);
}
