// The wiring of the radius service: read it first. One worker does everything; with several, threads
// share the ports and this one keeps what they must have in common.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../../runtime/config.ts';
import type { HealthPart } from '../../runtime/http/health.ts';
import { defaultPeerHost } from '../../runtime/peer-host.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { Channel } from '../../runtime/worker-thread.ts';
import { openJournal } from '../../stores/journal/journal.ts';
import type { JournalOptions } from '../../stores/journal/journal.ts';
import { watchChanges } from '../../stores/postgres/changes.ts';
import { connectPostgres } from '../../stores/postgres/connect.ts';
import { createCredentialQueries } from '../../stores/postgres/credentials.ts';
import { createRouterQueries } from '../../stores/postgres/routers.ts';
import { createSessionQueries } from '../../stores/postgres/sessions.ts';
import { createRotatingBox } from '../../stores/rotating-box.ts';
import { createSecretBox } from '../../stores/secret-box.ts';
import type { SecretKeys } from '../../stores/secret-box.ts';
import { openSharedState } from '../../stores/state/open.ts';
import type { OpenedState } from '../../stores/state/open.ts';
import { connectStateThroughPort, serveState } from '../../stores/state/port.ts';
import { watchCertificates } from './certificates/watched-certificates.ts';
import type { WatchedCertificates } from './certificates/watched-certificates.ts';
import { openEapMethods } from './eap/methods.ts';
import type { Seal } from './eap/record.ts';
import { radiusChecks } from './health-checks.ts';
import { startJournalReplay } from './journal-replay.ts';
import { runRadius } from './radius.ts';
import type { Radius, RadiusOptions } from './radius.ts';
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
  const certificates = openCertificates(config, worker.number, runtime, opened);
  const radsecCertificates = openRadsecCertificates(config, worker.number, runtime, opened);
  const [clusterKey] = config.secretKeys;
  const { methods } = opened.use(openEapMethods(radius.eap, certificates, clusterKey, runtime));
  const isStateShared = config.workers > 1 || state.kind !== 'memory';
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
        eapMethods: methods,
        eapPacketBytes: radius.eap.packetBytes,
        peer: isStateShared ? peerOf(config, worker.number) : undefined,
        radsec: radsecCertificates && {
          port: radius.radsec.port ?? 0,
          certificates: radsecCertificates,
        },
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
        box: isStateShared
          ? createRotatingBox(config.secretKeys, 'shared state', runtime.clock)
          : OPEN_BOX,
        isStateShared,
        isStateAway: () => state.isDegraded(),
        canStateBeAway: state.kind !== 'memory',
        onStateRecovered: (listener) => state.onRecovered(listener),
      },
      runtime,
    ),
  );

  const checks = radiusChecks({
    running,
    pingDatabase: () => postgres.ping(),
    pingState: () => state.state.ping(),
    isStateDegraded: () => state.isDegraded(),
    isStateRequired: config.state.onFailure === 'reject',
    journals,
    certificates: [certificates, radsecCertificates].filter((watched) => watched !== undefined),
  });

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

/** What never leaves this process needs no seal. */
const OPEN_BOX: Seal = { seal: (plaintext) => plaintext, open: (box) => box };

/** Undefined: none is configured, and EAP over TLS is not offered. */
function openCertificates(
  { radius }: RadiusConfig,
  worker: number,
  runtime: Runtime,
  opened: AsyncDisposableStack,
): WatchedCertificates | undefined {
  const { certificateFile, keyFile, clientCaFile, clientCrlFile, revocation } = radius.eap;
  if (certificateFile === undefined || keyFile === undefined) return undefined;
  const files = { certificateFile, keyFile, clientCaFile, clientCrlFile, revocation };
  return opened.use(watchCertificates({ name: 'eap', isCounted: worker === 0 }, files, runtime));
}

/** Undefined: RADIUS over TLS is not offered. */
function openRadsecCertificates(
  { radius }: RadiusConfig,
  worker: number,
  runtime: Runtime,
  opened: AsyncDisposableStack,
): WatchedCertificates | undefined {
  const { port, certificateFile, keyFile, clientCaFile, clientCrlFile } = radius.radsec;
  if (port === undefined) return undefined;
  if (certificateFile === undefined || keyFile === undefined) {
    throw new Error(
      'radius.radsec.port needs a certificate: set radius.radsec.certificate and radius.radsec.key',
    );
  }
  const { revocation } = radius.eap;
  const files = { certificateFile, keyFile, clientCaFile, clientCrlFile, revocation };
  return opened.use(watchCertificates({ name: 'radsec', isCounted: worker === 0 }, files, runtime));
}

/** Where the other workers and nodes reach this one. */
function peerOf({ radius, state }: RadiusConfig, worker: number): RadiusOptions['peer'] {
  const { host, port } = radius.peer;
  const announcedHost = host ?? defaultPeerHost({ boundHost: radius.host, stateUrl: state.url });
  return {
    // Nobody else on the network has a reason to see it, if the others are on this machine.
    listenHost: announcedHost === '127.0.0.1' ? announcedHost : radius.host,
    announcedHost,
    port: port === 0 ? 0 : port + worker,
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
