// The ports of a cluster: one block, always laid out the same way, so that people can remember them.
// With a base of 18000: gateway 18000, PostgreSQL 18001, Redis 18002 and 18003, Sentinels 18004 to
// 18006, radius-1 18010 (logins), 18011 (accounting), 18012 (health), radius-2 18020 and so on.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Runtime } from '../../runtime/runtime.ts';

export const HOST = '127.0.0.1';
export const MAX_NODES = 9;

export type NodePorts = { auth: number; acct: number; http: number };

export type Ports = {
  base: number;
  gateway: number;
  postgres: number;
  redis: readonly [number, number];
  sentinels: readonly [number, number, number];
  nodes: readonly NodePorts[];
};

const BLOCK = 100;
const LOWEST_BASE = 10_000;
const HIGHEST_BASE = 65_500;
const TRIES = 50;

/** Of a block that nobody uses at this moment; `before` is tried first, so that ports stay the same. */
export async function chooseFreePorts(
  nodes: number,
  before: number | undefined,
  runtime: Runtime,
): Promise<Ports> {
  for (let tries = 0; tries < TRIES; tries++) {
    const base = tries === 0 && before !== undefined ? before : randomBase(runtime);
    const ports = layOut(base, nodes);
    if ((await findTaken(ports, runtime)) === undefined) return ports;
  }
  throw new Error(`no ${BLOCK} ports in a row are free; name some with --port-base`);
}

export function layOut(base: number, nodes: number): Ports {
  return {
    base,
    gateway: base,
    postgres: base + 1,
    redis: [base + 2, base + 3],
    sentinels: [base + 4, base + 5, base + 6],
    nodes: Array.from({ length: nodes }, (_, index) => {
      const auth = base + 10 * (index + 1);
      return { auth, acct: auth + 1, http: auth + 2 };
    }),
  };
}

/** `udp port 18010`, or undefined when all are free. */
export async function findTaken(ports: Ports, runtime: Runtime): Promise<string | undefined> {
  const { gateway, postgres, redis, sentinels, nodes } = ports;
  const tcp = [gateway, postgres, ...redis, ...sentinels, ...nodes.map(({ http }) => http)];
  for (const port of tcp) if (!(await isTcpFree(port))) return `tcp port ${port}`;
  for (const port of nodes.flatMap(({ auth, acct }) => [auth, acct])) {
    if (!(await isUdpFree(port, runtime))) return `udp port ${port}`;
  }
  return undefined;
}

export function isPossibleBase(base: number): boolean {
  return base >= 1 && base <= HIGHEST_BASE;
}

/** Below the ports that the kernel gives to outgoing connections: a restart finds its port free again. */
function randomBase({ random }: Runtime): number {
  const blocks = Math.floor((firstOutgoingPort() - LOWEST_BASE) / BLOCK);
  return LOWEST_BASE + BLOCK * Math.floor(random.fraction() * Math.max(1, blocks));
}

function firstOutgoingPort(): number {
  const usual = 32_768;
  try {
    const range = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8');
    const first = Number.parseInt(range, 10);
    return first > LOWEST_BASE + BLOCK ? first : usual;
  } catch {
    return usual;
  }
}

function isTcpFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host: HOST, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

async function isUdpFree(port: number, { network }: Runtime): Promise<boolean> {
  try {
    await using _socket = await network.bindUdp({ host: HOST, port, onBatch: () => undefined });
    return true;
  } catch {
    return false;
  }
}
