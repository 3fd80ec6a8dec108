// The address under which the other nodes of a cluster find this one, when nobody has configured it.
// A guess that is right on a machine with one network; on others `radius.peer.host` says it.

import { networkInterfaces } from 'node:os';

type Interfaces = Partial<
  Record<string, readonly { address: string; family: string; internal: boolean }[]>
>;

/**
 * `boundHost`: what the socket listens on. `stateUrl`: `state.url`; when the shared state is in this
 * process or on this machine's loopback, so is the whole cluster.
 */
export function defaultPeerHost(
  options: { boundHost: string; stateUrl: string },
  interfaces: Interfaces = networkInterfaces(),
): string {
  const { boundHost, stateUrl } = options;
  if (boundHost !== '0.0.0.0' && boundHost !== '::') return boundHost;
  if (stateHosts(stateUrl).every(isLoopback)) return '127.0.0.1';
  const outward = Object.values(interfaces)
    .flatMap((addresses = []) => addresses)
    .filter(({ internal, address }) => !internal && !isLinkLocal(address));
  const first =
    outward.find(({ family }) => family === 'IPv4') ??
    outward.find(({ family }) => family === 'IPv6' && boundHost === '::');
  return first?.address ?? '127.0.0.1';
}

/** `memory` has none. With or without a password in front, and ports behind. */
function stateHosts(url: string): string[] {
  const hosts = /^[^/]*:\/\/(?:[^/?]*@)?([^/?]+)/.exec(url)?.[1];
  return (hosts?.split(',') ?? []).map((host) => host.replace(/:\d+$/, '').replace(/^\[|\]$/g, ''));
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}

function isLinkLocal(address: string): boolean {
  return /^fe[89ab]/i.test(address) || address.startsWith('169.254.');
}
