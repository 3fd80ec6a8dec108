// Real Redis or Valkey processes for tests: one server, a group with Sentinels, a Cluster. On free ports
// of the loopback, without persistence, killed together with the test process. A server keeps its
// port through kill and restart.

import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freeTcpPort } from './free-port.ts';
import { programsOf } from './redis-programs.ts';
import type { Engine, RedisPrograms } from './redis-programs.ts';
import { startServerProcess } from './server-process.ts';
import type { ServerProcess } from './server-process.ts';

export type RedisServer = AsyncDisposable & {
  readonly host: '127.0.0.1';
  readonly port: number;
  /** `valkey://127.0.0.1:port`, as state.url takes it. */
  readonly url: string;
  /** What redis-cli or valkey-cli prints; fails if the server does not answer within 5 s. */
  cli(...args: string[]): Promise<string>;
  isRunning(): boolean;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** SIGTERM. */
  stop(): Promise<void>;
  /** The same port again, empty; for a Cluster or Sentinel member with what it knew about the others. */
  start(): Promise<void>;
  /** SIGSTOP and SIGCONT. */
  freeze(): void;
  thaw(): void;
};

export type SentinelGroup = AsyncDisposable & {
  /** `valkey+sentinel://…/mymaster` */
  readonly url: string;
  readonly servers: RedisServer[];
  readonly sentinels: RedisServer[];
  /** Whom the Sentinels name at this moment. */
  master(): Promise<RedisServer>;
  /** Resolves when all Sentinels know one reachable master and every other Sentinel. */
  ready(): Promise<void>;
};

export type RedisCluster = AsyncDisposable & {
  /** `valkey+cluster://…` */
  readonly url: string;
  readonly servers: RedisServer[];
  masters(): Promise<RedisServer[]>;
  /** Resolves when every running server says that the Cluster is complete. */
  ready(): Promise<void>;
};

/** A free port that another process snatched away is one try lost. */
const START_ATTEMPTS = 3;
const READY_WITHIN_MS = 30_000;

const run = promisify(execFile);

/** With a password, `url` and `cli` know it. Redis, unless told otherwise. */
export async function startRedis(
  options: { engine?: Engine; args?: string[]; password?: string } = {},
): Promise<RedisServer> {
  const { engine = 'Redis', args = [], password } = options;
  return await startOnFreePort(await programsOf(engine), 'server', args, password);
}

