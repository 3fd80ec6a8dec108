// Latencies of millions of requests in a fixed space: a bucket for each microsecond up to 200 ms,
// one for each 100 µs above that.

const FINE_BUCKETS = 200_000;
const COARSE_BUCKETS = 300_000;
const COARSE_MICROSECONDS = 100;

export type Latencies = {
  record(microseconds: number): void;
  /** The latency that this share of requests did not exceed, in microseconds. */
  percentile(share: number): number;
};

export function createLatencies(): Latencies {
  const buckets = new Uint32Array(FINE_BUCKETS + COARSE_BUCKETS);
  let count = 0;
  return {
    record(microseconds) {
      const coarse = (FINE_BUCKETS + (microseconds - FINE_BUCKETS) / COARSE_MICROSECONDS) | 0;
      const bucket = microseconds < FINE_BUCKETS ? microseconds | 0 : coarse;
      const index = Math.min(Math.max(bucket, 0), buckets.length - 1);
      buckets[index] = (buckets[index] ?? 0) + 1;
      count++;
    },
    percentile(share) {
      let seen = 0;
      for (let bucket = 0; bucket < buckets.length; bucket++) {
        seen += buckets[bucket] ?? 0;
        if (seen > 0 && seen >= share * count) {
          return bucket < FINE_BUCKETS
            ? bucket
            : FINE_BUCKETS + (bucket - FINE_BUCKETS) * COARSE_MICROSECONDS;
        }
      }
      return 0;
    },
  };
}
