// state.url: where the shared state lives. One line of configuration names a single server, a group
// that Sentinels watch, or a Cluster. The password in it never appears in a message.
//
//   memory
//   valkey://user:password@host:6379/0                 redis:// is the same; rediss:// and valkeys:// use TLS
//   valkey+sentinel://password@s1,s2:26379,s3/mymaster the same password for the servers, not for the Sentinels;
//                                                      ?sentinel_password=… for those
//   valkey+cluster://h1,h2,h3

export type StateAddress =
  | { kind: 'memory' }
  | ({ kind: 'single'; host: string; port: number; database: number } & Access)
  | ({
      kind: 'sentinel';
      sentinels: HostAndPort[];
      masterName: string;
      database: number;
      sentinelPassword: string | undefined;
    } & Access)
  | ({ kind: 'cluster'; nodes: HostAndPort[] } & Access);

type HostAndPort = { host: string; port: number };

type Access = { username: string | undefined; password: string | undefined; tls: boolean };

const SHAPE =
  /^(?<scheme>valkeys?|rediss?)(?:\+(?<group>sentinel|cluster))?:\/\/(?:(?<user>[^@/]*)@)?(?<hosts>[^@/?]+)(?:\/(?<path>[^?]*))?(?:\?(?<query>.*))?$/;
const DEFAULT_PORT = 6379;
const DEFAULT_SENTINEL_PORT = 26379;

/** Throws an Error with one sentence for the operator when the text names no state. */
export function parseStateUrl(text: string): StateAddress {
  if (text === 'memory') return { kind: 'memory' };
  const parts = SHAPE.exec(text)?.groups;
  if (parts === undefined) {
    throw new Error(
      `state.url ${hideSecrets(text)} is none of memory, valkey://host:6379, valkey+sentinel://s1,s2,s3/mymaster, valkey+cluster://h1,h2,h3`,
    );
  }
  const { scheme = '', group, user, hosts = '', path = '', query = '' } = parts;
  if (`${hosts}${path}${query}`.includes('@')) {
    throw new Error('state.url: in a password write / as %2F and @ as %40');
  }
  const access = { ...parseUser(user), tls: scheme === 'rediss' || scheme === 'valkeys' };
  const settings = parseQuery(query, group === 'sentinel' ? ['sentinel_password'] : []);

  if (group === 'sentinel') {
    const [masterName = '', database = ''] = path.split('/');
    if (masterName === '') {
      throw new Error('state.url: after the Sentinels comes the name of the master: /mymaster');
    }
    return {
      kind: 'sentinel',
      sentinels: parseHosts(hosts, DEFAULT_SENTINEL_PORT),
      masterName: decode(masterName),
      database: parseDatabase(database),
      sentinelPassword: settings.get('sentinel_password'),
      ...access,
    };
  }
  if (group === 'cluster') {
    if (path !== '') throw new Error('state.url: a Cluster has no databases, so no path');
    return { kind: 'cluster', nodes: parseHosts(hosts, DEFAULT_PORT), ...access };
  }
  const [server, ...others] = parseHosts(hosts, DEFAULT_PORT);
  if (server === undefined || others.length > 0) {
    throw new Error(
      `state.url names ${others.length + 1} servers: say what they are with ${scheme}+sentinel:// or ${scheme}+cluster://`,
    );
  }
  return { kind: 'single', ...server, database: parseDatabase(path), ...access };
}

/** The same text for a log or a screen. */
export function hideSecrets(url: string): string {
  return url.replace(/^([a-z+]*:\/*)?.*@/s, '$1***@').replace(/(password=)[^&]*/gi, '$1***');
}

function parseHosts(text: string, defaultPort: number): HostAndPort[] {
  return text.split(',').map((item) => {
    const match = /^(?:\[(?<ipv6>[0-9a-fA-F:.%]+)\]|(?<host>[^:[\]\s]+))(?::(?<port>\d+))?$/.exec(
      item,
    );
    const host = match?.groups?.['ipv6'] ?? match?.groups?.['host'];
    const port = Number(match?.groups?.['port'] ?? defaultPort);
    if (host === undefined || port < 1 || port > 65_535) {
      throw new Error(`state.url: "${item}" is no host or host:port`);
    }
    return { host, port };
  });
}

/** `user:password@`, or as Redis people write it `:password@`; a lone word is a password too. */
function parseUser(text: string | undefined) {
  if (text === undefined || text === '') return { username: undefined, password: undefined };
  const colon = text.indexOf(':');
  const username = colon > 0 ? decode(text.slice(0, colon)) : undefined;
  return { username, password: decode(text.slice(colon + 1)) };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Error('state.url: write % as %25');
  }
}

function parseDatabase(text: string): number {
  if (text === '') return 0;
  if (!/^\d{1,5}$/.test(text)) throw new Error(`state.url: "${text}" is no database number`);
  return Number(text);
}

function parseQuery(text: string, known: readonly string[]): Map<string, string> {
  const settings = new Map(new URLSearchParams(text));
  for (const name of settings.keys()) {
    if (!known.includes(name)) throw new Error(`state.url: unknown setting "${name}"`);
  }
  return settings;
}
