// How often a caller may call: a count per minute in the shared state, so that it holds over all
// gateways. A caller is its API key; who has none is its address. Windows begin with the minute.
// What happens while the shared state is away is decided there (`state.on_failure`): it counts for
// each gateway alone, or refuses, and then we refuse too.

import { SharedStateUnavailable } from '../../domain/shared-state.ts';
import type { SharedState } from '../../domain/shared-state.ts';
import type { Runtime } from '../../runtime/runtime.ts';

export type RateLimit = {
  count(caller: string, limitPerMinute: number): Promise<RateDecision>;
};

type RateDecision =
  | { kind: 'within' | 'exceeded'; limit: number; remaining: number; resetSeconds: number }
  | { kind: 'unavailable' };

const MINUTE_MS = 60_000;

export function createRateLimit(
  state: Pick<SharedState, 'increment'>,
  { clock, metrics }: Pick<Runtime, 'clock' | 'metrics'>,
): RateLimit {
  const exceeded = metrics
    .counter('evergate_gateway_rate_limited_total', 'API requests refused for their number')
    .labels({});

  async function countUp(key: string): Promise<number | undefined> {
    try {
      return await state.increment(key, 1, 2 * MINUTE_MS);
    } catch (error) {
      if (error instanceof SharedStateUnavailable) return undefined;
      throw error;
    }
  }

  return {
    async count(caller, limit) {
      const nowMs = clock.nowMs();
      const minute = Math.floor(nowMs / MINUTE_MS);
      const resetSeconds = Math.ceil(((minute + 1) * MINUTE_MS - nowMs) / 1_000);
      // The minute is part of the key: the window ends for all gateways at the same moment.
      const count = await countUp(`gateway:rate:${caller}:${minute}`);
      if (count === undefined) return { kind: 'unavailable' };
      if (count <= limit) return { kind: 'within', limit, remaining: limit - count, resetSeconds };
      exceeded.add();
      return { kind: 'exceeded', limit, remaining: 0, resetSeconds };
    },
  };
}
