// What logins are checked against, kept in the node's memory for a bounded time.
//
// Three ages: fresh (used as it is), old (asked for again, and used if the database does not answer
// in time), too old (not used). A change is announced by the database and forgets the entry at once.
// Questions to the database are grouped: the next group leaves when the previous one is answered,
// so a quiet server waits for nothing and a busy one asks for hundreds at a time.

import type { Credential } from '../../domain/subscriber.ts';
import type { Runtime } from '../../runtime/runtime.ts';

export type CredentialCache = {
  /** Without a promise when the answer is fresh in memory. `null`: there is no such subscriber. */
  find(username: string): Credential | null | Promise<Credential | null>;
  /** What memory holds, however old; undefined: nothing, or nothing that may be used. */
  peek(username: string): Credential | null | undefined;
  /** It has changed: the entry is not used again, even if the database is away. */
  forget(username: string): void;
  /** Its usage has changed: asked for again at the next login, and still good if the database is away. */
  refresh(username: string): void;
  forgetAll(): void;
  /** Announcements of changes may have been missed: all are asked for again, and still good if that fails. */
  refreshAll(): void;
  readonly size: number;
};

/** The database did not answer, and this node knows nothing usable of the subscriber. */
export class CredentialUnavailable extends Error {
  override name = 'CredentialUnavailable';
}

type Entry = { credential: Credential | null; loadedAtMs: number; mustReload: boolean };

/** Entries kept at most; the least recently loaded go first. */
const MAX_ENTRIES = 500_000;
/** Names that nobody has, likewise: whoever invents names displaces no subscriber. */
const MAX_UNKNOWN = 50_000;
/** Names asked for in one query. */
const MAX_GROUP = 256;
/** Names waiting for a query: beyond this a login is answered from what is in memory, or not. */
const MAX_WAITING = 20_000;
/** How long "no such subscriber" is believed; a new subscriber is announced, so this is a fallback. */
const UNKNOWN_MAX_AGE_MS = 5_000;
/** A router waits 2 s for its answer; beyond this we use what we have. */
const LOAD_DEADLINE_MS = 1_000;
/** After a failed load nobody waits for the database for so long, unless memory has nothing for them. */
const AWAY_MS = 1_000;

