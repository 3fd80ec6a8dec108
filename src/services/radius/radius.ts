// The radius service without its stores: sockets, tables, caches and the reconcilers between them.
// start.ts hands it real stores, tests/simulation/ hands it simulated ones.

import type { AccountingFact } from '../../domain/accounting.ts';
import type { Router, MessageAuthenticatorRule } from '../../domain/router.ts';
import type { SharedState } from '../../domain/shared-state.ts';
import type { Credential } from '../../domain/subscriber.ts';
import type { EapMethod } from '../../protocols/eap/method.ts';
import type { DatagramSocket } from '../../runtime/network.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { createAccountingSink } from './accounting-sink.ts';
import { createAnswers } from './answers.ts';
import { createClusterAnswers } from './cluster-answers.ts';
import { createCounters } from './counters.ts';
import { createCredentialCache } from './credential-cache.ts';
import { createDiscardLog } from './discard-log.ts';
import { createConversationStore } from './eap/conversation-store.ts';
import { createEvidenceFinder } from './eap/evidence.ts';
import { createEapLogins } from './eap/logins.ts';
import type { Seal } from './eap/record.ts';
import { createPeers } from './eap/peers.ts';
import type { PeerOptions } from './eap/peers.ts';
import { createRequestHandler } from './handle-request.ts';
import type { Port } from './handle-request.ts';
import { startJournalReplay } from './journal-replay.ts';
import { createKnownRouters } from './known-routers.ts';
import type { ReplayableJournal } from './journal-replay.ts';
import { createRateLimit } from './rate-limit.ts';
import { startRadsec } from './radsec/radsec.ts';
import type { RadsecOptions } from './radsec/radsec.ts';
import { createRejectDelay } from './reject-delay.ts';
import { createRouterTable } from './router-table.ts';
import { createSeatKeeper } from './seat-keeper.ts';
import type { ReportedSession } from './seat-keeper.ts';
import { createSeats } from './seats.ts';
import { createSources } from './sources.ts';

export type RadiusOptions = {
  node: string;
  host: string;
  authPort: number;
  acctPort: number;
  reusePort: boolean;
  receiveBufferBytes: number;
  requireMessageAuthenticator: MessageAuthenticatorRule;
  rateLimitPerMinute: number;
  rejectDelayMs: number;
  duplicateWindowMs: number;
  credentialMaxAgeMs: number;
  staleCredentialsMaxMs: number;
  accountingDurability: 'database' | 'journal';
  accountingSlowAfterMs: number;
  /** The best first. */
  eapMethods: readonly EapMethod[];
  /** EAP packets are cut to this. */
  eapPacketBytes: number;
  /** Where other workers of the cluster reach this one. Undefined: there are none. */
  peer: Omit<PeerOptions, 'name' | 'rejectDelayMs'> | undefined;
  /** RADIUS over TLS. Undefined: it is not offered. */
  radsec?: Omit<RadsecOptions, 'host' | 'reusePort'> | undefined;
};

export type Change = { table: string; key?: string };

/** What the service needs remembered. Every call is bounded in time by whoever implements it. */
export type RadiusStores = {
  listRouters(): Promise<Router[]>;
  markMessageAuthenticatorSeen(routerId: string, atMs: number): Promise<void>;
  findCredentials(usernames: string[]): Promise<(Credential | undefined)[]>;
  /** Sets the moment of first use once; gives what is true afterwards. */
  activateVoucher(
    id: string,
    atMs: number,
  ): Promise<{ activatedAtMs: number | undefined; expiresAtMs: number | undefined }>;
  /** After `timeoutMs` it rejects, though the records may still be written. */
  writeAccounting(facts: AccountingFact[], options?: { timeoutMs: number }): Promise<void>;
  listOpenSessions(): Promise<ReportedSession[]>;
  countOpenSessions(): Promise<number>;
  /** Calls with the sessions that the restart of a router has ended. */
  onSessionsEnded(listener: (sessions: { username: string; sessionKey: string }[]) => void): void;
  watchChanges(listener: (change: Change) => void): AsyncDisposable | Promise<AsyncDisposable>;
  journal: ReplayableJournal & { append(payload: Buffer): Promise<void> };
  state: SharedState;
  /** Seals what leaves the process: conversations hold keys. */
  box: Seal;
  /** Whether other processes use the same shared state: then answers and conversations go through it. */
  isStateShared: boolean;
  /** True while this node answers from a memory of its own instead of the shared state. */
  isStateAway(): boolean;
  /** False where the shared state is this process's own memory. */
  canStateBeAway: boolean;
  /** Calls when the shared state is back after it was away, and may have forgotten everything. */
  onStateRecovered(listener: () => void): void;
};

