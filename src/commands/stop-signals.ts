// SIGTERM and SIGINT ask for an orderly stop. Who asks again does not want to wait.

import type { Runtime } from '../runtime/runtime.ts';

export type StopSignals = Disposable & {
  /** Resolves with the first signal. */
  readonly first: Promise<NodeJS.Signals>;
};

/** One Ctrl-C under `npm start` arrives twice: from the terminal, and from npm. */
const SAME_WISH_MS = 1_000;

export function watchStopSignals({ clock, log }: Pick<Runtime, 'clock' | 'log'>): StopSignals {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>();
  let firstAtMs: number | undefined;
  const onSignal = (signal: NodeJS.Signals) => {
    if (firstAtMs === undefined) {
      firstAtMs = clock.monotonicMs();
      resolve(signal);
    } else if (clock.monotonicMs() - firstAtMs > SAME_WISH_MS) {
      log.warn('asked again to stop: ending at once', { signal });
      process.exit(1);
    }
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  return {
    first: promise,
    [Symbol.dispose]() {
      process.off('SIGTERM', onSignal);
      process.off('SIGINT', onSignal);
    },
  };
}
