// The database of the simulated cluster: one truth that all nodes reach over a network. It folds
// accounting with the product's own mergeRecord, and commits a group as a whole.

import type { AccountingFact } from '../../src/domain/accounting.ts';
import type { Router } from '../../src/domain/router.ts';
import { mergeRecord } from '../../src/domain/session.ts';
import type { Session } from '../../src/domain/session.ts';
import type { Credential } from '../../src/domain/subscriber.ts';
import type { Change, RadiusStores } from '../../src/services/radius/radius.ts';
import type { Chance } from './chance.ts';
import type { Life } from './life.ts';
import type { Scheduler } from './scheduler.ts';

/**
 * `away`: refused after a moment. `slow`: commits, but takes longer than accounting waits for.
 * `frozen`: commits although the caller sees nothing but a time-out.
 */
type DatabaseMode = 'up' | 'slow' | 'away' | 'frozen';

/** How to break it on purpose. `acknowledges-early`: says committed first and commits a little later. */
export type DatabaseFlaw = 'none' | 'acknowledges-early';

export type SimulatedDatabase = {
  mode: DatabaseMode;
  /** Of which nodes the link is cut. */
  readonly cutOff: Set<string>;
  readonly routers: Router[];
  readonly credentials: Map<string, Credential>;
  readonly sessions: Map<string, Session>;
  /** Changes a subscriber or voucher, and announces it. */
  putCredential(credential: Credential): void;
  /** After an outage: announcements may have been missed. */
  comeBack(): void;
  connect(node: string, life: Life): DatabaseCalls;
};

type DatabaseCalls = Omit<
  RadiusStores,
  | 'journal'
  | 'state'
  | 'box'
  | 'isStateShared'
  | 'isStateAway'
  | 'canStateBeAway'
  | 'onStateRecovered'
>;

type EndedListener = Parameters<RadiusStores['onSessionsEnded']>[0];

/** As the pool's: whoever asks is told after this time at the latest. */
const CALL_TIMEOUT_MS = 2_000;
const CONNECT_TIMEOUT_MS = 300;
const ANNOUNCED_AFTER_MS = 5;
const EARLY_BY_MS = 400;

export function createDatabase(
  scheduler: Scheduler,
  chance: Chance,
  flaw: DatabaseFlaw = 'none',
): SimulatedDatabase {
  const listeners: { node: string; life: Life; listener: (change: Change) => void }[] = [];

  const endedListeners: { life: Life; listener: EndedListener }[] = [];

  function announce(change: Change) {
    for (const { node, life, listener } of listeners) {
      if (database.mode === 'away' || database.cutOff.has(node)) continue;
      scheduler.at(ANNOUNCED_AFTER_MS, () => life.run(() => listener(change)));
    }
  }

  async function call<T>(node: string, effect: () => T): Promise<T> {
    const { mode } = database;
    if (mode === 'away' || database.cutOff.has(node)) {
      await scheduler.sleep(chance.between(1, CONNECT_TIMEOUT_MS));
      throw new Error('the database is away');
    }
    await scheduler.sleep(chance.between(0, 3) + (mode === 'slow' ? chance.between(200, 900) : 0));
    const result = effect();
    if (mode === 'frozen') {
      await scheduler.sleep(CALL_TIMEOUT_MS);
      throw new Error('the database did not answer');
    }
    await scheduler.sleep(chance.between(0, 3));
    return result;
  }

  function fold(fact: AccountingFact) {
    if (fact.kind !== 'router-restart') {
      const { sessionKey } = fact;
      database.sessions.set(sessionKey, mergeRecord(database.sessions.get(sessionKey), fact));
      return;
    }
    for (const [key, session] of database.sessions) {
      const isOver =
        session.routerId === fact.routerId &&
        session.stoppedAtMs === undefined &&
        session.startedAtMs < fact.occurredAtMs;
      if (!isOver) continue;
      database.sessions.set(key, { ...session, stoppedAtMs: fact.occurredAtMs });
      for (const { life, listener } of endedListeners) {
        scheduler.at(0, () => life.run(() => listener([session])));
      }
    }
  }

  const database: SimulatedDatabase = {
    mode: 'up',
    cutOff: new Set(),
    routers: [],
    credentials: new Map(),
    sessions: new Map(),

    putCredential(credential) {
      database.credentials.set(credential.username, credential);
      const table = credential.kind === 'voucher' ? 'vouchers' : 'subscribers';
      announce({ table, key: credential.username });
    },

    comeBack() {
      database.mode = 'up';
      announce({ table: 'everything' });
    },

    connect(node, life) {
      const ask = <T>(effect: () => T) => life.await(call(node, effect));
      const openSessions = () =>
        [...database.sessions.values()].filter(({ stoppedAtMs }) => stoppedAtMs === undefined);
      return {
        listRouters: () => ask(() => [...database.routers]),
        markMessageAuthenticatorSeen: (routerId, atMs) =>
          ask(() => {
            const at = database.routers.findIndex(({ id }) => id === routerId);
            const router = database.routers[at];
            if (router === undefined) return;
            database.routers[at] = { ...router, messageAuthenticatorSeenAtMs: atMs };
            announce({ table: 'routers' });
          }),
        findCredentials: (usernames) =>
          ask(() => usernames.map((username) => database.credentials.get(username))),
        activateVoucher: (id, atMs) =>
          ask(() => {
            const voucher = [...database.credentials.values()].find((each) => each.id === id);
            if (voucher === undefined) return { activatedAtMs: undefined, expiresAtMs: undefined };
            const activatedAtMs = voucher.activatedAtMs ?? atMs;
            const active = { ...voucher, activatedAtMs };
            if (voucher.activatedAtMs === undefined) database.putCredential(active);
            return { activatedAtMs, expiresAtMs: active.expiresAtMs };
          }),
        async writeAccounting(facts) {
          if (flaw === 'acknowledges-early') {
            scheduler.at(EARLY_BY_MS, () => {
              if (life.isAlive && database.mode === 'up') facts.forEach(fold);
            });
            return;
          }
          await ask(() => facts.forEach(fold));
        },
        listOpenSessions: () => ask(openSessions),
        onSessionsEnded: (listener) => void endedListeners.push({ life, listener }),
        countOpenSessions: () => ask(() => openSessions().length),
        watchChanges(listener) {
          const entry = { node, life, listener };
          listeners.push(entry);
          return {
            [Symbol.asyncDispose]() {
              listeners.splice(listeners.indexOf(entry), 1);
              return Promise.resolve();
            },
          };
        },
      };
    },
  };
  return database;
}
