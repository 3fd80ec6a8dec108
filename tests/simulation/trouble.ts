// What happens to a cluster besides its work, drawn from the world's chance: crashes, pauses, outages of
// the stores, cut links, wrong clocks. `heal` ends all of it.

import { GOOD_LINK } from './network.ts';
import type { Link } from './network.ts';
import type { SimulatedNode } from './node.ts';
import type { World } from './world.ts';

export type Troubles = {
  crashes?: boolean;
  /** Orderly ones, as at an upgrade. */
  stops?: boolean;
  pauses?: boolean;
  database?: boolean;
  state?: boolean;
  links?: boolean;
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
    ...(troubles.crashes === true ? [crashSomebody, crashSomebody] : []),
    ...(troubles.stops === true ? [stopSomebody] : []),
    ...(troubles.pauses === true ? [pauseSomebody] : []),
    ...(troubles.database === true ? [troubleTheDatabase, cutOffFromDatabase] : []),
    ...(troubles.state === true ? [troubleTheState, restartTheState] : []),
    ...(troubles.links === true ? [worsenLinks, cutALink] : []),
    ...(troubles.clockJumpsMs === undefined ? [] : [jumpAClock]),
  ];
  if (kinds.length === 0) return;
  while (scheduler.nowMs < endsAtMs) {
    chance.pick(kinds)(world, troubles);
    await scheduler.sleep(chance.between(200, 8_000));
  }
}

/** From now on everything works, and has worked for a while when this resolves. */
export async function heal(world: World): Promise<void> {
  const { database, state, network, nodes, scheduler } = world;
  database.cutOff.clear();
  database.comeBack();
  state.mode = 'up';
  state.cutOff.clear();
  network.setDefault(GOOD_LINK);
  for (const [a, b] of pairs(world)) network.link(a, b, GOOD_LINK);
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

function worsenLinks({ network, chance }: World) {
  network.setDefault(chance.happens(0.5) ? BAD_LINK : GOOD_LINK);
}

function cutALink(world: World, troubles: Troubles) {
  const { network, chance, scheduler } = world;
  const candidates = pairs(world).filter(
    ([address]) => troubles.spared?.some((node) => node.address === address) !== true,
  );
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
