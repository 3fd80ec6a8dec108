// Promise 4 without the shared state: it is taken away when every login is somewhere in its middle, and
// packets still go to any node. What one node alone remembers, the others ask it for. EVERGATE_EAP_RUNS=n
// does it n times.

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Part } from '../../src/operations/cluster/part.ts';
import { ensureDebianPackage } from '../servers/ensure-package.ts';
import { startRedis } from '../servers/redis.ts';
import { createChance } from '../simulation/chance.ts';
import { countPackets, createMeeting, eapLogins, startEapCluster } from './eap-logins.ts';
import type { EapCluster, EapLogin } from './eap-logins.ts';
import { until } from './traffic.ts';

/** As with a device on the edge of the radio's reach: the logins last until the shared state is back. */
const SLOWEST_DEVICE_MS = 1_000;
const SLOW_LINK_MS = 150;
const MOST_RETRANSMISSIONS = 2;
const RUNS = Number(process.env['EVERGATE_EAP_RUNS'] ?? 0) || 2;
const SEEDS = Array.from({ length: RUNS }, (_, index) => index + 1);
const TIMEOUT_MS = 120_000;

describe('the shared state by Sentinel', () => {
  let eap: EapCluster;
  let packetsOf: Map<EapLogin, number>;

  beforeAll(async () => {
    ensureDebianPackage(['redis-server'], ['redis-cli']);
    eap = await startEapCluster();
    packetsOf = await countPackets(eap);
  });
  afterAll(() => eap[Symbol.asyncDispose]());
  afterEach(async () => {
    for (const part of ['redis-1', 'redis-2'].map((name) => eap.cluster.part(name))) {
      if (part.state() === 'frozen') part.thaw();
      if (part.state() === 'down') await part.start();
    }
    await until('all is well again', () => isWell(eap));
  });

  const outages: [what: string, (primary: Part, seed: number) => Promise<void>][] = [
    ['whose primary is killed', (primary) => primary.kill()],
    [
      'whose primary is killed and started again',
      async (primary, seed) => {
        await primary.kill();
        await sleep(createChance(seed).between(300, 1_500));
        await primary.start();
      },
    ],
    ['whose primary is frozen', (primary) => Promise.resolve(primary.freeze())],
    [
      'whose primary is frozen for a while, and then knows only the rounds before',
      async (primary, seed) => {
        primary.freeze();
        // Longer than 2 s, and its replica takes over.
        await sleep(createChance(seed).between(300, 4_000));
        primary.thaw();
      },
    ],
  ];

  describe.each(outages)('%s', (_, takeAway) => {
    test.each(SEEDS)(
      'costs none of the logins that are in progress (%i)',
      async (seed) => {
        const primary = await eap.cluster.redisPrimary();
        const before = await forwardedBy(eap);
        const act = () => takeAway(primary, seed);
        expect(await logInMeanwhile(eap, packetsOf, seed, act)).toEqual([]);
        expect(await forwardedBy(eap)).toBeGreaterThan(before);
      },
      TIMEOUT_MS,
    );
  });
});

describe('the shared state over a link that becomes slow', () => {
  const opened = new AsyncDisposableStack();
  let link: Link;
  let eap: EapCluster;
  let packetsOf: Map<EapLogin, number>;

  beforeAll(async () => {
    const redis = opened.use(await startRedis());
    link = opened.use(await openLink(redis.port));
    const url = `valkey://127.0.0.1:${link.port}`;
    eap = opened.use(await startEapCluster({ EVERGATE_STATE_URL: url }));
    packetsOf = await countPackets(eap);
  });
  afterAll(() => opened.disposeAsync());
  afterEach(() => link.delayAnswers(0));

  test.each(SEEDS)(
    'costs none of the logins that are in progress (%i)',
    async (seed) => {
      const slowDown = () => Promise.resolve(link.delayAnswers(SLOW_LINK_MS));
      expect(await logInMeanwhile(eap, packetsOf, seed, slowDown)).toEqual([]);
    },
    TIMEOUT_MS,
  );
});

/** Packets that went to the node that knows their conversation. */
async function forwardedBy({ cluster }: EapCluster): Promise<number> {
  const counts = cluster.nodes.map((node) => node.metric('radius_eap_forwarded_total'));
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}

/** A primary that was away believes for some seconds that it still is one, and nodes may believe it too. */
async function isWell({ cluster }: EapCluster): Promise<boolean> {
  const { servers, passwordFile } = cluster.addresses.state;
  const env = { ...process.env, REDISCLI_AUTH: readFileSync(passwordFile, 'utf8').trim() };
  const roles = await Promise.all(
    servers.map(async (port) => {
      const args = ['-p', String(port), 'info', 'replication'];
      const { stdout } = await promisify(execFile)('redis-cli', args, { env, timeout: 5_000 });
      return stdout.includes('role:master')
        ? 'primary'
        : /master_link_status:(\w+)/.exec(stdout)?.[1];
    }),
  );
  const parts = await cluster.look();
  const isOnePrimary = roles.toSorted().join(' ') === 'primary up';
  return isOnePrimary && parts.every(({ condition }) => condition === 'ready');
}

/** Every login at once; `act` when each has come to a packet of its own. */
async function logInMeanwhile(
  eap: EapCluster,
  packetsOf: Map<EapLogin, number>,
  seed: number,
  act: () => Promise<void>,
): Promise<string[]> {
  const chance = createChance(seed);
  const { nodes } = eap.cluster;
  let acting: Promise<void> | undefined;
  const meeting = createMeeting(eapLogins.length, () => {
    acting = act();
  });
  const problems = await Promise.all(
    eapLogins.map(async (login) => {
      const way = chance.fork();
      const about = way.between(1, packetsOf.get(login) ?? 1);
      let hasMet = false;
      const run = await eap.logIn(login, {
        route: () => [{ node: way.pick(nodes) }],
        async beforeForward({ number }) {
          if (number === about && !hasMet) {
            hasMet = true;
            await meeting.come();
          }
          await sleep(way.between(0, meeting.isOver() ? SLOWEST_DEVICE_MS : 0));
        },
      });
      if (!hasMet) meeting.leave();
      const repeated = run.retransmissions.map(({ number }) => number);
      const isTooMuch = repeated.length > MOST_RETRANSMISSIONS;
      if (run.problems.length === 0 && !isTooMuch) return [];
      return [
        `${login.name} at packet ${about}; retransmitted: ${repeated.join(' ')}`,
        ...run.problems,
      ];
    }),
  );
  await acting;
  return problems.flat();
}

type Link = AsyncDisposable & { readonly port: number; delayAnswers(delayMs: number): void };

/** A TCP connection's other end, with a delay on the way back. */
async function openLink(targetPort: number): Promise<Link> {
  let delayMs = 0;
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(targetPort, '127.0.0.1');
    near.pipe(far);
    far.on('data', (bytes) => void setTimeout(() => near.write(bytes), delayMs));
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => undefined); // the other end has gone, and `close` says so
      socket.on('close', () => {
        near.destroy();
        far.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    delayAnswers(toMs) {
      delayMs = toMs;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}
