// Every configuration key, once: its default, what is allowed, and what it is for. `evergate config`
// and docs/configuration.md print this table; config.ts turns it into one typed object.

import { hostname } from 'node:os';
import { join } from 'node:path';
import {
  address,
  count,
  databaseUrl,
  duration,
  host,
  listOf,
  oneOf,
  path,
  port,
  size,
  stateUrl,
  text,
  wordOr,
} from './values.ts';
import type { Kind } from './values.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export type Key<T> = {
  kind: Kind<T>;
  /** As text, as if it stood in the file. A function where it follows from another key. */
  default: string | ((data: string) => string) | undefined;
  /** How the documentation shows a default that is not a constant. */
  defaultShown?: string;
  description: string;
  /** Hidden by `evergate config`, and readable from the file that the variable `…_FILE` names. */
  secret?: true;
};

export const KEYS = {
  node: {
    kind: text,
    default: hostname() || 'evergate',
    defaultShown: 'the host name',
    description: 'Name of this node, in logs, metrics and on sessions. Unique in the cluster.',
  },
  data: {
    kind: path,
    default: './data',
    description: 'Directory of the embedded database, the journal and the keys.',
  },
  'log.level': {
    kind: oneOf(['debug', 'info', 'warn', 'error', 'silent']),
    default: 'info',
    description: 'The least important message that is written.',
  },
  'log.format': {
    kind: oneOf(['auto', 'text', 'json']),
    default: 'auto',
    description: 'auto writes readable lines on a terminal and JSON lines elsewhere.',
  },
  'secrets.key': {
    kind: text,
    default: undefined,
    description:
      'The key that seals passwords and secrets in the database: 64 hexadecimal digits. Every node of a cluster needs the same one.',
    secret: true,
  },
  'secrets.key_file': {
    kind: path,
    default: (data) => join(data, 'secrets.key'),
    defaultShown: 'secrets.key in the data directory',
    description: 'File with that key. `evergate up` creates it when it is missing.',
  },
  'shutdown.delay': {
    kind: duration(0, 5 * MINUTE),
    default: '0s',
    description:
      'How long a stopping service still works while it says that it is not ready, so that balancers notice.',
  },
  'shutdown.timeout': {
    kind: duration(0, 5 * MINUTE),
    default: '10s',
    description: 'How long an orderly stop may take before the process ends anyway.',
  },

  'database.url': {
    kind: databaseUrl,
    default: 'embedded',
    description: 'Where the truth is. With several hosts the primary is found by itself.',
    secret: true,
  },
  'database.connection_timeout': {
    kind: duration(10, MINUTE),
    default: '2s',
    description: 'How long opening a connection to the database may take.',
  },
  'database.command_timeout': {
    kind: duration(10, 10 * MINUTE),
    default: '5s',
    description: 'How long one query may take before its connection is given up.',
  },

  'state.url': {
    kind: stateUrl,
    default: 'memory',
    description:
      'The shared, short-lived state. memory is for one node; a cluster needs Valkey or Redis.',
    secret: true,
  },
  'state.key_prefix': {
    kind: text,
    default: 'evergate:',
    description: 'Begins every key. It names the cluster, never the node.',
  },
  'state.connection_timeout': {
    kind: duration(10, MINUTE),
    default: '2s',
    description: 'How long opening a connection to the shared state may take.',
  },
  'state.command_timeout': {
    kind: duration(5, MINUTE),
    default: '200ms',
    description: 'How long one command may take before the shared state counts as away.',
  },
  'state.max_retries': {
    kind: count(0, 20),
    default: '3',
    description: 'How often a command is tried again, within its time, after a lost connection.',
  },
  'state.on_failure': {
    kind: oneOf(['degrade', 'reject']),
    default: 'degrade',
    description:
      'While the shared state is away: degrade goes on with limits per node, reject refuses logins.',
  },

  'access.credential_max_age': {
    kind: duration(0, DAY),
    default: '60s',
    description: 'How long a node uses a credential it has read; changes are pushed before that.',
  },
  'access.stale_credentials_max': {
    kind: duration(0, 30 * DAY),
    default: '24h',
    description: 'How old a credential may be while the database is away.',
  },

  'accounting.durability': {
    kind: oneOf(['database', 'journal']),
    default: 'database',
    description:
      'Where a record must be safe before the router gets its answer. The journal is always used when the database is away or slow.',
  },
  'accounting.slow_after': {
    kind: duration(1, 30 * SECOND),
    default: '250ms',
    description: 'A database slower than this leaves the record to the journal.',
  },
  'accounting.journal_directory': {
    kind: path,
    default: (data) => join(data, 'journal'),
    defaultShown: 'journal in the data directory',
    description: 'Directory of the journal, on a disk of this node.',
  },

  'radius.host': {
    kind: host,
    default: '0.0.0.0',
    description: 'Address that RADIUS listens on. :: is IPv6 and IPv4.',
  },
  'radius.auth_port': { kind: port, default: '1812', description: 'UDP port of authentication.' },
  'radius.acct_port': { kind: port, default: '1813', description: 'UDP port of accounting.' },
  'radius.http_port': {
    kind: port,
    default: '8081',
    description: 'HTTP port of health and metrics of the radius service; under `up` it is 8080.',
  },
  'radius.workers': {
    kind: wordOr('auto', count(1, 256)),
    default: 'auto',
    description:
      'Threads that share the RADIUS ports; auto is one for each core, and one under `up`.',
  },
  'radius.engine': {
    kind: oneOf(['auto', 'batched', 'dgram']),
    default: 'auto',
    description:
      'How datagrams are read: many per system call (batched), one by one (dgram), or the best that works here.',
  },
  'radius.receive_buffer': {
    kind: size(4096, 2 ** 30),
    default: '4MiB',
    description: 'Receive buffer of each socket; the kernel limits it to net.core.rmem_max.',
  },
  'radius.require_message_authenticator': {
    kind: oneOf(['auto', 'yes', 'no']),
    default: 'auto',
    description:
      'For routers that do not say. auto requires it of a router that has sent one (CVE-2024-3596).',
  },
  'radius.rate_limit_per_minute': {
    kind: count(0, 1e9),
    default: '6000',
    description:
      'Logins that one address may ask for in a minute, over all nodes; 0 is no limit. Accounting is never limited.',
  },
  'radius.reject_delay': {
    kind: duration(0, 1.5 * SECOND), // longer, and the router would ask another node first
    default: '1s',
    description: 'How long a rejection waits, so that guessing passwords is slow.',
  },
  'radius.duplicate_window': {
    kind: duration(SECOND, 10 * MINUTE),
    default: '30s',
    description: 'How long an answer is kept for retransmissions of its request.',
  },
  'radius.dictionary': {
    kind: path,
    default: undefined,
    description:
      'A dictionary in the format of FreeRADIUS: names for attributes of your own, in what `evergate login` shows.',
  },
  'radius.database_pool': {
    kind: count(1, 1000),
    default: '8',
    description: 'Connections to the database, for each worker.',
  },
  'radius.eap.methods': {
    kind: listOf(['peap', 'ttls', 'tls', 'teap', 'mschapv2', 'md5', 'gtc']),
    default: 'peap, ttls, tls, teap, mschapv2, md5, gtc',
    description:
      'EAP methods that are offered, the first one first. Those over TLS need a certificate, tls also client_ca.',
  },
  'radius.eap.certificate': {
    kind: path,
    default: undefined,
    defaultShown: 'under `up` one of a private authority, made in the data directory',
    description:
      'Certificate chain (PEM) that the server shows in EAP over TLS. Read again when it changes.',
  },
  'radius.eap.key': {
    kind: path,
    default: undefined,
    description: 'Private key (PEM) of that certificate.',
  },
  'radius.eap.client_ca': {
    kind: path,
    default: undefined,
    description:
      'Authorities (PEM) whose client certificates EAP-TLS accepts. With intermediates, these too.',
  },
  'radius.eap.client_crl': {
    kind: path,
    default: undefined,
    description: 'Revocation lists (PEM) of those authorities. Read again when it changes.',
  },
  'radius.eap.revocation': {
    kind: oneOf(['none', 'when-present', 'required']),
    default: 'when-present',
    description:
      'Whether a client certificate must be covered by a current revocation list: required refuses it without one.',
  },
  'radius.eap.tls_engine': {
    kind: oneOf(['portable', 'native']),
    default: 'portable',
    description:
      'portable: any node answers any packet of a login. native: OpenSSL, and a login stays with the node that began it.',
  },
  'radius.eap.legacy_tls': {
    kind: oneOf(['yes', 'no']),
    default: 'no',
    description:
      'Devices that know nothing better may use TLS 1.0, 1.1 or CBC; their logins stay with the node that began them.',
  },
  'radius.eap.tls_min_version': {
    kind: oneOf(['1.2', '1.3']),
    default: '1.2',
    description: 'The oldest TLS that is spoken, legacy_tls aside.',
  },
  'radius.eap.tls_max_version': {
    kind: oneOf(['1.2', '1.3']),
    default: '1.3',
    description: 'The newest TLS that is spoken.',
  },
  'radius.eap.ticket_lifetime': {
    kind: duration(0, 7 * DAY),
    default: '12h',
    description:
      'How long a device may come back with a short handshake and without its password; 0s is never. Its plan and certificate are checked each time.',
  },
  'radius.eap.fragment_size': {
    kind: count(128, 1400),
    default: '1200',
    description: 'Longest EAP packet in bytes; shorter where the router says so with Framed-MTU.',
  },
  'radius.eap.teap_compatibility': {
    kind: oneOf(['rfc9930', 'hostap']),
    default: 'hostap',
    description:
      'How TEAP derives its keys where the text and the supplicants in the field differ.',
  },
  'radius.peer.host': {
    kind: address,
    default: undefined,
    defaultShown: 'the first address of the machine, 127.0.0.1 if the shared state is there',
    description:
      'Address at which the other nodes reach this one, for logins that only one of them knows.',
  },
  'radius.peer.port': {
    kind: port,
    default: '0',
    description:
      'UDP port for that, and the following ones where there are several workers; 0 picks free ones. A firewall must let the nodes through.',
  },
  'radius.radsec.port': {
    kind: port,
    default: undefined,
    description: 'TCP port of RADIUS over TLS, 2083 by custom; without it there is none.',
  },
  'radius.radsec.certificate': {
    kind: path,
    default: undefined,
    defaultShown: '`radius.eap.certificate`',
    description: 'Certificate chain (PEM) that routers see.',
  },
  'radius.radsec.key': {
    kind: path,
    default: undefined,
    defaultShown: '`radius.eap.key`',
    description: 'Private key (PEM) of that certificate.',
  },
  'radius.radsec.client_ca': {
    kind: path,
    default: undefined,
    defaultShown: '`radius.eap.client_ca`',
    description: 'Authorities (PEM) whose certificates let a router in.',
  },
  'radius.radsec.client_crl': {
    kind: path,
    default: undefined,
    defaultShown: '`radius.eap.client_crl`',
    description: 'Revocation lists (PEM) of those authorities.',
  },

  'gateway.host': {
    kind: host,
    default: '0.0.0.0',
    description: 'Address that the API and, under `up`, health and metrics listen on.',
  },
  'gateway.port': { kind: port, default: '8080', description: 'HTTP port of the API.' },
  'gateway.rate_limit_per_minute': {
    kind: count(0, 1e9),
    default: '100',
    description:
      'Requests that one API key, or one address without a key, may make in a minute; 0 is no limit.',
  },
  'gateway.database_pool': {
    kind: count(1, 1000),
    default: '10',
    description: 'Connections to the database.',
  },

  'health.enabled': {
    kind: oneOf(['yes', 'no']),
    default: 'yes',
    description: 'Whether health, metrics and probes are served.',
  },
  'health.host': {
    kind: host,
    default: '0.0.0.0',
    description: 'Address that a service without an API listens on for health and metrics.',
  },
  'health.token': {
    kind: text,
    default: undefined,
    description: 'Bearer token that /health and /metrics ask for; without one they are open.',
    secret: true,
  },
} as const satisfies Record<string, Key<unknown>>;

export type KeyName = keyof typeof KEYS;
export type ValueOf<K extends KeyName> = (typeof KEYS)[K] extends { kind: Kind<infer T> }
  ? (typeof KEYS)[K] extends { default: undefined }
    ? T | undefined
    : T
  : never;

export const KEY_NAMES = Object.keys(KEYS) as KeyName[];

export function variableOf(key: string): string {
  return `EVERGATE_${key.replaceAll('.', '_').toUpperCase()}`;
}

/** Variables that are not keys: they are for the commands that talk to a running Evergate. */
export const OTHER_VARIABLES: Record<string, string> = {
  EVERGATE_CONFIG: 'The configuration file, when --config does not name one.',
  EVERGATE_URL: 'Where `apply`, `export` and `token` find the gateway.',
  EVERGATE_TOKEN: 'The API key they use. Without it: the file admin.token of the data directory.',
  EVERGATE_TOKEN_FILE: 'A file with that API key.',
  EVERGATE_DEBUG: '1 adds stack traces to error messages.',
};
