// `evergate doctor`: every check with its hint, in a table. Exit code 1 if something is wrong.

import { examine } from '../operations/doctor.ts';
import type { Check, Examination, Finding } from '../operations/doctor.ts';
import { certificateCheck } from '../operations/doctor/certificates.ts';
import { machineChecks } from '../operations/doctor/machine.ts';
import { findRouterFor } from '../operations/doctor/routers.ts';
import { storeChecks } from '../operations/doctor/stores.ts';
import type { Config, LoadedConfig } from '../runtime/config.ts';
import { describeError } from '../runtime/describe-error.ts';
import { httpRequest } from '../runtime/http-client.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { createRadiusClient } from '../services/client/radius-client.ts';
import { askStatus } from '../services/client/status.ts';
import { loadFor } from './load.ts';
import { ownCertificate } from './own-certificates.ts';
import type { ConfigOptions } from './load.ts';
import { reachable } from './reachable.ts';
import { quietRuntime } from './quiet-runtime.ts';
import { formatTable } from './table.ts';
import { cyan, dim, green, print, printJson, red, yellow } from './terminal.ts';

export async function doctor(options: ConfigOptions): Promise<void> {
  const loaded = loadFor({ ...options, json: false });
  const { config } = loaded;
  const runtime = quietRuntime(config.radius.engine);
  const checks: Check[] = [
    { name: 'configuration', run: () => Promise.resolve(checkConfiguration(loaded)) },
    ...machineChecks(config, runtime),
    certificateCheck('eap', ownCertificate(config), runtime.clock.nowMs()),
    ...(config.radius.radsec.port === undefined
      ? []
      : [certificateCheck('radsec', config.radius.radsec, runtime.clock.nowMs())]),
    ...storeChecks(config, runtime),
    { name: 'gateway', run: () => checkHealth('gateway', config) },
    { name: 'radius', run: () => checkRadius(config, runtime) },
  ];
  const found = await examine(checks, runtime.clock);
  const wrong = found.filter(({ status }) => status === 'wrong');

  if (options.json === true) printJson({ healthy: wrong.length === 0, checks: found.map(toJson) });
  else print(formatTable(found.flatMap(toRows)));
  if (wrong.length > 0) {
    throw new Error(
      `${wrong.map(({ name }) => name).join(', ')} ${wrong.length === 1 ? 'is' : 'are'} wrong; see above for what to do`,
    );
  }
}

function checkConfiguration({ file, warnings, settings }: LoadedConfig): Finding {
  const set = settings.filter(({ source }) => source !== 'default').length;
  const detail = `${set} keys set, ${file === undefined ? 'no file' : `from ${file}`}`;
  const [warning] = warnings;
  return warning === undefined
    ? { status: 'ok', detail }
    : { status: 'warning', detail, hint: warning };
}

async function checkHealth(name: string, config: Config): Promise<Finding> {
  const url = `http://${reachable(config.gateway.host)}:${config.gateway.port}/health`;
  const { token } = config.health;
  let answer;
  try {
    answer = await httpRequest({
      method: 'GET',
      url,
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      timeoutMs: 5_000,
    });
  } catch (error) {
    return { status: 'skipped', detail: `no ${name} answers at ${url}: ${describeError(error)}` };
  }
  const { status, checks = [] } = JSON.parse(answer.body) as {
    status?: string;
    checks?: { name: string; status: string; detail?: string }[];
  };
  const bad = checks
    .filter((check) => check.status !== 'pass')
    .map((check) => `${check.name}: ${check.detail ?? check.status}`);
  const detail = [`${status ?? `HTTP ${answer.status}`} at ${url}`, ...bad].join('; ');
  if (answer.status !== 200) return { status: 'wrong', detail };
  return { status: status === 'healthy' ? 'ok' : 'warning', detail };
}

/** A real round trip to both ports, as a router would make it. */
async function checkRadius(config: Config, runtime: Runtime): Promise<Finding> {
  const { host, authPort, acctPort } = config.radius;
  if (authPort === 0 || acctPort === 0) {
    return { status: 'skipped', detail: 'its ports are chosen at every start (0)' };
  }
  const address = reachable(host).replaceAll(/[[\]]/g, '');
  const router = await findRouterFor(address, config, runtime);
  if (router.kind === 'none') return { status: 'skipped', detail: router.because };

  await using client = await createRadiusClient(
    { address, secret: router.secret, timeoutMs: 3_000, retransmitAfterMs: 1_000 },
    runtime,
  );
  const times: string[] = [];
  for (const [what, port] of [
    ['logins', authPort],
    ['accounting', acctPort],
  ] as const) {
    const outcome = await askStatus(client, port);
    if (outcome.kind !== 'answer') {
      return {
        status: 'wrong',
        detail: `no answer to Status-Server from ${address}:${port} as router ${router.name}`,
        hint: `is the radius service running and ready? ${what} go unanswered`,
      };
    }
    times.push(`${what} ${outcome.roundTripMs.toFixed(1)} ms`);
  }
  return {
    status: 'ok',
    detail: `answers Status-Server as router ${router.name}: ${times.join(', ')}`,
  };
}

const SHOWN = {
  ok: green('ok'),
  warning: yellow('warning'),
  wrong: red('wrong'),
  skipped: dim('skipped'),
} as const;

function toRows({ name, status, detail, hint }: Examination): string[][] {
  const row = [SHOWN[status], name, status === 'skipped' ? dim(detail) : detail];
  return hint === undefined ? [row] : [row, ['', '', cyan(`→ ${hint}`)]];
}

function toJson({ name, status, detail, hint, durationMs }: Examination) {
  return { name, status, detail, ...(hint === undefined ? {} : { hint }), duration_ms: durationMs };
}
