// A storm of 802.1X logins: devices of every kind come at a steady pace to virtual routers
// (eap-storm-routers.ts) and log in, whatever happens to the nodes meanwhile. The ledger has the fate of
// each login; devices compare their keys with those of the router.

import { randomBytes } from 'node:crypto';
import type { SecureContext } from 'node:tls';
import type { DeviceAnswer, EapDevice } from '../../src/protocols/eap/device/device.ts';
import { EapType } from '../../src/protocols/eap/packet.ts';
import { answerEap, eapIdentity } from '../../src/protocols/eap/peer.ts';
import type { EapPeerMemory } from '../../src/protocols/eap/peer.ts';
import { authorityOf, createAuthority, issueCertificate } from '../../src/protocols/x509/create.ts';
import { createSystemRuntime } from '../../src/runtime/system-runtime.ts';
import { createEapDevice, outerIdentity } from '../../src/services/client/eap-device.ts';
import type { EapMethodName } from '../../src/services/client/eap-device.ts';
import { tryEapLogin } from '../../src/services/client/eap-login.ts';
import type { EapLoginOutcome } from '../../src/services/client/eap-login.ts';
import { macAddress } from '../../src/services/client/place.ts';
import { createTlsClient, createTlsContext } from '../../src/services/client/tls-client.ts';
import type { DesiredState } from '../servers/evergate.ts';
import { createChance } from '../simulation/chance.ts';
import { openVirtualRouter } from './eap-storm-routers.ts';
import type { Effort, StormNode, VirtualRouter } from './eap-storm-routers.ts';

const SECRET = 'testing123';
const SUBSCRIBERS = 24;
const ROUTERS = 12;
/** As much as two cores bear, which nodes, database, Redis and all devices share, without a queue. */
const LOGINS_PER_SECOND = 30;
const WRONG_PASSWORDS = 0.05;
/** Of the devices that can. */
const COMING_BACK = 0.4;

type Kind = {
  readonly name: string;
  readonly method: EapMethodName | 'mschapv2';
  readonly tls?: '1.2' | '1.3';
};

const KINDS: readonly Kind[] = [
  { name: 'EAP-MSCHAPv2', method: 'mschapv2' },
  ...(['1.2', '1.3'] as const).flatMap((tls) => [
    { name: `PEAP-MSCHAPv2, TLS ${tls}`, method: 'peap' as const, tls },
    { name: `TTLS-PAP, TLS ${tls}`, method: 'ttls' as const, tls },
    { name: `EAP-TLS ${tls}`, method: 'tls' as const, tls },
  ]),
];

export type StormLogin = Effort & {
  readonly kind: string;
  readonly isPasswordRight: boolean;
  wasRejected: boolean;
  wasResumed: boolean;
  /** Why it did not end as it should. */
  problem?: string;
};

export type Storm = {
  readonly logins: readonly StormLogin[];
  /** Since it began. */
  elapsedMs(): number;
  /** No new logins; resolves when the last one has ended. */
  stop(): Promise<readonly StormLogin[]>;
};

type Subscriber = { username: string; password: string; certificate: string; key: string };

export type StormSetting = {
  readonly desiredState: DesiredState;
  /** For the nodes: all as PEM. */
  readonly server: { authority: string; certificate: string; key: string };
  readonly subscribers: readonly Subscriber[];
};

const HOUR_MS = 3_600_000;

/** Who may log in, and with what. */
export function createStormSetting(): StormSetting {
  const nowMs = Date.now();
  const terms = () => ({
    serial: randomBytes(16),
    notBeforeMs: nowMs - HOUR_MS,
    notAfterMs: nowMs + 24 * HOUR_MS,
  });
  const root = createAuthority({ ...terms(), commonName: 'Storm Root' });
  const authority = authorityOf(root);
  const server = issueCertificate({
    ...terms(),
    authority,
    usage: 'server',
    commonName: 'radius.example.org',
    dnsNames: ['radius.example.org'],
  });
  const subscribers = Array.from({ length: SUBSCRIBERS }, (_, number): Subscriber => {
    const username = `u${number}`;
    const issued = issueCertificate({
      ...terms(),
      authority,
      usage: 'client',
      commonName: username,
    });
    const { certificatePem: certificate, privateKeyPem: key } = issued;
    return { username, password: `p${number}`, certificate, key };
  });
  return {
    desiredState: {
      sites: [{ name: 'lab', timezone: 'UTC' }],
      routers: [{ name: 'r1', site: 'lab', address: '127.0.0.0/8', secret: SECRET }],
      plans: [{ name: 'free', rate: '2M/10M' }],
      subscribers: subscribers.map(({ username, password }) => ({
        username,
        password,
        plan: 'free',
      })),
    },
    server: {
      authority: root.certificatePem,
      certificate: server.certificatePem,
      key: server.privateKeyPem,
    },
    subscribers,
  };
}

