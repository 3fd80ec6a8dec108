// `evergate login` by EAP over TLS against a real `evergate up`, with certificates of the openssl program:
// what it proves, and the one line that it says when something is wrong.

import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCertificateAuthority } from '../servers/certificate-authority.ts';
import type { CertificateAuthority, Issued } from '../servers/certificate-authority.ts';
import { startEvergate } from '../servers/evergate.ts';
import type { Evergate } from '../servers/evergate.ts';

const EXECUTABLE = resolve(import.meta.dirname, '../../bin/evergate');
const STARTING_MS = 120_000;

const apply = {
  sites: [{ name: 'cafe', timezone: 'UTC' }],
  routers: [{ name: 'r1', site: 'cafe', address: '127.0.0.1/32', secret: 'testing123' }],
  plans: [{ name: 'hour', duration: '1h' }],
  subscribers: [{ username: 'alice', password: 'wonderland', plan: 'hour' }],
};

let resources: AsyncDisposableStack;
let authority: CertificateAuthority;
let stranger: CertificateAuthority;
let alice: Issued;
let server: Evergate;
let withoutCertificate: Evergate;

beforeAll(async () => {
  resources = new AsyncDisposableStack();
  authority = resources.use(createCertificateAuthority('Cafe Root'));
  stranger = resources.use(createCertificateAuthority('Other Root'));
  alice = authority.issue({ commonName: 'alice', usage: 'client' });
  const own = authority.issue({
    commonName: 'radius.cafe.example',
    usage: 'server',
    names: ['DNS:radius.cafe.example'],
  });
  const environment = { EVERGATE_RADIUS_REJECT_DELAY: '0s' };
  const tls = {
    EVERGATE_RADIUS_EAP_CERTIFICATE: own.certificateFile,
    EVERGATE_RADIUS_EAP_KEY: own.keyFile,
    EVERGATE_RADIUS_EAP_CLIENT_CA: authority.certificateFile,
  };
  server = resources.use(await startEvergate({ apply, environment: { ...environment, ...tls } }));
  withoutCertificate = resources.use(
    await startEvergate({
      apply,
      environment: { ...environment, EVERGATE_RADIUS_EAP_METHODS: 'mschapv2' },
    }),
  );
}, STARTING_MS);
afterAll(() => resources.disposeAsync());

type Result = { status: number | null; stdout: string; stderr: string };

function login(to: Evergate, ...args: string[]): Promise<Result> {
  return run(to, 'login', ...args, '--server', `127.0.0.1:${to.authPort}`);
}

/** Not spawnSync: the servers' output has to be read meanwhile. */
function run({ dataDirectory }: Evergate, ...args: string[]): Promise<Result> {
  const child = spawn(EXECUTABLE, args, { cwd: dataDirectory });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return new Promise((done) => child.on('close', (status) => done({ status, stdout, stderr })));
}

function trusted(): string[] {
  return ['--ca', authority.certificateFile];
}

function certified({ certificateFile, keyFile }: Issued): string[] {
  return ['--certificate', certificateFile, '--key', keyFile];
}

describe('a right login', () => {
  test.each([
    ['peap', []],
    ['peap', ['--inner', 'gtc']],
    ['ttls', []],
    ['ttls', ['--inner', 'mschapv2']],
  ])('by %s %j ends with the same keys at router and device', async (method, inner) => {
    const args = ['--method', method, ...inner, ...trusted(), '--json'];
    const { status, stdout, stderr } = await login(server, 'alice', 'wonderland', ...args);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({
      outcome: 'accepted',
      username: 'alice',
      method,
      message_authenticator: true,
      keys: 'same',
      tls: {
        version: '1.3',
        resumed: false,
        server_certificate: { name: 'radius.cafe.example', issuer: 'Cafe Root', checked: true },
      },
      attributes: expect.arrayContaining([{ name: 'User-Name', value: 'alice' }]),
    });
  });

  test('by tls needs no password', async () => {
    const args = ['--method', 'tls', ...certified(alice), ...trusted(), '--json'];
    const { status, stdout, stderr } = await login(server, 'alice', ...args);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({ outcome: 'accepted', keys: 'same' });
  });

  test('says in words what was proven, and that the certificate was not checked', async () => {
    const { status, stdout } = await login(server, 'alice', 'wonderland', '--method', 'peap');
    expect(status).toBe(0);
    expect(stdout).toMatch(/^accepted {2}alice {2}peap, \d+ round trips, [\d.]+ ms\n/);
    expect(stdout).toContain('device and router have the same (MSK = MS-MPPE keys)');
    expect(stdout).toMatch(
      /radius\.cafe\.example, issued by Cafe Root, valid until \d{4}-\d\d-\d\d/,
    );
    expect(stdout).toContain('its certificate was not checked: --ca FILE names the authority');
    expect(stdout).toMatch(/MS-MPPE-Recv-Key +<hidden>/);
  });
});

