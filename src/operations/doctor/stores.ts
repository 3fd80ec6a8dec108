// What `doctor` asks the stores: are they there, new enough, up to date, and of one mind about the time.

import { once } from 'node:events';
import type { Config } from '../../runtime/config.ts';
import { withoutPassword } from '../../runtime/config/values.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { connectPostgres } from '../../stores/postgres/connect.ts';
import type { Postgres } from '../../stores/postgres/connect.ts';
import { migrationStatus } from '../../stores/postgres/migrate.ts';
import { createRedisClient } from '../../stores/state/redis-client.ts';
import { connectRedisState } from '../../stores/state/redis.ts';
import { parseStateUrl } from '../../stores/state/state-url.ts';
import { runningEmbeddedUrl } from '../embedded-server.ts';
import type { Check, Finding } from '../doctor.ts';

const OLDEST_POSTGRES = 150_000;
/** Oldest major and minor version, by what the server calls itself. */
const OLDEST_STATE = { valkey: [7, 2], redis: [7, 0] } as const;
const CLOCK_DIFFERENCE_MS = 1_000;

export function storeChecks(config: Config, runtime: Runtime): Check[] {
  return [
    { name: 'database', run: () => withDatabase(config, runtime, checkDatabase) },
    {
      name: 'schema',
      run: async () => unlessAway(await withDatabase(config, runtime, checkSchema)),
    },
    {
      name: 'clock',
      run: async () =>
        unlessAway(
          await withDatabase(config, runtime, (postgres) => checkClock(postgres, runtime)),
        ),
    },
    { name: 'shared state', run: () => checkState(config, runtime) },
  ];
}

/** The URL of the database if it is one that can be asked now. */
export function databaseUrl(config: Config): string | undefined {
  return config.database.url === 'embedded' ? runningEmbeddedUrl(config.data) : config.database.url;
}

async function withDatabase(
  config: Config,
  runtime: Runtime,
  check: (postgres: Postgres) => Promise<Finding>,
): Promise<Finding> {
  const url = databaseUrl(config);
  if (url === undefined) {
    return {
      status: 'skipped',
      detail: 'the embedded database runs only while `evergate up` does',
    };
  }
  await using postgres = await connectPostgres(
    {
      url,
      applicationName: 'doctor',
      maxConnections: 1,
      connectTimeoutMs: config.database.connectionTimeoutMs,
      queryTimeoutMs: config.database.commandTimeoutMs,
    },
    runtime,
  );
  if (postgres.status() === 'disconnected') {
    return {
      status: 'wrong',
      detail: `${AWAY} at ${withoutPassword(url)}`,
      hint: 'start it, or correct database.url; until then logins go on from memory, accounting in the journal',
    };
  }
  return await check(postgres);
}

const AWAY = 'no primary answers';

/** That the database is away is said once. */
function unlessAway(finding: Finding): Finding {
  return finding.detail.startsWith(AWAY)
    ? { status: 'skipped', detail: 'the database is away' }
    : finding;
}

async function checkDatabase(postgres: Postgres): Promise<Finding> {
  const [row] = await postgres.query<{ number: number; version: string }>(
    `select current_setting('server_version_num')::integer as number,
            current_setting('server_version') as version`,
  );
  const latencyMs = await postgres.ping();
  const detail = `PostgreSQL ${row?.version}, ${latencyMs.toFixed(1)} ms`;
  if ((row?.number ?? 0) >= OLDEST_POSTGRES) return { status: 'ok', detail };
  return { status: 'wrong', detail, hint: 'Evergate needs PostgreSQL 15 or newer' };
}

async function checkSchema(postgres: Postgres): Promise<Finding> {
  const { applied, pending } = await migrationStatus(postgres);
  if (pending.length === 0) {
    return { status: 'ok', detail: `up to date, ${applied.length} migrations` };
  }
  return {
    status: 'wrong',
    detail: `${pending.length} migrations are not applied`,
    hint: 'run `evergate database migrate`',
  };
}

async function checkClock(postgres: Postgres, { clock }: Runtime): Promise<Finding> {
  const beforeMs = clock.nowMs();
  const [row] = await postgres.query<{ now: number }>('select clock_timestamp() as now');
  const afterMs = clock.nowMs();
  // What the round trip leaves open counts in our favour.
  const differenceMs = Math.max(
    0,
    Math.abs((row?.now ?? 0) - (beforeMs + afterMs) / 2) - (afterMs - beforeMs) / 2,
  );
  const detail = `${Math.round(differenceMs)} ms from the database's`;
  if (differenceMs <= CLOCK_DIFFERENCE_MS) return { status: 'ok', detail };
  return {
    status: 'wrong',
    detail,
    hint: 'start chrony or systemd-timesyncd on both: sessions and vouchers are timed by these clocks',
  };
}

async function checkState({ state }: Config, runtime: Runtime): Promise<Finding> {
  const address = parseStateUrl(state.url);
  if (address.kind === 'memory') {
    return { status: 'ok', detail: 'in the memory of the process: fit for one node' };
  }
  await using opened = await connectRedisState(state, runtime);
  const where = withoutPassword(state.url);
  if (opened.status() === 'disconnected') {
    return {
      status: 'wrong',
      detail: `no server answers at ${where}`,
      hint: `start it, or correct state.url; until then nodes ${state.onFailure === 'degrade' ? 'go on with limits of their own' : 'refuse logins'}`,
    };
  }
  const latencyMs = await opened.ping();
  const client = createRedisClient(address, state);
  try {
    if (client.status !== 'ready') await once(client, 'ready');
    const server = parseServerInfo(await client.info('server'));
    const detail = `${server.name} ${server.version.join('.')}, ${latencyMs.toFixed(1)} ms`;
    if (isNewEnough(server)) return { status: 'ok', detail };
    return { status: 'wrong', detail, hint: 'Evergate needs Valkey 7.2 or Redis 7.0, or newer' };
  } finally {
    client.disconnect();
  }
}

type StateServer = { name: 'valkey' | 'redis'; version: number[] };

/** Valkey also says redis_version, for clients that know nothing else. */
export function parseServerInfo(info: string): StateServer {
  const value = (key: string) => new RegExp(`^${key}:(.*?)\r?$`, 'm').exec(info)?.[1];
  const valkey = value('valkey_version');
  const version = (valkey ?? value('redis_version') ?? '0').split('.').map(Number);
  return { name: valkey === undefined ? 'redis' : 'valkey', version };
}

export function isNewEnough({ name, version: [major = 0, minor = 0] }: StateServer): boolean {
  const [oldestMajor, oldestMinor] = OLDEST_STATE[name];
  return major > oldestMajor || (major === oldestMajor && minor >= oldestMinor);
}
