// The wiring of the radius service: read it first. One worker does everything; with several, threads
// share the ports and this one keeps what they must have in common.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { eapGtc } from '../../protocols/eap/gtc.ts';
import { eapMd5 } from '../../protocols/eap/md5.ts';
import { eapMsChapV2 } from '../../protocols/eap/mschapv2.ts';
import type { Config } from '../../runtime/config.ts';
import type { HealthCheck, HealthPart } from '../../runtime/http/health.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { Channel } from '../../runtime/worker-thread.ts';
import { openJournal } from '../../stores/journal/journal.ts';
import type { JournalOptions } from '../../stores/journal/journal.ts';
import { watchChanges } from '../../stores/postgres/changes.ts';
import { connectPostgres } from '../../stores/postgres/connect.ts';
import { createCredentialQueries } from '../../stores/postgres/credentials.ts';
import { createRouterQueries } from '../../stores/postgres/routers.ts';
import { createSessionQueries } from '../../stores/postgres/sessions.ts';
import { createSecretBox } from '../../stores/secret-box.ts';
import type { SecretKeys } from '../../stores/secret-box.ts';
import { openSharedState } from '../../stores/state/open.ts';
import type { OpenedState } from '../../stores/state/open.ts';
import { connectStateThroughPort, serveState } from '../../stores/state/port.ts';
import { startJournalReplay } from './journal-replay.ts';
import { runRadius } from './radius.ts';
import type { Radius } from './radius.ts';
import { startWorkers } from './workers.ts';

/** What the service is told; plain data, so that it travels to worker threads. */
export type RadiusConfig = Pick<
  Config,
  'node' | 'log' | 'state' | 'access' | 'accounting' | 'radius'
> & {
  databaseUrl: string;
  isDatabaseEmbedded: boolean;
  databaseTimeouts: { connectTimeoutMs: number; queryTimeoutMs: number };
  secretKeys: SecretKeys;
  /** How many; `auto` has been decided. */
  workers: number;
};

export type RadiusService = AsyncDisposable & {
  readonly authPort: number;
  readonly acctPort: number;
  readonly engine: Radius['engine'];
  readonly receiveBufferBytes: number;
  readonly health: HealthPart;
  drain(): void;
};

export async function startRadius(config: RadiusConfig, runtime: Runtime): Promise<RadiusService> {
  if (config.workers === 1) return openRadius(config, runtime, { number: 0 });

  await using opened = new AsyncDisposableStack();
  const state = opened.use(await openSharedState(config.state, runtime));
  // Valkey and Redis are shared anyway; of a memory there must be one, and it is ours.
  const serve = (channel: Channel) => serveState(state.state, channel);
  const workers = opened.use(
    await startWorkers(config, runtime, state.kind === 'memory' ? serve : undefined),
  );
  const closing = opened.move();
  return { ...workers, [Symbol.asyncDispose]: () => closing.disposeAsync() };
}

