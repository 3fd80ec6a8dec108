// Health: what a service can do now, from checks that run side by side, each bounded in time.
// It never throws and never hangs: a check that does either has failed. Who may see it, and over
// which paths, is http.ts.

import type { Clock } from '../clock.ts';
import { describeError } from '../log.ts';

export type CheckResult = { status: 'pass' | 'degraded' | 'fail'; detail?: string };

export type HealthCheck = {
  name: string;
  /** A required check that fails makes the service unhealthy and not ready; another one degrades it. */
  required: boolean;
  run(): Promise<CheckResult>;
};

export type StoreStatus = 'connected' | 'disconnected' | 'embedded';

/** What one service contributes to the health of its process. */
export type HealthPart = {
  checks: HealthCheck[];
  database?: () => StoreStatus;
  redis?: () => StoreStatus;
};

type CheckReport = CheckResult & { name: string; required: boolean; latencyMs: number };

export type HealthReport = {
  status: 'healthy' | 'degraded' | 'unhealthy';
  database: StoreStatus | undefined;
  redis: StoreStatus | undefined;
  checks: CheckReport[];
};

const CHECK_TIMEOUT_MS = 1_000;

/** `part` adds a service, also while the server runs. */
export function createHealth(clock: Clock) {
  const parts: HealthPart[] = [];
  const runners: (() => Promise<CheckReport>)[] = [];
  let running: Promise<HealthReport> | undefined;

  const ask = async (): Promise<HealthReport> => {
    const checks = await Promise.all(runners.map((run) => run()));
    const failed = checks.filter((check) => check.status === 'fail');
    return {
      status: failed.some((check) => check.required)
        ? 'unhealthy'
        : checks.every((check) => check.status === 'pass')
          ? 'healthy'
          : 'degraded',
      database: worst(parts.map((part) => part.database)),
      redis: worst(parts.map((part) => part.redis)),
      checks: worstByName(checks),
    };
  };

  return {
    add(part: HealthPart): void {
      parts.push(part);
      runners.push(...part.checks.map((check) => runner(check, clock)));
    },
    /** Several callers at once share one round of checks. */
    report(): Promise<HealthReport> {
      running ??= ask().finally(() => {
        running = undefined;
      });
      return running;
    },
  };
}

function runner(check: HealthCheck, clock: Clock): () => Promise<CheckReport> {
  // A check that hangs is not started again before it has ended: hung ones must not pile up.
  let pending: Promise<CheckResult> | undefined;
  return async () => {
    const startedMs = clock.monotonicMs();
    pending ??= settled(check).finally(() => {
      pending = undefined;
    });
    const result = await withTimeout(pending, clock);
    const latencyMs = Math.round((clock.monotonicMs() - startedMs) * 1_000) / 1_000;
    return { name: check.name, required: check.required, latencyMs, ...result };
  };
}

async function settled(check: HealthCheck): Promise<CheckResult> {
  try {
    return await check.run();
  } catch (error) {
    return { status: 'fail', detail: describeError(error) };
  }
}

function withTimeout(pending: Promise<CheckResult>, clock: Clock): Promise<CheckResult> {
  return new Promise((resolve) => {
    const timer = clock.after(CHECK_TIMEOUT_MS, () =>
      resolve({ status: 'fail', detail: `no answer within ${CHECK_TIMEOUT_MS} ms` }),
    );
    void pending.then((result) => {
      timer[Symbol.dispose]();
      resolve(result);
    });
  });
}

/** Services in one process check the same stores: a name appears once, with the worst that was found. */
function worstByName(checks: CheckReport[]): CheckReport[] {
  const order = ['pass', 'degraded', 'fail'];
  const byName = new Map<string, CheckReport>();
  for (const check of checks) {
    const known = byName.get(check.name);
    const isWorse =
      known === undefined || order.indexOf(check.status) > order.indexOf(known.status);
    if (isWorse) byName.set(check.name, check);
  }
  return [...byName.values()];
}

function worst(statuses: ((() => StoreStatus) | undefined)[]): StoreStatus | undefined {
  const said = statuses.filter((status) => status !== undefined).map((status) => status());
  return (['disconnected', 'connected', 'embedded'] as const).find((status) =>
    said.includes(status),
  );
}
