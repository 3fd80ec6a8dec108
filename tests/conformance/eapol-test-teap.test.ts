// eapol_test of hostap 2.10 with TEAP, as the Wi-Fi client behind an access point, against a real server:
// what it may say inside the tunnel, both TLS versions, and what it refuses. RFC 9930; the keys are those
// of `radius.eap.teap_compatibility=hostap`, and where the two agree also of rfc9930.

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eapolTestWithTeap } from '../servers/eapol-test-teap.ts';
import type { Evergate } from '../servers/evergate.ts';
import { startEvergate } from '../servers/evergate.ts';
import { startPostgres } from '../servers/postgres.ts';
import { startRedis } from '../servers/redis.ts';
import { createTestAuthority } from './eap-tls-server.ts';

const SECRET = 'testing123';
const BUILD_TIMEOUT_MS = 300_000;

const directory = mkdtempSync(join(tmpdir(), 'evergate-teap-'));
const opened = new AsyncDisposableStack();
let program = '';
let asHostap: Evergate;
let asRfc: Evergate;

const { root, issue } = createTestAuthority();
const server = issue({
  usage: 'server',
  commonName: 'radius.example.org',
  dnsNames: ['radius.example.org'],
});
const files = {
  authority: write('authority.pem', root.certificatePem),
  server: write('server.pem', server.certificatePem),
  serverKey: write('server.key', server.privateKeyPem),
  ...certificateFiles('alice'),
};
const stranger = certificateFiles('mallory');

beforeAll(async () => {
  opened.defer(() => rmSync(directory, { recursive: true, force: true }));
  program = await eapolTestWithTeap();
  const redis = opened.use(await startRedis());
  const postgres = opened.use(await startPostgres());
  const shared = {
    EVERGATE_DATABASE_URL: postgres.url,
    EVERGATE_STATE_URL: redis.url,
    EVERGATE_SECRETS_KEY: randomBytes(32).toString('hex'),
    EVERGATE_RADIUS_REJECT_DELAY: '0',
    EVERGATE_RADIUS_EAP_METHODS: 'teap',
    EVERGATE_RADIUS_EAP_CERTIFICATE: files.server,
    EVERGATE_RADIUS_EAP_KEY: files.serverKey,
    EVERGATE_RADIUS_EAP_CLIENT_CA: files.authority,
  };
  asHostap = opened.use(
    await startEvergate({
      environment: {
        ...shared,
        EVERGATE_NODE: 'node-1',
        EVERGATE_RADIUS_EAP_TEAP_COMPATIBILITY: 'hostap',
      },
      apply: {
        sites: [{ name: 'cafe', timezone: 'UTC' }],
        routers: [{ name: 'r1', site: 'cafe', address: '127.0.0.1/32', secret: SECRET }],
        plans: [{ name: 'hour', duration: '1h' }],
        subscribers: [{ username: 'alice', password: 'pässwörd ☂', plan: 'hour' }],
      },
    }),
  );
  asRfc = opened.use(
    await startEvergate({
      services: ['radius'],
      environment: {
        ...shared,
        EVERGATE_NODE: 'node-2',
        EVERGATE_RADIUS_EAP_TEAP_COMPATIBILITY: 'rfc9930',
      },
    }),
  );
}, BUILD_TIMEOUT_MS);

afterAll(() => opened.disposeAsync());

const tls = {
  '1.2': 'tls_disable_tlsv1_3=1',
  '1.3': 'tls_disable_tlsv1_3=0 tls_disable_tlsv1_2=1',
};
const ownCertificate = `client_cert="${files.certificate}"\n  private_key="${files.key}"`;
const innerCertificate = `client_cert2="${files.certificate}"\n  private_key2="${files.key}"\n  ca_cert2="${files.authority}"`;

