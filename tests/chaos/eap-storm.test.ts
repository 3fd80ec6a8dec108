// The storm: 802.1X logins without a pause over three nodes, of which one is killed every five seconds and
// started again, and once the primary of the shared state is taken away. Every right login ends well, and
// no packet needs more than two retransmissions. EVERGATE_STORM_SEED is another storm.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Part } from '../../src/operations/cluster/part.ts';
import { startCluster } from '../servers/cluster.ts';
import type { TestCluster } from '../servers/cluster.ts';
import { createChance } from '../simulation/chance.ts';
import type { Chance } from '../simulation/chance.ts';
import { createStormSetting, startStorm, summarizeStorm } from './eap-storm.ts';
import type { Storm, StormLogin } from './eap-storm.ts';
import { until } from './traffic.ts';

const SEED = Number(process.env['EVERGATE_STORM_SEED'] ?? 0) || 1;
const KILL_EVERY_MS = 5_000;
const STARTING_MS = 120_000;

const setting = createStormSetting();
const opened = new AsyncDisposableStack();
let cluster: TestCluster;

beforeAll(async () => {
  const directory = mkdtempSync(join(tmpdir(), 'evergate-storm-'));
  opened.defer(() => rmSync(directory, { recursive: true, force: true }));
  const write = (name: string, text: string) => {
    writeFileSync(join(directory, name), text, { mode: 0o600 });
    return join(directory, name);
  };
  cluster = opened.use(
    await startCluster({
      nodeEnvironment: {
        EVERGATE_RADIUS_RATE_LIMIT_PER_MINUTE: '0',
        EVERGATE_RADIUS_EAP_CERTIFICATE: write('server.pem', setting.server.certificate),
        EVERGATE_RADIUS_EAP_KEY: write('server.key', setting.server.key),
        EVERGATE_RADIUS_EAP_CLIENT_CA: write('authority.pem', setting.server.authority),
      },
      apply: setting.desiredState,
    }),
  );
}, STARTING_MS);
afterAll(() => opened.disposeAsync());

type Outage = {
  name: string;
  begin(primary: Part): Promise<void>;
  end(primary: Part): Promise<void>;
};

const killed: Outage = {
  name: 'killed',
  begin: (primary) => primary.kill(),
  end: (primary) => primary.start(),
};
const frozen: Outage = {
  name: 'frozen',
  begin: (primary) => Promise.resolve(primary.freeze()),
  end: (primary) => Promise.resolve(primary.thaw()),
};

test.each([
  { durationMs: 60_000, outage: killed, fromMs: 23_000, toMs: 34_000 },
  { durationMs: 16_000, outage: frozen, fromMs: 4_000, toMs: 6_000 },
] as const)(
  'in $durationMs ms of logins, with a node killed every 5 s and the primary of Redis $outage.name once, none is lost',
  async ({ durationMs, outage, fromMs, toMs }) => {
    const chance = createChance(SEED);
    const storm = await startStorm({ setting, nodes: cluster.nodes, seed: SEED });
    const events: string[] = [];
    const note = (text: string) => events.push(`${Math.round(storm.elapsedMs())} ms  ${text}`);
    let logins: readonly StormLogin[] = [];
    try {
      await Promise.all([
        sleep(durationMs),
        killNodes(storm, durationMs, chance.fork(), note),
        takePrimaryAway(storm, outage, chance.between(fromMs, toMs), note),
      ]);
    } finally {
      logins = await storm.stop();
    }

    report(`${durationMs / 1_000} s of 802.1X logins, seed ${SEED}`, events, logins);
    expect(logins.flatMap((login) => problemOf(login))).toEqual([]);
    expect(logins.length).toBeGreaterThan(durationMs / 100);
    expect(logins.some(({ wasResumed }) => wasResumed)).toBe(true);
    expect(logins.some(({ wasRejected }) => wasRejected)).toBe(true);
  },
  120_000,
);

/** One after another, each started again at once; never the last two that are ready. */
async function killNodes(
  storm: Storm,
  durationMs: number,
  chance: Chance,
  note: (text: string) => void,
): Promise<void> {
  const starting = new Map<string, Promise<void>>();
  for (let dueMs = KILL_EVERY_MS; dueMs < durationMs; dueMs += KILL_EVERY_MS) {
    await sleep(Math.max(0, dueMs - storm.elapsedMs()));
    while (starting.size > 1) await Promise.race(starting.values());
    const node = chance.pick(cluster.nodes.filter(({ name }) => !starting.has(name)));
    await node.kill();
    note(`${node.name} killed`);
    const ready = node.restart().then(() => {
      starting.delete(node.name);
      note(`${node.name} ready`);
    });
    starting.set(node.name, ready);
    ready.catch(() => undefined); // whoever waits for it next hears of it
  }
  await Promise.all(starting.values());
}

async function takePrimaryAway(
  storm: Storm,
  outage: Outage,
  atMs: number,
  note: (text: string) => void,
): Promise<void> {
  await sleep(Math.max(0, atMs - storm.elapsedMs()));
  const primary = await cluster.redisPrimary();
  await outage.begin(primary);
  note(`${primary.name}, the primary, ${outage.name}`);
  await until('the Sentinels have chosen another primary', async () => {
    return (await cluster.redisPrimary()).name !== primary.name;
  });
  note(`${(await cluster.redisPrimary()).name} is the primary`);
  await outage.end(primary);
  note(`${primary.name} is back`);
}

function problemOf({ kind, problem, transcript }: StormLogin): string[] {
  return problem === undefined ? [] : [[`${kind}: ${problem}`, ...transcript].join('\n  ')];
}

function report(title: string, events: readonly string[], logins: readonly StormLogin[]): void {
  process.stdout.write(`\n${title}\n${events.join('\n')}\n${summarizeStorm(logins)}\n\n`);
}
