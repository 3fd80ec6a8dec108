// Warnings about connections, of which anybody can make as many as he likes: each subject speaks once and
// then at most once a minute, with how many there were.

import type { Fields } from '../../../runtime/log.ts';
import type { Runtime } from '../../../runtime/runtime.ts';

export type QuietLog = {
  warn(subject: string, message: string, fields: Fields): void;
  sweep(): void;
};

const QUIET_MS = 60_000;
/** Beyond this many subjects the metrics alone tell. */
const MAX_SUBJECTS = 1_000;

export function createQuietLog({ clock, log }: Pick<Runtime, 'clock' | 'log'>): QuietLog {
  const subjects = new Map<string, { quietUntilMs: number; unsaid: number }>();
  return {
    warn(subject, message, fields) {
      const nowMs = clock.monotonicMs();
      const known = subjects.get(subject);
      if (known !== undefined && nowMs < known.quietUntilMs) {
        known.unsaid++;
        return;
      }
      if (known === undefined && subjects.size >= MAX_SUBJECTS) return;
      subjects.set(subject, { quietUntilMs: nowMs + QUIET_MS, unsaid: 0 });
      log.warn(message, { ...fields, times: (known?.unsaid ?? 0) + 1 });
    },

    sweep() {
      const nowMs = clock.monotonicMs();
      for (const [subject, { quietUntilMs }] of subjects) {
        if (nowMs >= quietUntilMs) subjects.delete(subject);
      }
    },
  };
}
