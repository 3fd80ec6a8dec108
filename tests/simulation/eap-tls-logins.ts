// Devices that log in over TLS while things go wrong, and what must hold whatever goes wrong: a wrong login
// never succeeds, router and device have the same keys (router.ts), no two texts leave under one key and
// number (nonce-watch.ts); and a right login succeeds, unless all that knew it is gone.

import { createTlsWorld } from './eap-tls.ts';
import type { EngineFlaw, TlsLogin, TlsWorld } from './eap-tls.ts';
import type { SimulatedNode } from './node.ts';
import type { RouterHabits } from './router.ts';
import type { StateFlaw } from './shared-state.ts';
import { crashInTheMiddleOfRounds, heal, makeTrouble, repeatRequestsElsewhere } from './trouble.ts';
import type { Troubles } from './trouble.ts';

export type LoginsOptions = {
  failover: RouterHabits['failover'];
  troubles: Troubles;
  /** How likely a node dies in the middle of a round. */
  roundCrashes?: { before: number; after: number };
  flaws?: { state?: StateFlaw; engine?: EngineFlaw };
};

/** Over all worlds of a test. */
export type Tally = {
  worlds: number;
  logins: number;
  right: number;
  resumed: number;
  crashesInRounds: number;
  /** Right logins that failed, for a reason that excuses it. */
  lost: Record<Excuse, number>;
  /** Of protected records: all, those that left, and those of which the nodes made different ones. */
  recordsMade: number;
  recordsSent: number;
  madeElsewhere: number;
  madeDifferently: number;
};

type Excuse =
  /** The shared state has forgotten something meanwhile. */
  | 'forgotten'
  /** It was silent, and a node has died: perhaps the only one that knew. */
  | 'died'
  /** A node has begun, or the state forgot it, and it has not reached the state since: nobody knows it. */
  | 'unannounced';

const LOGINS = 25;
const TROUBLE_MS = 30_000;
const PATIENCE_MS = 400_000;
/** A node that gets no answers asks so often, at least. */
const BETWEEN_PROBES_MS = 500;
/** A network that takes some requests to another node as well. */
const REPEATED_ELSEWHERE = 0.3;

export function newTally(): Tally {
  return {
    worlds: 0,
    logins: 0,
    right: 0,
    resumed: 0,
    crashesInRounds: 0,
    lost: { forgotten: 0, died: 0, unannounced: 0 },
    recordsMade: 0,
    recordsSent: 0,
    madeElsewhere: 0,
    madeDifferently: 0,
  };
}

export async function logInDuring(
  seed: number,
  options: LoginsOptions,
  tally: Tally,
): Promise<readonly string[]> {
  const { failover, troubles, roundCrashes = {}, flaws = {} } = options;
  const isStateWell =
    troubles.state !== true && troubles.stateOutages !== true && troubles.stateLinks !== true;
  const isAnsweredOnce = isStateWell && troubles.failovers !== true;
  const world = await createTlsWorld(seed, { failover, isAnsweredOnce, flaws });
  const { scheduler, chance, watch } = world;
  repeatRequestsElsewhere(world, REPEATED_ELSEWHERE);
  const counted = crashInTheMiddleOfRounds(world, roundCrashes);

  const logins = Array.from({ length: LOGINS }, async () => {
    await scheduler.sleep(chance.between(0, TROUBLE_MS));
    const login = await world.logIn();
    tally.logins++;
    if (login.isRight) tally.right++;
    if (login.isResumed) tally.resumed++;
    judge(world, login, isStateWell, tally);
  });
  const trouble = makeTrouble(world, troubles, TROUBLE_MS).then(() => heal(world));
  await scheduler.until(Promise.all([trouble, ...logins]), PATIENCE_MS);

  tally.worlds++;
  if (process.env['TALLY']) console.log(JSON.stringify(tally));
  tally.crashesInRounds += counted.crashes;
  tally.recordsMade += watch.made;
  tally.recordsSent += watch.sent;
  tally.madeElsewhere += watch.madeElsewhere;
  tally.madeDifferently += watch.madeDifferently;
  return world.complaints;
}

function judge(world: TlsWorld, login: TlsLogin, isStateWell: boolean, tally: Tally) {
  const { outcome, isRight, what } = login;
  switch (outcome.kind) {
    case 'accepted':
      if (!isRight) world.complain(`${what} was accepted`);
      return;
    case 'absurd':
      return world.complain(`${what}: ${outcome.what}`);
    case 'silence':
      if (!isRight && isStateWell) world.complain(`${what} was never answered`);
      break;
    case 'rejected':
  }
  if (!isRight) return;
  const excuse = excuseFor(world, login);
  if (excuse === undefined) world.complain(`${what}: ${outcome.kind}`);
  else tally.lost[excuse]++;
}

function excuseFor({ state, nodes }: TlsWorld, { beganAtMs }: TlsLogin): Excuse | undefined {
  if (state.forgotAtMs >= beganAtMs) return 'forgotten';
  const hasDied = nodes.some(({ endedAtMs }) => endedAtMs >= beganAtMs);
  if (hasDied && state.silentAtMs >= beganAtMs - BETWEEN_PROBES_MS) return 'died';
  const isUnknown = ({ name, isUp }: SimulatedNode) =>
    isUp && state.announcedAtMs(name) >= beganAtMs;
  return nodes.some(isUnknown) ? 'unannounced' : undefined;
}