export type Radius = AsyncDisposable & {
  readonly authPort: number;
  readonly acctPort: number;
  /** Of RADIUS over TLS, where that is offered. */
  readonly radsecPort: number | undefined;
  readonly engine: DatagramSocket['engine'];
  readonly receiveBufferBytes: number;
  readonly routers: number;
  /** Undefined while it can do its job; else why not. */
  whyNotReady(): string | undefined;
  /** Undefined while accounting is stored; else why not. */
  whyAccountingFails(): string | undefined;
  /** Status-Server gets no answer any more; everything else goes on. The first step of an orderly stop. */
  drain(): void;
};

const ROUTER_RELOAD_MS = 60_000;
/** While the routers could not be read even once there is nothing to do but to try again. */
const FIRST_LOAD_RETRY_MS = 500;
const SWEEP_MS = 5_000;
const OPEN_SESSIONS_MS = 15_000;
const DRAIN_MS = 3_000;
/** Nobody waits for a replay, and its groups are large. */
const REPLAY_TIMEOUT_MS = 30_000;

export async function runRadius(
  options: RadiusOptions,
  stores: RadiusStores,
  runtime: Runtime,
): Promise<Radius> {
  await using opened = new AsyncDisposableStack();
  const { clock, log, metrics } = runtime;
  const counters = createCounters(metrics);
  const routers = createRouterTable();
  const sources = createSources(routers, options.duplicateWindowMs);
  const discardLog = createDiscardLog({ clock, log });
  const credentials = createCredentialCache({
    load: (usernames) => stores.findCredentials(usernames),
    maxAgeMs: options.credentialMaxAgeMs,
    staleMaxAgeMs: options.staleCredentialsMaxMs,
    runtime,
  });
  const seats = createSeatKeeper({
    seats: createSeats(stores.state),
    credentials,
    listOpenSessions: () => stores.listOpenSessions(),
    runtime,
  });
  const rateLimit = createRateLimit({
    perMinute: options.rateLimitPerMinute,
    state: stores.state,
    clock,
  });
  const accounting = opened.use(
    createAccountingSink({
      durability: options.accountingDurability,
      slowAfterMs: options.accountingSlowAfterMs,
      write: (facts) => stores.writeAccounting(facts),
      append: (payload) => stores.journal.append(payload),
      runtime,
    }),
  );
  opened.use(
    startJournalReplay({
      journal: stores.journal,
      write: (facts) => stores.writeAccounting(facts, { timeoutMs: REPLAY_TIMEOUT_MS }),
      recordsTaken: () => accounting.taken,
      runtime,
    }),
  );

  let hasRouters = false;
  let isDraining = false;

  const knownRouters = createKnownRouters({
    table: routers,
    async listRouters() {
      const found = await stores.listRouters();
      hasRouters = true;
      return found;
    },
    markMessageAuthenticatorSeen: (id, atMs) => stores.markMessageAuthenticatorSeen(id, atMs),
    runtime,
  });

  async function activateVoucher(credential: Credential): Promise<Credential> {
    const dates = await stores.activateVoucher(credential.id, clock.nowMs());
    return { ...credential, ...dates };
  }

  const peers = createPeers(stores, runtime);
  const conversations = createConversationStore({ ...stores, clock, sendCopy: peers.sendCopy });

  const handler = createRequestHandler({
    runtime,
    counters,
    discardLog,
    sources,
    answers: createAnswers(runtime.random),
    credentials,
    eap: createEapLogins({
      conversations,
      evidence: createEvidenceFinder({ ...stores, credentials }),
      credentials,
      methods: options.eapMethods,
      maxPacketBytes: options.eapPacketBytes,
      owners: peers,
      runtime,
    }),
    seats,
    rateLimit,
    rejectDelay: createRejectDelay(options.rejectDelayMs, runtime),
    accounting,
    clusterAnswers: stores.isStateShared
      ? createClusterAnswers(stores.state, options.node, options.duplicateWindowMs)
      : undefined,
    latchMessageAuthenticator: knownRouters.latch,
    activateVoucher,
    defaultMessageAuthenticatorRule: options.requireMessageAuthenticator,
    duplicateWindowMs: options.duplicateWindowMs,
    isReady: () => whyNotReady() === undefined,
  });

  function whyNotReady(): string | undefined {
    if (isDraining) return 'stopping';
    return hasRouters ? undefined : 'the routers could not be read yet';
  }

  async function bind(port: number, kind: Port): Promise<DatagramSocket> {
    const socket = await runtime.network.bindUdp({
      host: options.host,
      port,
      reusePort: options.reusePort,
      receiveBufferBytes: options.receiveBufferBytes,
      onBatch: (batch) => handler.receive(batch, kind, socket),
    });
    return socket;
  }

  opened.use(
    await stores.watchChanges((change) => {
      switch (change.table) {
        case 'subscribers':
        case 'vouchers':
          if (change.key === undefined) return credentials.forgetAll();
          credentials.forget(change.key);
          credentials.forget(change.key.toLowerCase());
          return;
        case 'routers':
        case 'sites':
          return knownRouters.reload();
        case 'plans':
          // Old terms are better than none for everybody, should the database be away now.
          return credentials.refreshAll();
        default: // announcements may have been missed
          knownRouters.reload();
          credentials.refreshAll();
      }
    }),
  );

  await knownRouters.load().catch((error: unknown) => {
    log.warn('could not read the routers yet', { error });
    const retry = opened.use(
      clock.every(FIRST_LOAD_RETRY_MS, () => {
        if (hasRouters) retry[Symbol.dispose]();
        else knownRouters.reload();
      }),
    );
  });

  opened.use(clock.every(ROUTER_RELOAD_MS, knownRouters.reload));
  opened.use(
    clock.every(SWEEP_MS, () => {
      sources.sweep(clock.monotonicMs());
      rateLimit.sweep();
      discardLog.sweep();
    }),
  );

  stores.onSessionsEnded((sessions) => {
    seats.ended(sessions).catch((error: unknown) => {
      log.warn('could not give back the seats of a restarted router', { error });
    });
  });

  const restoreSeats = () => {
    seats.restore().catch((error: unknown) => log.warn('could not restore the seats', { error }));
  };
  stores.onStateRecovered(restoreSeats);
  restoreSeats();

  let openSessions = 0;
  const countSessions = () => {
    stores.countOpenSessions().then(
      (count) => {
        openSessions = count;
      },
      () => undefined, // the health check says that the database is away
    );
  };
  countSessions();
  opened.use(clock.every(OPEN_SESSIONS_MS, countSessions));
  const sessions = 'Sessions open now, by type.';
  metrics.measured('radius_sessions_active', sessions, () => openSessions, { type: 'accounting' });

  if (options.peer !== undefined) {
    const { rejectDelayMs } = options;
    const self = { ...options.peer, name: options.node, rejectDelayMs };
    const { keepCopy } = conversations;
    opened.use(await peers.open(self, { answer: handler.answerForwarded, keepCopy }));
  }
  const auth = opened.use(await bind(options.authPort, 'auth'));
  const acct = opened.use(await bind(options.acctPort, 'acct'));
  const sendFailures = 'Answers that the kernel refused to send.';
  metrics.measured('radius_send_failures', sendFailures, () => auth.sendFailures, { port: 'auth' });
  metrics.measured('radius_send_failures', sendFailures, () => acct.sendFailures, { port: 'acct' });

  const { host, reusePort } = options;
  const radsec =
    options.radsec &&
    opened.use(
      await startRadsec(
        { ...options.radsec, host, reusePort },
        {
          receive: handler.receiveProtected,
          malformed(source, reason) {
            counters.discard(reason);
            discardLog.discarded(source, reason);
          },
          routers,
          runtime,
        },
      ),
    );

  // Closed first: what has been asked is answered while sockets and stores are still open.
  opened.defer(async () => {
    isDraining = true;
    radsec?.stopListening();
    const deadlineMs = clock.monotonicMs() + DRAIN_MS;
    while (handler.inProgress > 0 && clock.monotonicMs() < deadlineMs) await clock.sleep(10);
  });

  const closing = opened.move();
  return {
    authPort: auth.port,
    acctPort: acct.port,
    radsecPort: radsec?.port,
    engine: auth.engine,
    receiveBufferBytes: auth.receiveBufferBytes,
    get routers() {
      return routers.size;
    },
    whyNotReady,
    whyAccountingFails: accounting.whyFailing,
    drain() {
      isDraining = true;
    },
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
}