export function createCredentialCache(options: {
  load: (usernames: string[]) => Promise<(Credential | undefined)[]>;
  maxAgeMs: number;
  staleMaxAgeMs: number;
  runtime: Runtime;
}): CredentialCache {
  const { load, maxAgeMs, staleMaxAgeMs, runtime } = options;
  const { clock } = runtime;
  const entries = new Map<string, Entry>();
  const unknown = new Map<string, Entry>();
  /** A voucher's code may be typed in any case: by the code, the other spellings there are entries of. */
  const spellings = new Map<string, Set<string>>();
  const waiting = new Map<string, PromiseWithResolvers<Credential | null>>();
  let isLoading = false;
  let awayUntilMs = 0;
  /** Names of the query under way that have not changed meanwhile: its answer is kept for these. */
  let asked = new Set<string>();

  const requests = runtime.metrics.counter(
    'evergate_cache_requests_total',
    'Look-ups in a local cache by result (hit, miss, stale).',
  );
  const hits = requests.labels({ cache: 'credentials', result: 'hit' });
  const misses = requests.labels({ cache: 'credentials', result: 'miss' });
  const stales = requests.labels({ cache: 'credentials', result: 'stale' });

  function entryOf(username: string): Entry | undefined {
    return entries.get(username) ?? unknown.get(username);
  }

  function remember(username: string, credential: Credential | null) {
    drop(username);
    const [among, most] = credential === null ? [unknown, MAX_UNKNOWN] : [entries, MAX_ENTRIES];
    const oldest = among.size >= most ? among.keys().next() : undefined;
    if (oldest?.done === false) drop(oldest.value);
    among.set(username, { credential, loadedAtMs: clock.monotonicMs(), mustReload: false });
    if (credential?.kind !== 'voucher' || credential.username === username) return;
    const others = spellings.get(credential.username);
    if (others === undefined) spellings.set(credential.username, new Set([username]));
    else others.add(username);
  }

  function drop(username: string) {
    unknown.delete(username);
    const code = entries.get(username)?.credential?.username;
    entries.delete(username);
    const others = code === undefined ? undefined : spellings.get(code);
    if (code === undefined || others?.delete(username) !== true) return;
    if (others.size === 0) spellings.delete(code);
  }

  /** An answer that is on its way may be older than the change: it is used, and not kept. */
  function doubtAnswer(username: string) {
    const inCapitals = username.toUpperCase();
    for (const each of asked) if (each.toUpperCase() === inCapitals) asked.delete(each);
  }

  async function loadWaiting(): Promise<void> {
    isLoading = true;
    while (waiting.size > 0) {
      const group = [...waiting].slice(0, MAX_GROUP);
      for (const [username] of group) waiting.delete(username);
      asked = new Set(group.map(([username]) => username));
      try {
        const found = await load([...asked]);
        group.forEach(([username, { resolve }], index) => {
          const credential = found[index] ?? null;
          if (asked.has(username)) remember(username, credential);
          resolve(credential);
        });
      } catch (error) {
        for (const [, { reject }] of group) reject(error);
      }
    }
    isLoading = false;
  }

  function ask(username: string): Promise<Credential | null> {
    let answer = waiting.get(username);
    if (answer === undefined) {
      if (waiting.size >= MAX_WAITING) {
        return Promise.reject(new CredentialUnavailable('too many look-ups are waiting'));
      }
      answer = Promise.withResolvers<Credential | null>();
      answer.promise.catch(() => undefined); // whoever waits sees it; nobody may be waiting any more
      waiting.set(username, answer);
      if (!isLoading) clock.soon(() => void (isLoading || loadWaiting()));
    }
    return answer.promise;
  }

  async function findInDatabase(
    username: string,
    known: Entry | undefined,
  ): Promise<Credential | null> {
    const nowMs = clock.monotonicMs();
    const isUsable =
      known !== undefined && !known.mustReload && nowMs - known.loadedAtMs <= staleMaxAgeMs;
    if (isUsable && nowMs < awayUntilMs) {
      stales.add();
      return known.credential;
    }
    try {
      return await withDeadline(ask(username));
    } catch (error) {
      awayUntilMs = clock.monotonicMs() + AWAY_MS;
      if (!isUsable) {
        throw new CredentialUnavailable('the database did not answer', { cause: error });
      }
      stales.add();
      return known.credential;
    }
  }

  function withDeadline<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = clock.after(LOAD_DEADLINE_MS, () =>
        reject(new Error(`no answer within ${String(LOAD_DEADLINE_MS)} ms`)),
      );
      promise.then(resolve, reject).finally(() => timer[Symbol.dispose]());
    });
  }

  /** Too old to be used without asking, young enough if nobody answers. */
  function age(entry: Entry) {
    entry.loadedAtMs = Math.min(entry.loadedAtMs, clock.monotonicMs() - maxAgeMs - 1);
  }

  return {
    find(username) {
      const entry = entryOf(username);
      if (entry !== undefined && !entry.mustReload) {
        const ageMs = clock.monotonicMs() - entry.loadedAtMs;
        if (ageMs <= (entry.credential === null ? UNKNOWN_MAX_AGE_MS : maxAgeMs)) {
          hits.add();
          return entry.credential;
        }
      }
      misses.add();
      return findInDatabase(username, entry);
    },
    peek(username) {
      const entry = entryOf(username);
      return entry === undefined || entry.mustReload ? undefined : entry.credential;
    },
    forget(username) {
      doubtAnswer(username);
      for (const spelling of [username, ...(spellings.get(username) ?? [])]) {
        const entry = entryOf(spelling);
        if (entry !== undefined) entry.mustReload = true;
      }
    },
    refresh(username) {
      doubtAnswer(username);
      const entry = entryOf(username);
      if (entry !== undefined) age(entry);
    },
    forgetAll() {
      asked.clear();
      for (const entry of entries.values()) entry.mustReload = true;
      for (const entry of unknown.values()) entry.mustReload = true;
    },
    refreshAll() {
      asked.clear();
      for (const entry of entries.values()) age(entry);
      for (const entry of unknown.values()) age(entry);
    },
    get size() {
      return entries.size + unknown.size;
    },
  };
}
