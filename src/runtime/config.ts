// Configuration: read once, at start. evergate.yaml and the environment in (the environment wins),
// one frozen typed object out. The keys are in config/keys.ts; a service receives its own part only.

import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { ConfigError } from './config/error.ts';
import { KEYS, KEY_NAMES, OTHER_VARIABLES, variableOf } from './config/keys.ts';
import type { Key, KeyName, ValueOf } from './config/keys.ts';
import { nearest } from './config/nearest.ts';
import { readConfigFile } from './config/read-file.ts';
import { withoutPassword } from './config/values.ts';

/** What each part of Evergate is told. Times are in milliseconds, sizes in bytes, paths absolute. */
export type Config = ReturnType<typeof shape>;

/** One key as it is in effect; secrets are hidden already. */
type Setting = {
  key: KeyName;
  /** Undefined: not set, and there is no default. */
  value: string | undefined;
  /** `default`, `EVERGATE_…`, `evergate.yaml:3:9` or an option of the command. */
  source: string;
  description: string;
};

export type LoadedConfig = {
  config: Config;
  settings: Setting[];
  /** Sentences for the log: what is possible, and perhaps not meant. */
  warnings: string[];
  /** The file that was read. */
  file: string | undefined;
};

const DEFAULT_CONFIG_FILE = 'evergate.yaml';

/**
 * Throws `ConfigError` when something is unknown or impossible. `overrides` are options of the
 * command line, which win over everything.
 */
export function loadConfig(options: {
  /** Without it: `EVERGATE_CONFIG`, else `evergate.yaml` in the working directory if there is one. */
  file?: string | undefined;
  environment: Record<string, string | undefined>;
  overrides?: { key: KeyName; text: string; option: string }[];
}): LoadedConfig {
  const { environment, overrides = [] } = options;
  const file =
    options.file ??
    (environment['EVERGATE_CONFIG'] || undefined) ??
    (existsSync(DEFAULT_CONFIG_FILE) ? DEFAULT_CONFIG_FILE : undefined);

  const fromFile = file === undefined ? undefined : readConfigFile(file);
  const fromEnvironment = readEnvironment(environment);

  const given = (key: KeyName): Given[] => {
    const override = overrides.find((candidate) => candidate.key === key);
    const variable = fromEnvironment.get(key);
    const written = fromFile?.get(key);
    return [
      ...(override === undefined ? [] : [{ text: override.text, source: override.option }]),
      ...(variable === undefined ? [] : [variable]),
      ...(written === undefined ? [] : [{ text: written.text, source: written.at }]),
    ];
  };

  const data = resolve(given('data')[0]?.text ?? KEYS.data.default);
  const values = new Map<KeyName, unknown>();
  const settings: Setting[] = [];
  for (const name of KEY_NAMES) {
    const key: Key<unknown> = KEYS[name];
    const candidates = given(name);
    // What is overridden is looked at as well: it would be wrong tomorrow.
    for (const { text, source } of candidates) requirePossible(name, key, text, source);
    const [found] = candidates;
    const fallback = typeof key.default === 'function' ? key.default(data) : key.default;
    const text = found?.text ?? fallback;
    const value = text === undefined ? undefined : key.kind.parse(text);
    values.set(name, value);
    settings.push({
      key: name,
      value: text === undefined ? undefined : shown(name, text),
      source: found?.source ?? 'default',
      description: key.description,
    });
  }

  const config = shape(<K extends KeyName>(key: K) => values.get(key) as ValueOf<K>);
  requirePairs(config);
  return { config: deepFreeze(config), settings, warnings: warningsOf(config), file };
}

