// docs/metrics.md against a running process: what is emitted is described there with its labels, and
// what is described there is emitted. Operators write their alerts from that page.

import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { createCertificateAuthority } from '../servers/certificate-authority.ts';
import { startEvergate } from '../servers/evergate.ts';
import type { Evergate } from '../servers/evergate.ts';
import { freeTcpPort } from '../servers/free-port.ts';
import { startRedis } from '../servers/redis.ts';
import { startServerProcess } from '../servers/server-process.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const SECRET = 'a secret of the metrics test';
const OURS = /^(evergate|radius|http)_/;

const desiredState = {
  sites: [{ name: 'here', timezone: 'UTC' }],
  routers: [{ name: 'r1', site: 'here', address: '127.0.0.1/32', secret: SECRET }],
  plans: [{ name: 'hour', duration: '1h', devices: 2 }],
  subscribers: [{ username: 'alice', password: 'wonderland', plan: 'hour' }],
};

test('every metric of ours is described in docs/metrics.md, and the other way round', async () => {
  await using redis = await startRedis();
  // Two workers on a shared state emit the most; a single one in memory adds what only memory has.
  await using shared = await startEvergate({
    apply: desiredState,
    environment: { EVERGATE_STATE_URL: redis.url, EVERGATE_RADIUS_WORKERS: '2' },
  });
  await drive(shared);
  using authority = createCertificateAuthority('Metrics CA');
  const { certificateFile, keyFile } = authority.issue({ commonName: 'radius', usage: 'server' });
  await using alone = await startEvergate({
    apply: desiredState,
    environment: {
      EVERGATE_RADIUS_RADSEC_PORT: String(await freeTcpPort()),
      EVERGATE_RADIUS_RADSEC_CERTIFICATE: certificateFile,
      EVERGATE_RADIUS_RADSEC_KEY: keyFile,
      EVERGATE_RADIUS_RADSEC_CLIENT_CA: authority.certificateFile,
    },
  });
  await drive(alone);

  const emitted = new Map([...(await labelsByMetric(shared)), ...(await labelsByMetric(alone))]);
  expect(Object.fromEntries(emitted)).toEqual(Object.fromEntries(documented()));

  const requests = (type: string) => shared.metric('radius_requests_total', { type });
  expect(await requests('access')).toBeGreaterThan(0);
  expect(await requests('accounting')).toBeGreaterThan(0);
  expect(await requests('status')).toBe(0);
});

/** Logins, accounting and calls of the API, as an operator would make them. */
async function drive(evergate: Evergate): Promise<void> {
  await run(['login', 'alice', 'wonderland', '--server', server(evergate), '--secret', SECRET]);
  const ports = ['--server', server(evergate), '--acct-port', String(evergate.acctPort)];
  const size = ['--routers', '1', '--subscribers', '5', '--rate', '5', '--duration', '1'];
  const gateway = ['--url', `http://127.0.0.1:${evergate.httpPort}`];
  await run(['simulate', ...ports, ...size, ...gateway, '--data', evergate.dataDirectory]);
}

function server(evergate: Evergate): string {
  return `127.0.0.1:${evergate.authPort}`;
}

async function run(args: string[]): Promise<void> {
  await using command = await startServerProcess({
    name: `evergate ${args.slice(0, 1).join('')}`,
    command: join(ROOT, 'bin/evergate'),
    args,
    isReady: () => true,
  });
  await expect.poll(() => command.exit()?.code, { timeout: 60_000 }).toBe(0);
}

/** Reads the text format of Prometheus: `# TYPE name type`, then `name{label="value",…} number`. */
async function labelsByMetric(evergate: Evergate): Promise<Map<string, string[]>> {
  const response = await evergate.http('/metrics');
  const labels = new Map<string, Set<string>>();
  let name = '';
  for (const line of (await response.text()).split('\n')) {
    name = /^# TYPE (\S+)/.exec(line)?.[1] ?? name;
    if (!OURS.test(name) || line === '' || line.startsWith('#')) continue;
    const known = labels.get(name) ?? new Set();
    for (const [, label = ''] of line.matchAll(/[{,](\w+)="/g))
      if (label !== 'le') known.add(label);
    labels.set(name, known);
  }
  return new Map([...labels].map(([metric, found]) => [metric, [...found].toSorted()]));
}

/** The rows of the page: name, labels, and what they mean. */
function documented(): Map<string, string[]> {
  const page = readFileSync(join(ROOT, 'docs/metrics.md'), 'utf8');
  const rows = page.matchAll(/^\| `(\w+)` \|([^|]*)\|/gm);
  const metrics = new Map<string, string[]>();
  for (const [, name = '', labels = ''] of rows) {
    if (!OURS.test(name)) continue;
    expect(metrics.has(name), `${name} is described twice`).toBe(false);
    metrics.set(name, [...labels.matchAll(/`(\w+)`/g)].map(([, label = '']) => label).toSorted());
  }
  return metrics;
}
