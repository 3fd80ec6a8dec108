// Metrics in the Prometheus text format. prom-client holds the registry and the process metrics;
// the instruments here are plain numbers, because the hot path touches several per packet.

import { AggregatorRegistry, Registry, collectDefaultMetrics } from 'prom-client';
import type { Metric, MetricObjectWithValues, MetricValue } from 'prom-client';

type Labels = Record<string, string>;

/** Hold on to what `labels()` returns: looking it up is for set-up, not for every packet. */
type Counter = { labels(labels: Labels): CounterCell };
export type CounterCell = { value: number; add(count?: number): void };
type Gauge = { labels(labels: Labels): GaugeCell };
export type GaugeCell = { value: number; set(value: number): void; add(change: number): void };
type Histogram = { labels(labels: Labels): HistogramCell };
export type HistogramCell = { observe(value: number): void; readonly count: number };

export type Metrics = {
  /** Asking twice for the same name gives the same instrument. */
  counter(name: string, help: string): Counter;
  gauge(name: string, help: string): Gauge;
  /** A gauge whose value is asked for at each scrape. Those of several workers are added up. */
  measured(name: string, help: string, read: () => number, labels?: Labels): void;
  /** `bounds`: the upper limit of each bucket, ascending, without +Inf. */
  histogram(name: string, help: string, bounds: readonly number[]): Histogram;
  /** Everything, as `GET /metrics` answers it: ours and what `include` brings. */
  text(): Promise<string>;
  /** Everything of ours as plain data, for the process that answers the scrape. */
  snapshot(): Promise<MetricsSnapshot>;
  /** Adds the metrics of a worker, asked for at each scrape; one that does not answer is left out. */
  include(snapshot: () => Promise<MetricsSnapshot>): Disposable;
};

export type MetricsSnapshot = MetricObjectWithValues<MetricValue<string>>[];

export const LATENCY_BOUNDS_SECONDS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5,
] as const;

type Sample = { value: number; labels: Labels; metricName?: string };
type Instrument = { kind: 'counter' | 'gauge' | 'histogram'; instrument: unknown };

/** `processMetrics` adds memory, CPU, event loop and garbage collection of this process. */
export function createMetrics(options: { processMetrics: boolean }): Metrics {
  const registry = new Registry();
  if (options.processMetrics) collectDefaultMetrics({ register: registry });
  const instruments = new Map<string, Instrument>();
  const included = new Set<() => Promise<MetricsSnapshot>>();

  function once<T>(name: string, kind: Instrument['kind'], create: () => T): T {
    const known = instruments.get(name);
    if (known === undefined) {
      const instrument = create();
      instruments.set(name, { kind, instrument });
      return instrument;
    }
    if (known.kind !== kind) throw new Error(`metric ${name} is already a ${known.kind}`);
    return known.instrument as T;
  }

  function register(name: string, help: string, kind: Instrument['kind'], read: () => Sample[]) {
    const metric = {
      name,
      get: () => Promise.resolve({ name, help, type: kind, values: read(), aggregator: 'sum' }),
      reset: () => undefined,
    };
    registry.registerMetric(metric as unknown as Metric);
  }

  return {
    counter: (name, help) =>
      once(name, 'counter', () => {
        const cells = createCells<CounterCell>(() => ({
          value: 0,
          add(count = 1) {
            this.value += count;
          },
        }));
        register(name, help, 'counter', () => cells.samples((cell) => cell.value));
        return { labels: cells.at };
      }),

    gauge: (name, help) =>
      once(name, 'gauge', () => {
        const cells = createCells<GaugeCell>(() => ({
          value: 0,
          set(value) {
            this.value = value;
          },
          add(change) {
            this.value += change;
          },
        }));
        register(name, help, 'gauge', () => cells.samples((cell) => cell.value));
        return { labels: cells.at };
      }),

    measured: (name, help, read, labels = {}) => {
      const readers = once(name, 'gauge', () => {
        const created: { labels: Labels; read: () => number }[] = [];
        const readAll = () =>
          created.map((reader) => ({ labels: reader.labels, value: reader.read() }));
        register(name, help, 'gauge', readAll);
        return created;
      });
      readers.push({ labels, read });
    },

    histogram: (name, help, bounds) =>
      once(name, 'histogram', () => {
        const cells = createCells(() => createHistogramCell(bounds));
        register(name, help, 'histogram', () => cells.all().flatMap(histogramSamples(name)));
        return { labels: cells.at };
      }),

    async text() {
      if (included.size === 0) return registry.metrics();
      const asked = await Promise.allSettled([...included].map((snapshot) => snapshot()));
      const answered = asked.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
      const own = await registry.getMetricsAsJSON();
      return AggregatorRegistry.aggregate([own, ...answered]).metrics();
    },

    snapshot: () => registry.getMetricsAsJSON(),

    include(snapshot) {
      included.add(snapshot);
      return { [Symbol.dispose]: () => void included.delete(snapshot) };
    },
  };
}

type BucketedCell = HistogramCell & {
  sum: number;
  /** How many values fell into each bucket; the last one is +Inf. */
  inBucket: Float64Array;
  bounds: readonly number[];
};

function createHistogramCell(bounds: readonly number[]): BucketedCell {
  return {
    bounds,
    inBucket: new Float64Array(bounds.length + 1),
    count: 0,
    sum: 0,
    observe(value) {
      let bucket = 0;
      while (bucket < bounds.length && value > (bounds[bucket] ?? Infinity)) bucket++;
      this.inBucket[bucket] = (this.inBucket[bucket] ?? 0) + 1;
      (this as { count: number }).count++;
      this.sum += value;
    },
  };
}

function histogramSamples(name: string) {
  return ({ labels, cell }: { labels: Labels; cell: BucketedCell }): Sample[] => {
    const samples: Sample[] = [];
    let cumulative = 0;
    cell.inBucket.forEach((count, bucket) => {
      cumulative += count;
      const le = String(cell.bounds[bucket] ?? '+Inf');
      samples.push({ metricName: `${name}_bucket`, labels: { ...labels, le }, value: cumulative });
    });
    samples.push({ metricName: `${name}_sum`, labels, value: cell.sum });
    samples.push({ metricName: `${name}_count`, labels, value: cell.count });
    return samples;
  };
}

/** One cell for each distinct set of labels. */
function createCells<Cell>(create: () => Cell) {
  const cells = new Map<string, { labels: Labels; cell: Cell }>();
  return {
    at(labels: Labels): Cell {
      const key = JSON.stringify(Object.entries(labels).toSorted());
      let entry = cells.get(key);
      if (entry === undefined) {
        entry = { labels, cell: create() };
        cells.set(key, entry);
      }
      return entry.cell;
    },
    all: () => [...cells.values()],
    samples: (read: (cell: Cell) => number): Sample[] =>
      [...cells.values()].map(({ labels, cell }) => ({ labels, value: read(cell) })),
  };
}
