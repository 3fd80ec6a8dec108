// Who is compared: each starts its server, with its database if it has one, on one processor core,
// and says where it listens and which processes to count.

import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { DesiredState } from '../servers/evergate.ts';
import { startEvergate } from '../servers/evergate.ts';
import { startFreeradius } from '../servers/freeradius.ts';
import { freeTcpPort, freeUdpPort } from '../servers/free-port.ts';
import { startPostgres } from '../servers/postgres.ts';
import { startServerProcess } from '../servers/server-process.ts';
import { ensureDebianPackage } from '../servers/ensure-package.ts';
import { CLIENT_CERTIFICATES, createEapCertificates } from './eap-certificates.ts';
import type { EapCertificates } from './eap-certificates.ts';

export type Contender = {
  name: string;
  start(): Promise<Running>;
};

export type Running = AsyncDisposable & {
  authPort: number;
  acctPort: number;
  /** The server and what works for it; their descendants are counted too. */
  pids: number[];
  /** The share of credential look-ups that the node answered from its own memory, so far. */
  cacheHits?: () => Promise<{ hits: number; all: number }>;
  /** Resolves when what the load left behind is done: else it would work into the others' rounds. */
  settle?: () => Promise<void>;
  /** What the load has to know beside the ports, as its command line has it. */
  load?: string[];
};

const SERVER_CORE = 0;
export const SECRET = 'testing123';
export const USERS = 10_000;

