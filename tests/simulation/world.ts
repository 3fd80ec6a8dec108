// A whole cluster in one process: nodes, their stores, routers and the network between them, from one
// seed. A scenario lets things happen and asks at the end what was broken.

import type { Router } from '../../src/domain/router.ts';
import type { Credential } from '../../src/domain/subscriber.ts';
import type { RadiusOptions } from '../../src/services/radius/radius.ts';
import { createBookkeeping } from './accounting.ts';
import type { Bookkeeping } from './accounting.ts';
import { createChance } from './chance.ts';
import type { Chance } from './chance.ts';
import { createDatabase } from './database.ts';
import type { DatabaseFlaw, SimulatedDatabase } from './database.ts';
import { openAsking, SECRET } from './exchange.ts';
import type { JournalFlaw } from './journal.ts';
import { beginLife } from './life.ts';
import { createNetwork } from './network.ts';
import type { SimulatedNetwork } from './network.ts';
import { createNode } from './node.ts';
import type { SimulatedNode } from './node.ts';
import { createRouter } from './router.ts';
import type { RouterHabits, SimulatedRouter } from './router.ts';
import { createScheduler } from './scheduler.ts';
import type { Scheduler } from './scheduler.ts';
import { createSimulatedState } from './shared-state.ts';
import type { SimulatedState, StateFlaw } from './shared-state.ts';
import { createWitness } from './witness.ts';
import type { Witness } from './witness.ts';

export type WorldOptions = {
  nodes: number;
  /** Of every node, or of each. */
  node?: Partial<RadiusOptions> | ((name: string, address: string) => Partial<RadiusOptions>);
  /** As a rule; witness.ts says when not. */
  isAnsweredOnce?: boolean;
  /** What is broken on purpose, to show that it would be noticed. */
  flaws?: { state?: StateFlaw; database?: DatabaseFlaw; journal?: JournalFlaw };
};

export type World = {
  readonly scheduler: Scheduler;
  readonly chance: Chance;
  readonly network: SimulatedNetwork;
  readonly database: SimulatedDatabase;
  readonly state: SimulatedState;
  readonly nodes: readonly SimulatedNode[];
  readonly witness: Witness;
  readonly complaints: string[];
  complain(complaint: string): void;
  addRouter(habits?: Partial<RouterHabits>): Promise<RouterWithBooks>;
};

export type RouterWithBooks = SimulatedRouter & { readonly books: Bookkeeping };

/** As many as anybody wants to read. */
const MAX_COMPLAINTS = 20;
const SITE_ID = '00000000-0000-7000-8000-00000000aaaa';

export function createWorld(seed: number, options: WorldOptions): World {
  const chance = createChance(seed);
  const scheduler = createScheduler();
  const network = createNetwork(scheduler, chance.fork());
  const database = createDatabase(scheduler, chance.fork(), options.flaws?.database);
  const state = createSimulatedState(scheduler, chance.fork(), options.flaws?.state);
  const complaints: string[] = [];
  const complain = (complaint: string) => {
    if (complaints.length < MAX_COMPLAINTS) {
      complaints.push(`at ${Math.round(scheduler.nowMs)} ms: ${complaint}`);
    }
  };
  const witness = createWitness(complain, { isAnsweredOnce: options.isAnsweredOnce ?? true });
  network.witness((sent) => witness.see(sent));
  const surroundings = {
    scheduler,
    chance: chance.fork(),
    network,
    database,
    state,
    journalFlaw: options.flaws?.journal ?? 'none',
    complain,
  };
  const nodes = Array.from({ length: options.nodes }, (_, i) => {
    const [name, address] = [`node-${i + 1}`, `10.0.0.${i + 1}`];
    const changes = typeof options.node === 'function' ? options.node(name, address) : options.node;
    return createNode(name, address, changes ?? {}, surroundings);
  });
  let routerCount = 0;

  return {
    scheduler,
    chance,
    network,
    database,
    state,
    nodes,
    witness,
    complaints,
    complain,

    async addRouter(changes = {}) {
      const number = ++routerCount;
      const id = `00000000-0000-7000-8000-${String(number).padStart(12, '0')}`;
      const address = `10.1.0.${number}`;
      const habits: RouterHabits = {
        servers: chance.shuffle(nodes.map((node) => node.address)).slice(0, 2),
        failover: 'same-bytes',
        signs: true,
        tellsTime: 'event-timestamp',
        echoesClass: false,
        spreads: false,
        ...changes,
      };
      database.routers.push(domainRouter(id, number, address));
      const own = chance.fork();
      const parts = { scheduler, network, chance: own, life: beginLife(scheduler) };
      const asking = await openAsking(address, habits, parts);
      const router = createRouter(id, address, habits, asking, own);
      const books = createBookkeeping(router, scheduler, (to, toPort, bytes) =>
        network.inject({ from: address, fromPort: asking.port, to, toPort, bytes }),
      );
      return { ...router, books };
    },
  };
}

function domainRouter(id: string, number: number, address: string): Router {
  return {
    id,
    name: `r${number}`,
    siteId: SITE_ID,
    address: `${address}/32`,
    secret: SECRET,
    vendor: 'mikrotik',
    coaPort: 3799,
    requireMessageAuthenticator: 'auto',
    messageAuthenticatorSeenAtMs: undefined,
  };
}

/** A subscriber `name` with the password `pw-name`. */
export function subscriber(name: string, changes: Partial<Credential> = {}): Credential {
  return {
    kind: 'subscriber',
    id: `id-of-${name}`,
    username: name,
    password: Buffer.from(passwordOf(name)),
    disabled: false,
    plan: undefined,
    activatedAtMs: undefined,
    expiresAtMs: undefined,
    usedSeconds: 0,
    usedBytes: 0,
    ...changes,
  };
}

export function passwordOf(name: string): string {
  return `pw-${name}`;
}

/** `devices` seats and nothing else. */
export function planOfDevices(devices: number | undefined): NonNullable<Credential['plan']> {
  return {
    id: 'plan',
    name: 'plan',
    durationSeconds: undefined,
    dataBytes: undefined,
    uploadBitsPerSecond: undefined,
    downloadBitsPerSecond: undefined,
    price: undefined,
    devices,
  };
}
