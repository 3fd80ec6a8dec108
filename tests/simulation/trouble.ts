// What happens to a cluster besides its work, drawn from the world's chance: crashes, pauses, outages of
// the stores, cut links, wrong clocks. `heal` ends all of it.

import { GOOD_LINK } from './network.ts';
import type { Link } from './network.ts';
import type { SimulatedNode } from './node.ts';
import type { World } from './world.ts';

export type Troubles = {
  /** Any number of nodes at once, or never more than one. */
  crashes?: boolean | 'one-at-a-time';
  /** Orderly ones, as at an upgrade. */
  stops?: boolean;
  pauses?: boolean;
  database?: boolean;
  state?: boolean;
  /** Of single nodes to the state. */
  stateLinks?: boolean;
  /** The state is slow, away or deaf, but forgets nothing. */
  stateOutages?: boolean;
  /** The state loses what was written last. */
  failovers?: boolean;
  links?: boolean;
  /** Between two nodes. */
  peerLinks?: boolean;
  /** How far a node's date may jump, in milliseconds. */
  clockJumpsMs?: number;
  /** These stay as they are. */
  spared?: readonly SimulatedNode[];
};

const BAD_LINK: Link = {
  loss: 0.15,
  duplication: 0.1,
  fromDelayMs: 1,
  toDelayMs: 120,
  isCut: false,
};

/** Something new every few seconds for so long. */
export async function makeTrouble(
  world: World,
  troubles: Troubles,
  durationMs: number,
): Promise<void> {
  const { scheduler, chance } = world;
  const endsAtMs = scheduler.nowMs + durationMs;
  const kinds = [
    ...((troubles.crashes ?? false) !== false ? [crashSomebody, crashSomebody] : []),
    ...(troubles.stops === true ? [stopSomebody] : []),
    ...(troubles.pauses === true ? [pauseSomebody] : []),
    ...(troubles.database === true ? [troubleTheDatabase, cutOffFromDatabase] : []),
    ...(troubles.state === true ? [troubleTheState, restartTheState] : []),
    ...(troubles.stateLinks === true ? [cutOffFromState] : []),
    ...(troubles.stateOutages === true ? [troubleTheState] : []),
    ...(troubles.failovers === true ? [failTheStateOver] : []),
    ...(troubles.links === true ? [worsenLinks, cutALink] : []),
    ...(troubles.peerLinks === true ? [cutAPeerLink] : []),
    ...(troubles.clockJumpsMs === undefined ? [] : [jumpAClock]),
  ];
  if (kinds.length === 0) return;
  while (scheduler.nowMs < endsAtMs) {
    chance.pick(kinds)(world, troubles);
    await scheduler.sleep(chance.between(200, 8_000));
  }
}

/** The same bytes, some time later, at some node: what a load balancer or a confused network does. */
export function repeatRequestsElsewhere(world: World, probability: number) {
  const { network, chance, scheduler, nodes } = world;
  const copies = new Set<Buffer>();
  network.witness((sent) => {
    if (sent.toPort !== 1812 || copies.has(sent.bytes) || !chance.happens(probability)) return;
    const copy = { ...sent, to: chance.pick(nodes).address, bytes: Buffer.from(sent.bytes) };
    copies.add(copy.bytes);
    scheduler.at(chance.pick([0, 1, 2, 5, 500, 3_000]), () => network.inject(copy));
  });
}

/**
 * A node dies in the middle of a round of EAP: it has worked out what follows, and either nobody will know
 * (`before`), or it is stored and the answer has not been sent (`after`). Another node always lives on.
 */
export function crashInTheMiddleOfRounds(
  world: World,
  probability: { before?: number; after?: number },
): { readonly crashes: number } {
  const { state, chance, scheduler, nodes } = world;
  const counted = { crashes: 0 };
  const dies = (name: string, operation: string, key: string, chanceOfIt = 0): boolean => {
    if (chanceOfIt === 0) return false;
    if (operation !== 'compareAndSet' || !key.startsWith('eap_session:')) return false;
    const others = nodes.filter((node) => node.name !== name && node.isUp);
    if (others.length === 0 || !chance.happens(chanceOfIt)) return false;
    const node = nodes.find((each) => each.name === name);
    counted.crashes++;
    scheduler.at(0, () => node?.crash());
    scheduler.at(chance.between(500, 6_000), () => {
      if (node?.isUp === false) node.start();
    });
    return true;
  };
  state.onCall = (name, operation, key) => dies(name, operation, key, probability.before);
  state.onEffect = (name, operation, key) => void dies(name, operation, key, probability.after);
  return counted;
}