/** As lean as it gets: users from its `files` module, in memory. */
export const freeradiusFiles: Contender = {
  name: 'FreeRADIUS, users in files',
  async start() {
    const server = await startFreeradius({ secret: SECRET, users: USERS, core: SERVER_CORE });
    const { authPort, acctPort } = server;
    return {
      authPort,
      acctPort,
      pids: [server.process.pid],
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  },
};

/** Users and accounting in PostgreSQL, with its package's schema and queries and durable commits. */
export const freeradiusSql: Contender = {
  name: 'FreeRADIUS, rlm_sql',
  async start() {
    await using opened = new AsyncDisposableStack();
    const database = opened.use(await startPostgres({ core: SERVER_CORE }));
    const server = opened.use(
      await startFreeradius({ secret: SECRET, users: USERS, core: SERVER_CORE, database }),
    );
    const closing = opened.move();
    const [postmaster = 0] = database.pids();
    return {
      authPort: server.authPort,
      acctPort: server.acctPort,
      pids: [server.process.pid, postmaster],
      [Symbol.asyncDispose]: () => closing.disposeAsync(),
    };
  },
};

export type EvergateContender = {
  environment?: Record<string, string>;
  /** Devices online at once that the plan allows: seats are then counted in the shared state. */
  devices?: number;
  redis?: boolean;
  /** A plan that ends neither by time nor by volume: then a Stop changes nothing that logins ask. */
  isUnlimited?: boolean;
  users?: number;
};

export function evergate(name: string, options: EvergateContender = {}): Contender {
  return {
    name,
    async start() {
      await using opened = new AsyncDisposableStack();
      const environment: Record<string, string> = {
        EVERGATE_LOG_LEVEL: 'warn',
        EVERGATE_RADIUS_WORKERS: '1',
        // On, but out of reach: the load comes from one address.
        EVERGATE_RADIUS_RATE_LIMIT_PER_MINUTE: '1000000000',
        ...options.environment,
      };
      const pids: number[] = [];
      if (options.redis === true) {
        const redis = opened.use(await startRedis());
        environment['EVERGATE_STATE_URL'] = `redis://127.0.0.1:${redis.port}`;
        pids.push(redis.pid);
      }
      const server = opened.use(
        await startEvergate({ environment, core: SERVER_CORE, apply: desired(options) }),
      );
      const closing = opened.move();
      const look = (result: string) =>
        server.metric('evergate_cache_requests_total', { cache: 'credentials', result });
      return {
        authPort: server.authPort,
        acctPort: server.acctPort,
        pids: [server.process.pid, ...pids],
        async settle() {
          while ((await server.metric('evergate_journal_pending_records')) > 0) await sleep(200);
        },
        async cacheHits() {
          const [hits, misses, stales] = [
            await look('hit'),
            await look('miss'),
            await look('stale'),
          ];
          return { hits, all: hits + misses + stales };
        },
        [Symbol.asyncDispose]: () => closing.disposeAsync(),
      };
    },
  };
}

export type EapTlsContender = {
  maxVersion: '1.2' | '1.3';
  /** Whether devices come back with a short handshake. */
  resumes?: boolean;
};

/** Nothing but EAP-TLS, its session cache off. */
export function freeradiusEapTls(
  name: string,
  options: Pick<EapTlsContender, 'maxVersion'>,
): Contender {
  return {
    name,
    async start() {
      await using opened = new AsyncDisposableStack();
      const certificates = opened.use(createEapCertificates());
      const eapTls = {
        ...certificates.server,
        clientCaFile: certificates.authorityFile,
        maxVersion: options.maxVersion,
      };
      const server = opened.use(
        await startFreeradius({ secret: SECRET, users: 0, core: SERVER_CORE, eapTls }),
      );
      const closing = opened.move();
      const { authPort, acctPort } = server;
      return {
        authPort,
        acctPort,
        pids: [server.process.pid],
        load: eapLoad(certificates, options),
        [Symbol.asyncDispose]: () => closing.disposeAsync(),
      };
    },
  };
}

export function evergateEapTls(
  name: string,
  options: EapTlsContender & { engine: 'portable' | 'native' },
): Contender {
  return {
    name,
    async start() {
      await using opened = new AsyncDisposableStack();
      const certificates = opened.use(createEapCertificates());
      const environment = {
        EVERGATE_RADIUS_EAP_METHODS: 'tls', // what FreeRADIUS begins with too: nobody has to ask
        EVERGATE_RADIUS_EAP_CERTIFICATE: certificates.server.certificateFile,
        EVERGATE_RADIUS_EAP_KEY: certificates.server.keyFile,
        EVERGATE_RADIUS_EAP_CLIENT_CA: certificates.authorityFile,
        EVERGATE_RADIUS_EAP_TLS_ENGINE: options.engine,
        EVERGATE_RADIUS_EAP_TLS_MAX_VERSION: options.maxVersion,
        ...(options.resumes === true ? {} : { EVERGATE_RADIUS_EAP_TICKET_LIFETIME: '0s' }),
      };
      const running = opened.use(
        await evergate(name, {
          environment,
          isUnlimited: true,
          users: CLIENT_CERTIFICATES,
        }).start(),
      );
      const closing = opened.move();
      const { authPort, acctPort, pids } = running;
      return {
        authPort,
        acctPort,
        pids,
        load: eapLoad(certificates, options),
        [Symbol.asyncDispose]: () => closing.disposeAsync(),
      };
    },
  };
}

function eapLoad({ directory }: EapCertificates, { maxVersion, resumes }: EapTlsContender) {
  const flags = ['--certificates', directory, '--max-version', maxVersion];
  return resumes === true ? [...flags, '--resume'] : flags;
}

/** The load generator's ceiling: a responder that does nothing but answer. */
export const bareResponder: Contender = {
  name: 'bare responder (ceiling)',
  async start() {
    const [authPort, acctPort] = [await freeUdpPort(), await freeUdpPort()];
    const server = await startServerProcess({
      name: 'bare responder',
      command: process.execPath,
      args: [
        fileURLToPath(import.meta.resolve('./generator/responder.ts')),
        String(authPort),
        String(acctPort),
      ],
      core: SERVER_CORE,
      isReady: ({ output }) => output().includes('ready'),
    });
    return {
      authPort,
      acctPort,
      pids: [server.pid],
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  },
};

function desired({ devices, isUnlimited, users = USERS }: EvergateContender): DesiredState {
  return {
    sites: [{ name: 'bench', timezone: 'UTC' }],
    routers: [
      { name: 'bench', site: 'bench', address: '127.0.0.1/32', secret: SECRET, vendor: 'mikrotik' },
    ],
    plans: [
      {
        name: 'bench',
        ...(isUnlimited === true ? {} : { duration: '8760h', data: '100GiB' }),
        rate: '2M/10M',
        ...(devices === undefined ? {} : { devices }),
      },
    ],
    subscribers: Array.from({ length: users }, (_, user) => ({
      username: `user${user}`,
      password: `pass${user}`,
      plan: 'bench',
    })),
  };
}

async function startRedis() {
  ensureDebianPackage(['redis-server'], ['redis-server']);
  const port = await freeTcpPort();
  const server = await startServerProcess({
    name: 'Redis',
    command: 'redis-server',
    args: ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'],
    workingDirectory: '/tmp',
    // Not pinned: it is another server of the machine, and may use what the load leaves of its core.
    isReady: ({ output }) => output().includes('Ready to accept connections'),
  });
  return {
    port,
    pid: server.pid,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
