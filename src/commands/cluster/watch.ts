// Looks at a cluster once a second while it is shown, and says what has changed since the last look.

import type { Cluster } from '../../operations/cluster/cluster.ts';
import type { PartView } from '../../operations/cluster/look.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { Phase, Screen } from './screen.ts';
import { changes } from './view.ts';

export type Watch = AsyncDisposable & {
  /** Resolves when the first look of that phase is shown. */
  enter(phase: Phase): Promise<void>;
  /** Something happened: looks at once. */
  look(): void;
};

const LOOK_EVERY_MS = 1_000;

export function watchCluster(cluster: Cluster, screen: Screen, { clock }: Runtime): Watch {
  let phase: Phase = 'starting';
  let before: readonly PartView[] = [];
  let looking: Promise<void> | undefined;

  async function lookOnce(): Promise<void> {
    if (cluster.parts.length === 0) return;
    const now = await cluster.look();
    if (phase === 'running') for (const sentence of changes(before, now)) screen.say(sentence);
    before = now;
    screen.show(now, phase);
  }
  /** One look at a time: a frozen part makes it take two seconds. */
  const look = () => {
    looking ??= lookOnce().finally(() => {
      looking = undefined;
    });
    return looking;
  };
  const lookQuietly = () => void look().catch(() => undefined);
  const timer = clock.every(LOOK_EVERY_MS, lookQuietly);
  return {
    look: lookQuietly,
    async enter(next) {
      await looking;
      phase = next;
      if (next === 'running') before = []; // that the parts have become ready is no news
      if (next === 'stopping') screen.show(before, next);
      else await look();
    },
    async [Symbol.asyncDispose]() {
      timer[Symbol.dispose]();
      await looking?.catch(() => undefined);
    },
  };
}
