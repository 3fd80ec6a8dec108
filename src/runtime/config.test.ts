import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadConfig } from './config.ts';
import { ConfigError } from './config/error.ts';
import { KEYS, KEY_NAMES } from './config/keys.ts';
import { withoutPassword } from './config/values.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'evergate-config-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

function write(name: string, content: string): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

function load(yaml: string, environment: Record<string, string> = {}) {
  return loadConfig({ file: write('evergate.yaml', yaml), environment });
}

/** The complaint, with the directory of the test taken out. */
function complaint(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof ConfigError) return error.message.replaceAll(`${directory}/`, '');
    throw error;
  }
  throw new Error('nothing was wrong');
}

describe('defaults', () => {
  test('without a file and variables everything has its default', () => {
    const { config, settings, warnings } = loadConfig({ environment: {} });
    expect(config).toMatchObject({
      node: hostname(),
      data: resolve('data'),
      database: { url: 'embedded' },
      state: { url: 'memory', keyPrefix: 'evergate:', commandTimeoutMs: 200, maxRetries: 3 },
      access: { credentialMaxAgeMs: 60_000, staleCredentialsMaxMs: 86_400_000 },
      accounting: { durability: 'database', slowAfterMs: 250 },
      radius: { host: '0.0.0.0', authPort: 1812, acctPort: 1813, receiveBufferBytes: 4_194_304 },
      gateway: { host: '0.0.0.0', port: 8080, rateLimitPerMinute: 100 },
      health: { token: undefined },
    });
    expect(warnings).toEqual([]);
    expect(new Set(settings.map((setting) => setting.source))).toEqual(new Set(['default']));
  });

  test('every default is one that is allowed', () => {
    const impossible = KEY_NAMES.filter((name) => {
      const { kind, default: value } = KEYS[name];
      const text = typeof value === 'function' ? value('/data') : value;
      return text !== undefined && kind.parse(text) === undefined;
    });
    expect(impossible).toEqual([]);
  });

  test('the keys and the journal lie in the data directory', () => {
    const { config } = loadConfig({ environment: { EVERGATE_DATA: '/srv/evergate' } });
    expect(config.secrets.keyFile).toBe('/srv/evergate/secrets.key');
    expect(config.accounting.journalDirectory).toBe('/srv/evergate/journal');
  });

  test('the object cannot be changed', () => {
    const { config } = loadConfig({ environment: {} });
    expect(() => Object.assign(config.radius.eap, { keyFile: 'x' })).toThrow(TypeError);
  });
});

describe('file, environment and options', () => {
  test('the environment wins over the file, and an option over both', () => {
    const file = write('evergate.yaml', 'node: a\nradius: { auth_port: 1, acct_port: 2 }\n');
    const { config, settings } = loadConfig({
      file,
      environment: { EVERGATE_RADIUS_AUTH_PORT: '0', EVERGATE_DATA: '/a' },
      overrides: [{ key: 'data', text: '/b', option: '--data' }],
    });
    expect(config.node).toBe('a');
    expect(config.radius.authPort).toBe(0);
    expect(config.radius.acctPort).toBe(2);
    expect(config.data).toBe('/b');
    const sources = Object.fromEntries(settings.map(({ key, source }) => [key, source]));
    expect(sources).toMatchObject({
      node: `${file}:1:7`,
      data: '--data',
      'radius.auth_port': 'EVERGATE_RADIUS_AUTH_PORT',
      'radius.acct_port': `${file}:2:36`,
      'radius.host': 'default',
    });
  });

  test('EVERGATE_CONFIG names the file', () => {
    const file = write('other.yaml', 'node: b');
    expect(loadConfig({ environment: { EVERGATE_CONFIG: file } }).config.node).toBe('b');
  });

  test('an empty variable, an empty file and an empty section set nothing', () => {
    expect(load('', { EVERGATE_NODE: '' }).config.node).toBe(hostname());
    expect(load('# nothing\nradius:\ngateway: {}\n').config.radius.authPort).toBe(1812);
  });

  test('a secret can come from a file, whose last line break does not count', () => {
    const token = write('token', 'open sesame\n');
    const { config, settings } = loadConfig({ environment: { EVERGATE_HEALTH_TOKEN_FILE: token } });
    expect(config.health.token).toBe('open sesame');
    const setting = settings.find(({ key }) => key === 'health.token');
    expect(setting).toMatchObject({
      value: '***',
      source: `EVERGATE_HEALTH_TOKEN_FILE (${token})`,
    });
  });

  test('EVERGATE_SECRETS_KEY_FILE is the key file itself', () => {
    const { config } = loadConfig({ environment: { EVERGATE_SECRETS_KEY_FILE: '/run/key' } });
    expect(config.secrets).toEqual({ key: undefined, keyFile: '/run/key' });
  });

  test('what Kubernetes sets for a service of our name is not taken for ours', () => {
    const { config } = load('', {
      EVERGATE_GATEWAY_PORT: 'tcp://10.0.0.7:80',
      EVERGATE_GATEWAY_SERVICE_HOST: '10.0.0.7',
      EVERGATE_GATEWAY_SERVICE_PORT_HTTP: '80',
      EVERGATE_GATEWAY_PORT_80_TCP_ADDR: '10.0.0.7',
    });
    expect(config.gateway.port).toBe(8080);
  });

  test('a quoted and a plain value mean the same', () => {
    const { config } = load(`radius: { auth_port: "1645", workers: auto }\nnode: 007\n`);
    expect(config.radius.authPort).toBe(1645);
    expect(config.radius.workers).toBe('auto');
    expect(config.node).toBe('007');
  });
});