/** What each key allows by itself can still make no sense together. */
function requirePairs({ radius }: Config): void {
  const { eap, radsec } = radius;
  for (const [name, { certificateFile, keyFile }] of [
    ['radius.eap', eap],
    ['radius.radsec', radsec],
  ] as const) {
    if ((certificateFile === undefined) === (keyFile === undefined)) continue;
    const [given, missing] =
      keyFile === undefined ? ['certificate', 'key'] : ['key', 'certificate'];
    throw new ConfigError(
      `${name}.${given} is set and ${name}.${missing} is not: set both, or none`,
    );
  }
  if (eap.tlsMinVersion > eap.tlsMaxVersion) {
    throw new ConfigError(
      `radius.eap.tls_min_version is ${eap.tlsMinVersion} and radius.eap.tls_max_version ${eap.tlsMaxVersion}: no TLS is between them`,
    );
  }
  if (
    radsec.port !== undefined &&
    radsec.certificateFile !== undefined &&
    radsec.clientCaFile === undefined
  ) {
    throw new ConfigError(
      'radius.radsec.port needs radius.radsec.client_ca: who may connect is told by certificates',
    );
  }
}

function warningsOf({ radius }: Config): string[] {
  const { eap, radsec } = radius;
  if (radsec.port === undefined || radsec.clientCaFile === undefined) return [];
  if (radsec.clientCaFile !== eap.clientCaFile) return [];
  return [
    'routers (radius.radsec.client_ca) and devices (radius.eap.client_ca) have the same authorities: a device whose certificate names a router could pass for it; give routers an authority of their own',
  ];
}

type Given = { text: string; source: string };

function requirePossible(name: KeyName, key: Key<unknown>, text: string, source: string): void {
  if (key.kind.parse(text) !== undefined) return;
  const is = key.secret === true ? 'is not possible' : `is ${JSON.stringify(text)}`;
  throw new ConfigError(`${source}: ${name} ${is}; allowed is ${key.kind.allowed}`);
}

/** Names of the object are ours; each has its unit. The keys are what operators write. */
function shape(value: <K extends KeyName>(key: K) => ValueOf<K>) {
  const pathOf = (path: string | undefined) => (path === undefined ? undefined : resolve(path));
  return {
    node: value('node'),
    /** Absolute. */
    data: resolve(value('data')),
    log: { level: value('log.level'), format: value('log.format') },
    secrets: { key: value('secrets.key'), keyFile: resolve(value('secrets.key_file')) },
    shutdown: { delayMs: value('shutdown.delay'), timeoutMs: value('shutdown.timeout') },
    database: {
      /** `embedded`, or a postgres URL. */
      url: value('database.url'),
      connectionTimeoutMs: value('database.connection_timeout'),
      commandTimeoutMs: value('database.command_timeout'),
    },
    state: {
      url: value('state.url'),
      keyPrefix: value('state.key_prefix'),
      connectionTimeoutMs: value('state.connection_timeout'),
      commandTimeoutMs: value('state.command_timeout'),
      maxRetries: value('state.max_retries'),
      onFailure: value('state.on_failure'),
    },
    access: {
      credentialMaxAgeMs: value('access.credential_max_age'),
      staleCredentialsMaxMs: value('access.stale_credentials_max'),
    },
    accounting: {
      durability: value('accounting.durability'),
      slowAfterMs: value('accounting.slow_after'),
      journalDirectory: resolve(value('accounting.journal_directory')),
    },
    radius: {
      host: value('radius.host'),
      authPort: value('radius.auth_port'),
      acctPort: value('radius.acct_port'),
      httpPort: value('radius.http_port'),
      workers: value('radius.workers'),
      engine: value('radius.engine'),
      receiveBufferBytes: value('radius.receive_buffer'),
      requireMessageAuthenticator: value('radius.require_message_authenticator'),
      /** 0 is no limit. */
      rateLimitPerMinute: value('radius.rate_limit_per_minute'),
      rejectDelayMs: value('radius.reject_delay'),
      duplicateWindowMs: value('radius.duplicate_window'),
      dictionaryFile: pathOf(value('radius.dictionary')),
      databasePool: value('radius.database_pool'),
      eap: {
        methods: value('radius.eap.methods'),
        certificateFile: pathOf(value('radius.eap.certificate')),
        keyFile: pathOf(value('radius.eap.key')),
        clientCaFile: pathOf(value('radius.eap.client_ca')),
        clientCrlFile: pathOf(value('radius.eap.client_crl')),
        revocation: value('radius.eap.revocation'),
        tlsEngine: value('radius.eap.tls_engine'),
        isLegacyTlsAllowed: value('radius.eap.legacy_tls') === 'yes',
        tlsMinVersion: value('radius.eap.tls_min_version'),
        tlsMaxVersion: value('radius.eap.tls_max_version'),
        /** 0 is never. */
        ticketLifetimeMs: value('radius.eap.ticket_lifetime'),
        packetBytes: value('radius.eap.fragment_size'),
        teapCompatibility: value('radius.eap.teap_compatibility'),
      },
      peer: { host: value('radius.peer.host'), port: value('radius.peer.port') },
      radsec: {
        port: value('radius.radsec.port'),
        certificateFile: pathOf(
          value('radius.radsec.certificate') ?? value('radius.eap.certificate'),
        ),
        keyFile: pathOf(value('radius.radsec.key') ?? value('radius.eap.key')),
        clientCaFile: pathOf(value('radius.radsec.client_ca') ?? value('radius.eap.client_ca')),
        clientCrlFile: pathOf(value('radius.radsec.client_crl') ?? value('radius.eap.client_crl')),
      },
    },
    gateway: {
      host: value('gateway.host'),
      port: value('gateway.port'),
      /** 0 is no limit. */
      rateLimitPerMinute: value('gateway.rate_limit_per_minute'),
      databasePool: value('gateway.database_pool'),
    },
    health: {
      isEnabled: value('health.enabled') === 'yes',
      host: value('health.host'),
      token: value('health.token'),
    },
  };
}

