// What the radius service says of its health. Only what stops its one job, answering routers, is
// required; everything else degrades it and says how.

import type { CheckResult, HealthCheck } from '../../runtime/http/health.ts';
import type { WatchedCertificates } from './certificates/watched-certificates.ts';
import type { Radius } from './radius.ts';

/** The same in every worker: workers.ts asks for them by these names. */
export const CHECK_NAMES = ['radius', 'database', 'state', 'journal', 'certificates'] as const;
type CheckName = (typeof CHECK_NAMES)[number];

export function isRequired(name: CheckName, isStateRequired: boolean): boolean {
  return name === 'radius' || (name === 'state' && isStateRequired);
}

export function radiusChecks(options: {
  running: Pick<Radius, 'whyNotReady' | 'whyAccountingFails'>;
  pingDatabase(): Promise<unknown>;
  pingState(): Promise<unknown>;
  isStateDegraded(): boolean;
  isStateRequired: boolean;
  journals: readonly { readonly pendingRecords: number }[];
  certificates: readonly WatchedCertificates[];
}): HealthCheck[] {
  const { running, journals, certificates } = options;

  const checks: Record<CheckName, () => CheckResult | Promise<CheckResult>> = {
    radius() {
      const detail = running.whyNotReady();
      return detail === undefined ? { status: 'pass' } : { status: 'fail', detail };
    },

    /** Without it logins go on from memory, and accounting into the journal. */
    async database() {
      await options.pingDatabase();
      return { status: 'pass' };
    },

    async state() {
      await options.pingState();
      return options.isStateDegraded()
        ? { status: 'degraded', detail: 'limits and duplicates are per node' }
        : { status: 'pass' };
    },

    journal() {
      const failing = running.whyAccountingFails();
      if (failing !== undefined) {
        return { status: 'fail', detail: `accounting cannot be stored: ${failing}` };
      }
      const waiting = journals.reduce((sum, { pendingRecords }) => sum + pendingRecords, 0);
      if (waiting === 0) return { status: 'pass' };
      const detail = `${String(waiting)} accounting records wait for the database`;
      return { status: 'degraded', detail };
    },

    /** Logins without TLS go on. */
    certificates() {
      const results = certificates.map((watched) => watched.check());
      return results.find(({ status }) => status !== 'pass') ?? { status: 'pass' };
    },
  };

  return CHECK_NAMES.map((name) => ({
    name,
    required: isRequired(name, options.isStateRequired),
    run: async () => checks[name](),
  }));
}
