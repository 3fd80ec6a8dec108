// Network namespaces of a test, and the cables between them: virtual Ethernet pairs. `ip netns exec` starts
// a program inside. Names carry the process id of the test, so that whatever a killed run left behind is
// known by it and removed by the next one.

import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { ensureDebianPackage } from './ensure-package.ts';

export type NetworkNamespace = Disposable & {
  readonly name: string;
  /** `ip` inside it, such as `ip('route', 'delete', address)`. */
  ip(...args: string[]): string;
  /** What to start for a program to run inside it. */
  inside(program: string, args: readonly string[]): { command: string; args: string[] };
};

/** An end of a cable. */
export type CableEnd = {
  /** Undefined: where the test itself is. */
  namespace?: NetworkNamespace;
  /** Its own. */
  addresses?: readonly string[];
  /** What is found at the other end. */
  reaches?: readonly string[];
};

const PREFIX = 'evergate-test-';
/** RFC 2544: for tests, and routed nowhere. A process has 16 addresses of its own in it. */
const TEST_NETWORK = Buffer.of(198, 18, 0, 0).readUInt32BE();
const TEST_NETWORK_ADDRESSES = 2 ** 17;
const OWN_ADDRESSES = 16;

let cables = 0;

export function openNetworkNamespace(label: string): NetworkNamespace {
  if (process.getuid?.() !== 0) {
    throw new Error('this test makes network namespaces, which only root may: run it as root');
  }
  ensureDebianPackage(['iproute2'], ['ip']);
  removeLeftovers();
  const name = `${PREFIX}${process.pid}-${label}`;
  ip('netns', 'add', name);
  const inNamespace = (...args: string[]) => ip('-n', name, ...args);
  inNamespace('link', 'set', 'lo', 'up');
  return {
    name,
    ip: inNamespace,
    inside: (program, args) => ({ command: 'ip', args: ['netns', 'exec', name, program, ...args] }),
    // Its ends of cables go with it, and with them the other ends.
    [Symbol.dispose]: () => ip('netns', 'delete', name),
  };
}

/** Returns the names of both interfaces, which are up. */
export function layCable(one: CableEnd, other: CableEnd): [one: string, other: string] {
  const cable = `eg${process.pid}${(cables++).toString(36)}`; // at most 15 characters
  const first = `${cable}a`;
  const second = `${cable}b`;
  const peer = ['type', 'veth', 'peer', 'name', second, ...placeOf(other)];
  ip('link', 'add', first, ...placeOf(one), ...peer);
  plugIn(first, one);
  plugIn(second, other);
  for (const [name, end] of [[first, one] as const, [second, other] as const]) {
    for (const address of end.reaches ?? []) ipAt(end, 'route', 'add', address, 'dev', name);
  }
  return [first, second];
}

/** One of the addresses that are this process's alone. */
export function ownAddress(number: number): string {
  if (number >= OWN_ADDRESSES) throw new Error(`there are only ${OWN_ADDRESSES} addresses`);
  const first = (process.pid * OWN_ADDRESSES) % TEST_NETWORK_ADDRESSES;
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(TEST_NETWORK + first + number);
  return bytes.join('.');
}

function plugIn(name: string, end: CableEnd) {
  for (const address of end.addresses ?? []) ipAt(end, 'address', 'add', address, 'dev', name);
  ipAt(end, 'link', 'set', name, 'up');
}

function ipAt({ namespace }: CableEnd, ...args: string[]) {
  return namespace === undefined ? ip(...args) : namespace.ip(...args);
}

function placeOf({ namespace }: CableEnd): string[] {
  return namespace === undefined ? [] : ['netns', namespace.name];
}

/** What ran in the namespaces of a killed run has ended with it: see server-process.ts. */
function removeLeftovers() {
  for (const line of ip('netns', 'list').split('\n')) {
    const [name = ''] = line.split(' ');
    if (!name.startsWith(PREFIX)) continue;
    const [pid = ''] = name.slice(PREFIX.length).split('-');
    if (!existsSync(`/proc/${pid}`)) ip('netns', 'delete', name);
  }
}

function ip(...args: string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}
