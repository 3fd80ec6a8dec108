// Rounds of one scenario: every contender runs in each round, in rotated order, so that what else
// the machine does falls on all of them. A first round does not count: it fills caches and lets the
// compiler see the hot path. Figures are medians; ratios are medians of the ratios of single rounds.

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Running } from './contenders.ts';
import { SECRET, USERS } from './contenders.ts';
import type { LoadReport } from './generator/main.ts';
import type { Entry, Scenario } from './scenarios.ts';

export type Timing = { rounds: number; warmUpSeconds: number; seconds: number };

export type Measured = {
  contender: string;
  requestsPerSecond: number;
  cpuMicrosecondsPerRequest: number;
  p50: number;
  p95: number;
  p99: number;
  residentMiB: number;
  coreShare: number;
  generatorCoreShare: number;
  /** Over all rounds. */
  lost: number;
  bad: number;
  wrong: number;
  /** Processor time per request of the first contender divided by that of this one. */
  timesFewerCpu: number;
  timesRequestsPerSecond: number;
  cacheHitShare?: number;
  /** What was promised and does not hold, in words. */
  missed: string[];
  rounds: LoadReport[];
};

type Racer = {
  entry: Entry;
  running: Running;
  rounds: LoadReport[];
  cacheBefore?: { hits: number; all: number } | undefined;
};

const GENERATOR_CORE = 1;
const GENERATOR = fileURLToPath(import.meta.resolve('./generator/main.ts'));
const EAP_GENERATOR = fileURLToPath(import.meta.resolve('./generator/eap-main.ts'));

export async function measure(scenario: Scenario, timing: Timing): Promise<Measured[]> {
  await using opened = new AsyncDisposableStack();
  const racers: Racer[] = [];
  for (const entry of scenario.contenders) {
    racers.push({ entry, running: opened.use(await entry.contender.start()), rounds: [] });
  }
  for (let round = 0; round <= timing.rounds; round++) {
    for (let i = 0; i < racers.length; i++) {
      const racer = racers[(i + round) % racers.length];
      if (racer === undefined) continue;
      const report = await runGenerator(scenario, racer.running, timing);
      await racer.running.settle?.();
      if (round > 0) racer.rounds.push(report);
      else racer.cacheBefore = await racer.running.cacheHits?.();
      console.error(
        `${scenario.name} ${round}/${timing.rounds}  ${racer.entry.contender.name}: ` +
          `${Math.round(report.requestsPerSecond)}/s, ${report.cpuMicrosecondsPerRequest.toFixed(1)} µs`,
      );
    }
  }

  const [first] = racers;
  const measured: Measured[] = [];
  for (const racer of racers) {
    const { cacheBefore } = racer;
    const cacheAfter = await racer.running.cacheHits?.();
    const result = summarise(racer.entry.contender.name, racer.rounds, first?.rounds ?? []);
    if (cacheBefore !== undefined && cacheAfter !== undefined && cacheAfter.all > cacheBefore.all) {
      result.cacheHitShare =
        (cacheAfter.hits - cacheBefore.hits) / (cacheAfter.all - cacheBefore.all);
    }
    result.missed = missedBy(racer.entry, result, measured[0] ?? result);
    measured.push(result);
  }
  return measured;
}

async function runGenerator(
  scenario: Scenario,
  running: Running,
  timing: Timing,
): Promise<LoadReport> {
  const common = {
    'auth-port': running.authPort,
    secret: SECRET,
    'warm-up': timing.warmUpSeconds,
    duration: timing.seconds,
    watch: running.pids.join(','),
  };
  const isEap = scenario.mode === 'eap-tls';
  const flags = isEap
    ? common
    : {
        ...common,
        mode: scenario.mode,
        'acct-port': running.acctPort,
        users: USERS,
        rate: scenario.rate ?? 0,
      };
  const args = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, String(value)]);
  const { stdout } = await promisify(execFile)('taskset', [
    '-c',
    String(GENERATOR_CORE),
    process.execPath,
    isEap ? EAP_GENERATOR : GENERATOR,
    ...args,
    ...(running.load ?? []),
  ]);
  return JSON.parse(stdout) as LoadReport;
}

function summarise(contender: string, rounds: LoadReport[], first: LoadReport[]): Measured {
  const of = (value: (report: LoadReport) => number) => median(rounds.map(value));
  const sum = (value: (report: LoadReport) => number) =>
    rounds.reduce((total, report) => total + value(report), 0);
  const against = (ratio: (mine: LoadReport, theirs: LoadReport) => number) =>
    median(rounds.flatMap((mine, i) => (first[i] === undefined ? [] : [ratio(mine, first[i])])));
  return {
    contender,
    requestsPerSecond: of((report) => report.requestsPerSecond),
    cpuMicrosecondsPerRequest: of((report) => report.cpuMicrosecondsPerRequest),
    p50: of((report) => report.latencyMicroseconds.p50),
    p95: of((report) => report.latencyMicroseconds.p95),
    p99: of((report) => report.latencyMicroseconds.p99),
    residentMiB: of((report) => report.residentKiB) / 1024,
    coreShare: of((report) => report.coreShare),
    generatorCoreShare: of((report) => report.generatorCoreShare),
    lost: sum((report) => report.lost),
    bad: sum((report) => report.bad),
    wrong: sum((report) => report.wrong),
    timesFewerCpu: against(
      (mine, theirs) => theirs.cpuMicrosecondsPerRequest / mine.cpuMicrosecondsPerRequest,
    ),
    timesRequestsPerSecond: against(
      (mine, theirs) => mine.requestsPerSecond / theirs.requestsPerSecond,
    ),
    missed: [],
    rounds,
  };
}

function missedBy(entry: Entry, result: Measured, first: Measured): string[] {
  const missed: string[] = [];
  const { timesFewerCpu, latencyAtMost, addedP95Microseconds, cacheHitShare } = entry;
  if (result.bad > 0) missed.push(`${result.bad} answers with a wrong authenticator`);
  if (result.wrong > 0) missed.push(`${result.wrong} wrong answers`);
  if (timesFewerCpu !== undefined && result.timesFewerCpu < timesFewerCpu) {
    missed.push(`${result.timesFewerCpu.toFixed(2)}× of ${timesFewerCpu}× by processor time`);
  }
  if (latencyAtMost !== undefined) {
    for (const percentile of ['p50', 'p99'] as const) {
      const times = result[percentile] / first[percentile];
      const limit = latencyAtMost[percentile];
      if (times > limit) missed.push(`${percentile} is ${times.toFixed(2)}× of at most ${limit}×`);
    }
  }
  if (addedP95Microseconds !== undefined && result.p95 - first.p95 > addedP95Microseconds) {
    missed.push(`p95 is ${result.p95 - first.p95} µs longer, of at most ${addedP95Microseconds}`);
  }
  if (cacheHitShare !== undefined && (result.cacheHitShare ?? 0) < cacheHitShare) {
    missed.push(`${((result.cacheHitShare ?? 0) * 100).toFixed(1)} % local cache hits`);
  }
  return missed;
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? 0)) / 2;
}
