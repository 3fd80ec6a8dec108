// Says why packets get no answer, without letting a flood of them fill the log: each reason of each
// router speaks once and then at most once a minute, with how many there were.

import type { Clock } from '../../runtime/clock.ts';
import { describeError } from '../../runtime/describe-error.ts';
import type { Log } from '../../runtime/log.ts';
import type { DiscardReason } from './counters.ts';
import type { KnownRouter } from './router-table.ts';
import { sourceAddress } from './sources.ts';
import type { Source } from './sources.ts';

export type DiscardLog = {
  discarded(source: Source, reason: DiscardReason): void;
  unknownRouter(paths: Buffer, offset: number): void;
  rejected(
    username: string | undefined,
    router: KnownRouter,
    reason: string,
    detail?: string,
  ): void;
  /** A fault on our side: a full disk would otherwise say so thousands of times a second. */
  failed(error: unknown): void;
  sweep(): void;
};

const QUIET_MS = 60_000;
/** Distinct lines remembered; beyond this new ones are counted in the metrics only. */
const MAX_SUBJECTS = 1_000;

/** Characters of a reason that others have a part in. */
const MAX_DETAIL = 300;

type Subjects = Map<string, { quietUntilMs: number; unsaid: number }>;

const HINTS: Partial<Record<DiscardReason, string>> = {
  'unknown-router': 'add a router with this address: evergate apply, or POST /v1/routers',
  'bad-accounting-authenticator': 'the shared secret of the router and ours differ',
  'bad-message-authenticator':
    'the shared secret of the router and ours differ, or the packet is forged',
  'message-authenticator-required':
    'this router has signed its requests before, or must; if it cannot any more, set require_message_authenticator: no',
  'rate-limit': 'radius.rate_limit_per_minute',
};

export function createDiscardLog(options: { clock: Clock; log: Log }): DiscardLog {
  const { clock, log } = options;
  const subjects: Subjects = new Map();
  /** Apart, because anybody can invent names. */
  const names: Subjects = new Map();

  /** How many times it happened since it was last said, this one included; undefined: say nothing. */
  function speak(subject: string, among: Subjects = subjects): number | undefined {
    const nowMs = clock.monotonicMs();
    const known = among.get(subject);
    if (known !== undefined && nowMs < known.quietUntilMs) {
      known.unsaid++;
      return undefined;
    }
    if (known === undefined && among.size >= MAX_SUBJECTS) return undefined;
    among.set(subject, { quietUntilMs: nowMs + QUIET_MS, unsaid: 0 });
    return (known?.unsaid ?? 0) + 1;
  }

  return {
    discarded(source, reason) {
      if (reason === 'in-progress') return; // a patient router, not a fault
      const { router } = source.router;
      const times = speak(`${reason} ${router.id}`);
      if (times === undefined) return;
      const address = source.address;
      log.warn('discarded a packet', {
        reason,
        router: router.name,
        address,
        times,
        hint: HINTS[reason],
      });
    },

    unknownRouter(paths, offset) {
      const address = sourceAddress(paths, offset);
      const times = speak(`unknown-router ${address}`);
      if (times === undefined) return;
      log.warn('discarded a packet', {
        reason: 'unknown-router',
        address,
        times,
        hint: HINTS['unknown-router'],
      });
    },

    rejected(username, router, reason, detail) {
      const times = speak(`${username ?? ''} ${reason}`, names);
      if (times === undefined) return;
      const why =
        detail === undefined ? { reason } : { reason, detail: detail.slice(0, MAX_DETAIL) };
      log.info('rejected a login', { username, router: router.router.name, ...why, times });
    },

    failed(error) {
      // Numbers change from one time to the next: how many bytes wait, which port.
      const times = speak(`failed ${describeError(error).replaceAll(/\d+/g, '')}`);
      if (times !== undefined) log.error('a request failed', { error, times });
    },

    sweep() {
      const nowMs = clock.monotonicMs();
      for (const among of [subjects, names]) {
        for (const [subject, { quietUntilMs }] of among) {
          if (nowMs >= quietUntilMs) among.delete(subject);
        }
      }
    },
  };
}
