// Promise 4 without any trouble but the ways of packets: every EAP method, each packet to any of three
// nodes. EVERGATE_EAP_RUNS=200 is the measured proof; it prints what it counted.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createChance } from '../simulation/chance.ts';
import type { Chance } from '../simulation/chance.ts';
import { eapLogins, inParallel, nodeAt, startEapCluster } from './eap-logins.ts';
import type { EapCluster, EapLogin, EapLoginRun } from './eap-logins.ts';
import type { SpreadNode, SpreaderHooks } from './packet-spreader.ts';

const RUNS = Number(process.env['EVERGATE_EAP_RUNS'] ?? 0) || 3;
const AT_ONCE = 3;
const TIMEOUT_MS = 60_000 + RUNS * 5_000;
/** As long as a whole login takes, and longer. */
const LATEST_DUPLICATE_MS = 400;

let eap: EapCluster;
let nodes: readonly SpreadNode[];
const totals: Record<string, unknown>[] = [];

beforeAll(async () => {
  eap = await startEapCluster();
  ({ nodes } = eap.cluster);
});

afterAll(async () => {
  if (process.env['EVERGATE_EAP_RUNS'] !== undefined) console.table(totals);
  await eap[Symbol.asyncDispose]();
});

const toAnyNode = (chance: Chance): SpreaderHooks => ({
  route: () => [{ node: chance.pick(nodes) }],
});

const roundRobin = (chance: Chance): SpreaderHooks => {
  const first = chance.between(0, nodes.length - 1);
  return { route: ({ number, attempt }) => [{ node: nodeAt(nodes, first + number + attempt) }] };
};

/** Some arrive together, some when the login is rounds further. */
const withLateDuplicates = (chance: Chance): SpreaderHooks => ({
  route() {
    const [node, other, third] = chance.shuffle(nodes);
    if (node === undefined || other === undefined || third === undefined) return [];
    return [
      { node },
      { node: other, afterMs: chance.between(0, LATEST_DUPLICATE_MS) },
      { node: third, afterMs: chance.between(0, 3) },
    ];
  },
});

const ways = [
  ['a random node for every packet', toAnyNode],
  ['the nodes in turn', roundRobin],
  ['duplicates of every packet at the other nodes, at once and late', withLateDuplicates],
] as const;

describe.each(ways)('%s', (way, hooksFrom) => {
  test.each(eapLogins)(
    '$name',
    async (login) => {
      const runs = await runsOf(login, hooksFrom);
      count(way, login, runs);
      expect(runs.flatMap(({ problems }) => problems)).toEqual([]);
    },
    TIMEOUT_MS,
  );

  test.each(eapLogins.filter(({ resumes }) => resumes))(
    '$name, and once more with a short handshake',
    async (login) => {
      const runs = await runsOf(login, hooksFrom, 'again');
      count(`${way}, resumed`, login, runs);
      expect(runs.flatMap(({ problems }) => problems)).toEqual([]);
      expect(runs.filter(({ wasResumed }) => !wasResumed)).toEqual([]);
    },
    TIMEOUT_MS,
  );
});

function runsOf(
  login: EapLogin,
  hooksFrom: (chance: Chance) => SpreaderHooks,
  again?: 'again',
): Promise<EapLoginRun[]> {
  const seeds = Array.from({ length: RUNS }, (_, index) => index + 1);
  return inParallel(seeds, AT_ONCE, async (seed) => {
    const run = await eap.logIn(login, hooksFrom(createChance(seed)), again);
    if (run.problems.length > 0) run.problems.unshift(`seed ${seed}`);
    return run;
  });
}

function count(way: string, { name }: EapLogin, runs: readonly EapLoginRun[]): void {
  totals.push({
    way,
    login: name,
    runs: runs.length,
    failures: runs.filter(({ problems }) => problems.length > 0).length,
    packets: runs.reduce((sum, { packets }) => sum + packets, 0),
    retransmissions: runs.reduce((sum, { retransmissions }) => sum + retransmissions.length, 0),
  });
}