describe('a login that fails', () => {
  test.each([
    ['peap', 'the server says inside the tunnel that name or password is wrong'],
    ['ttls', 'the server does not say why; its log does'],
  ])('by %s for the wrong password says who knows more', async (method, why) => {
    const args = ['--method', method, ...trusted()];
    const { status, stdout, stderr } = await login(server, 'alice', 'looking-glass', ...args);
    expect(status).toBe(1);
    expect(stdout).toMatch(/^rejected {2}alice/);
    expect(stderr).toBe(`evergate: alice was rejected: ${why}\n`);
  });

  test('because the certificate of the server comes from another authority sends no password', async () => {
    const args = ['--method', 'peap', '--ca', stranger.certificateFile];
    expect(await login(server, 'alice', 'wonderland', ...args)).toEqual({
      status: 1,
      stdout: '',
      stderr:
        'evergate: the certificate of the server was refused: it does not come from this authority. No password was sent\n',
    });
  });

  test('because the client certificate comes from another authority names the alert', async () => {
    const forged = stranger.issue({ commonName: 'alice', usage: 'client' });
    const args = ['--method', 'tls', ...certified(forged), ...trusted()];
    const { status, stderr } = await login(server, 'alice', ...args);
    expect(status).toBe(1);
    expect(stderr).toBe(
      'evergate: alice was rejected: the server ended TLS with the alert unknown_ca: the certificate comes from none of its authorities (radius.eap.client_ca)\n',
    );
  });

  test('because the certificate belongs to no subscriber says so', async () => {
    const nobody = authority.issue({ commonName: 'nobody', usage: 'client' });
    const args = ['--method', 'tls', ...certified(nobody), ...trusted()];
    const { status, stderr } = await login(server, 'nobody', ...args);
    expect(status).toBe(1);
    expect(stderr).toContain('alert access_denied: the certificate is valid, but belongs to no');
  });

  test.each(['peap', 'ttls'])(
    'because the server does not offer %s says what it offers',
    async (method) => {
      const { status, stderr } = await login(
        withoutCertificate,
        'alice',
        'wonderland',
        '--method',
        method,
      );
      expect(status).toBe(1);
      expect(stderr).toBe(
        `evergate: alice was rejected: the server does not offer ${method}; it offered mschapv2. EAP over TLS needs radius.eap.certificate and radius.eap.key, tls also radius.eap.client_ca\n`,
      );
    },
  );
});

test.each(['peap', 'ttls'])('virtual subscribers log in by %s', async (method) => {
  const at = ['--server', `127.0.0.1:${server.authPort}`, '--acct-port', String(server.acctPort)];
  const gateway = ['--url', `http://127.0.0.1:${server.httpPort}`, '--data', server.dataDirectory];
  const size = ['--routers', '2', '--subscribers', '20', '--rate', '10', '--duration', '2'];
  const args = ['--method', method, ...at, ...gateway, ...size, '--json'];
  const { status, stdout, stderr } = await run(server, 'simulate', ...args);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const { logins, database } = JSON.parse(stdout) as {
    logins: { accepted: number; wrong: number };
    database: { lost: number };
  };
  expect(logins).toMatchObject({ wrong: 0 });
  expect(logins.accepted).toBeGreaterThan(0);
  expect(database).toMatchObject({ lost: 0 });
});

describe('a wrong call', () => {
  test.each([
    [['alice', '--method', 'peap'], 2, '--method peap needs a password'],
    [['alice', '--method', 'tls'], 2, '--method tls needs --certificate FILE and --key FILE'],
    [
      ['alice', 'x', '--method', 'tls', '--key', 'alice.key'],
      2,
      '--certificate and --key belong together',
    ],
    [
      ['alice', 'x', '--method', 'peap', '--inner', 'pap'],
      2,
      '--inner pap is not possible with --method peap',
    ],
    [['alice', 'x', '--method', 'peap', '--ca', 'missing.pem'], 1, 'missing.pem cannot be read'],
  ])('%j', async (args, status, why) => {
    const result = await login(server, ...args);
    expect(result).toMatchObject({ status, stdout: '' });
    expect(result.stderr).toContain(why);
  });

  test('a key that is not that of the certificate', async () => {
    const other = authority.issue({ commonName: 'alice', usage: 'client' });
    const args = certified({ ...alice, keyFile: other.keyFile });
    const { status, stderr } = await login(server, 'alice', '--method', 'tls', ...args);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^evergate: \S+\.key is not the key of \S+\.pem: .*\n$/);
  });
});
