// `node tests/bench/three-nodes.ts [logins per second for each node]`: three nodes on one PostgreSQL and
// one Redis, all on this machine, each with a load of its own. Exits 1 when a login gets no answer.
// It shows that the cluster carries the load; how long an answer takes here says little, because
// everything shares the machine's cores.

import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { delimiter, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startEvergate } from '../servers/evergate.ts';
import type { Evergate } from '../servers/evergate.ts';
import { startPostgres } from '../servers/postgres.ts';
import { startRedis } from '../servers/redis.ts';
import { SECRET, USERS } from './contenders.ts';
import type { LoadReport } from './generator/main.ts';

const GENERATOR = fileURLToPath(import.meta.resolve('./generator/main.ts'));
const SECONDS = 6;
const ratePerNode = Number(process.argv[2] ?? 5_000);
const root = resolve(import.meta.dirname, '../..');
process.env['PATH'] = join(root, 'node_modules', '.bin') + delimiter + (process.env['PATH'] ?? '');

await using opened = new AsyncDisposableStack();
const postgres = opened.use(await startPostgres());
const redis = opened.use(await startRedis());
const environment = {
  EVERGATE_DATABASE_URL: postgres.url,
  EVERGATE_STATE_URL: redis.url,
  EVERGATE_SECRETS_KEY: randomBytes(32).toString('hex'),
  EVERGATE_RADIUS_RATE_LIMIT_PER_MINUTE: '1000000000',
  EVERGATE_RADIUS_WORKERS: '1',
  EVERGATE_LOG_LEVEL: 'warn',
};
const apply = {
  sites: [{ name: 'bench', timezone: 'UTC' }],
  routers: [{ name: 'bench', site: 'bench', address: '127.0.0.1/32', secret: SECRET }],
  plans: [{ name: 'bench', rate: '2M/10M' }],
  subscribers: Array.from({ length: USERS }, (_, user) => ({
    username: `user${user}`,
    password: `pass${user}`,
    plan: 'bench',
  })),
};
const nodes: Evergate[] = [];
for (const name of ['node-1', 'node-2', 'node-3']) {
  const options = { environment: { ...environment, EVERGATE_NODE: name } };
  const isFirst = nodes.length === 0; // it brings the subscribers
  nodes.push(
    opened.use(
      await startEvergate({ ...options, ...(isFirst ? { apply } : { services: ['radius'] }) }),
    ),
  );
}

const reports = await Promise.all(nodes.map(load));
for (const [i, report] of reports.entries()) {
  const { p50, p95 } = report.latencyMicroseconds;
  console.log(
    `node ${i + 1}: ${Math.round(report.requestsPerSecond)} logins/s, ${report.accepts} accepted, ` +
      `${report.lost} lost, ${report.bad} bad, p50 ${p50} µs, p95 ${p95} µs`,
  );
}
const total = reports.reduce((sum, { requestsPerSecond }) => sum + requestsPerSecond, 0);
console.log(`together ${Math.round(total)} logins/s`);
if (reports.some(({ lost, bad }) => lost + bad > 0)) process.exitCode = 1;

async function load(node: Evergate): Promise<LoadReport> {
  const args = Object.entries({
    mode: 'pap',
    'auth-port': node.authPort,
    'acct-port': node.acctPort,
    secret: SECRET,
    users: USERS,
    rate: ratePerNode,
    'warm-up': 3,
    duration: SECONDS,
  }).flatMap(([flag, value]) => [`--${flag}`, String(value)]);
  const { stdout } = await promisify(execFile)(process.execPath, [GENERATOR, ...args]);
  return JSON.parse(stdout) as LoadReport;
}
