// A cluster for logins by EAP over TLS: nodes with the portable engine and links to each other, certificates,
// devices that have the right credentials or wrong ones, and a watch over the nonces.

import { createEapTlsDevice } from '../../src/protocols/eap/device/eap-tls.ts';
import { createPeapDevice } from '../../src/protocols/eap/device/peap.ts';
import { createTtlsDevice } from '../../src/protocols/eap/device/ttls.ts';
import { createEapTls } from '../../src/protocols/eap/eap-tls.ts';
import type { EapMethod } from '../../src/protocols/eap/method.ts';
import { RANDOM_BYTES } from '../../src/protocols/eap/method.ts';
import { eapMsChapV2 } from '../../src/protocols/eap/mschapv2.ts';
import { createPeap } from '../../src/protocols/eap/peap.ts';
import { createTtls } from '../../src/protocols/eap/ttls.ts';
import { createPortableEngine } from '../../src/protocols/tls/server.ts';
import type { TlsEngine } from '../../src/protocols/tls/engine.ts';
import type { TlsSettings } from '../../src/protocols/tls/settings.ts';
import { createTicketBox } from '../../src/protocols/tls/ticket-box.ts';
import type { RadiusOptions } from '../../src/services/radius/radius.ts';
import type { ClientSession } from '../conformance/tls-test-client.ts';
import { createChance } from './chance.ts';
import type { Chance } from './chance.ts';
import { certificateOf, identityOf } from './eap-tls-certificates.ts';
import { createNonceWatch } from './nonce-watch.ts';
import type { NonceWatch } from './nonce-watch.ts';
import type { LoginOutcome, RouterHabits } from './router.ts';
import type { StateFlaw } from './shared-state.ts';
import { createTlsClient } from './tls-client.ts';
import { createWorld, passwordOf, subscriber } from './world.ts';
import type { RouterWithBooks, World } from './world.ts';

export type TlsWorld = World & {
  readonly watch: NonceWatch;
  readonly router: RouterWithBooks;
  /** One device logs in, by what it draws. */
  logIn(): Promise<TlsLogin>;
};

export type TlsLogin = {
  what: string;
  /** Whether the credentials are right. */
  isRight: boolean;
  isResumed: boolean;
  beganAtMs: number;
  outcome: LoginOutcome;
};

/** How to break it on purpose. `fresh-tickets`: they draw anew whenever a round is worked out. */
export type EngineFlaw = 'none' | 'fresh-tickets';

type TlsWorldOptions = {
  failover: RouterHabits['failover'];
  isAnsweredOnce: boolean;
  flaws?: { state?: StateFlaw; engine?: EngineFlaw };
};

const USERNAME = 'alice';
const HOUR_MS = 3_600_000;
const PEER_PORT = 1820;
/** In one packet all records are whole; with the smallest every flight is cut up. */
const PACKET_BYTES = [3_000, 1_200, 1_200, 250];
const METHODS = ['peap', 'peap', 'tls', 'tls', 'ttls-pap', 'ttls-mschapv2'] as const;

export async function createTlsWorld(seed: number, options: TlsWorldOptions): Promise<TlsWorld> {
  const { failover, isAnsweredOnce, flaws = {} } = options;
  const chance = createChance(seed + 1_000_000);
  const eapPacketBytes = chance.pick(PACKET_BYTES);
  const watch = createNonceWatch((complaint) => world.complain(complaint));
  const world = createWorld(seed, {
    nodes: 3,
    isAnsweredOnce,
    node: (name, address): Partial<RadiusOptions> => ({
      eapMethods: methodsOf(name, watch, flaws.engine ?? 'none', chance.fork()),
      eapPacketBytes,
      peer: { listenHost: address, announcedHost: address, port: PEER_PORT },
    }),
    ...(flaws.state === undefined ? {} : { flaws: { state: flaws.state } }),
  });
  world.network.witness((sent) => watch.see(sent));
  for (const node of world.nodes) node.start();
  world.database.putCredential(subscriber(USERNAME));
  const servers = world.nodes.map(({ address }) => address);
  const router = await world.addRouter({ failover, spreads: true, servers });
  const sessions = new Map<string, ClientSession>();
  await world.scheduler.run(1_000);
  return { ...world, watch, router, logIn: () => logIn(world, router, sessions) };
}

/** Every node has its own engine, and all of them the same certificate and ticket keys. */
function methodsOf(
  node: string,
  watch: NonceWatch,
  flaw: EngineFlaw,
  chance: Chance,
): readonly EapMethod[] {
  const portable = createPortableEngine(() => settings, { observe: watch.observe(node) });
  const engine = flaw === 'none' ? portable : withFreshTickets(portable, chance);
  const innerMethods = [eapMsChapV2];
  return [
    createPeap({ engine, innerMethods }),
    createEapTls({ engine }),
    createTtls({ engine, innerMethods }),
  ];
}

function withFreshTickets(engine: TlsEngine, chance: Chance): TlsEngine {
  return {
    ...engine,
    issueTicket: (connection, ticket, moment) =>
      engine.issueTicket(connection, ticket, { ...moment, random: chance.bytes(RANDOM_BYTES) }),
  };
}

async function logIn(
  { chance, scheduler }: World,
  router: RouterWithBooks,
  sessions: Map<string, ClientSession>,
): Promise<TlsLogin> {
  const method = chance.pick(METHODS);
  const version = chance.pick(['1.2', '1.3'] as const);
  const isRight = chance.happens(0.8);
  const isStranger = chance.happens(0.5);
  const wantsToResume = chance.happens(0.5);
  const peerChallenge = chance.bytes(16);

  const purpose = `${method} ${version}`;
  const session = isRight && wantsToResume ? sessions.get(purpose) : undefined;
  const wrongDevice = isStranger ? 'stranger' : 'nobody';
  const certificate = identityOf(isRight ? 'alice' : wrongDevice);
  const tls = createTlsClient(chance.fork(), {
    version,
    ...(method === 'tls' ? { certificate } : {}),
    ...(session === undefined ? {} : { session }),
  });
  const identity = method === 'tls' ? USERNAME : 'anonymous';
  const inside = {
    username: USERNAME,
    password: Buffer.from(isRight ? passwordOf(USERNAME) : 'wrong'),
    peerChallenge,
    identity,
    tls,
  };
  const device = {
    tls: () => createEapTlsDevice({ identity, tls }),
    peap: () => createPeapDevice({ ...inside, innerMethod: 'mschapv2' }),
    'ttls-pap': () => createTtlsDevice({ ...inside, innerMethod: 'pap' }),
    'ttls-mschapv2': () => createTtlsDevice({ ...inside, innerMethod: 'mschapv2' }),
  }[method]();

  const beganAtMs = scheduler.nowMs;
  const outcome = await router.admit(device, { username: identity, device: undefined });
  if (outcome.kind === 'accepted' && version === '1.2') sessions.set(purpose, tls.session());
  return {
    what: `${isRight ? 'a right' : 'a wrong'} login by ${purpose}`,
    isRight,
    isResumed: tls.isResumed,
    beganAtMs,
    outcome,
  };
}

const settings: TlsSettings = {
  identities: [identityOf('server')],
  clientTrust: {
    anchors: [certificateOf('root')],
    intermediates: [],
    crls: [],
    revocation: 'none',
  },
  minVersion: '1.2',
  maxVersion: '1.3',
  tickets: createTicketBox(Buffer.alloc(32, 7), HOUR_MS),
  ticketLifetimeMs: HOUR_MS,
};
