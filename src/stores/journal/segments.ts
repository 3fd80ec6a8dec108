// The segments of an open journal and how far replay has come: what writer and reader share.

import type { CounterCell, GaugeCell, HistogramCell } from '../../runtime/metrics.ts';
import { LATENCY_BOUNDS_SECONDS } from '../../runtime/metrics.ts';
import type { Metrics } from '../../runtime/metrics.ts';

export type Segment = {
  number: number;
  path: string;
  salt: number;
  /** Up to here everything is durable; what lies behind does not count. */
  bytes: number;
  /** Nothing more will be written. */
  isSealed: boolean;
};

/** The next byte to replay. */
export type Position = { segment: number; offset: number };

export type JournalState = {
  readonly directory: string;
  /** In order; the last one may be the one that is written. */
  readonly segments: Segment[];
  /** Everything before it is replayed, and this is durable. */
  replayed: Position;
  /** Of all segments together. */
  bytes: number;
  /** Of the next record. */
  sequence: number;
  /** Of the record after the last durable one. */
  durableSequence: number;
  /** Of the first record that is not replayed. */
  replayedSequence: number;
};

export function pendingRecords(state: JournalState): number {
  return state.durableSequence - state.replayedSequence;
}

export type JournalMetrics = {
  appended: CounterCell;
  refused: CounterCell;
  replayed: CounterCell;
  rejected: CounterCell;
  corrupt: CounterCell;
  torn: CounterCell;
  latency: HistogramCell;
  /** Brings the gauges up to date; they add up the journals of this process. */
  show(journal: { bytes: number; pendingRecords: number }): void;
};

export function journalMetrics(metrics: Metrics): JournalMetrics {
  const records = metrics.counter(
    'evergate_journal_records_total',
    'Records of the journal: appended, refused (not stored), replayed, rejected (set aside by the replay), corrupt, torn (cut after a crash).',
  );
  const bytes = metrics.gauge('evergate_journal_bytes', 'Bytes of the journal on disk.').labels({});
  const pending = metrics
    .gauge('evergate_journal_pending_records', 'Records of the journal not yet replayed.')
    .labels({});
  const showBytes = shareOf(bytes);
  const showPending = shareOf(pending);
  const counter = (outcome: string) => records.labels({ outcome });
  return {
    appended: counter('appended'),
    refused: counter('refused'),
    replayed: counter('replayed'),
    rejected: counter('rejected'),
    corrupt: counter('corrupt'),
    torn: counter('torn'),
    latency: metrics
      .histogram(
        'radius_backend_latency_seconds',
        'How long a store took to answer.',
        LATENCY_BOUNDS_SECONDS,
      )
      .labels({ operation: 'journal.append' }),
    show(journal) {
      showBytes(journal.bytes);
      showPending(journal.pendingRecords);
    },
  };
}

/** One journal's part of a gauge that several add to. */
function shareOf(gauge: GaugeCell): (value: number) => void {
  let shown = 0;
  return (value) => {
    gauge.set(gauge.value + value - shown);
    shown = value;
  };
}
