// eapol_test of hostap, which is not ours, logging in by EAP-TLS, PEAP and TTLS to real nodes: with the
// portable engine, with the native one, and with a device of the past. And every certificate that must
// not open the door, with the alert that its owner gets to hear. RFC 5216, 5281, 9190, 9427.

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCertificateAuthority } from '../servers/certificate-authority.ts';
import { ensureDebianPackage } from '../servers/ensure-package.ts';
import type { Evergate } from '../servers/evergate.ts';
import { startEvergate } from '../servers/evergate.ts';
import { startPostgres } from '../servers/postgres.ts';
import { startRedis } from '../servers/redis.ts';

const SECRET = 'testing123';
const PASSWORD = 'pässwörd ☂';

const directory = mkdtempSync(join(tmpdir(), 'evergate-eapol-tls-'));
const opened = new AsyncDisposableStack();
opened.defer(() => rmSync(directory, { recursive: true, force: true }));
const authority = opened.use(createCertificateAuthority('Devices'));
const stranger = opened.use(createCertificateAuthority('Somebody else'));
const server = authority.issue({
  commonName: 'radius.test',
  usage: 'server',
  names: ['DNS:radius.test'],
});
const alice = authority.issue({ commonName: 'alice', usage: 'client' });
const revoked = authority.issue({ commonName: 'alice', usage: 'client' });
authority.revoke(revoked);

const engines = ['portable', 'native', 'legacy'] as const;
type Engine = (typeof engines)[number];
const nodes = new Map<Engine, Evergate>();

beforeAll(async () => {
  ensureDebianPackage(['eapoltest'], ['eapol_test']);
  const redis = opened.use(await startRedis());
  const postgres = opened.use(await startPostgres());
  const shared = {
    EVERGATE_DATABASE_URL: postgres.url,
    EVERGATE_STATE_URL: redis.url,
    EVERGATE_SECRETS_KEY: randomBytes(32).toString('hex'),
    EVERGATE_RADIUS_REJECT_DELAY: '0',
    EVERGATE_RADIUS_EAP_CERTIFICATE: server.certificateFile,
    EVERGATE_RADIUS_EAP_KEY: server.keyFile,
    EVERGATE_RADIUS_EAP_CLIENT_CA: authority.certificateFile,
    EVERGATE_RADIUS_EAP_CLIENT_CRL: authority.writeCrl(),
  };
  const settings: Record<Engine, Record<string, string>> = {
    portable: {},
    native: { EVERGATE_RADIUS_EAP_TLS_ENGINE: 'native' },
    legacy: { EVERGATE_RADIUS_EAP_LEGACY_TLS: 'yes' },
  };
  for (const engine of engines) {
    const isFirst = engine === 'portable';
    const node = await startEvergate({
      ...(isFirst ? {} : { services: ['radius'] }),
      environment: { ...shared, ...settings[engine], EVERGATE_NODE: engine },
      ...(isFirst ? { apply: desired } : {}),
    });
    nodes.set(engine, opened.use(node));
  }
});

afterAll(() => opened.disposeAsync());

const desired = {
  sites: [{ name: 'cafe', timezone: 'UTC' }],
  routers: [{ name: 'r1', site: 'cafe', address: '127.0.0.1/32', secret: SECRET }],
  plans: [{ name: 'hour', duration: '1h' }],
  subscribers: [{ username: 'alice', password: PASSWORD, plan: 'hour' }],
};

const phase1 = {
  '1.0': 'tls_disable_tlsv1_3=1 tls_disable_tlsv1_2=1 tls_disable_tlsv1_1=1 tls_disable_tlsv1_0=0',
  '1.2': 'tls_disable_tlsv1_3=1 tls_disable_session_ticket=0',
  '1.3': 'tls_disable_tlsv1_3=0',
};
type Version = keyof typeof phase1;

const logins = {
  'EAP-TLS': ['eap=TLS', ...certificateOf(alice)],
  'PEAP/MSCHAPv2': ['eap=PEAP', 'anonymous_identity="anonymous"', 'phase2="auth=MSCHAPV2"'],
  'TTLS/PAP': ['eap=TTLS', 'anonymous_identity="anonymous"', 'phase2="auth=PAP"'],
  'TTLS/MSCHAPv2': ['eap=TTLS', 'anonymous_identity="anonymous"', 'phase2="auth=MSCHAPV2"'],
};
type Login = keyof typeof logins;
const loginNames = Object.keys(logins) as Login[];

describe.each(engines)('%s engine', (engine) => {
  const versions: Version[] = ['1.2', '1.3'];
  test.each(versions.flatMap((version) => loginNames.map((login) => [login, version] as const)))(
    '%s over TLS %s succeeds, and both sides have the same keys',
    async (login, version) => {
      const run = await eapolTest({ engine, version, network: logins[login] });
      expect(run.text).toContain('MPPE keys OK: 1  mismatch: 0');
      expect(run.exitCode).toBe(0);
    },
  );

  test('packets of 200 bytes both ways', async () => {
    const network = [...logins['EAP-TLS'], 'fragment_size=200'];
    const run = await eapolTest({ engine, version: '1.2', network, arguments: ['-N12:d:204'] });
    expect(run.exitCode).toBe(0);
  });

  test.each(['PEAP/MSCHAPv2', 'TTLS/PAP', 'TTLS/MSCHAPv2'] as const)(
    'a wrong password fails at once: %s',
    async (login) => {
      const network = logins[login];
      const run = await eapolTest({ engine, version: '1.2', network, password: 'looking-glass' });
      expect(run.exitCode).not.toBe(0);
      expect(run.text).not.toContain('EAPOL test timed out');
    },
  );
});

