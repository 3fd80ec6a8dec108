// OpenSSL as the client of our TLS 1.2: every kind of certificate, group and suite, what is refused and
// with which alert, resumption, and Node's own client over a pipe in memory.

import { execFile, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { type ConnectionOptions, connect } from 'node:tls';
import { promisify } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import type { AlertName, TlsProgress } from '../../src/protocols/tls/engine.ts';
import { prf } from '../../src/protocols/tls/prf.ts';
import type { TlsSettings } from '../../src/protocols/tls/settings.ts';
import { type ClientTrust } from '../../src/protocols/x509/path-validation.ts';
import { type Issued, createCertificateAuthority } from '../servers/certificate-authority.ts';
import { type TlsBridgeOptions, startTlsBridge } from '../servers/tls-bridge.ts';
import { certificatesOf, createTestServer, give, identityOf } from './tls-test-server.ts';

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

type Outcome = { output: string; outcomes: TlsProgress[] };

/** What s_client and the server say of one connection, or of several that follow each other. */
async function talk(
  args: readonly string[],
  settings: Partial<TlsSettings> = {},
  bridge: Partial<TlsBridgeOptions> = {},
): Promise<Outcome> {
  const { engine } = createTestServer({
    identities: [identityOf(server.ecdsa), identityOf(server.rsa)],
    clientTrust: trust,
    maxVersion: '1.2',
    ...settings,
  });
  await using listener = await startTlsBridge({
    engine: () => engine,
    terms: { purpose: 'eap-tls', clientCertificate: 'none' },
    ...bridge,
  });
  const output = await runClient([...args, '-connect', `127.0.0.1:${listener.port}`]);
  return { output, outcomes: [...listener.outcomes] };
}

const GREETING = 'hello from the client';

function runClient(args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const trusted = ['-CAfile', authority.certificateFile, '-verify_return_error'];
    const client = spawn('openssl', ['s_client', ...trusted, ...args]);
    let output = '';
    const read = (chunk: Buffer) => {
      output += chunk.toString('latin1');
      // What it says itself it does not print: this is the echo.
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

/** `open`: the client has heard its echo and then said goodbye. Else the alert, as both sides name it. */
function endOf({ output, outcomes }: Outcome): string {
  const last = outcomes.at(-1);
  if (last?.kind !== 'failed') return last?.kind ?? 'no connection';
  if (last.from === 'us') {
    const [, number = 'none'] = /SSL alert number (\d+)/.exec(output) ?? [];
    return `${last.alert}, ${number}`;
  }
  const isOpen =
    last.alert === 'close_notify' && output.includes(GREETING) && outcomes.length === 1;
  return isOpen ? 'open' : `${last.alert} of the client`;
}

const suites = {
  ecdsa: [
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-ECDSA-CHACHA20-POLY1305',
  ],
  rsa: [
    'ECDHE-RSA-AES128-GCM-SHA256',
    'ECDHE-RSA-AES256-GCM-SHA384',
    'ECDHE-RSA-CHACHA20-POLY1305',
  ],
};

const TEMPORARY_KEYS: Record<string, string> = {
  X25519: 'X25519, 253 bits',
  'P-256': 'ECDH, prime256v1, 256 bits',
  'P-384': 'ECDH, secp384r1, 384 bits',
};

describe.each(['ecdsa', 'rsa'] as const)('with an %s certificate', (kind) => {
  const identities = [identityOf(server[kind])];

  // A client that checks an ECDSA certificate on P-256 has that group, and we prefer it to P-384.
  const groups = kind === 'ecdsa' ? ['X25519:P-256', 'P-256'] : ['X25519', 'P-256', 'P-384'];

  test.each(suites[kind])('%s is spoken over every group', async (cipher) => {
    for (const group of groups) {
      const outcome = await talk(['-tls1_2', '-cipher', cipher, '-groups', group], { identities });
      expect(endOf(outcome)).toBe('open');
      const [first = ''] = group.split(':');
      expect(outcome.output).toContain(`Server Temp Key: ${TEMPORARY_KEYS[first]}`);
      expect(outcome.output).toContain(cipher);
      expect(outcome.output).toContain('Extended master secret: yes');
      expect(outcome.output).toContain('Secure Renegotiation IS supported');
      expect(outcome.output).toContain('Verify return code: 0 (ok)');
    }
  });

  test.each([
    ['with an ECDSA certificate', clientFiles(alice), 'required'],
    ['with an RSA certificate', clientFiles(aliceRsa), 'required'],
    ['with a certificate that is optional', clientFiles(alice), 'optional'],
    ['without a certificate that is optional', [], 'optional'],
    ['with a certificate that nobody asks for', clientFiles(alice), 'none'],
  ] as const)('a client %s is let in', async (_name, files, clientCertificate) => {
    const terms = { purpose: 'eap-tls', clientCertificate } as const;
    const outcome = await talk(['-tls1_2', ...files], { identities }, { terms });
    expect(endOf(outcome)).toBe('open');
    // From whom it may be.
    expect(outcome.output.includes('Acceptable client certificate CA names')).toBe(
      clientCertificate !== 'none',
    );
  });
});

test.each([
  ['RSA-PSS', ['-newkey', 'rsa-pss', '-pkeyopt', 'rsa_keygen_bits:2048'], 'RSA-PSS'],
  ['P-384', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384'], 'ECDSA'],
  ['P-521', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-521'], 'ECDSA'],
  ['Ed25519', ['-newkey', 'ed25519'], 'ed25519'],
])('the server proves itself with a key %s', async (name, newKey, signature) => {
  const [key, certificate] = [join(directory, `${name}.key`), join(directory, `${name}.pem`)];
  execFileSync(
    'openssl',
    ['req', '-x509', ...newKey, '-nodes', '-subj', '/CN=r', '-keyout', key, '-out', certificate],
    { stdio: 'ignore' },
  );
  const identity = identityOf({
    key: readFileSync(key, 'utf8'),
    certificate: readFileSync(certificate, 'utf8'),
  });
  // The later -CAfile counts: the certificate is its own authority.
  const outcome = await talk(['-tls1_2', '-CAfile', certificate], { identities: [identity] });
  expect(endOf(outcome)).toBe('open');
  expect(outcome.output).toContain(`Peer signature type: ${signature}`);
});

test('the dearest certificate that the client can check is shown', async () => {
  const both = await talk(['-tls1_2']);
  expect(both.output).toContain('Peer signature type: ECDSA');
  const onlyRsa = await talk(['-tls1_2', '-sigalgs', 'RSA+SHA256']);
  expect(onlyRsa.output).toContain('Peer signature type: RSA\n');
  expect(endOf(onlyRsa)).toBe('open');
});

describe('what is refused', () => {
  test.each<[string, string[], AlertName, number]>([
    ['TLS 1.1', ['-tls1_1', '-cipher', 'ALL:@SECLEVEL=0'], 'protocol_version', 70],
    ['TLS 1.0', ['-tls1', '-cipher', 'ALL:@SECLEVEL=0'], 'protocol_version', 70],
    ['CBC', ['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-SHA256'], 'handshake_failure', 40],
    ['CBC with SHA-1', ['-tls1_2', '-cipher', 'ECDHE-RSA-AES128-SHA'], 'handshake_failure', 40],
    ['RSA key exchange', ['-tls1_2', '-cipher', 'AES128-GCM-SHA256'], 'handshake_failure', 40],
    [
      'finite field DH',
      ['-tls1_2', '-cipher', 'DHE-RSA-AES128-GCM-SHA256'],
      'handshake_failure',
      40,
    ],
    ['X448 alone', ['-tls1_2', '-groups', 'X448'], 'handshake_failure', 40],
    [
      'signatures with SHA-1 alone',
      ['-tls1_2', '-sigalgs', 'RSA+SHA1:ECDSA+SHA1', '-cipher', 'DEFAULT:@SECLEVEL=0'],
      'handshake_failure',
      40,
    ],
  ])('%s', async (_name, args, alert, number) => {
    expect(endOf(await talk(args))).toBe(`${alert}, ${number}`);
  });

  test('a client without the extended master secret', async () => {
    const configuration = join(directory, 'no-ems.cnf');
    writeFileSync(
      configuration,
      ['openssl_conf = a', '[a]', 'ssl_conf = b', '[b]', 'system_default = c', '[c]'].join('\n') +
        '\nOptions = -ExtendedMasterSecret\n',
    );
    process.env['OPENSSL_CONF'] = configuration;
    try {
      expect(endOf(await talk(['-tls1_2']))).toBe('handshake_failure, 40');
    } finally {
      delete process.env['OPENSSL_CONF'];
    }
  });

  const required = { terms: { purpose: 'eap-tls', clientCertificate: 'required' } } as const;

  test('a client without a certificate, where one is required', async () => {
    expect(endOf(await talk(['-tls1_2'], {}, required))).toBe('handshake_failure, 40');
  });

  test('a certificate of another authority', async () => {
    const files = clientFiles(stranger.issue({ commonName: 'mallory', usage: 'client' }));
    expect(endOf(await talk(['-tls1_2', ...files], {}, required))).toBe('unknown_ca, 48');
  });

  test('an expired certificate', async () => {
    const options = { commonName: 'alice', usage: 'client', isExpired: true } as const;
    const files = clientFiles(authority.issue(options));
    expect(endOf(await talk(['-tls1_2', ...files], {}, required))).toBe('certificate_expired, 45');
  });

  test('a certificate for servers', async () => {
    const files = clientFiles(server.ecdsa);
    expect(endOf(await talk(['-tls1_2', ...files], {}, required))).toBe(
      'unsupported_certificate, 43',
    );
  });
});

test('a client that distrusts the server says so, and that is what is reported', async () => {
  const { outcomes } = await talk(['-tls1_2', '-CAfile', stranger.certificateFile]);
  expect(outcomes[0]).toMatchObject({ kind: 'failed', alert: 'unknown_ca', from: 'client' });
});

test('a client that could do better notices that somebody made it speak TLS 1.2', async () => {
  // A man in the middle would take TLS 1.3 out of the ClientHello; -fallback_scsv is an honest fallback.
  const settings = { maxVersion: '1.3' } as const;
  expect(endOf(await talk(['-tls1_2', '-fallback_scsv'], settings))).toBe(
    'inappropriate_fallback, 86',
  );
  expect(endOf(await talk(['-tls1_2', '-fallback_scsv']))).toBe('open'); // where TLS 1.2 is the best there is
});

test('a client with a small buffer gets small records', async () => {
  const outcome = await talk(['-tls1_2', '-maxfraglen', '512', '-msg']);
  expect(endOf(outcome)).toBe('open');
  const sizes = [
    ...outcome.output.matchAll(/<<< .*RecordHeader \[length 0005\]\s+16 03 03 (\w\w) (\w\w)/g),
  ];
  expect(sizes.length).toBeGreaterThan(1);
  for (const [, high, low] of sizes)
    expect(Number.parseInt(`${high}${low}`, 16)).toBeLessThanOrEqual(512 + 24);
});

test('every byte in a packet of its own makes no difference', async () => {
  const terms = { purpose: 'eap-tls', clientCertificate: 'required' } as const;
  expect(endOf(await talk(['-tls1_2', ...clientFiles(alice)], {}, { terms, pieceBytes: 1 }))).toBe(
    'open',
  );
});

describe('resumption by session id', () => {
  const ticket = { identity: 'alice', policy: 'plan' };

  test.each([['with a certificate'], ['without a certificate']])(
    'a client %s is recognised five times',
    async (which) => {
      const files = which === 'with a certificate' ? clientFiles(alice) : [];
      const terms = { purpose: 'peap', clientCertificate: 'optional' } as const;
      const { output, outcomes } = await talk(
        ['-tls1_2', '-reconnect', ...files],
        {},
        { terms, ticket },
      );
      expect(output.match(/^New, TLSv1.2/gm)).toHaveLength(1);
      expect(output.match(/^Reused, TLSv1.2/gm)).toHaveLength(5);
      expect(outcomes).toHaveLength(6);
    },
  );

  test('a session that the caller does not want costs a full handshake, no more', async () => {
    const { output } = await talk(
      ['-tls1_2', '-reconnect'],
      {},
      { ticket, mayResume: () => false },
    );
    expect(output.match(/^New, TLSv1.2/gm)).toHaveLength(6);
    expect(output).toContain(GREETING);
  });

  test('without tickets nothing is resumed, and the server gives no session id', async () => {
    const { engine } = createTestServer(
      { identities: [identityOf(server.ecdsa)], maxVersion: '1.2' },
      { remembers: false },
    );
    const { output } = await talk(['-tls1_2', '-reconnect'], {}, { ticket, engine: () => engine });
    expect(output.match(/^New, TLSv1.2/gm)).toHaveLength(6);
    expect(output).toMatch(/Session-ID: *\n/);
  });

  test('a session goes from one s_client to the next through a file', async () => {
    const { engine } = createTestServer({
      identities: [identityOf(server.ecdsa)],
      maxVersion: '1.2',
    });
    const file = join(directory, 'session.pem');
    await using listener = await startTlsBridge({
      engine: () => engine,
      terms: { purpose: 'ttls', clientCertificate: 'none' },
      ticket,
    });
    const at = ['-tls1_2', '-connect', `127.0.0.1:${listener.port}`];
    expect(await runClient([...at, '-sess_out', file])).toMatch(/^New, TLSv1.2/m);
    expect(await runClient([...at, '-sess_in', file])).toMatch(/^Reused, TLSv1.2/m);
  });
});

describe('the TLS client of Node, over a pipe in memory', () => {
  const { engine, ...rest } = createTestServer({
    identities: [identityOf(server.ecdsa)],
    clientTrust: trust,
  });

  async function talkInMemory(options: ConnectionOptions) {
    let connection = engine.accept({ purpose: 'ttls', clientCertificate: 'optional' });
    let last: TlsProgress | undefined;
    async function hear(chunk: Buffer, done: () => void) {
      last = await give({ engine, ...rest }, connection, chunk);
      connection = last.connection;
      if ('output' in last) pipe.push(last.output);
      done();
    }
    const pipe: Duplex = new Duplex({
      read: () => undefined,
      write(chunk: Buffer, _encoding, done) {
        void hear(chunk, done);
      },
    });
    const client = connect({
      socket: pipe,
      ca: authority.certificate,
      checkServerIdentity: () => undefined,
      ...options,
    });
    await new Promise<void>((resolve, reject) => {
      client.once('error', reject);
      client.once('secureConnect', resolve);
    });
    await expect.poll(() => last?.kind).toBe('open');
    // The types of Node do not know that there may be no context, which is not the same as an empty one.
    const noContext = undefined as unknown as Buffer;
    const theirs = client.exportKeyingMaterial(128, 'client EAP encryption', noContext);
    const ours = await engine.exportKey(connection, 'client EAP encryption', 128);
    const theirsEmpty = client.exportKeyingMaterial(64, 'ttls challenge', Buffer.alloc(0));
    const oursEmpty = await engine.exportKey(connection, 'ttls challenge', 64, Buffer.alloc(0));
    client.destroy();
    if (last?.kind !== 'open') throw new Error('not open');
    return { theirs, ours, theirsEmpty, oursEmpty, facts: last.facts };
  }

  test('both sides export the same keys, without a context and with an empty one', async () => {
    const { theirs, ours, theirsEmpty, oursEmpty, facts } = await talkInMemory({
      maxVersion: 'TLSv1.2',
      cert: alice.certificate,
      key: alice.key,
    });
    expect(ours).toEqual(theirs);
    expect(oursEmpty).toEqual(theirsEmpty);
    expect(facts).toMatchObject({ version: '1.2', clientCertificate: { commonName: 'alice' } });
  });

  test('a client that may speak TLS 1.2 and 1.3 speaks TLS 1.3', async () => {
    const { theirs, ours, facts } = await talkInMemory({});
    expect(facts.version).toBe('1.3');
    expect(ours).toEqual(theirs);
  });
});

test('the PRF agrees with OpenSSL for every hash and for lengths that are no multiple of it', async () => {
  const [secret, seed] = [Buffer.alloc(48, 7), Buffer.alloc(64, 9)];
  const label = 'key expansion';
  for (const hash of ['sha1', 'sha256', 'sha384'] as const) {
    for (const length of [1, 12, 20, 48, 65, 200]) {
      const options = [
        `digest:${hash}`,
        `hexsecret:${secret.toString('hex')}`,
        `hexseed:${Buffer.from(label).toString('hex')}`,
        `hexseed:${seed.toString('hex')}`,
      ].flatMap((option) => ['-kdfopt', option]);
      const { stdout } = await promisify(execFile)(
        'openssl',
        ['kdf', '-keylen', String(length), ...options, '-binary', 'TLS1-PRF'],
        { encoding: 'buffer' },
      );
      expect(prf(hash, secret, label, seed, length)).toEqual(stdout);
    }
  }
});
