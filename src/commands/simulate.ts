// `evergate simulate`: virtual hotspots against a real server, with a live summary, and at the end the
// question that counts: does the database hold what was acknowledged, once?

import { networkInterfaces } from 'node:os';
import type { Runtime } from '../runtime/runtime.ts';
import { createRadiusClient } from '../services/client/radius-client.ts';
import type { RadiusClient } from '../services/client/radius-client.ts';
import { findServer } from '../services/client/server-address.ts';
import { createSimulation, percentile } from '../services/client/simulation.ts';
import type { Simulation } from '../services/client/simulation.ts';
import type { SimulatedMethod } from '../services/client/simulated-login.ts';
import { compareWithDatabase } from './compare-sessions.ts';
import type { Comparison } from './compare-sessions.ts';
import { gatewayFrom, hasToken } from './gateway-client.ts';
import type { Gateway, GatewayOptions } from './gateway-client.ts';
import { createLiveText } from './live-text.ts';
import { quietRuntime } from './quiet-runtime.ts';
import { formatTable } from './table.ts';
import { bold, dim, green, print, printJson, red, yellow } from './terminal.ts';
import { UsageError } from './usage-error.ts';

export type SimulateOptions = GatewayOptions & {
  routers: number;
  subscribers: number;
  rate: number;
  duration: number;
  server: string;
  acctPort?: number;
  secret?: string;
  prepare?: boolean;
  password?: string;
  method?: SimulatedMethod;
  json?: boolean;
};

const PREFIX = 'simulate';
/** Loopback addresses that nobody else uses: each virtual router has its own, 127.77.0.1 and up. */
const ROUTER_NETWORK = '127.77';
const MAX_ROUTERS = 1_000;
const MAX_SUBSCRIBERS = 100_000;
const TIMEOUT_MS = 10_000;
const RETRANSMIT_AFTER_MS = 2_000;
const WRONG_PASSWORDS = 0.02;
const SHOW_EVERY_MS = 500;

type VirtualRouter = { name: string; address: string; client: RadiusClient };

export async function simulate(options: SimulateOptions): Promise<void> {
  requireBetween('--routers', options.routers, MAX_ROUTERS);
  requireBetween('--subscribers', options.subscribers, MAX_SUBSCRIBERS);
  requireBetween('--rate', options.rate, 100_000);

  const server = await findServer(options.server, 1812);
  const runtime = quietRuntime();
  const gateway = (options.prepare ?? hasToken(options)) ? gatewayFrom(options) : undefined;
  const isLocal = server.address.startsWith('127.');
  const ownsRouters = gateway !== undefined && isLocal;
  const random = () => runtime.random.bytes(12).toString('base64url');
  const secret = options.secret ?? (ownsRouters ? random() : 'testing123');
  const password = gateway === undefined ? (options.password ?? '') : random();
  if (gateway === undefined && options.password === undefined) {
    throw new UsageError(
      'without an API key nothing can be prepared: set EVERGATE_TOKEN or --data, or use existing subscribers with --no-prepare --password',
    );
  }
  const subscribers = Array.from({ length: options.subscribers }, (_, index) => ({
    username: `${PREFIX}-${index + 1}`,
    password,
  }));
  const places = Array.from({ length: options.routers }, (_, index) => ({
    name: `${PREFIX}-${index + 1}`,
    address: ownsRouters
      ? `${ROUTER_NETWORK}.${(index + 1) >> 8}.${(index + 1) & 255}`
      : ownAddress(isLocal),
  }));
  if (gateway !== undefined) {
    await prepare(gateway, { secret, subscribers, routers: ownsRouters ? places : [] });
  }

  await using opened = new AsyncDisposableStack();
  const routers: VirtualRouter[] = [];
  for (const place of places) {
    const client = await createRadiusClient(
      {
        address: server.address,
        secret,
        timeoutMs: TIMEOUT_MS,
        retransmitAfterMs: RETRANSMIT_AFTER_MS,
        ...(ownsRouters ? { from: place.address } : {}),
      },
      runtime,
    );
    routers.push({ ...place, client: opened.use(client) });
  }

  const simulation = createSimulation(
    {
      routers,
      subscribers,
      authPort: server.port,
      acctPort: options.acctPort ?? server.port + 1,
      loginsPerSecond: options.rate,
      durationMs: options.duration * 1000,
      wrongPasswords: WRONG_PASSWORDS,
      ...(options.method === undefined ? {} : { methods: [options.method] }),
    },
    runtime,
  );
  const startedAtMs = runtime.clock.nowMs();
  await runWithSummary(simulation, options, runtime);

  const comparison =
    gateway === undefined
      ? undefined
      : await compareWithDatabase(gateway, simulation.acknowledged, startedAtMs, runtime.clock);
  if (options.json === true) printJson(summaryJson(simulation, options, comparison));
  else if (comparison !== undefined) print(describeComparison(comparison));
  complainAbout(simulation, comparison);
}

function requireBetween(option: string, value: number, max: number): void {
  if (value < 1 || value > max) {
    throw new UsageError(`${option} is ${value}; allowed is 1 to ${max}`);
  }
}

/** The first address of this machine that others see; what the router says of itself decides nothing. */
function ownAddress(isLocal: boolean): string {
  if (isLocal) return '127.0.0.1';
  const addresses = Object.values(networkInterfaces()).flatMap((entries) => entries ?? []);
  return (
    addresses.find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '127.0.0.1'
  );
}

