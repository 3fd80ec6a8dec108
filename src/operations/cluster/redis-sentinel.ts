// The shared state of a cluster: Redis or Valkey with one replica, and three Sentinels that make it the
// primary when the first one is away for two seconds. It holds only what can be rebuilt, so it begins
// empty with every cluster; within one, a server that was killed comes back with what it had.
// The Sentinels are told about each other beforehand: finding out would take them two seconds.

import { accessSync, constants, mkdirSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { Redis } from 'ioredis';
import type { Runtime } from '../../runtime/runtime.ts';
import { guarded } from './guard.ts';
import type { PartOptions } from './part.ts';
import { HOST } from './ports.ts';
import type { Ports } from './ports.ts';
import { writeSecretFile } from './secret-files.ts';

export const MASTER_NAME = 'mymaster';
const QUORUM = 2;
/** Measured: a second makes needless failovers. */
const DOWN_AFTER_MS = 2_000;
const FAILOVER_TIMEOUT_MS = 10_000;
const ANSWER_WITHIN_MS = 500;

export type RedisGroup = Disposable & {
  /** To be started in this order, the Sentinels together. */
  servers: readonly PartOptions[];
  sentinels: readonly PartOptions[];
  url: string;
  /** The port of the primary, as most Sentinels say; undefined while they cannot agree. */
  primary(): Promise<number | undefined>;
  /** How many milliseconds the server needs to answer; rejects when it does not. */
  ping(port: number): Promise<number>;
};

/** The program and what its people call it. Throws what to install. */
export function findRedis(): { program: string; name: 'Valkey' | 'Redis' } {
  const places = [
    ...(process.env['PATH'] ?? '').split(delimiter),
    '/usr/bin',
    '/usr/sbin',
    '/usr/local/bin',
    '/usr/local/sbin',
    '/opt/homebrew/bin',
  ].filter((place) => place !== '');
  for (const [file, name] of [
    ['valkey-server', 'Valkey'],
    ['redis-server', 'Redis'],
  ] as const) {
    const program = places.map((place) => join(place, file)).find(isExecutable);
    if (program !== undefined) return { program, name };
  }
  throw new Error(
    'a cluster needs Valkey 7.2 or Redis 7, and this machine has neither valkey-server nor redis-server. ' +
      'Install one (Debian, Ubuntu: apt-get install redis-server; others: valkey), or try `evergate up`, which needs neither.',
  );
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export function prepareRedis(options: {
  directory: string;
  logDirectory: string;
  program: string;
  password: string;
  ports: Pick<Ports, 'redis' | 'sentinels'>;
  runtime: Runtime;
}): RedisGroup {
  const { directory, program, password, ports, runtime } = options;
  const clients = new Map<number, Redis>();
  const client = (port: number) => {
    const known = clients.get(port) ?? connect(port, password);
    clients.set(port, known);
    return known;
  };
  const ids = ports.sentinels.map(() => runtime.random.bytes(20).toString('hex'));

  const part = (
    name: string,
    port: number,
    settings: readonly string[],
    more: Pick<PartOptions, 'role' | 'isReady'>,
  ): PartOptions => {
    const home = join(directory, name);
    rmSync(home, { recursive: true, force: true });
    mkdirSync(home, { recursive: true, mode: 0o700 });
    const file = join(home, `${name}.conf`);
    const common = [
      `port ${port}`,
      `bind ${HOST}`,
      `dir ${JSON.stringify(home)}`,
      'logfile ""',
      `requirepass ${password}`,
    ];
    writeSecretFile(file, [...common, ...settings, ''].join('\n'));
    return {
      name,
      ports: { tcp: port },
      listensOn: { tcp: [port] },
      command: () => guarded([program, file, ...(more.role === 'sentinel' ? ['--sentinel'] : [])]),
      environment: { PATH: process.env['PATH'], LC_ALL: 'C' },
      directory: home,
      logFile: join(options.logDirectory, `${name}.log`),
      stopSignal: 'SIGTERM',
      ...more,
    };
  };

  const [first, second] = ports.redis;
  const server = (index: number, port: number) =>
    part(`redis-${index + 1}`, port, serverSettings(password, index === 0 ? undefined : first), {
      role: 'redis',
      async isReady() {
        const info = await client(port).info('replication');
        return info.includes('role:master') || info.includes('master_link_status:up');
      },
    });
  const sentinel = (index: number, port: number) => {
    const others = ports.sentinels
      .map((other, at) => ({ port: other, id: ids[at] ?? '' }))
      .filter((_, at) => at !== index);
    const settings = [
      `sentinel myid ${ids[index]}`,
      `sentinel monitor ${MASTER_NAME} ${HOST} ${first} ${QUORUM}`,
      `sentinel auth-pass ${MASTER_NAME} ${password}`,
      `sentinel down-after-milliseconds ${MASTER_NAME} ${DOWN_AFTER_MS}`,
      `sentinel failover-timeout ${MASTER_NAME} ${FAILOVER_TIMEOUT_MS}`,
      `sentinel known-replica ${MASTER_NAME} ${HOST} ${second}`,
      ...others.map(
        (other) => `sentinel known-sentinel ${MASTER_NAME} ${HOST} ${other.port} ${other.id}`,
      ),
    ];
    return part(`sentinel-${index + 1}`, port, settings, {
      role: 'sentinel',
      async isReady() {
        const seen = await sentinelView(client(port));
        return (
          seen.get('flags') === 'master' &&
          seen.get('num-slaves') === '1' &&
          seen.get('num-other-sentinels') === String(others.length)
        );
      },
    });
  };

  return {
    servers: ports.redis.map((port, index) => server(index, port)),
    sentinels: ports.sentinels.map((port, index) => sentinel(index, port)),
    url:
      `valkey+sentinel://:${password}@${ports.sentinels.map((port) => `${HOST}:${port}`).join(',')}` +
      `/${MASTER_NAME}?sentinel_password=${password}`,
    async primary() {
      const views = await Promise.allSettled(
        ports.sentinels.map((port) => sentinelView(client(port))),
      );
      const votes = new Map<number, number>();
      for (const view of views) {
        if (view.status === 'rejected') continue;
        const port = Number(view.value.get('port'));
        votes.set(port, (votes.get(port) ?? 0) + 1);
      }
      return [...votes].find(([, count]) => count >= QUORUM)?.[0];
    },
    async ping(port) {
      const startedMs = runtime.clock.monotonicMs();
      await client(port).ping();
      return runtime.clock.monotonicMs() - startedMs;
    },
    [Symbol.dispose]() {
      for (const each of clients.values()) each.disconnect();
    },
  };
}

function serverSettings(password: string, replicaOf: number | undefined): string[] {
  return [
    `masterauth ${password}`,
    'save ""',
    // A primary that came back empty before the Sentinels noticed would empty its replica.
    'appendonly yes',
    'appendfsync everysec',
    'repl-diskless-sync-delay 0',
    'repl-ping-replica-period 1',
    'shutdown-timeout 0', // it would wait for a replica that is being stopped too
    ...(replicaOf === undefined ? [] : [`replicaof ${HOST} ${replicaOf}`]),
  ];
}

/** Never queues and never hangs: a server that does not answer is what we want to see. */
function connect(port: number, password: string): Redis {
  const redis = new Redis({
    host: HOST,
    port,
    password,
    connectTimeout: ANSWER_WITHIN_MS,
    commandTimeout: ANSWER_WITHIN_MS,
    socketTimeout: 2 * ANSWER_WITHIN_MS,
    disconnectTimeout: 50, // else our process lives on for two seconds
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    enableReadyCheck: false,
    retryStrategy: () => 50,
  });
  return redis.on('error', () => undefined);
}

/** What a Sentinel says of the primary: a list of names and values. */
async function sentinelView(redis: Redis): Promise<Map<string, string>> {
  const reply = await redis.call('SENTINEL', 'MASTER', MASTER_NAME);
  const words = Array.isArray(reply) ? reply.map(String) : [];
  const view = new Map<string, string>();
  for (let at = 0; at + 1 < words.length; at += 2) view.set(words[at] ?? '', words[at + 1] ?? '');
  return view;
}