/** A device of one subscriber, which has one way of logging in. */
type Owned = {
  number: number;
  kind: Kind;
  subscriber: Subscriber;
  /** Undefined: a method without TLS. */
  context: SecureContext | undefined;
  /** With what it can come back. */
  session?: Buffer | undefined;
};

export async function startStorm(options: {
  setting: StormSetting;
  nodes: readonly StormNode[];
  seed: number;
}): Promise<Storm> {
  const { setting, nodes } = options;
  const { clock, random } = createSystemRuntime({
    log: { level: 'silent', format: 'json' },
    fields: {},
    engine: 'dgram',
    processMetrics: false,
  });
  const chance = createChance(options.seed);
  const beganMs = performance.now();
  const elapsedMs = () => performance.now() - beganMs;
  const devices = KINDS.flatMap((kind) =>
    setting.subscribers.map((subscriber) => ({ kind, subscriber })),
  ).map((owned, number): Owned => ({ ...owned, number, context: contextOf(owned, setting) }));

  await using opened = new AsyncDisposableStack();
  const routers: VirtualRouter[] = [];
  for (let number = 0; number < ROUTERS; number++) {
    const router = await openVirtualRouter({
      nodes,
      ways: number % 2 === 0 ? 'balanced' : 'failover',
      secret: SECRET,
      chance: chance.fork(),
      sinceBeginningMs: elapsedMs,
    });
    routers.push(opened.use(router));
  }

  const logins: StormLogin[] = [];
  const underWay = new Set<Promise<void>>();

  function begin(): void {
    const device = chance.pick(devices);
    const router = chance.pick(routers);
    const login: StormLogin = {
      kind: device.kind.name,
      isPasswordRight: device.kind.method === 'tls' || !chance.happens(WRONG_PASSWORDS),
      wasRejected: false,
      wasResumed: false,
      retransmissions: [],
      transcript: [`${device.subscriber.username}, ${router.ways}`],
    };
    logins.push(login);
    const session =
      login.isPasswordRight && chance.happens(COMING_BACK) ? device.session : undefined;
    const going = logIn(device, router, login, session)
      .catch((error: unknown) => {
        login.problem = String(error);
      })
      .finally(() => underWay.delete(going));
    underWay.add(going);
  }

  async function logIn(
    owned: Owned,
    router: VirtualRouter,
    login: StormLogin,
    session: Buffer | undefined,
  ): Promise<void> {
    const { kind, subscriber, context } = owned;
    const { username } = subscriber;
    const password = login.isPasswordRight ? subscriber.password : 'wrong';
    using tls =
      context &&
      createTlsClient(
        { context, isServerChecked: true, ...(session === undefined ? {} : { session }) },
        clock,
      );
    const identity = kind.method === 'mschapv2' ? username : outerIdentity(kind.method, username);
    const device =
      kind.method === 'mschapv2' || tls === undefined
        ? createMsChapDevice(username, password)
        : createEapDevice(kind.method, { username, password, identity }, tls, random);
    if (device === undefined) throw new Error(`there is no device for ${kind.name}`);
    const place = {
      nasIdentifier: 'storm',
      nasIpAddress: '127.0.0.1',
      calledStationId: `${macAddress(0)}:storm`,
      callingStationId: macAddress(1 + owned.number),
    };
    const outcome = await tryEapLogin(router.carrying(login), 0, { device, identity, place });
    const problem = login.isPasswordRight ? whyNotIn(outcome) : whyNotRefused(outcome);
    if (problem !== undefined) login.problem = problem;
    login.wasRejected = outcome.kind === 'rejected';
    login.wasResumed = tls?.facts()?.isResumed === true;
    if (outcome.kind === 'accepted') owned.session = tls?.session() ?? owned.session;
  }

  const stopped = new AbortController();
  async function keepPace(): Promise<void> {
    for (let count = 0; !stopped.signal.aborted; count++) {
      const dueMs = (count * 1_000) / LOGINS_PER_SECOND;
      await clock.sleep(Math.max(0, dueMs - elapsedMs()), stopped.signal);
      if (!stopped.signal.aborted) begin();
    }
  }
  const pacing = keepPace();
  const closing = opened.move();

  return {
    logins,
    elapsedMs,
    async stop() {
      stopped.abort();
      await pacing;
      await Promise.all(underWay);
      await closing.disposeAsync();
      return logins;
    },
  };
}

