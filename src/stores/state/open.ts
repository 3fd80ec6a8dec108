// Opens the shared state that `state.url` names, with what `state.on_failure` says around it. The one
// place that knows which implementations there are.

import type { SharedState } from '../../domain/shared-state.ts';
import { withFallback } from './degrade.ts';
import type { FallbackState, OnFailure } from './degrade.ts';
import { createMemoryState } from './memory.ts';
import { connectRedisState } from './redis.ts';
import type { RedisStateConfig } from './redis.ts';
import type { StateRuntime } from './redis-connection.ts';
import { parseStateUrl } from './state-url.ts';
import type { StateAddress } from './state-url.ts';

/** The part `state:` of the configuration. */
export type StateConfig = RedisStateConfig & { onFailure: OnFailure };

export type OpenedState = AsyncDisposable & {
  state: SharedState;
  kind: StateAddress['kind'];
  /** As `GET /health` shows it under `redis`. */
  status(): 'embedded' | 'connected' | 'disconnected';
  /** Connections open for commands. */
  connections(): number;
} & Pick<FallbackState, 'isDegraded' | 'onRecovered'>;

/** Also resolves while the state cannot be reached: it is then degraded, or rejects, until it can. */
export async function openSharedState(
  config: StateConfig,
  runtime: StateRuntime,
): Promise<OpenedState> {
  const { kind } = parseStateUrl(config.url);
  if (kind === 'memory') {
    const { clock, metrics } = runtime;
    return {
      state: createMemoryState({ clock, metrics }),
      kind,
      status: () => 'embedded',
      connections: () => 0,
      isDegraded: () => false,
      onRecovered: () => ({ [Symbol.dispose]: () => undefined }),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }

  await using opened = new AsyncDisposableStack();
  const redis = opened.use(await connectRedisState(config, runtime));
  const state = opened.use(withFallback(redis, { onFailure: config.onFailure, runtime }));
  const kept = opened.move();
  return {
    state,
    kind,
    status: redis.status,
    connections: redis.connections,
    isDegraded: state.isDegraded,
    onRecovered: (listener) => {
      // A server that was restarted between two commands has lost as much as one that was missed.
      const subscriptions = new DisposableStack();
      subscriptions.use(state.onRecovered(listener));
      subscriptions.use(redis.onReconnected(listener));
      return subscriptions;
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
