// OpenSSL as the client of our TLS 1.3: every kind of certificate, group and suite, what is refused and
// with which alert, and resumption. Its TLS 1.2 is tls-openssl-1-2.test.ts.

import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { AlertName, TlsProgress } from '../../src/protocols/tls/engine.ts';
import type { TlsSettings } from '../../src/protocols/tls/settings.ts';
import { createTicketBox } from '../../src/protocols/tls/ticket-box.ts';
import { crlsFromPem } from '../../src/protocols/x509/revocation.ts';
import type { ClientTrust } from '../../src/protocols/x509/trust.ts';
import { type Issued, createCertificateAuthority } from '../servers/certificate-authority.ts';
import { type TlsBridgeOptions, startTlsBridge } from '../servers/tls-bridge.ts';
import {
  TEST_LIFETIME_MS,
  certificatesOf,
  createTestServer,
  identityOf,
} from './tls-test-server.ts';

const authority = createCertificateAuthority('Evergate Test Root');
const stranger = createCertificateAuthority('Somebody Else');
const directory = mkdtempSync(join(tmpdir(), 'evergate-tls-'));
afterAll(() => {
  authority[Symbol.dispose]();
  stranger[Symbol.dispose]();
  rmSync(directory, { recursive: true, force: true });
});

const server = {
  ecdsa: authority.issue({ commonName: 'radius.example', usage: 'server' }),
  rsa: authority.issue({ commonName: 'radius.example', usage: 'server', key: 'rsa' }),
};
const alice = authority.issue({ commonName: 'alice', usage: 'client' });
const aliceRsa = authority.issue({ commonName: 'alice', usage: 'client', key: 'rsa' });
const trust: ClientTrust = {
  anchors: certificatesOf(authority.certificate),
  intermediates: [],
  crls: [],
  revocation: 'none',
};
const required = { purpose: 'eap-tls', clientCertificate: 'required' } as const;
const ticket = { identity: 'alice', policy: 'plan' };
const GREETING = 'hello from the client';

type Outcome = { output: string; outcomes: TlsProgress[]; largestStateBytes: number };

const engineWith = (settings: Partial<TlsSettings> = {}) =>
  createTestServer({
    identities: [identityOf(server.ecdsa), identityOf(server.rsa)],
    clientTrust: trust,
    minVersion: '1.3',
    ...settings,
  }).engine;

async function talk(
  args: readonly string[],
  settings: Partial<TlsSettings> = {},
  bridge: Partial<TlsBridgeOptions> = {},
): Promise<Outcome> {
  const engine = engineWith(settings);
  await using listener = await startTlsBridge({
    engine: () => engine,
    terms: { purpose: 'eap-tls', clientCertificate: 'none' },
    ...bridge,
  });
  const output = await runClient([...args, '-connect', `127.0.0.1:${listener.port}`]);
  const largestStateBytes = listener.largestStateBytes();
  return { output, outcomes: [...listener.outcomes], largestStateBytes };
}

/** Says its greeting, waits for the echo and leaves. */
function runClient(args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const trusted = ['-CAfile', authority.certificateFile, '-verify_return_error'];
    const client = spawn('openssl', ['s_client', ...trusted, ...args]);
    let output = '';
    const read = (chunk: Buffer) => {
      output += chunk.toString('latin1');
      if (output.includes(GREETING)) client.stdin.end();
    };
    client.stdout.on('data', read);
    client.stderr.on('data', read);
    client.stdin.on('error', () => undefined); // it has ended: the exit says why
    client.on('error', reject);
    client.on('close', () => resolve(output));
    client.stdin.write(`${GREETING}\n`);
  });
}

const clientFiles = ({ certificateFile, keyFile }: Issued) => [
  '-cert',
  certificateFile,
  '-key',
  keyFile,
];

