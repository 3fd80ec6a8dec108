// `radius_sessions_active{type="eap"}`: conversations that this node has begun and not seen the end of.

import type { Runtime } from '../../../runtime/runtime.ts';

/** One that was not heard of for so long has been given up, or has ended at another node. */
const FORGOTTEN_AFTER_MS = 60_000;
/** Bounded by the scrape that sweeps it; a flood without scrapes is cut off here. */
const MAX_COUNTED = 100_000;

export function countConversations(runtime: Pick<Runtime, 'clock' | 'metrics'>) {
  const { clock, metrics } = runtime;
  const expiresAtMs = new Map<string, number>();

  metrics.measured(
    'radius_sessions_active',
    'Sessions open now, by type.',
    () => {
      const nowMs = clock.monotonicMs();
      for (const [id, expiry] of expiresAtMs) if (expiry <= nowMs) expiresAtMs.delete(id);
      return expiresAtMs.size;
    },
    { type: 'eap' },
  );

  return {
    goesOn(id: string) {
      if (expiresAtMs.size >= MAX_COUNTED && !expiresAtMs.has(id)) return;
      expiresAtMs.set(id, clock.monotonicMs() + FORGOTTEN_AFTER_MS);
    },
    ended(id: string) {
      expiresAtMs.delete(id);
    },
  };
}