/** All names begin with `simulate`, so that they can be told from real ones. */
async function prepare(
  gateway: Gateway,
  wanted: {
    secret: string;
    subscribers: { username: string; password: string }[];
    routers: { name: string; address: string }[];
  },
): Promise<void> {
  await gateway.request('POST', '/v1/apply', {
    sites: [{ name: PREFIX, timezone: 'UTC' }],
    routers: wanted.routers.map(({ name, address }) => ({
      name,
      site: PREFIX,
      address,
      secret: wanted.secret,
    })),
    plans: [{ name: PREFIX, rate: '10M/10M' }],
    subscribers: wanted.subscribers.map((subscriber) => ({ ...subscriber, plan: PREFIX })),
  });
}

/** Until it is over, or until Ctrl-C, which also ends the sessions in order. */
async function runWithSummary(
  simulation: Simulation,
  options: SimulateOptions,
  { clock }: Runtime,
): Promise<void> {
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  process.once('SIGTERM', () => stop.abort());
  const startedMs = clock.monotonicMs();
  const text = () =>
    describe(
      simulation,
      options,
      Math.min((clock.monotonicMs() - startedMs) / 1000, options.duration),
    );

  const live = options.json === true ? undefined : createLiveText();
  using _showing = clock.every(SHOW_EVERY_MS, () => live?.show(text()));
  await simulation.run(stop.signal);
  live?.finish(text());
}

function describe(simulation: Simulation, options: SimulateOptions, elapsed: number): string {
  const { counts, loginTimesMs } = simulation;
  const answered = counts.accepted + counts.rejected + counts.wrong;
  const rate = elapsed > 0 ? (answered / elapsed).toFixed(1) : '0';
  const bad = (count: number) => (count === 0 ? '0' : red(String(count)));
  return [
    `${bold('Simulation')} ${dim(`${options.routers} routers, ${options.subscribers} subscribers, ${Math.floor(elapsed)} of ${options.duration} s`)}`,
    formatTable([
      [
        '  logins',
        `${rate}/s`,
        `${green(String(counts.accepted))} accepted`,
        `${counts.rejected} rejected rightly`,
        `${bad(counts.wrong)} wrongly answered`,
        `${bad(counts.silent)} unanswered`,
      ],
      ['  answer time', `p50 ${ms(loginTimesMs, 0.5)}`, `p95 ${ms(loginTimesMs, 0.95)}`],
      [
        '  accounting',
        `${counts.accountingSent} sent`,
        `${counts.accountingAcknowledged} acknowledged`,
        `${bad(counts.accountingSilent)} unanswered`,
      ],
      ['  sessions', `${counts.open} open`, `${counts.roamed} roamed`],
      ...(counts.skipped > 0
        ? [[`  ${yellow(`${counts.skipped} logins did not begin: everybody is online`)}`]]
        : []),
    ]),
  ].join('\n');
}

function ms(times: readonly number[], share: number): string {
  return `${percentile(times, share).toFixed(1)} ms`;
}

function describeComparison({ acknowledged, lost, twice, tooLittle, tooMuch }: Comparison): string {
  if (lost.length + twice.length + tooLittle.length + tooMuch.length === 0) {
    return `${green('✓')} the database holds all ${acknowledged} acknowledged sessions, each once, with what was counted`;
  }
  return [
    `${red('✗')} of ${acknowledged} acknowledged sessions the database holds`,
    ...(lost.length > 0 ? [`  ${lost.length} not at all, such as ${lost[0]}`] : []),
    ...(twice.length > 0 ? [`  ${twice.length} twice, such as ${twice[0]}`] : []),
    ...(tooLittle.length > 0
      ? [`  ${tooLittle.length} with too little, such as ${tooLittle[0]}`]
      : []),
    ...(tooMuch.length > 0 ? [`  ${tooMuch.length} with too much, such as ${tooMuch[0]}`] : []),
  ].join('\n');
}

function summaryJson(
  { counts, loginTimesMs, lastComplaint }: Simulation,
  { routers, subscribers, rate, duration }: SimulateOptions,
  comparison: Comparison | undefined,
) {
  const time = (share: number) => Math.round(percentile(loginTimesMs, share) * 100) / 100;
  return {
    routers,
    subscribers,
    rate,
    duration_seconds: duration,
    logins: {
      accepted: counts.accepted,
      rejected: counts.rejected,
      wrong: counts.wrong,
      unanswered: counts.silent,
      not_begun: counts.skipped,
      p50_ms: time(0.5),
      p95_ms: time(0.95),
      p99_ms: time(0.99),
    },
    accounting: {
      sent: counts.accountingSent,
      acknowledged: counts.accountingAcknowledged,
      unanswered: counts.accountingSilent,
    },
    roamed: counts.roamed,
    ...(lastComplaint === undefined ? {} : { complaint: lastComplaint }),
    database:
      comparison === undefined
        ? null
        : {
            sessions: comparison.acknowledged,
            lost: comparison.lost.length,
            twice: comparison.twice.length,
            too_little: comparison.tooLittle.length,
            too_much: comparison.tooMuch.length,
          },
  };
}

function complainAbout(simulation: Simulation, comparison: Comparison | undefined): void {
  const { counts, lastComplaint } = simulation;
  if (counts.accepted === 0) {
    const why =
      lastComplaint ??
      'no request was answered: is the server there, and does it know the routers?';
    throw new Error(`nobody could log in; ${why}`);
  }
  if (counts.wrong > 0)
    throw new Error(`${counts.wrong} logins were answered wrongly; ${lastComplaint}`);
  if (comparison !== undefined && !comparison.isRight) {
    throw new Error('the database does not hold what was acknowledged; see above');
  }
  if (counts.silent + counts.accountingSilent > 0) {
    throw new Error(
      `${counts.silent} logins and ${counts.accountingSilent} records went unanswered; radius.rate_limit_per_minute is one reason to look at`,
    );
  }
}
