// Keeps the router table as the database has it, and the latches of Message-Authenticator in both.
// One reading at a time: a thousand changes announced at once are two readings, and an older one can
// never replace a newer one. A latch that could not be stored holds here, and is stored when that works.

import type { Router } from '../../domain/router.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { KnownRouter, RouterTable } from './router-table.ts';

export type KnownRouters = {
  /** Resolves when the table has what the database had at this call or later. */
  load(): Promise<void>;
  /** The same, for whoever does not wait: a failure is logged, and the known routers stay. */
  reload(): void;
  /** The router signs its requests: from now on it must. */
  latch(known: KnownRouter): void;
};

export function createKnownRouters(options: {
  table: RouterTable;
  listRouters: () => Promise<Router[]>;
  markMessageAuthenticatorSeen: (routerId: string, atMs: number) => Promise<void>;
  runtime: Pick<Runtime, 'clock' | 'log'>;
}): KnownRouters {
  const { table, listRouters, markMessageAuthenticatorSeen, runtime } = options;
  const { clock, log } = runtime;
  let reading: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  /** Latches that the database does not have yet: the moment, by router. */
  const unstored = new Map<string, number>();

  async function read(): Promise<void> {
    table.replace(await listRouters());
    for (const id of unstored.keys()) store(id);
  }

  function load(): Promise<void> {
    if (reading === undefined) {
      reading = read().finally(() => {
        reading = undefined;
      });
      return reading;
    }
    // What is being read may be older than the change: once more, for all who ask meanwhile.
    next ??= reading
      .catch(() => undefined)
      .then(() => {
        next = undefined;
        return load();
      });
    return next;
  }

  function store(id: string) {
    markMessageAuthenticatorSeen(id, unstored.get(id) ?? clock.nowMs()).then(
      () => unstored.delete(id),
      (error: unknown) => log.warn('could not store that a router signs its requests', { error }),
    );
  }

  return {
    load,

    reload() {
      load().catch((error: unknown) => {
        log.warn('could not read the routers; the known ones stay', { error });
      });
    },

    latch(known) {
      known.hasSignedRequests = true;
      const { id, name } = known.router;
      log.info('the router signs its requests: from now on it must', { router: name });
      unstored.set(id, clock.nowMs());
      store(id);
    },
  };
}
