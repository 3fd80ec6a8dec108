// Promise 4 with SIGKILL: for each packet of a login, the node that has just answered it dies, or the node
// that has just received it. The same login ends well, at the price of one retransmission of that packet.
// One death serves several logins: they wait for each other at the packet that it is about.
// EVERGATE_EAP_RUNS=full takes every packet of every method, and prints what it counted.

import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TestCluster } from '../servers/cluster.ts';
import { createChance } from '../simulation/chance.ts';
import type { Chance } from '../simulation/chance.ts';
import { countPackets, createMeeting, eapLogins, startEapCluster } from './eap-logins.ts';
import type { EapCluster, EapLogin, EapLoginRun, Meeting } from './eap-logins.ts';
import type { SpreadNode, SpreaderHooks } from './packet-spreader.ts';

type Death = 'has just answered' | 'has just received';
type Case = { login: EapLogin; packet: number };
/** `isAnswerLost`: the node had an answer before it died. */
type Fate = { hasMet: boolean; isAnswerLost: boolean };
type Run = Case & EapLoginRun & Fate;

const IS_FULL = process.env['EVERGATE_EAP_RUNS'] === 'full';
/** Of these every packet in any case. */
const THOROUGH = new Set([
  'TLS over TLS 1.3',
  'PEAP/auth=MSCHAPV2 over TLS 1.3',
  'TTLS/auth=PAP over TLS 1.2',
  'TEAP/auth=MSCHAPV2 over TLS 1.3',
]);
const PACKETS_OF_OTHERS = 2;
const LOGINS_AT_ONCE = 10;
/** Before it has read the packet, while it works on it, or with an answer on the way. */
const LATEST_DEATH_MS = 15;
const TIMEOUT_MS = 900_000;

let eap: EapCluster;
let packetsOf: Map<EapLogin, number>;

beforeAll(async () => {
  eap = await startEapCluster();
  packetsOf = await countPackets(eap);
});

afterAll(() => eap[Symbol.asyncDispose]());

test.each(['has just answered', 'has just received'] as const)(
  'the node that %s a packet is killed, and the same login ends well',
  async (death) => {
    const chance = createChance(1);
    const waiting = chance.shuffle(chooseCases(death, chance));
    const runs: Run[] = [];
    for (let wave = 0; waiting.length > 0; wave++) {
      const victim = chance.pick(eap.cluster.nodes);
      runs.push(
        ...(await logInWhileDying(waiting.splice(0, LOGINS_AT_ONCE), death, victim, chance)),
      );
    }
    if (IS_FULL) console.table(totalsOf(death, runs));
    expect(runs.flatMap(problemsOf)).toEqual([]);
  },
  TIMEOUT_MS,
);

/** Who has answered the last packet has nothing more to do. */
function chooseCases(death: Death, chance: Chance): Case[] {
  return eapLogins.flatMap((login) => {
    const count = (packetsOf.get(login) ?? 0) - (death === 'has just answered' ? 1 : 0);
    const all = Array.from({ length: count }, (_, index) => ({ login, packet: index + 1 }));
    const isThorough = IS_FULL || THOROUGH.has(login.name);
    return isThorough ? all : chance.shuffle(all).slice(0, PACKETS_OF_OTHERS);
  });
}

async function logInWhileDying(
  cases: readonly Case[],
  death: Death,
  victim: TestCluster['nodes'][number],
  chance: Chance,
): Promise<Run[]> {
  const deathMs = chance.between(0, LATEST_DEATH_MS);
  let restarting: Promise<void> | undefined;
  const kill = () => {
    const pid = victim.pid();
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
    restarting ??= victim.restart();
  };
  const meeting = createMeeting(cases.length, () => {
    if (death === 'has just answered') kill();
    else setTimeout(kill, deathMs);
  });
  const runs = await Promise.all(
    cases.map(async ({ login, packet }) => {
      const fate: Fate = { hasMet: false, isAnswerLost: false };
      const hooks = hooksFor(packet, death, victim, chance.fork(), meeting, fate);
      const run = await eap.logIn(login, hooks);
      if (!fate.hasMet) meeting.leave();
      return { login, packet, ...run, ...fate };
    }),
  );
  await restarting;
  return runs;
}

/** Up to this packet any node gets them, then the victim, then the others. */
function hooksFor(
  about: number,
  death: Death,
  victim: SpreadNode,
  chance: Chance,
  meeting: Meeting,
  fate: Fate,
): SpreaderHooks {
  const { nodes } = eap.cluster;
  const others = nodes.filter((node) => node !== victim);
  const isIt = (number: number, node: SpreadNode) => number === about && node === victim;
  const meet = async () => {
    if (meeting.isOver()) return;
    fate.hasMet = true;
    await meeting.come();
  };
  const route: SpreaderHooks['route'] = ({ number, attempt }) => {
    if (number === about && attempt === 1 && !meeting.isOver()) return [{ node: victim }];
    return [{ node: chance.pick(number < about && !meeting.isOver() ? nodes : others) }];
  };
  if (death === 'has just answered') {
    return {
      route,
      async onAnswer(number, node): Promise<'pass'> {
        if (isIt(number, node)) await meet();
        return 'pass';
      },
    };
  }
  return {
    route,
    async beforeForward({ number }, node) {
      if (isIt(number, node)) await meet();
    },
    onAnswer(number, node) {
      if (!isIt(number, node)) return 'pass';
      fate.isAnswerLost = true;
      return 'drop';
    },
  };
}

function problemsOf({ login, packet, problems, retransmissions, hasMet }: Run): string[] {
  const isTooMuch =
    retransmissions.length > 1 || retransmissions.some(({ number }) => number !== packet);
  if (problems.length === 0 && !isTooMuch && hasMet) return [];
  const repeated = retransmissions.map(({ number }) => number).join(' ');
  const what = hasMet ? '' : ', which came too late';
  return [`${login.name}, packet ${packet}${what}; retransmitted: ${repeated}`, ...problems];
}

function totalsOf(death: Death, runs: readonly Run[]) {
  return [...Map.groupBy(runs, ({ login }) => login.name)].map(([name, some]) => ({
    death,
    login: name,
    runs: some.length,
    failures: some.filter((run) => problemsOf(run).length > 0).length,
    lostAnswers: some.filter(({ isAnswerLost }) => isAnswerLost).length,
    retransmissions: some.reduce((sum, { retransmissions }) => sum + retransmissions.length, 0),
  }));
}