/** `served`: the client heard its echo and took its leave. Else who ended it, and what the other heard. */
function endOf({ output, outcomes }: Outcome): string {
  const last = outcomes.at(-1);
  if (last?.kind !== 'failed') return last?.kind ?? 'nothing';
  const { alert, from } = last;
  if (from === 'client' && alert === 'close_notify' && output.includes(GREETING)) return 'served';
  const heard = /SSL alert number (\d+)/.exec(output)?.[1];
  return from === 'us' ? `${alert}, heard as ${heard}` : `${alert} of the client`;
}

describe.each(['ecdsa', 'rsa'] as const)('with an %s certificate', (kind) => {
  const identities = [identityOf(server[kind])];

  test.each(['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'])(
    '%s is spoken over every group',
    async (suite) => {
      for (const group of ['X25519', 'P-256', 'P-384']) {
        const args = ['-tls1_3', '-ciphersuites', suite, '-groups', group];
        const outcome = await talk(args, { identities });
        expect(endOf(outcome)).toBe('served');
        expect(outcome.output).toContain(`Cipher is ${suite}`);
        expect(outcome.output).toContain(`Server Temp Key: ${group === 'X25519' ? group : 'ECDH'}`);
        expect(outcome.output).toContain('Verify return code: 0 (ok)');
      }
    },
  );

  test.each([
    ['with an ECDSA certificate', clientFiles(alice), 'required'],
    ['with an RSA certificate', clientFiles(aliceRsa), 'required'],
    ['with a certificate that is optional', clientFiles(alice), 'optional'],
    ['without a certificate that is optional', [], 'optional'],
    ['with a certificate that nobody asks for', clientFiles(alice), 'none'],
  ] as const)('a client %s is let in', async (_name, files, clientCertificate) => {
    const terms = { purpose: 'eap-tls', clientCertificate } as const;
    const outcome = await talk(['-tls1_3', ...files], { identities }, { terms });
    expect(endOf(outcome)).toBe('served');
    expect(outcome.largestStateBytes).toBeLessThan(5_000);
    const isAsked = outcome.output.includes('client certificate CA names\nCN = Evergate Test Root');
    expect(isAsked).toBe(clientCertificate !== 'none');
  });
});

