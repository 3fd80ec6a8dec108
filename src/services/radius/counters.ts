// What the radius service counts. Cells are looked up once; the hot path touches plain numbers.

import { LATENCY_BOUNDS_SECONDS } from '../../runtime/metrics.ts';
import type { CounterCell, Metrics } from '../../runtime/metrics.ts';

const DISCARD_REASONS = [
  'too-short',
  'too-long',
  'bad-length',
  'bad-attribute-length',
  'unknown-router',
  'unexpected-code',
  'bad-text',
  'bad-accounting-authenticator',
  'bad-message-authenticator',
  'message-authenticator-required',
  'unprotected-proxy-state',
  'unprotected-eap',
  'rate-limit',
  'in-progress',
  'bad-eap',
  'no-status-type',
  'not-ready',
  'backend-away',
  'overload',
  'failure',
] as const;
export type DiscardReason = (typeof DISCARD_REASONS)[number];

export type Counters = ReturnType<typeof createCounters>;

export function createCounters(metrics: Metrics) {
  const requests = metrics.counter('radius_requests_total', 'Requests received, by type.');
  const responses = metrics.counter('radius_responses_total', 'Responses sent, by type.');
  const discards = metrics.counter(
    'radius_discards_total',
    'Packets discarded without an answer, by reason.',
  );
  const duplicates = metrics.counter(
    'radius_duplicates_total',
    'Retransmissions answered with the first answer, by where it was remembered.',
  );
  const logins = metrics.counter(
    'evergate_logins_total',
    'Logins decided, by outcome, method and reason.',
  );
  const duration = metrics.histogram(
    'radius_request_duration_seconds',
    'From the arrival of a request to its answer, by type.',
    LATENCY_BOUNDS_SECONDS,
  );
  const byReason = new Map<DiscardReason, CounterCell>(
    DISCARD_REASONS.map((reason) => [reason, discards.labels({ reason })]),
  );
  const accepted = new Map<string, CounterCell>();

  return {
    access: requests.labels({ type: 'access' }),
    accounting: requests.labels({ type: 'accounting' }),
    status: requests.labels({ type: 'status' }),
    accepts: responses.labels({ type: 'accept' }),
    rejects: responses.labels({ type: 'reject' }),
    challenges: responses.labels({ type: 'challenge' }),
    accountingResponses: responses.labels({ type: 'accounting' }),
    localDuplicates: duplicates.labels({ source: 'local' }),
    clusterDuplicates: duplicates.labels({ source: 'cluster' }),
    accessSeconds: duration.labels({ type: 'access' }),
    accountingSeconds: duration.labels({ type: 'accounting' }),

    discard(reason: DiscardReason) {
      byReason.get(reason)?.add();
    },

    accepted(method: string) {
      let cell = accepted.get(method);
      if (cell === undefined) {
        cell = logins.labels({ outcome: 'accept', method, reason: 'granted' });
        accepted.set(method, cell);
      }
      cell.add();
    },

    /** Rejects wait a second anyway: looking the cell up does not matter. */
    rejected(method: string, reason: string) {
      logins.labels({ outcome: 'reject', method, reason }).add();
    },
  };
}
