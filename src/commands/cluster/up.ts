// `evergate cluster up`: starts everything, shows how it is until a signal comes, and stops everything.

import { readFileSync } from 'node:fs';
import { openCluster } from '../../operations/cluster/cluster.ts';
import type { Cluster } from '../../operations/cluster/cluster.ts';
import { serveControl } from '../../operations/cluster/control.ts';
import { PartFailed } from '../../operations/cluster/part.ts';
import { MAX_NODES, isPossibleBase } from '../../operations/cluster/ports.ts';
import { KEY_NAMES, variableOf } from '../../runtime/config/keys.ts';
import type { KeyName } from '../../runtime/config/keys.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { applyFile, describeChanges } from '../apply.ts';
import { readDesiredState } from '../desired-state.ts';
import { connectGateway } from '../gateway-client.ts';
import { quietRuntime } from '../quiet-runtime.ts';
import { watchStopSignals } from '../stop-signals.ts';
import { bold, dim, green, print } from '../terminal.ts';
import { UsageError } from '../usage-error.ts';
import { addressesJson } from './addresses.ts';
import { nextSteps, shortest } from './next-steps.ts';
import { liveScreen, plainScreen, silentScreen } from './screen.ts';
import type { Screen } from './screen.ts';
import { watchCluster } from './watch.ts';
import type { Watch } from './watch.ts';

export type ClusterUpOptions = {
  data: string;
  nodes: number;
  apply?: string;
  portBase?: number;
  restart: boolean;
  json?: boolean;
};

/** Longer than the Sentinels need to make the replica the primary, so that this can be seen. */
const RESTART_AFTER_MS = 5_000;

export async function clusterUp(options: ClusterUpOptions): Promise<void> {
  requirePossible(options);
  if (options.apply !== undefined) readDesiredState(options.apply); // what is wrong in it, at once
  const runtime = quietRuntime();
  const { clock } = runtime;
  using signals = watchStopSignals(runtime);
  process.once('SIGHUP', () => process.kill(process.pid, 'SIGTERM')); // the terminal is closed
  const stop = new AbortController();
  void signals.first.then(() => stop.abort());
  const screen = chooseScreen(options, runtime);
  const startedMs = clock.monotonicMs();
  const seconds = () => ((clock.monotonicMs() - startedMs) / 1000).toFixed(1);

  try {
    await using opened = new AsyncDisposableStack();
    let watch: Watch | undefined;
    const cluster = opened.use(
      await openCluster(
        {
          directory: options.data,
          nodes: options.nodes,
          portBase: options.portBase,
          restartAfterMs: options.restart ? RESTART_AFTER_MS : undefined,
          nodeEnvironment: ownVariables(process.env),
          onEvent(event) {
            screen.event(event);
            watch?.look();
          },
        },
        runtime,
      ),
    );
    if (cluster.leftovers.length > 0) {
      screen.say(`ended what a killed cluster had left: ${cluster.leftovers.join(', ')}`);
    }
    opened.use(await serveControl(cluster));
    const watching = opened.use(watchCluster(cluster, screen, runtime));
    watch = watching;
    opened.defer(() => watching.enter('stopping'));
    await cluster.start(stop.signal);

    const applied = options.apply === undefined ? undefined : await apply(options.apply, cluster);
    if (options.json === true) print(JSON.stringify(await addressesJson(cluster)));
    screen.page(page(cluster, applied, options, seconds()));
    await watching.enter('running');
    await signals.first;
  } catch (error) {
    if (!stop.signal.aborted) {
      if (error instanceof PartFailed) showLog(error);
      throw error;
    }
  }
  screen.end(`${green('●')} the cluster is stopped; its data stays in ${options.data}`);
}

function requirePossible({ nodes, portBase }: ClusterUpOptions): void {
  if (nodes < 1 || nodes > MAX_NODES) {
    throw new UsageError(`--nodes is ${nodes}; allowed is 1 to ${MAX_NODES}`);
  }
  if (portBase !== undefined && !isPossibleBase(portBase)) {
    throw new UsageError(`--port-base is ${portBase}; allowed is 1 to 65500`);
  }
}

function chooseScreen({ json, data }: ClusterUpOptions, { clock }: Runtime): Screen {
  if (json === true) return silentScreen();
  return process.stdout.isTTY ? liveScreen(clock, data) : plainScreen(clock);
}

/** What the cluster decides itself: where its parts are and what they share. */
const DECIDED: readonly KeyName[] = [
  ...(['node', 'data', 'secrets.key', 'secrets.key_file', 'database.url', 'state.url'] as const),
  ...(['radius.host', 'radius.auth_port', 'radius.acct_port', 'radius.http_port'] as const),
  ...([
    'radius.radsec.port',
    'gateway.host',
    'gateway.port',
    'accounting.journal_directory',
  ] as const),
  ...(['health.enabled', 'health.host', 'health.token', 'log.format'] as const),
];

/** `EVERGATE_LOG_LEVEL=debug evergate cluster up`: every other key reaches the nodes. */
function ownVariables(environment: NodeJS.ProcessEnv): Record<string, string> {
  const passed = KEY_NAMES.filter((key) => !DECIDED.includes(key)).map(variableOf);
  return Object.fromEntries(
    passed.flatMap((name) => (environment[name] ? [[name, environment[name]]] : [])),
  );
}

async function apply(file: string, cluster: Cluster): Promise<string> {
  const { gatewayUrl, adminTokenFile } = cluster.addresses();
  const token = readFileSync(adminTokenFile, 'utf8').trim();
  const { changes: applied } = await applyFile(file, connectGateway(gatewayUrl, token));
  return describeChanges(applied);
}

function page(
  cluster: Cluster,
  applied: string | undefined,
  { data }: ClusterUpOptions,
  seconds: string,
): string {
  const { gatewayUrl, adminTokenFile } = cluster.addresses();
  const logs = shortest(`${cluster.directory}/logs`);
  return [
    '',
    `${bold(green('●'))} ${bold('The cluster is up')} ${dim(`after ${seconds} s, in ${data}; what each part says is in ${logs}/`)}`,
    `  ${dim('API')}  ${gatewayUrl}/v1  ${dim(`the key is in ${shortest(adminTokenFile)}`)}`,
    '',
    ...(applied === undefined ? [] : [applied.replaceAll(/^/gm, '  '), '']),
    nextSteps(cluster, applied === undefined),
  ].join('\n');
}

/** The sentence on standard error is one line; what the part itself said stands above it. */
function showLog({ lastLines }: PartFailed): void {
  for (const line of lastLines) process.stderr.write(`  ${line}\n`);
}
