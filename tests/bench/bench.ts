// `npm run bench`: Evergate beside FreeRADIUS in one run on this machine. Each server has processor
// core 0, with its database; the load comes from core 1. docs/benchmarks.md keeps the numbers with
// the machine they came from. Wants a quiet machine with two cores or more.

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { Measured, Timing } from './measure.ts';
import { measure } from './measure.ts';
import type { Scenario } from './scenarios.ts';
import { SCENARIOS } from './scenarios.ts';

const FULL: Timing = { rounds: 5, warmUpSeconds: 1.5, seconds: 5 };
const QUICK: Timing = { rounds: 3, warmUpSeconds: 0.7, seconds: 1.3 };

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'string' },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    gate: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const names = SCENARIOS.map(({ name }) => name);
const unknown = positionals.filter((name) => !names.includes(name));
if (values.help || unknown.length > 0) {
  if (unknown.length > 0) console.error(`There is no scenario ${unknown.join(', ')}.`);
  console.log(`npm run bench -- [SCENARIO...] [--quick] [--json FILE] [--gate]
  Scenarios: ${names.join(', ')} (all unless named)
  --quick             three short rounds instead of five long ones
  --rounds N --seconds N
  --json FILE         everything that was measured
  --gate              exit 1 when a promise does not hold`);
  process.exit(unknown.length > 0 ? 2 : 0);
}
if (availableParallelism() < 2) {
  console.error('npm run bench needs two processor cores: one for the server, one for the load.');
  process.exit(1);
}

const root = resolve(import.meta.dirname, '../..');
process.env['PATH'] =
  join(root, 'node_modules', '.bin') + delimiter + (process.env['PATH'] ?? '/usr/bin:/bin');

const chosen = values.quick ? QUICK : FULL;
const timing = {
  ...chosen,
  rounds: Number(values.rounds ?? chosen.rounds),
  seconds: Number(values.seconds ?? chosen.seconds),
};
const results: { scenario: string; title: string; measured: Measured[] }[] = [];
for (const scenario of SCENARIOS) {
  if (positionals.length > 0 && !positionals.includes(scenario.name)) continue;
  const measured = await measure(scenario, timing);
  results.push({ scenario: scenario.name, title: scenario.title, measured });
  print(scenario, measured);
}

const machine = describeMachine();
console.log(`\n${machine.join('\n')}`);
if (values.json !== undefined) {
  writeFileSync(values.json, `${JSON.stringify({ machine, timing, results }, null, 2)}\n`);
}
const missed = results.flatMap(({ measured }) => measured.flatMap((one) => one.missed));
console.log(missed.length === 0 ? '\nEvery promise holds.' : `\n${missed.length} promises missed.`);
process.exitCode = values.gate && missed.length > 0 ? 1 : 0;

/** A table in Markdown, fit for docs/benchmarks.md as it is. */
function print(scenario: Scenario, measured: Measured[]): void {
  const rows = measured.map((one) => [
    one.contender,
    Math.round(one.requestsPerSecond).toLocaleString('en'),
    one.timesRequestsPerSecond.toFixed(2),
    one.cpuMicrosecondsPerRequest.toFixed(1),
    one.timesFewerCpu.toFixed(2),
    `${one.p50} / ${one.p95} / ${one.p99}`,
    one.residentMiB.toFixed(0),
    one.coreShare.toFixed(2),
    String(one.lost),
    one.cacheHitShare === undefined ? '' : `${(one.cacheHitShare * 100).toFixed(1)} %`,
  ]);
  const head =
    'server,req/s,×,CPU µs/req,× fewer,p50 / p95 / p99 µs,memory MiB,core,lost,cache hits'.split(
      ',',
    );
  console.log(`\n### ${scenario.title}\n`);
  console.log(`| ${head.join(' | ')} |`);
  console.log(`|${head.map((_, column) => (column === 0 ? '---' : '--:')).join('|')}|`);
  for (const row of rows) console.log(`| ${row.join(' | ')} |`);
  for (const one of measured) {
    for (const text of one.missed) console.log(`\nMissed by ${one.contender}: ${text}.`);
  }
}

function describeMachine(): string[] {
  const version = (command: string, args: string[]) => {
    try {
      return execFileSync(command, args, { encoding: 'utf8' }).split('\n', 1)[0] ?? '';
    } catch {
      return `${command}: not here`;
    }
  };
  const buffer = readFileSync('/proc/sys/net/core/rmem_max', 'utf8').trim();
  const [cpu] = cpus();
  return [
    `Machine: ${cpu?.model ?? 'unknown'}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, net.core.rmem_max ${buffer}`,
    `Node.js ${process.version}; ${version('freeradius', ['-v'])}; ${version('psql', ['--version'])}; ${version('redis-server', ['--version'])}`,
    `${timing.rounds} rounds of ${timing.seconds} s after ${timing.warmUpSeconds} s; server and its database on core 0, load on core 1; medians`,
  ];
}
