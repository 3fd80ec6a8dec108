// LISTEN on a connection of its own, for as long as the caller wants. A connection that broke is
// opened again, and the caller is told, because what was announced meanwhile has been missed.

import type { Clock } from '../../runtime/clock.ts';
import type { Log } from '../../runtime/log.ts';
import type { PostgresAddress, PostgresHost } from './address.ts';
import { connectClient, withinDeadline } from './connection-pool.ts';

export type Subscription = {
  /** A name of ours, never input: it becomes part of a statement. */
  channel: string;
  onNotification: (payload: string) => void;
  /**
   * From now on every announcement arrives; those from before, since the last subscription or ever,
   * may have been missed. Called for the first subscription and again after each break.
   */
  onSubscribed: () => void;
};

type Options = {
  clock: Clock;
  log: Log;
  applicationName: string;
  /** Undefined while the database is away. */
  primary: () => { address: PostgresAddress; host: PostgresHost } | undefined;
};

const RETRY_MS = 250;
const DEADLINE_MS = 1_000;
/** A frozen server closes nothing: only a question shows that it is gone. */
const CHECK_PERIOD_MS = 5_000;

export function subscribe(subscription: Subscription, options: Options): AsyncDisposable {
  const stop = new AbortController();

  async function keepListening() {
    let wasListening = false;
    while (!stop.signal.aborted) {
      try {
        await listenOnce(subscription, options, stop.signal, () => {
          wasListening = true;
          subscription.onSubscribed();
        });
      } catch (error) {
        if (wasListening) options.log.warn('listening to the database broke off', { error });
        wasListening = false;
      }
      await options.clock.sleep(RETRY_MS, stop.signal);
    }
  }

  const listening = keepListening();
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await listening;
    },
  };
}

/** Returns when told to stop or when the connection ended; rejects when it could not be opened. */
async function listenOnce(
  subscription: Subscription,
  options: Options,
  signal: AbortSignal,
  onListening: () => void,
): Promise<void> {
  const primary = options.primary();
  if (primary === undefined) return;
  const { clock } = options;
  const { client, destroy } = await connectClient(primary.address, primary.host, {
    applicationName: `${options.applicationName} listen`,
    timeoutMs: DEADLINE_MS,
    clock,
  });
  const ended = new Promise<void>((resolve) => client.once('end', () => resolve()));
  const ask = (text: string) => withinDeadline(clock, DEADLINE_MS, client.query(text), destroy);
  signal.addEventListener('abort', destroy, { once: true });
  try {
    client.on('notification', (message) => subscription.onNotification(message.payload ?? ''));
    await ask(`listen ${subscription.channel}`);
    onListening();
    using _checking = clock.every(CHECK_PERIOD_MS, () => {
      ask('select').catch(destroy);
    });
    if (!signal.aborted) await ended;
  } finally {
    signal.removeEventListener('abort', destroy);
    destroy();
  }
}