function contextOf(
  { kind, subscriber }: Pick<Owned, 'kind' | 'subscriber'>,
  { server }: StormSetting,
): SecureContext | undefined {
  if (kind.tls === undefined) return undefined;
  const { certificate, key } = subscriber;
  return createTlsContext({
    authorities: server.authority,
    minVersion: kind.tls,
    maxVersion: kind.tls,
    ...(kind.method === 'tls' ? { certificate, key } : {}),
  });
}

/** EAP-MSCHAPv2 without a tunnel. */
function createMsChapDevice(username: string, password: string): EapDevice {
  const peer = { username, password: Buffer.from(password), accepts: [EapType.MsChapV2] };
  const challenge = randomBytes(16);
  let memory: EapPeerMemory;
  return {
    identity: eapIdentity(username),
    answer(packet): DeviceAnswer {
      const answer = answerEap(peer, memory, packet, challenge);
      switch (answer.kind) {
        case 'response':
          ({ memory } = answer);
          return answer;
        case 'success':
          return answer.msk === undefined
            ? distrust('success before anything was proven')
            : { kind: 'success', msk: answer.msk };
        case 'failure':
          return { kind: 'failure', refusal: { kind: 'unexplained' } };
        case 'distrust':
          return distrust(answer.reason);
      }
    },
  };
}

function distrust(detail: string): DeviceAnswer {
  return { kind: 'distrust', distrust: { kind: 'protocol', detail } };
}

function whyNotIn(outcome: EapLoginOutcome): string | undefined {
  if (outcome.kind === 'accepted') {
    return outcome.keys === 'same' ? undefined : `accepted, keys ${outcome.keys}`;
  }
  return describe(outcome);
}

/**
 * A rejection waits a second on purpose. When its node and the shared state die in that second nobody is left
 * who knows of it, and who has a wrong password loses nothing by silence.
 */
function whyNotRefused(outcome: EapLoginOutcome): string | undefined {
  if (outcome.kind === 'rejected' || outcome.kind === 'silence') return undefined;
  return outcome.kind === 'accepted' ? 'a wrong password was accepted' : describe(outcome);
}

function describe(outcome: Exclude<EapLoginOutcome, { kind: 'accepted' }>): string {
  switch (outcome.kind) {
    case 'rejected':
      return `rejected: ${outcome.message ?? 'no message'}, ${JSON.stringify(outcome.refusal)}`;
    case 'distrust':
      return `the device gave up: ${JSON.stringify(outcome.distrust)}`;
    case 'unexpected':
      return `unexpected: ${outcome.detail}`;
    case 'silence':
    case 'busy':
      return outcome.kind;
  }
}

/** For people: what came of it, by method. */
export function summarizeStorm(logins: readonly StormLogin[]): string {
  const rows = [...Map.groupBy(logins, ({ kind }) => kind)]
    .toSorted(([a], [b]) => a.localeCompare(b))
    .map(([kind, some]) => [
      kind,
      some.length,
      some.filter(({ wasResumed }) => wasResumed).length,
      some.filter(({ isPasswordRight }) => !isPasswordRight).length,
      some.filter(({ retransmissions }) => retransmissions.some((count) => count > 0)).length,
      some.filter(({ problem }) => problem !== undefined).length,
    ]);
  const wrong = logins.filter(({ isPasswordRight }) => !isPasswordRight);
  const rejected = wrong.filter(({ wasRejected }) => wasRejected).length;
  const packets = logins.flatMap(({ retransmissions }) => retransmissions);
  const needed = (count: number) => packets.filter((each) => each === count).length;
  return [
    row('', 'logins', 'resumed', 'wrong pw', 'repeated', 'failed'),
    ...rows.map((cells) => row(...cells)),
    `wrong passwords: ${rejected} rejected, ${wrong.length - rejected} without an answer`,
    `packets: ${packets.length}; answered at once ${needed(0)}, after one retransmission ${needed(1)}, after two ${needed(2)}`,
  ].join('\n');
}

function row(...cells: (string | number)[]): string {
  return cells
    .map((cell, column) => (column === 0 ? String(cell).padEnd(24) : String(cell).padStart(9)))
    .join('');
}
