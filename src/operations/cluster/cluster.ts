// A whole cluster on one machine, as real processes: nodes, a gateway, PostgreSQL, Redis with a replica
// and three Sentinels. Everything listens on the loopback interface and lies below one directory:
//   cluster.json      which processes there are        admin.token   the key of the API
//   secrets/          passwords and keys               logs/         what each part says
//   radius-1/ …       configuration and journal        postgres/     the data, kept from run to run

import { chmodSync, mkdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import type { Runtime } from '../../runtime/runtime.ts';
import { lockDirectory } from '../../stores/postgres/embedded/directory-lock.ts';
import { ADMIN_TOKEN_FILE } from '../admin-token.ts';
import { prepareDataDirectory } from '../data-directory.ts';
import { startGuard } from './guard.ts';
import { createLook } from './look.ts';
import type { PartView } from './look.ts';
import { AddressInUse } from './part.ts';
import type { Part, PartEvent, PartSurroundings } from './part.ts';
import { HOST, chooseFreePorts, findTaken, layOut } from './ports.ts';
import type { Ports } from './ports.ts';
import { preparePostgres } from './postgres.ts';
import { identify } from './processes.ts';
import { MASTER_NAME, findRedis } from './redis-sentinel.ts';
import { createRunningCluster } from './running.ts';
import type { RunningCluster } from './running.ts';
import { readOrMakePassword } from './secret-files.ts';
import { endLeftovers, readState, writeState } from './state-file.ts';

export type ClusterOptions = {
  /** Made if it is not there. */
  directory: string;
  /** 1 to `MAX_NODES`. */
  nodes: number;
  /** The first of a block of ports. Undefined: a free block, that of the last time if it is free. */
  portBase?: number | undefined;
  /** What dies is started again after this time. Undefined: it stays down. */
  restartAfterMs?: number | undefined;
  /** Configuration of nodes and gateway, such as `EVERGATE_LOG_LEVEL`; wins over what we write. */
  nodeEnvironment?: Record<string, string>;
  onEvent?(event: PartEvent): void;
};

/** Disposing of it stops everything in order. */
export type Cluster = AsyncDisposable & {
  /** Absolute. */
  readonly directory: string;
  /** Names of the parts of an earlier cluster on this directory that had to be ended. */
  readonly leftovers: readonly string[];
  /** In the order in which they are shown; none before `start` has chosen the ports. */
  readonly parts: readonly Part[];
  /** Resolves when everything answers. Rejects with `PartFailed` and others: dispose of it then. */
  start(signal?: AbortSignal): Promise<void>;
  /** Throws a sentence with the names there are when this is none. */
  part(name: string): Part;
  /** How everything is at this moment. */
  look(): Promise<PartView[]>;
  /** The name of the Redis server that most Sentinels call the primary. */
  redisPrimary(): Promise<string | undefined>;
  /** Once it is started. */
  addresses(): ClusterAddresses;
};

export type ClusterAddresses = {
  host: string;
  nodes: { name: string; authPort: number; acctPort: number; httpPort: number }[];
  gatewayUrl: string;
  adminTokenFile: string;
  secretsKeyFile: string;
  database: {
    port: number;
    user: string;
    name: string;
    version: string;
    passwordFile: string;
    /** With the password: not for screens. */
    url: string;
  };
  state: {
    program: 'Valkey' | 'Redis';
    servers: readonly number[];
    sentinels: readonly number[];
    masterName: string;
    passwordFile: string;
    /** With the password: not for screens. */
    url: string;
  };
};

/** Each may fail because somebody took a port between our look and our start. */
const START_ATTEMPTS = 5;

/** Takes the directory and ends what an earlier cluster left there; `start` does the rest. */
export async function openCluster(options: ClusterOptions, runtime: Runtime): Promise<Cluster> {
  const { nodes } = options;
  await using opened = new AsyncDisposableStack();
  const redis = findRedis();
  prepareDataDirectory(options.directory);
  const directory = realpathSync(options.directory);
  opened.use(lockDirectory(directory));
  const lastBase = readState(directory).portBase;
  const leftovers = await endLeftovers(directory, runtime);

  const logDirectory = makePrivate(join(directory, 'logs'));
  const secretsDirectory = makePrivate(join(directory, 'secrets'));
  const secretsKeyFile = join(secretsDirectory, 'secrets.key');
  const statePasswordFile = join(secretsDirectory, 'state.password');
  const statePassword = readOrMakePassword(statePasswordFile, runtime.random);
  const postgres = preparePostgres({ directory, secretsDirectory, nodes, runtime });
  const guard = opened.use(startGuard(makePrivate(join(directory, 'run'))));

  let running: RunningCluster | undefined;
  opened.defer(async () => {
    await running?.[Symbol.asyncDispose]();
    note();
  });

  /** Whenever a process comes or goes, so that whoever comes after us knows them. */
  function note(): void {
    const parts = (running?.parts ?? []).flatMap(({ name, pid }) => {
      const process_ = identify(pid() ?? 0);
      return process_ === undefined ? [] : [{ name, ...process_ }];
    });
    const supervisor = identify(process.pid);
    writeState(directory, { supervisor, portBase: running?.ports.base ?? lastBase, parts });
  }

  const surroundings: PartSurroundings = {
    clock: runtime.clock,
    restartAfterMs: options.restartAfterMs,
    onProcesses(processes) {
      for (const process_ of processes) guard.watch(process_);
      note();
    },
    onEvent(event) {
      if (event.kind === 'died' || event.kind === 'stopped') note();
      options.onEvent?.(event);
    },
  };
  const makeOn = (ports: Ports) =>
    createRunningCluster({
      ports,
      directory,
      logDirectory,
      secretsKeyFile,
      redisProgram: redis.program,
      statePassword,
      postgres,
      nodeEnvironment: options.nodeEnvironment ?? {},
      surroundings,
      runtime,
    });
  const requireRunning = () => {
    if (running === undefined) throw new Error('the cluster is not started');
    return running;
  };
  const look = createLook(runtime.clock);

  const closing = opened.move();
  return {
    directory,
    leftovers,
    get parts() {
      return running?.parts ?? [];
    },

    async start(signal) {
      for (let attempt = 1; ; attempt++) {
        const ports = await choosePorts(options, attempt === 1 ? lastBase : undefined, runtime);
        running = makeOn(ports);
        try {
          await running.start(signal);
          return;
        } catch (error) {
          const mayChoose = options.portBase === undefined && attempt < START_ATTEMPTS;
          if (!(error instanceof AddressInUse) || !mayChoose) throw error;
          await running[Symbol.asyncDispose]();
        }
      }
    },

    part(name) {
      const { parts } = requireRunning();
      const found = parts.find((part) => part.name === name);
      if (found !== undefined) return found;
      const names = parts.map((part) => part.name).join(', ');
      throw new Error(`the cluster has no ${name}; it has ${names}`);
    },

    look: async () => await look(requireRunning()),

    async redisPrimary() {
      const port = await requireRunning().redis.primary();
      const isIt = (part: Part) => part.role === 'redis' && part.ports['tcp'] === port;
      return requireRunning().parts.find(isIt)?.name;
    },

    addresses() {
      const { ports, redis: group } = requireRunning();
      return {
        host: HOST,
        nodes: ports.nodes.map(({ auth, acct, http }, index) => {
          const name = `radius-${index + 1}`;
          return { name, authPort: auth, acctPort: acct, httpPort: http };
        }),
        gatewayUrl: `http://${HOST}:${ports.gateway}`,
        adminTokenFile: join(directory, ADMIN_TOKEN_FILE),
        secretsKeyFile,
        database: {
          port: ports.postgres,
          user: postgres.user,
          name: postgres.database,
          version: postgres.version,
          passwordFile: postgres.passwordFile,
          url: postgres.url(ports.postgres),
        },
        state: {
          program: redis.name,
          servers: ports.redis,
          sentinels: ports.sentinels,
          masterName: MASTER_NAME,
          passwordFile: statePasswordFile,
          url: group.url,
        },
      };
    },

    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
}

async function choosePorts(
  { nodes, portBase }: ClusterOptions,
  lastBase: number | undefined,
  runtime: Runtime,
): Promise<Ports> {
  if (portBase === undefined) return await chooseFreePorts(nodes, lastBase, runtime);
  const ports = layOut(portBase, nodes);
  const taken = await findTaken(ports, runtime);
  if (taken === undefined) return ports;
  throw new Error(
    `${taken} is in use by another process: name another --port-base, or leave it out for free ports`,
  );
}

function makePrivate(path: string): string {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  chmodSync(path, 0o700);
  return path;
}