/** From now on everything works, and has worked for a while when this resolves. */
export async function heal(world: World): Promise<void> {
  const { database, state, network, nodes, scheduler } = world;
  database.cutOff.clear();
  database.comeBack();
  state.mode = 'up';
  state.cutOff.clear();
  network.setDefault(GOOD_LINK);
  for (const [a, b] of [...pairs(world), ...peerPairs(world)]) network.link(a, b, GOOD_LINK);
  for (const node of nodes) {
    node.wall.offsetMs = 0;
    if (!node.isUp) node.start();
  }
  await scheduler.sleep(5_000);
}

function somebody(world: World, troubles: Troubles): SimulatedNode | undefined {
  const candidates = world.nodes.filter((node) => troubles.spared?.includes(node) !== true);
  return candidates.length === 0 ? undefined : world.chance.pick(candidates);
}

function crashSomebody(world: World, troubles: Troubles) {
  const node = somebody(world, troubles);
  if (node?.isUp !== true) return;
  if (troubles.crashes === 'one-at-a-time' && world.nodes.some(({ isUp }) => !isUp)) return;
  node.crash();
  world.scheduler.at(world.chance.between(500, 20_000), () => {
    if (!node.isUp) node.start();
  });
}

function stopSomebody(world: World, troubles: Troubles) {
  const { scheduler, chance } = world;
  const node = somebody(world, troubles);
  if (node?.isUp !== true) return;
  void node.stop().then(() => {
    scheduler.at(chance.between(500, 5_000), () => {
      if (!node.isUp) node.start();
    });
  });
}

function pauseSomebody(world: World, troubles: Troubles) {
  somebody(world, troubles)?.pause(world.chance.between(100, 5_000));
}

function troubleTheDatabase({ database, chance }: World) {
  if (database.mode === 'up') database.mode = chance.pick(['slow', 'away', 'frozen'] as const);
  else database.comeBack();
}

function cutOffFromDatabase(world: World, troubles: Troubles) {
  const node = somebody(world, troubles);
  if (node === undefined) return;
  const { cutOff } = world.database;
  if (!cutOff.delete(node.name)) cutOff.add(node.name);
}

function troubleTheState({ state, chance }: World) {
  state.mode = state.mode === 'up' ? chance.pick(['slow', 'away', 'deaf'] as const) : 'up';
}

function restartTheState({ state }: World) {
  state.restartEmpty();
}

function cutOffFromState(world: World, troubles: Troubles) {
  const node = somebody(world, troubles);
  if (node === undefined) return;
  const { cutOff } = world.state;
  if (!cutOff.delete(node.name)) cutOff.add(node.name);
}

function failTheStateOver({ state, chance }: World) {
  void state.failOver(chance.between(1, 20));
}

function worsenLinks({ network, chance }: World) {
  network.setDefault(chance.happens(0.5) ? BAD_LINK : GOOD_LINK);
}

function cutALink(world: World, troubles: Troubles) {
  const candidates = pairs(world).filter(
    ([address]) => troubles.spared?.some((node) => node.address === address) !== true,
  );
  cutOneOf(world, candidates);
}

function cutAPeerLink(world: World) {
  cutOneOf(world, peerPairs(world));
}

function cutOneOf({ network, chance, scheduler }: World, candidates: [string, string][]) {
  if (candidates.length === 0) return;
  const [a, b] = chance.pick(candidates);
  network.link(a, b, { isCut: true });
  scheduler.at(chance.between(1_000, 15_000), () => network.link(a, b, { isCut: false }));
}

function jumpAClock(world: World, troubles: Troubles) {
  const node = somebody(world, troubles);
  const byMs = troubles.clockJumpsMs ?? 0;
  if (node !== undefined) node.wall.offsetMs = world.chance.between(-byMs, byMs);
}

/** Each node's address with each router's. */
function pairs({ nodes, database }: World): [string, string][] {
  const routers = database.routers.map(({ address }) => address.replace('/32', ''));
  return nodes.flatMap((node) => routers.map((router): [string, string] => [node.address, router]));
}

function peerPairs({ nodes }: World): [string, string][] {
  return nodes.flatMap(({ address }, i) =>
    nodes.slice(i + 1).map((other): [string, string] => [address, other.address]),
  );
}