test.each([
  ['RSA-PSS', ['-newkey', 'rsa-pss', '-pkeyopt', 'rsa_keygen_bits:2048'], 'RSA-PSS'],
  ['P-384', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384'], 'ECDSA'],
  ['P-521', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-521'], 'ECDSA'],
  ['Ed25519', ['-newkey', 'ed25519'], 'ed25519'],
])('the server proves itself with a key %s', async (name, newKey, signature) => {
  const [keyFile, certificateFile] = [
    join(directory, `${name}.key`),
    join(directory, `${name}.pem`),
  ];
  const files = ['-nodes', '-subj', '/CN=r', '-keyout', keyFile, '-out', certificateFile];
  execFileSync('openssl', ['req', '-x509', ...newKey, ...files], { stdio: 'ignore' });
  const certificate = readFileSync(certificateFile, 'utf8');
  const identities = [identityOf({ key: readFileSync(keyFile, 'utf8'), certificate })];
  // The later -CAfile counts: the certificate is its own authority.
  const outcome = await talk(['-tls1_3', '-CAfile', certificateFile], { identities });
  expect(endOf(outcome)).toBe('served');
  expect(outcome.output).toContain(`Peer signature type: ${signature}`);
});

test('the dearest certificate that the client can check is shown', async () => {
  const both = await talk(['-tls1_3']);
  expect(both.output).toContain('Peer signature type: ECDSA');
  const onlyRsa = await talk(['-tls1_3', '-sigalgs', 'RSA-PSS+SHA256']);
  expect(onlyRsa.output).toContain('Peer signature type: RSA-PSS');
  expect(endOf(onlyRsa)).toBe('served');
});

test('a client that guessed a group which we have not is asked for another share', async () => {
  for (const groups of ['X448:P-256', 'P-521:X25519', 'X448:P-521:P-384']) {
    const outcome = await talk(['-tls1_3', '-groups', groups, '-msg']);
    expect(endOf(outcome)).toBe('served');
    expect(outcome.output.match(/>>> .*Handshake.*ClientHello/g)).toHaveLength(2);
  }
});

test('a client that may speak TLS 1.2 and 1.3 speaks TLS 1.3', async () => {
  const outcome = await talk([], { minVersion: '1.2' });
  expect(endOf(outcome)).toBe('served');
  expect(outcome.output).toContain('New, TLSv1.3');
});

describe('what is refused', () => {
  test.each<[string, string[], AlertName, number]>([
    ['TLS 1.2', ['-tls1_2'], 'protocol_version', 70],
    ['X448 alone', ['-tls1_3', '-groups', 'X448'], 'handshake_failure', 40],
    ['CCM', ['-tls1_3', '-ciphersuites', 'TLS_AES_128_CCM_SHA256'], 'handshake_failure', 40],
    ['Ed448 alone', ['-tls1_3', '-sigalgs', 'ed448'], 'handshake_failure', 40],
  ])('%s', async (_name, args, alert, number) => {
    expect(endOf(await talk(args))).toBe(`${alert}, heard as ${number}`);
  });

  test('a client without a certificate, where one is required', async () => {
    const outcome = await talk(['-tls1_3'], {}, { terms: required });
    expect(endOf(outcome)).toBe('certificate_required, heard as 116');
  });

  const revoked = authority.issue({ commonName: 'bob', usage: 'client' });
  authority.revoke(revoked);
  const crls = crlsFromPem(readFileSync(authority.writeCrl(), 'utf8'))
    .filter((parsed) => parsed.kind === 'crl')
    .map(({ crl }) => crl);
  const strictTrust: ClientTrust = { ...trust, crls, revocation: 'required' };

  test.each<[string, Issued, AlertName, number]>([
    [
      'a certificate of another authority',
      stranger.issue({ commonName: 'mallory', usage: 'client' }),
      'unknown_ca',
      48,
    ],
    [
      'an expired certificate',
      authority.issue({ commonName: 'alice', usage: 'client', isExpired: true }),
      'certificate_expired',
      45,
    ],
    ['a certificate for servers', server.ecdsa, 'unsupported_certificate', 43],
    ['a revoked certificate', revoked, 'certificate_revoked', 44],
  ])('%s', async (_name, issued, alert, number) => {
    const settings = { clientTrust: strictTrust };
    const outcome = await talk(['-tls1_3', ...clientFiles(issued)], settings, { terms: required });
    expect(endOf(outcome)).toBe(`${alert}, heard as ${number}`);
  });

  test('nobody else, where revocation lists are required and at hand', async () => {
    const settings = { clientTrust: strictTrust };
    expect(
      endOf(await talk(['-tls1_3', ...clientFiles(alice)], settings, { terms: required })),
    ).toBe('served');
  });
});

test('a client that distrusts the server says so, and that is what is reported', async () => {
  const { outcomes } = await talk(['-tls1_3', '-CAfile', stranger.certificateFile]);
  expect(outcomes[0]).toMatchObject({ kind: 'failed', alert: 'unknown_ca', from: 'client' });
});

test('every byte in a packet of its own makes no difference', async () => {
  const bridge = { terms: required, pieceBytes: 1, ticket };
  expect(endOf(await talk(['-tls1_3', ...clientFiles(alice)], {}, bridge))).toBe('served');
});

test('a client with a small buffer gets small records', async () => {
  const outcome = await talk(['-tls1_3', '-maxfraglen', '512', '-msg']);
  expect(endOf(outcome)).toBe('served');
  const headers = outcome.output.matchAll(
    /<<< .*RecordHeader \[length 0005\]\s+17 03 03 (\w\w) (\w\w)/g,
  );
  const sizes = [...headers].map(([, high, low]) => Number.parseInt(`${high}${low}`, 16));
  expect(sizes.length).toBeGreaterThan(1);
  for (const size of sizes) expect(size).toBeLessThanOrEqual(512 + 17);
});

describe('resumption by ticket', () => {
  const tickets = createTicketBox(randomBytes(32), TEST_LIFETIME_MS);

  /** Two connections to engines that share nothing but the key of the cluster. */
  async function twice(
    files: readonly string[],
    first: Partial<TlsBridgeOptions>,
    second: Partial<TlsBridgeOptions> = first,
    args: readonly string[] = [],
  ) {
    const file = join(directory, `session-${randomBytes(4).toString('hex')}.pem`);
    const terms = { purpose: 'peap', clientCertificate: 'none' } as const;
    const one = await talk(
      ['-tls1_3', ...files, ...args, '-sess_out', file],
      { tickets },
      { terms, ticket, ...first },
    );
    expect(endOf(one)).toBe('served');
    const two = await talk(
      ['-tls1_3', ...files, ...args, '-sess_in', file],
      { tickets },
      { terms, ticket, ...second },
    );
    return two;
  }

  test.each([
    ['TLS_AES_128_GCM_SHA256', 'X25519'],
    ['TLS_AES_256_GCM_SHA384', 'P-256'],
    ['TLS_CHACHA20_POLY1305_SHA256', 'P-384'],
  ])('a ticket of one node is good at another, %s over %s', async (suite, group) => {
    const args = ['-ciphersuites', suite, '-groups', group];
    const outcome = await twice([], {}, {}, args);
    expect(endOf(outcome)).toBe('served');
    expect(outcome.output).toContain('Reused, TLSv1.3');
  });

  test('a ticket is good after a HelloRetryRequest too', async () => {
    const outcome = await twice([], {}, {}, ['-groups', 'X448:P-256']);
    expect(endOf(outcome)).toBe('served');
    expect(outcome.output).toContain('Reused, TLSv1.3');
  });

  test('a login by certificate is resumed without one', async () => {
    const certificate = { ...ticket, certificate: 'ab'.repeat(32) };
    const outcome = await twice(clientFiles(alice), { terms: required, ticket: certificate });
    expect(endOf(outcome)).toBe('served');
    expect(outcome.output).toContain('Reused, TLSv1.3');
  });

  test.each<[string, Partial<TlsBridgeOptions>]>([
    ['for another purpose', { terms: { purpose: 'ttls', clientCertificate: 'none' } }],
    ['that the caller does not want', { mayResume: () => false }],
    ['whose time is over', { nowMs: () => Date.now() + TEST_LIFETIME_MS }],
  ])('a ticket %s costs a full handshake, no more', async (_name, second) => {
    const outcome = await twice([], {}, second);
    expect(endOf(outcome)).toBe('served');
    expect(outcome.output).toContain('New, TLSv1.3');
  });
});

test('a client that changes its keys is followed', async () => {
  const engine = engineWith();
  await using listener = await startTlsBridge({
    engine: () => engine,
    terms: { purpose: 'eap-tls', clientCertificate: 'none' },
  });
  const client = spawn('openssl', [
    's_client',
    '-tls1_3',
    '-connect',
    `127.0.0.1:${listener.port}`,
  ]);
  let output = '';
  const read = (chunk: Buffer) => {
    output += chunk.toString('latin1');
  };
  client.stdout.on('data', read);
  client.stderr.on('data', read);
  const ended = new Promise((resolve) => client.once('close', resolve));
  await expect.poll(() => output).toContain('Verify return code');
  // A line with `K` asks for new keys on both sides, one with `k` announces its own.
  for (const [place, command] of ['K', 'k', 'K'].entries()) {
    client.stdin.write(`${command}\n`);
    await expect.poll(() => output.match(/KEYUPDATE/g)).toHaveLength(place + 1);
    client.stdin.write(`echo ${place}\n`);
    await expect.poll(() => output).toContain(`echo ${place}\n`);
  }
  client.stdin.end('Q\n');
  await ended;
  expect(listener.outcomes[0]).toMatchObject({ alert: 'close_notify', from: 'client' });
});