/** One worker. `sharedState`: the channel to the memory of the parent thread, if that is where it is. */
export async function openRadius(
  config: RadiusConfig,
  runtime: Runtime,
  worker: { number: number; sharedState?: Channel },
): Promise<RadiusService> {
  await using opened = new AsyncDisposableStack();

  const postgres = opened.use(
    await connectPostgres(
      {
        url: config.databaseUrl,
        applicationName: 'radius',
        maxConnections: config.radius.databasePool,
        ...config.databaseTimeouts,
      },
      runtime,
    ),
  );
  const box = createSecretBox(config.secretKeys);
  const routers = createRouterQueries(postgres, box, runtime.log);
  const credentials = createCredentialQueries(postgres, box, runtime.log);
  const sessions = createSessionQueries(postgres, runtime);
  const state = opened.use(await openState(config, runtime, worker.sharedState));
  const journal = opened.use(await openJournal(journalOf(config, runtime, worker.number)));
  const journals = [journal];
  for (const number of worker.number === 0 ? workersThatAreGone(config) : []) {
    const left = opened.use(await openJournal(journalOf(config, runtime, number)));
    opened.use(
      startJournalReplay({
        journal: left,
        write: (facts) => sessions.writeAccounting(facts),
        runtime,
      }),
    );
    journals.push(left);
  }

  const { radius, access, accounting } = config;
  const running = opened.use(
    await runRadius(
      {
        node: `${config.node}/${String(worker.number)}`,
        host: radius.host,
        authPort: radius.authPort,
        acctPort: radius.acctPort,
        reusePort: config.workers > 1,
        receiveBufferBytes: radius.receiveBufferBytes,
        requireMessageAuthenticator: radius.requireMessageAuthenticator,
        rateLimitPerMinute: radius.rateLimitPerMinute,
        rejectDelayMs: radius.rejectDelayMs,
        duplicateWindowMs: radius.duplicateWindowMs,
        credentialMaxAgeMs: access.credentialMaxAgeMs,
        staleCredentialsMaxMs: access.staleCredentialsMaxMs,
        accountingDurability: accounting.durability,
        accountingSlowAfterMs: accounting.slowAfterMs,
        eapMethods: [eapMsChapV2, eapMd5, eapGtc],
      },
      {
        ...routers,
        ...credentials,
        ...sessions,
        // The metrics of workers are added up, and the sessions are the same for all: one counts them.
        countOpenSessions: () =>
          worker.number === 0 ? sessions.countOpenSessions() : Promise.resolve(0),
        watchChanges: (listener) => watchChanges(postgres, listener),
        journal,
        state: state.state,
        box,
        isStateShared: config.workers > 1 || state.kind !== 'memory',
        onStateRecovered: (listener) => state.onRecovered(listener),
      },
      runtime,
    ),
  );

  const checks: HealthCheck[] = [
    {
      name: 'radius',
      required: true,
      run: () => {
        const detail = running.whyNotReady();
        return Promise.resolve(
          detail === undefined ? { status: 'pass' } : { status: 'fail', detail },
        );
      },
    },
    {
      name: 'database',
      required: false, // logins go on from memory, accounting into the journal
      run: async () => {
        await postgres.ping();
        return { status: 'pass' };
      },
    },
    {
      name: 'state',
      required: config.state.onFailure === 'reject',
      run: async () => {
        await state.state.ping();
        return state.isDegraded()
          ? { status: 'degraded', detail: 'limits and duplicates are per node' }
          : { status: 'pass' };
      },
    },
    {
      name: 'journal',
      required: false,
      run: () => {
        const failing = running.whyAccountingFails();
        if (failing !== undefined) {
          const detail = `accounting cannot be stored: ${failing}`;
          return Promise.resolve({ status: 'fail', detail });
        }
        const waiting = journals.reduce((sum, { pendingRecords }) => sum + pendingRecords, 0);
        if (waiting === 0) return Promise.resolve({ status: 'pass' });
        const detail = `${String(waiting)} accounting records wait for the database`;
        return Promise.resolve({ status: 'degraded', detail });
      },
    },
  ];

  const closing = opened.move();
  return {
    authPort: running.authPort,
    acctPort: running.acctPort,
    engine: running.engine,
    receiveBufferBytes: running.receiveBufferBytes,
    health: {
      checks,
      database: () =>
        config.isDatabaseEmbedded && postgres.status() === 'connected'
          ? 'embedded'
          : postgres.status(),
      redis: () => (state.isDegraded() ? 'disconnected' : state.status()),
    },
    drain: () => running.drain(),
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
}

function openState(
  config: RadiusConfig,
  runtime: Runtime,
  channel: Channel | undefined,
): Promise<OpenedState> {
  const { commandTimeoutMs } = config.state;
  if (channel === undefined) return openSharedState(config.state, runtime);
  return Promise.resolve({
    state: connectStateThroughPort(channel, runtime, { commandTimeoutMs }),
    kind: 'memory',
    status: () => 'embedded',
    connections: () => 0,
    isDegraded: () => false,
    onRecovered: () => ({ [Symbol.dispose]: () => undefined }),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
}

/** Each worker has a journal of its own, in a directory that is called by its number. */
function journalOf({ accounting }: RadiusConfig, runtime: Runtime, number: number): JournalOptions {
  return { directory: join(accounting.journalDirectory, String(number)), runtime };
}

/** Since `radius.workers` was lowered nobody writes their journals: the first worker replays them. */
function workersThatAreGone({ accounting, workers }: RadiusConfig): number[] {
  return readdirSync(accounting.journalDirectory)
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((number) => number >= workers);
}