describe.each(['1.2', '1.3'] as const)('TEAP over TLS %s', (version) => {
  test.each([
    ['EAP-MSCHAPv2', 'phase2="auth=MSCHAPV2"'],
    // It refuses EAP inside, so the server asks for the password itself.
    ['a password', 'phase2="auth=GTC"'],
    ['EAP-TLS over TLS 1.2', `phase2="auth=TLS tls_disable_tlsv1_3=1"\n  ${innerCertificate}`],
    ['EAP-TLS over TLS 1.3', `phase2="auth=TLS tls_disable_tlsv1_3=0"\n  ${innerCertificate}`],
    ['nothing, with a certificate in the handshake', ownCertificate],
    ['fragments of 200 bytes', 'phase2="auth=MSCHAPV2"\n  fragment_size=200'],
  ])('%s inside succeeds, and both sides have the same keys', async (_, inside) => {
    const run = await eapolTest(asHostap, { phase1: tls[version], inside });
    expect(run.text).toContain('MPPE keys OK: 1  mismatch: 0');
    expect(run.exitCode).toBe(0);
  });

  test('what it says outside the tunnel is covered by the proof inside', async () => {
    const phase1 = `${tls[version]} teap_test_outer_tlvs=1`;
    const run = await eapolTest(asHostap, { phase1, inside: 'phase2="auth=MSCHAPV2"' });
    expect(run.text).toContain('Add stub Outer TLVs');
    expect(run.exitCode).toBe(0);
  });

  test.each([
    ['EAP-MSCHAPv2', 'phase2="auth=MSCHAPV2"'],
    ['a password', 'phase2="auth=GTC"'],
  ])('a wrong password ends in a failure at once: %s', async (_, inside) => {
    const phase1 = tls[version];
    const run = await eapolTest(asHostap, { phase1, inside, password: 'looking-glass' });
    expect(run.exitCode).not.toBe(0);
    expect(run.text).toContain('EAP-TEAP: Server rejected authentication');
    expect(run.text).toContain('EAP: Received EAP-Failure');
    expect(run.text).not.toContain('EAPOL test timed out');
  });

  test('the certificate of nobody does not keep its owner from a password', async () => {
    const certificate = `client_cert="${stranger.certificate}"\n  private_key="${stranger.key}"`;
    const inside = `phase2="auth=MSCHAPV2"\n  ${certificate}`;
    expect((await eapolTest(asHostap, { phase1: tls[version], inside })).exitCode).toBe(0);
  });

  test('it refuses a server whose authority it does not know', async () => {
    const authority = write('other.pem', createTestAuthority().root.certificatePem);
    const run = await eapolTest(asHostap, {
      phase1: tls[version],
      inside: 'phase2="auth=MSCHAPV2"',
      authority,
    });
    expect(run.exitCode).not.toBe(0);
    expect(run.text).not.toContain('EAPOL test timed out');
  });
});

describe('as RFC 9930 has it', () => {
  test.each([
    ['a password', 'phase2="auth=GTC"'],
    ['EAP-TLS', `phase2="auth=TLS"\n  ${innerCertificate}`],
    ['nothing, with a certificate in the handshake', ownCertificate],
  ])('hostap 2.10 has the same keys over TLS 1.2: %s', async (_, inside) => {
    const run = await eapolTest(asRfc, { phase1: tls['1.2'], inside });
    expect(run.text).toContain('MPPE keys OK: 1  mismatch: 0');
    expect(run.exitCode).toBe(0);
  });

  test('hostap 2.10 does not exchange the halves of an EAP-MSCHAPv2 key: it sees no proof', async () => {
    const inside = 'phase2="auth=MSCHAPV2"';
    const run = await eapolTest(asRfc, { phase1: tls['1.2'], inside });
    expect(run.text).toContain('EAP-TEAP: MSK Compound MAC did not match');
    expect(run.text).not.toContain('EAPOL test timed out');
  });
});

type Client = { phase1: string; inside: string; password?: string; authority?: string };

async function eapolTest(
  node: Evergate,
  { phase1, inside, password = 'pässwörd ☂', authority = files.authority }: Client,
): Promise<{ exitCode: number | null; text: string }> {
  // hostap 2.10 insists on a place for PACs, which neither side uses.
  const file = write(
    `network-${randomBytes(4).toString('hex')}.conf`,
    `network={
  key_mgmt=IEEE8021X
  eap=TEAP
  anonymous_identity="anonymous"
  identity="alice"
  password="${password}"
  ca_cert="${authority}"
  pac_file="blob://none"
  phase1="${phase1}"
  ${inside}
}
`,
  );
  const at = ['-a', '127.0.0.1', '-p', String(node.authPort), '-s', SECRET];
  const child = spawn(program, ['-c', file, ...at, '-t', '20']);
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
    });
  }
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return { exitCode, text };
}

function write(name: string, text: string): string {
  const file = join(directory, name);
  writeFileSync(file, text);
  return file;
}

function certificateFiles(commonName: string): { certificate: string; key: string } {
  const { certificatePem, privateKeyPem } = issue({ usage: 'client', commonName });
  return {
    certificate: write(`${commonName}.pem`, certificatePem),
    key: write(`${commonName}.key`, privateKeyPem),
  };
}
