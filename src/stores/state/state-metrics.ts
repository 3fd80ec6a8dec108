// What every implementation of the shared state tells Prometheus: how long each operation took and
// how many failed. The names are part of DESIGN.md's contract.

import type { CounterCell, HistogramCell, Metrics } from '../../runtime/metrics.ts';
import { LATENCY_BOUNDS_SECONDS } from '../../runtime/metrics.ts';
import type { SharedState } from '../../domain/shared-state.ts';

export type Operation = keyof SharedState;

export type StateMetrics = {
  latencySeconds: Record<Operation, HistogramCell>;
  errors: Record<Operation, CounterCell>;
};

/** Asked for once, at the start: the cells are then plain fields for the hot path. */
export function createStateMetrics(metrics: Metrics): StateMetrics {
  const latency = metrics.histogram(
    'radius_backend_latency_seconds',
    'Time that the shared state took to answer, by operation',
    LATENCY_BOUNDS_SECONDS,
  );
  const errors = metrics.counter(
    'evergate_state_errors_total',
    'Operations that the shared state did not carry out, by operation',
  );
  return {
    latencySeconds: forEachOperation((operation) => latency.labels({ operation })),
    errors: forEachOperation((operation) => errors.labels({ operation })),
  };
}

function forEachOperation<Cell>(cell: (label: string) => Cell): Record<Operation, Cell> {
  return {
    get: cell('get'),
    set: cell('set'),
    delete: cell('delete'),
    exists: cell('exists'),
    keys: cell('keys'),
    setIfAbsent: cell('set_if_absent'),
    increment: cell('increment'),
    compareAndSet: cell('compare_and_set'),
    ping: cell('ping'),
  };
}
