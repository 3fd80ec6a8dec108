// How the parts of a cluster are: each is asked itself, all side by side, and none for longer than two
// seconds. The logins per second are those since the last look.

import type { Clock } from '../../runtime/clock.ts';
import { healthOf, loginsOf } from './nodes.ts';
import type { Part, Role } from './part.ts';
import type { RedisGroup } from './redis-sentinel.ts';

/**
 * `up`: it runs and does not do its work yet, or no more. `degraded`: it does, without something.
 * `waiting`: its turn has not come yet. `stopped`: in order.
 */
export type Condition = 'waiting' | 'stopped' | 'down' | 'frozen' | 'up' | 'degraded' | 'ready';

export type PartView = {
  name: string;
  role: Role;
  condition: Condition;
  /** Why it is not simply ready. */
  detail: string | undefined;
  pid: number | undefined;
  ports: Record<string, number>;
  /** Of a node. */
  loginsPerSecond: number | undefined;
  /** Of a Redis server: what most Sentinels say. */
  isPrimary: boolean | undefined;
  restartsInMs: number | undefined;
};

export type Looked = {
  parts: readonly Part[];
  redis: Pick<RedisGroup, 'primary' | 'ping'>;
  pingDatabase(): Promise<unknown>;
};

type Found = Pick<PartView, 'condition' | 'detail'> & { loginsPerSecond?: number | undefined };

export function createLook(clock: Clock): (looked: Looked) => Promise<PartView[]> {
  const counted = new Map<string, { logins: number; atMs: number }>();

  /** A node that was started again begins to count at 0. */
  async function loginsPerSecond({ name, ports }: Part): Promise<number> {
    const now = { logins: await loginsOf(ports['http'] ?? 0), atMs: clock.monotonicMs() };
    const before = counted.get(name) ?? now;
    counted.set(name, now);
    const seconds = (now.atMs - before.atMs) / 1000;
    return seconds > 0 ? Math.max(0, now.logins - before.logins) / seconds : 0;
  }

  async function ask(part: Part, { redis, pingDatabase }: Looked): Promise<Found> {
    switch (part.role) {
      case 'radius':
      case 'gateway': {
        const { status, detail } = await healthOf(part.ports['http'] ?? 0);
        const conditions = { healthy: 'ready', degraded: 'degraded' } as const;
        const condition = status === 'healthy' || status === 'degraded' ? conditions[status] : 'up';
        const found: Found = { condition, detail: detail === '' ? undefined : `without ${detail}` };
        return part.role === 'gateway'
          ? found
          : { ...found, loginsPerSecond: await loginsPerSecond(part) };
      }
      case 'postgres':
        await pingDatabase();
        return { condition: 'ready', detail: undefined };
      case 'redis':
      case 'sentinel':
        await redis.ping(part.ports['tcp'] ?? 0);
        return { condition: 'ready', detail: undefined };
    }
  }

  async function look(part: Part, looked: Looked): Promise<Found> {
    const state = part.state();
    if (state !== 'running') return { condition: state, detail: undefined };
    try {
      return await ask(part, looked);
    } catch {
      // It may have ended while it was asked.
      const now = part.state();
      if (now !== 'running') return { condition: now, detail: undefined };
      return { condition: 'up', detail: 'does not answer' };
    }
  }

  return async (looked) => {
    const [primary, ...found] = await Promise.all([
      looked.redis.primary(),
      ...looked.parts.map((part) => look(part, looked)),
    ]);
    return looked.parts.map((part, index) => {
      const { condition = 'waiting', detail, loginsPerSecond: rate } = found[index] ?? {};
      return {
        name: part.name,
        role: part.role,
        condition,
        detail,
        pid: part.pid(),
        ports: part.ports,
        loginsPerSecond: rate,
        isPrimary: part.role === 'redis' ? part.ports['tcp'] === primary : undefined,
        restartsInMs: part.restartsInMs(),
      };
    });
  };
}
