// `radius.example.org:1812` → an address and a port that datagrams can go to.

import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';

export type ServerAddress = { address: string; port: number };

/** `text` may end in a port; an IPv6 address with one is written `[2001:db8::1]:1812`. */
export async function findServer(text: string, defaultPort: number): Promise<ServerAddress> {
  const { host, port } = splitHostAndPort(text, defaultPort);
  if (isIP(host) !== 0) return { address: host, port };
  try {
    const { address } = await lookup(host, { family: 4 }).catch(() => lookup(host));
    return { address, port };
  } catch (error) {
    throw new Error(`the name ${host} has no address`, { cause: error });
  }
}

export function splitHostAndPort(
  text: string,
  defaultPort: number,
): { host: string; port: number } {
  const whole = text.trim();
  if (isIP(whole) !== 0) return { host: whole, port: defaultPort };
  const match =
    /^\[(?<v6>[^\]]+)\](?::(?<port6>\d+))?$/.exec(whole) ??
    /^(?<name>[^:\s[\]]+)(?::(?<port>\d+))?$/.exec(whole);
  const host = match?.groups?.['v6'] ?? match?.groups?.['name'];
  const port = Number(match?.groups?.['port6'] ?? match?.groups?.['port'] ?? defaultPort);
  if (host === undefined || port < 1 || port > 65_535) {
    throw new Error(
      `"${text}" is not a server; it looks like 127.0.0.1:1812 or [2001:db8::1]:1812`,
    );
  }
  return { host, port };
}