describe('what is wrong is said in one sentence that names the place', () => {
  const cases: [string, string, string][] = [
    [
      'an unknown key',
      'radius:\n  auth_prot: 1812\n',
      'evergate.yaml:2:3: radius.auth_prot is not a key that Evergate knows. Did you mean radius.auth_port?',
    ],
    [
      'an unknown section',
      'raduis: {}\n',
      'evergate.yaml:1:1: raduis is not a key that Evergate knows. Did you mean radius?',
    ],
    [
      'a key like no other',
      'colour-of-the-lamp: green\n',
      'evergate.yaml:1:1: colour-of-the-lamp is not a key that Evergate knows. `evergate config` lists the keys there are.',
    ],
    [
      'an impossible value',
      'radius: { auth_port: 99999 }\n',
      'evergate.yaml:1:22: radius.auth_port is "99999"; allowed is a port from 0 to 65535 (0 picks a free one)',
    ],
    [
      'a time without a unit',
      'state:\n  command_timeout: 200\n',
      'evergate.yaml:2:20: state.command_timeout is "200"; allowed is a time from 5ms to 1m, such as 200ms, 2s, 5m, 24h or 7d',
    ],
    [
      'a choice that is not there',
      'state: { on_failure: panic }\n',
      'evergate.yaml:1:22: state.on_failure is "panic"; allowed is one of degrade, reject',
    ],
    [
      'a list where a value belongs',
      'node: [a, b]\n',
      'evergate.yaml:1:1: node has more than one value; write one value after it, or leave it out',
    ],
    [
      'a key without a value',
      'node:\n',
      'evergate.yaml:1:1: node has no value; write one value after it, or leave it out',
    ],
    [
      'a section that is a value',
      'gateway: 8080\n',
      'evergate.yaml:1:10: gateway must hold keys with values, such as host',
    ],
    [
      'a file that is a list',
      '- node: a\n',
      'evergate.yaml:1:1: the file must hold keys with values, such as node',
    ],
    [
      'a key given twice',
      'node: a\nnode: b\n',
      'evergate.yaml:2:1: this is not valid YAML: Map keys must be unique',
    ],
  ];
  test.each(cases)('%s', (_, yaml, sentence) => {
    expect(complaint(() => load(yaml))).toBe(sentence);
  });

  test('what is not YAML', () => {
    expect(complaint(() => load('radius: {\n  host: [\n'))).toMatch(
      /^evergate\.yaml:\d+:\d+: this is not valid YAML: /,
    );
  });

  test('a secret that is impossible is not repeated', () => {
    const sentence = complaint(() => load('database: { url: "mysql://root:hunter2@db" }'));
    expect(sentence).toMatch(
      /^evergate\.yaml:1:18: database\.url is not possible; allowed is embedded/,
    );
    expect(sentence).not.toContain('hunter2');
  });

  test('a variable with an impossible value', () => {
    expect(complaint(() => load('', { EVERGATE_RADIUS_WORKERS: 'many' }))).toBe(
      'EVERGATE_RADIUS_WORKERS: radius.workers is "many"; allowed is auto or a whole number from 1 to 256',
    );
  });

  test('a value that the environment overrides', () => {
    const yaml = 'radius:\n  auth_port: abc\n';
    expect(complaint(() => load(yaml, { EVERGATE_RADIUS_AUTH_PORT: '1' }))).toMatch(
      /^evergate\.yaml:2:14: radius\.auth_port is "abc"/,
    );
  });

  test('a variable that does not exist', () => {
    expect(complaint(() => load('', { EVERGATE_RADIUS_PORT: '1' }))).toMatch(
      /^the variable EVERGATE_RADIUS_PORT is not one that Evergate knows\. Did you mean EVERGATE_/,
    );
  });

  test('a secret given twice, or in a file that is not there', () => {
    const twice = { EVERGATE_HEALTH_TOKEN: 'a', EVERGATE_HEALTH_TOKEN_FILE: '/nowhere' };
    expect(complaint(() => load('', twice))).toBe(
      'EVERGATE_HEALTH_TOKEN and EVERGATE_HEALTH_TOKEN_FILE are both set; keep one',
    );
    expect(complaint(() => load('', { EVERGATE_HEALTH_TOKEN_FILE: '/nowhere' }))).toBe(
      'EVERGATE_HEALTH_TOKEN_FILE: the file /nowhere cannot be read',
    );
  });

  test('a file that is not there', () => {
    expect(complaint(() => loadConfig({ file: '/nowhere.yaml', environment: {} }))).toBe(
      'the configuration file /nowhere.yaml cannot be read',
    );
  });
});

