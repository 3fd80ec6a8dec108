// Who is calling: an API key, checked against the store and remembered for 10 seconds, so that a
// request does not cost a query. A key that is revoked here is forgotten at once; other gateways
// learn of it within those 10 seconds.

import type { Clock } from '../../runtime/clock.ts';
import type { Role } from './roles.ts';

export type Caller = { keyId: string; keyName: string; role: Role };

export type Callers = {
  /** Not asked for: a key that was asked for in the last seconds. `unknown`: certainly no key. */
  remembered(key: string): Caller | 'unknown' | undefined;
  identify(key: string): Promise<Caller | 'unknown'>;
  forgetAll(): void;
};

const REMEMBERED_MS = 10_000;
/** Keys that exist are few; a flood of invented ones pushes out the oldest. */
const MAX_REMEMBERED = 10_000;

export function createCallers(options: {
  clock: Clock;
  find(
    key: string,
  ): Promise<{ id: string; name: string; role: Role; expiresAtMs: number | undefined } | undefined>;
  /** Called at most every 10 seconds for each key. */
  noteUse(keyId: string): void;
}): Callers {
  const { clock } = options;
  const entries = new Map<string, { caller: Caller | 'unknown'; untilMs: number }>();

  function remembered(key: string): Caller | 'unknown' | undefined {
    const entry = entries.get(key);
    return entry !== undefined && entry.untilMs > clock.monotonicMs() ? entry.caller : undefined;
  }

  return {
    remembered,
    async identify(key) {
      const known = remembered(key);
      if (known !== undefined) return known;
      const found = await options.find(key);
      const caller: Caller | 'unknown' =
        found === undefined
          ? 'unknown'
          : { keyId: found.id, keyName: found.name, role: found.role };
      const leftMs = (found?.expiresAtMs ?? Infinity) - clock.nowMs();
      entries.delete(key);
      entries.set(key, { caller, untilMs: clock.monotonicMs() + Math.min(REMEMBERED_MS, leftMs) });
      const [oldest] = entries.keys();
      if (entries.size > MAX_REMEMBERED && oldest !== undefined) entries.delete(oldest);
      if (found !== undefined) options.noteUse(found.id);
      return caller;
    },
    forgetAll: () => entries.clear(),
  };
}

/** `Authorization: Bearer evg_…`; undefined when there is none, or nothing like one. */
export function bearerToken(header: string | undefined): string | undefined {
  return /^Bearer +(evg_[\w-]{43})$/i.exec(header ?? '')?.[1];
}