/** An empty variable is as good as none: compose files and unit files write it that way. */
function readEnvironment(environment: Record<string, string | undefined>): Map<KeyName, Given> {
  const variables = new Map(KEY_NAMES.map((key) => [variableOf(key), key]));
  const values = new Map<KeyName, Given>();

  for (const [variable, text] of Object.entries(environment)) {
    if (!variable.startsWith('EVERGATE_') || text === undefined || text === '') continue;
    if (isServiceLink(variable, text)) continue;
    const key = variables.get(variable);
    const secret = variables.get(variable.replace(/_FILE$/, ''));
    if (key !== undefined) {
      values.set(key, { text, source: variable });
    } else if (variable.endsWith('_FILE') && secret !== undefined && isSecret(secret)) {
      if (environment[variableOf(secret)]) {
        throw new ConfigError(`${variableOf(secret)} and ${variable} are both set; keep one`);
      }
      const source = `${variable} (${text})`;
      values.set(secret, { text: readSecret(variable, text), source });
    } else if (!(variable in OTHER_VARIABLES)) {
      const meant = nearest(variable, [...variables.keys(), ...Object.keys(OTHER_VARIABLES)]);
      const advice =
        meant === undefined
          ? '`evergate config` lists the keys there are.'
          : `Did you mean ${meant}?`;
      throw new ConfigError(`the variable ${variable} is not one that Evergate knows. ${advice}`);
    }
  }
  return values;
}

/**
 * Kubernetes sets EVERGATE_GATEWAY_PORT=tcp://10.0.0.7:8080 and the like in every pod beside a
 * service called evergate-gateway: not meant for us, and not a mistake of the operator.
 */
function isServiceLink(variable: string, text: string): boolean {
  return (
    /_SERVICE_(HOST|PORT(_\w+)?)$|_PORT_\d+_(TCP|UDP|SCTP)(_\w+)?$/.test(variable) ||
    (variable.endsWith('_PORT') && /^(tcp|udp|sctp):\/\//.test(text))
  );
}

function isSecret(name: KeyName): boolean {
  const key: Key<unknown> = KEYS[name];
  return key.secret === true;
}

function readSecret(variable: string, path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    throw new ConfigError(`${variable}: the file ${path} cannot be read`, { cause: error });
  }
}

function shown(name: KeyName, text: string): string {
  if (!isSecret(name)) return text;
  return name.endsWith('.url') ? withoutPassword(text) : '***';
}

function deepFreeze<T extends object>(value: T): Readonly<T> {
  for (const child of Object.values(value)) {
    if (typeof child === 'object' && child !== null) deepFreeze(child);
  }
  return Object.freeze(value);
}