test('routers and devices with the same authority bring a warning', () => {
  const eap = 'eap: { certificate: s.crt, key: s.key, client_ca: ca.crt }';
  const shared = load(`radius: { ${eap}, radsec: { port: 2083 } }`);
  expect(shared.warnings).toEqual([expect.stringContaining('an authority of their own')]);
  const apart = load(`radius: { ${eap}, radsec: { port: 2083, client_ca: routers.crt } }`);
  expect(apart.warnings).toEqual([]);
});

test.each([
  ['radius: { eap: { certificate: s.crt } }', 'radius.eap.key is not: set both, or none'],
  ['radius: { eap: { key: s.key } }', 'radius.eap.certificate is not: set both, or none'],
  ['radius: { radsec: { key: s.key } }', 'radius.radsec.certificate is not'],
  ['radius: { eap: { tls_min_version: 1.3, tls_max_version: 1.2 } }', 'no TLS is between them'],
  [
    'radius: { radsec: { port: 2083, certificate: s.crt, key: s.key } }',
    'radius.radsec.port needs radius.radsec.client_ca',
  ],
])('%s makes no sense, and says why', (text, says) => {
  expect(() => load(text)).toThrow(says);
});

test.each([
  [
    'postgres://eve:p@ss/w@db1,db2/evergate?sslmode=require',
    'postgres://eve:***@db1,db2/evergate?sslmode=require',
  ],
  ['redis://:hunter2@h:6379', 'redis://:***@h:6379'],
  ['valkey+sentinel://a:b@s1,s2/m?password=b', 'valkey+sentinel://a:***@s1,s2/m?password=***'],
  ['valkey+cluster://hunter2@h1,h2', 'valkey+cluster://***@h1,h2'],
  ['valkey+sentinel://s1/m?sentinel_password=b', 'valkey+sentinel://s1/m?sentinel_password=***'],
  ['postgres://db/evergate', 'postgres://db/evergate'],
  ['embedded', 'embedded'],
])('%s is shown as %s', (url, shown) => {
  expect(withoutPassword(url)).toBe(shown);
});