/** Redis's own minimum: one replica and three Sentinels. `downAfterMs` below 2000 makes needless failovers. */
export async function startSentinelGroup(
  options: { engine?: Engine; replicas?: number; sentinels?: number; downAfterMs?: number } = {},
): Promise<SentinelGroup> {
  const { engine = 'Redis', replicas = 1, sentinels: sentinelCount = 3 } = options;
  const { downAfterMs = 2_000 } = options;
  const programs = await programsOf(engine);
  await using opened = new AsyncDisposableStack();
  const quick = ['--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1'];
  const first = opened.use(await startRedis({ engine, args: quick }));
  const replicaOf = ['--replicaof', '127.0.0.1', String(first.port), ...quick];
  const others = await Promise.all(
    Array.from({ length: replicas }, () => startRedis({ engine, args: replicaOf })),
  );
  for (const server of others) opened.use(server);
  const servers = [first, ...others];

  // A Sentinel looks for replicas every 10 s: it starts when they are there to be found.
  await until('the replicas are in step', async () => {
    const info = await first.cli('info', 'replication');
    return info.split('state=online').length - 1 === replicas;
  });
  const quorum = Math.floor(sentinelCount / 2) + 1;
  const sentinels = await Promise.all(
    Array.from({ length: sentinelCount }, () => startOnFreePort(programs, 'sentinel')),
  );
  for (const sentinel of sentinels) {
    opened.use(sentinel);
    await sentinel.cli(
      'sentinel',
      'monitor',
      'mymaster',
      first.host,
      String(first.port),
      String(quorum),
    );
    await sentinel.cli(
      'sentinel',
      'set',
      'mymaster',
      'down-after-milliseconds',
      String(downAfterMs),
    );
    await sentinel.cli('sentinel', 'set', 'mymaster', 'failover-timeout', '10000');
  }

  const ready = () =>
    until('the Sentinels agree', async () => {
      const masters = await Promise.all(
        sentinels
          .filter((sentinel) => sentinel.isRunning())
          .map(async (sentinel) => pairs(await sentinel.cli('sentinel', 'master', 'mymaster'))),
      );
      return masters.every(
        (master) =>
          master.get('flags') === 'master' &&
          Number(master.get('num-slaves')) >= replicas &&
          master.get('num-other-sentinels') === String(sentinelCount - 1) &&
          master.get('port') === masters[0]?.get('port'),
      );
    });
  // After a failover one Sentinel may know of it a moment before the others do.
  const master = async () => {
    let port = 0;
    await until('the Sentinels agree on the master', async () => {
      const ports = await Promise.all(
        sentinels
          .filter((sentinel) => sentinel.isRunning())
          .map(async (sentinel) => {
            const reply = await sentinel.cli('sentinel', 'get-master-addr-by-name', 'mymaster');
            return Number(reply.split('\n')[1]);
          }),
      );
      port = ports[0] ?? 0;
      return ports.length > 0 && ports.every((other) => other === port);
    });
    return serverAt(servers, port);
  };
  await ready();

  const kept = opened.move();
  return {
    url: `valkey+sentinel://${addresses(sentinels)}/mymaster`,
    servers,
    sentinels,
    master,
    ready,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

export async function startRedisCluster(
  options: {
    engine?: Engine;
    masters?: number;
    replicasPerMaster?: number;
    nodeTimeoutMs?: number;
  } = {},
): Promise<RedisCluster> {
  const { engine = 'Redis', masters: masterCount = 3, replicasPerMaster = 1 } = options;
  const { nodeTimeoutMs = 2_000 } = options;
  const { cli } = await programsOf(engine);
  await using opened = new AsyncDisposableStack();
  const servers = await Promise.all(
    Array.from({ length: masterCount * (1 + replicasPerMaster) }, async () => {
      const args = ['--cluster-enabled', 'yes', '--cluster-node-timeout', String(nodeTimeoutMs)];
      args.push('--cluster-port', String(await freeTcpPort()), '--repl-diskless-sync-delay', '0');
      return await startRedis({ engine, args });
    }),
  );
  for (const server of servers) opened.use(server);
  const hosts = servers.map((server) => `${server.host}:${server.port}`);
  const shape = ['--cluster-replicas', String(replicasPerMaster), '--cluster-yes'];
  await run(cli, ['--cluster', 'create', ...hosts, ...shape]);

  const ready = () =>
    until('the Cluster is complete', async () => {
      const views = await Promise.all(
        running(servers).map(async (server) => ({
          info: await server.cli('cluster', 'info'),
          nodes: await server.cli('cluster', 'nodes'),
        })),
      );
      const replicas = masterCount * replicasPerMaster - (servers.length - views.length);
      return views.every(
        ({ info, nodes }) =>
          info.includes('cluster_state:ok') &&
          nodes.split('\n').filter((line) => / (myself,)?slave /.test(line)).length >= replicas,
      );
    });
  const masters = async () => {
    const view = await askAny(servers, 'cluster', 'nodes');
    return view
      .split('\n')
      .filter((line) => / (myself,)?master /.test(line))
      .map((line) => serverAt(servers, Number(/:(\d+)@/.exec(line)?.[1])));
  };
  await ready();

  const kept = opened.move();
  return {
    url: `valkey+cluster://${addresses(servers)}`,
    servers,
    masters,
    ready,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

async function startOnFreePort(
  programs: RedisPrograms,
  role: 'server' | 'sentinel',
  args: string[] = [],
  password?: string,
): Promise<RedisServer> {
  for (let attempt = 1; ; attempt++) {
    const port = await freeTcpPort();
    try {
      return await startOn(port, programs, role, args, password);
    } catch (error) {
      const isTaken = error instanceof Error && error.message.includes('Address already in use');
      if (!isTaken || attempt === START_ATTEMPTS) throw error;
    }
  }
}

async function startOn(
  port: number,
  programs: RedisPrograms,
  role: 'server' | 'sentinel',
  args: string[],
  password: string | undefined,
): Promise<RedisServer> {
  const directory = await mkdtemp(join(tmpdir(), 'evergate-redis-'));
  const settings = ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory, ...args];
  if (role === 'sentinel') {
    // A Sentinel writes what it learns into its configuration file, and needs one.
    const file = join(directory, 'sentinel.conf');
    await writeFile(file, '');
    settings.unshift(file, '--sentinel');
  } else {
    settings.push('--save', '', '--appendonly', 'no');
    if (password !== undefined) settings.push('--requirepass', password);
  }
  const environment = { ...process.env, REDISCLI_AUTH: password ?? '' };
  const cli = async (...words: string[]) => {
    const { stdout } = await run(programs.cli, ['-p', String(port), ...words], {
      timeout: 5_000,
      env: environment,
    });
    return stdout.trim();
  };
  const launch = () =>
    startServerProcess({
      name: `${basename(programs.server)} as ${role} on port ${port}`,
      command: 'setpriv',
      // KILL, because a frozen server would not hear a SIGTERM when the test dies.
      args: ['--pdeathsig', 'KILL', '--', programs.server, ...settings],
      workingDirectory: directory,
      readyWithinMs: READY_WITHIN_MS,
      // A stranger on the same port would answer too.
      isReady: (child) =>
        cli('info', 'server').then(
          (info) => info.includes(`process_id:${child.pid}\r`),
          () => false,
        ),
    });

  const access = password === undefined ? '' : `:${encodeURIComponent(password)}@`;
  let child: ServerProcess = await launch();
  return {
    host: '127.0.0.1',
    port,
    url: `valkey://${access}127.0.0.1:${port}`,
    cli,
    isRunning: () => child.exit() === undefined,
    kill: () => child.kill(),
    stop: async () => {
      await child.stop();
    },
    start: async () => {
      child = await launch();
    },
    freeze: () => child.freeze(),
    thaw: () => child.thaw(),
    async [Symbol.asyncDispose]() {
      await child.kill();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function until(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + READY_WITHIN_MS;
  while (!(await isTrue().catch(() => false))) {
    if (performance.now() > deadline) throw new Error(`not within ${READY_WITHIN_MS} ms: ${what}`);
    await sleep(50);
  }
}

function running(servers: RedisServer[]): RedisServer[] {
  return servers.filter((server) => server.isRunning());
}

/** One of them may be frozen: the first answer counts. */
async function askAny(servers: RedisServer[], ...words: string[]): Promise<string> {
  return await Promise.any(running(servers).map((server) => server.cli(...words)));
}

function serverAt(servers: RedisServer[], port: number): RedisServer {
  const server = servers.find((candidate) => candidate.port === port);
  if (server === undefined) throw new Error(`no server of ours has port ${port}`);
  return server;
}

function addresses(servers: RedisServer[]): string {
  return servers.map((server) => `${server.host}:${server.port}`).join(',');
}

/** redis-cli prints a map as lines: name, value, name, value. */
function pairs(text: string): Map<string, string> {
  const lines = text.split('\n');
  const found = new Map<string, string>();
  for (let line = 0; line + 1 < lines.length; line += 2) {
    found.set(lines[line] ?? '', lines[line + 1] ?? '');
  }
  return found;
}