describe('a certificate that lets nobody in', () => {
  const expired = authority.issue({ commonName: 'alice', usage: 'client', isExpired: true });
  const ofServer = authority.issue({ commonName: 'alice', usage: 'server' });
  const ofStranger = stranger.issue({ commonName: 'alice', usage: 'client' });
  const ofNobody = authority.issue({ commonName: 'mallory', usage: 'client' });

  test.each(
    (['1.2', '1.3'] as const).flatMap((version) => [
      { version, why: 'revoked', certificate: revoked, alert: 'certificate revoked' },
      { version, why: 'expired', certificate: expired, alert: 'certificate expired' },
      { version, why: 'of a server', certificate: ofServer, alert: 'unsupported certificate' },
      { version, why: 'of another authority', certificate: ofStranger, alert: 'unknown CA' },
      { version, why: 'of no subscriber', certificate: ofNobody, alert: 'access denied' },
    ]),
  )(
    '$why, over TLS $version: its owner hears "$alert"',
    async ({ version, certificate, alert }) => {
      const network = ['eap=TLS', ...certificateOf(certificate)];
      const run = await eapolTest({ engine: 'portable', version, network });
      expect(run.exitCode).not.toBe(0);
      expect(run.text).toContain(`fatal:${alert}`);
      expect(run.text).not.toContain('EAPOL test timed out');
    },
  );

  test.each([
    { why: 'revoked', certificate: revoked },
    { why: 'expired', certificate: expired },
    { why: 'of a server', certificate: ofServer },
    { why: 'of another authority', certificate: ofStranger },
    { why: 'of no subscriber', certificate: ofNobody },
  ])('$why, at the native engine', async ({ certificate }) => {
    const network = ['eap=TLS', ...certificateOf(certificate)];
    for (const version of ['1.2', '1.3'] as const) {
      const run = await eapolTest({ engine: 'native', version, network });
      expect(run.exitCode).not.toBe(0);
      expect(run.text).not.toContain('EAPOL test timed out');
    }
  });
});

describe('coming back', () => {
  test.each([
    ['EAP-TLS', '1.2'],
    ['EAP-TLS', '1.3'],
    ['PEAP/MSCHAPv2', '1.2'],
    ['PEAP/MSCHAPv2', '1.3'],
    ['TTLS/PAP', '1.2'],
    ['TTLS/MSCHAPv2', '1.3'],
  ] as const)('%s over TLS %s takes a short handshake', async (login, version) => {
    const run = await eapolTest({
      engine: 'portable',
      version,
      network: logins[login],
      arguments: ['-r1'],
    });
    expect(run.exitCode).toBe(0);
    expect(run.text).toContain('MPPE keys OK: 2  mismatch: 0');
    expect(run.text).toContain('Handshake finished - resumed=1');
  });
});

describe('a device that knows nothing newer than TLS 1.0', () => {
  test('is served where the operator allows it, and stays with its node', async () => {
    const run = await eapolTest({
      engine: 'legacy',
      version: '1.0',
      network: logins['PEAP/MSCHAPv2'],
    });
    expect(run.text).toMatch(/Using TLS version TLSv1$/m);
    expect(run.text).toContain('MPPE keys OK: 1  mismatch: 0');
    expect(run.exitCode).toBe(0);
  });

  test('is refused elsewhere, and hears why', async () => {
    const run = await eapolTest({
      engine: 'portable',
      version: '1.0',
      network: logins['PEAP/MSCHAPv2'],
    });
    expect(run.exitCode).not.toBe(0);
    expect(run.text).toContain('protocol version');
  });
});

function certificateOf({ certificateFile, keyFile }: { certificateFile: string; keyFile: string }) {
  return [`client_cert="${certificateFile}"`, `private_key="${keyFile}"`];
}

async function eapolTest(client: {
  engine: Engine;
  version: Version;
  network: readonly string[];
  password?: string;
  arguments?: readonly string[];
}): Promise<{ exitCode: number | null; text: string }> {
  const lines = [
    'key_mgmt=WPA-EAP',
    'identity="alice"',
    `password="${client.password ?? PASSWORD}"`,
    `ca_cert="${authority.certificateFile}"`,
    `phase1="${phase1[client.version]}"`,
    ...client.network,
  ];
  const cipher = client.version === '1.0' ? 'openssl_ciphers="DEFAULT@SECLEVEL=0"\n' : '';
  const file = join(directory, `${randomBytes(6).toString('hex')}.conf`);
  writeFileSync(file, `network={\n${lines.join('\n')}\n${cipher}}\n`);
  const port = String(nodes.get(client.engine)?.authPort);
  const at = ['-a', '127.0.0.1', '-p', port, '-s', SECRET, '-t', '20'];
  const child = spawn('eapol_test', ['-c', file, ...at, ...(client.arguments ?? [])]);
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
    });
  }
  const exitCode = await new Promise<number | null>((done, reject) => {
    child.once('error', reject);
    child.once('close', done);
  });
  return { exitCode, text };
}
