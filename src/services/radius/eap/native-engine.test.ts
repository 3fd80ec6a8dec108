// OpenSSL on both sides: the engine, and a client of node:tls over a pair of streams in memory.

import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Duplex } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { connect } from 'node:tls';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createCertificateAuthority } from '../../../../tests/servers/certificate-authority.ts';
import type {
  CertificateAuthority,
  Issued,
} from '../../../../tests/servers/certificate-authority.ts';
import type { TlsConnection, TlsProgress, TlsTerms } from '../../../protocols/tls/engine.ts';
import type { TlsSettings } from '../../../protocols/tls/settings.ts';
import { createAuthority, issueCertificate } from '../../../protocols/x509/create.ts';
import type { Issued as CreatedCertificate } from '../../../protocols/x509/create.ts';
import { certificatesFromPem } from '../../../protocols/x509/certificate.ts';
import { crlsFromPem } from '../../../protocols/x509/revocation.ts';
import { systemClock } from '../../../runtime/clock.ts';
import type { Clock } from '../../../runtime/clock.ts';
import { systemRandom } from '../../../runtime/random.ts';
import { createNativeEngine } from './native-engine.ts';
import type { NativeEngineOptions } from './native-engine.ts';

let authority: CertificateAuthority;
let rogue: CertificateAuthority;
let server: Issued;
let good: Issued;
let revoked: Issued;
let settings: TlsSettings;

beforeAll(() => {
  authority = createCertificateAuthority('Test CA');
  rogue = createCertificateAuthority('Rogue CA');
  server = authority.issue({ commonName: 'radius.example', usage: 'server', key: 'rsa' });
  good = authority.issue({
    commonName: 'alice',
    usage: 'client',
    names: ['email:alice@example.org', 'DNS:laptop.example.org'],
  });
  revoked = authority.issue({ commonName: 'mallory', usage: 'client' });
  authority.revoke(revoked);
});

afterAll(() => {
  authority?.[Symbol.dispose]();
  rogue?.[Symbol.dispose]();
});

function settingsWith(revocation: 'none' | 'required'): TlsSettings {
  const crls = crlsFromPem(readFileSync(authority.writeCrl(), 'utf8'));
  return {
    identities: [
      {
        chain: (certificatesFromPem(server.certificate) ?? []).map(({ der }) => der),
        privateKey: createPrivateKey(server.key),
      },
    ],
    clientTrust: {
      anchors: certificatesFromPem(authority.certificate) ?? [],
      intermediates: [],
      crls: crls.flatMap((parsed) => (parsed.kind === 'crl' ? [parsed.crl] : [])),
      revocation,
    },
    minVersion: '1.2',
    maxVersion: '1.3',
    ticketLifetimeMs: 0,
  };
}

let clock: Clock & { skip(ms: number): void };
let engine: ReturnType<typeof createNativeEngine>;

function open(options: Partial<NativeEngineOptions> = {}) {
  engine = createNativeEngine({
    settings: () => settings,
    minVersion: '1.0',
    clock,
    random: systemRandom(),
    ...options,
  });
}

/** The real clock, whose periodic work happens when a test lets time pass. */
function skippingClock(): typeof clock {
  const real = systemClock();
  let skippedMs = 0;
  const periodic = new Set<() => void>();
  return {
    ...real,
    monotonicMs: () => real.monotonicMs() + skippedMs,
    every(_, action) {
      periodic.add(action);
      return { [Symbol.dispose]: () => void periodic.delete(action) };
    },
    skip(ms) {
      skippedMs += ms;
      for (const action of periodic) action();
    },
  };
}

beforeEach(() => {
  clock = skippingClock();
  settings = settingsWith('none');
  open();
});
afterEach(() => engine[Symbol.dispose]());

type Client = {
  socket: TLSSocket;
  /** What it wants sent since the last call. */
  said(): Promise<Buffer>;
  hear(bytes: Buffer): void;
  heard: Buffer[];
  error: () => Error | undefined;
  isConnected: () => boolean;
};

function openClient(options: ConnectionOptions = {}): Client {
  let output: Buffer[] = [];
  let error: Error | undefined;
  let isConnected = false;
  const pipe = new Duplex({
    read: () => undefined,
    write(chunk: Buffer, _encoding, done) {
      output.push(chunk);
      done();
    },
  });
  const heard: Buffer[] = [];
  const socket = connect({
    socket: pipe,
    ca: authority.certificate,
    checkServerIdentity: () => undefined,
    ...options,
  });
  socket.on('error', (happened: Error) => (error ??= happened));
  socket.on('secureConnect', () => (isConnected = true));
  socket.on('data', (bytes: Buffer) => heard.push(bytes));
  return {
    socket,
    heard,
    async said() {
      for (let i = 0; i < 8; i++) await turn();
      const all = Buffer.concat(output);
      output = [];
      return all;
    },
    hear: (bytes) => pipe.push(bytes),
    error: () => error,
    isConnected: () => isConnected,
  };
}

const TERMS: TlsTerms = { purpose: 'eap-tls', clientCertificate: 'none' };
const moment = () => ({ nowMs: Date.now(), random: Buffer.alloc(32) });

/** Until the server is open or has failed, or neither side has anything to say. */
async function shakeHands(
  client: Client,
  terms: Partial<TlsTerms> = {},
  receive = (connection: TlsConnection, bytes: Buffer) =>
    Promise.resolve(engine.receive(connection, bytes, moment())),
): Promise<TlsProgress> {
  let connection = engine.accept({ ...TERMS, ...terms });
  for (let round = 0; round < 10; round++) {
    const said = await client.said();
    // Through JSON, as it waits in the shared state.
    connection = JSON.parse(JSON.stringify(connection)) as TlsConnection;
    const progress = await receive(connection, said);
    if ('output' in progress) client.hear(progress.output);
    if (progress.kind !== 'handshaking') {
      await client.said();
      return progress;
    }
    ({ connection } = progress);
  }
  throw new Error('the handshake does not end');
}

const authorityOf = ({ certificate, privateKeyPem }: CreatedCertificate) => ({
  certificate,
  privateKey: createPrivateKey(privateKeyPem),
});

const withCertificate = (of: Issued): ConnectionOptions => ({
  cert: of.certificate,
  key: of.key,
});

describe('a handshake', () => {
  test.each([
    ['TLSv1.3', '1.3', 'TLS_AES_256_GCM_SHA384', 'sha384', undefined],
    [
      'TLSv1.2',
      '1.2',
      'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256',
      'sha256',
      'ECDHE-RSA-AES128-GCM-SHA256',
    ],
    ['TLSv1.2', '1.2', 'TLS_RSA_WITH_AES_128_CBC_SHA', 'sha1', 'AES128-SHA'],
    ['TLSv1.1', '1.1', 'TLS_RSA_WITH_AES_256_CBC_SHA', 'sha1', 'AES256-SHA:@SECLEVEL=0'],
    ['TLSv1', '1.0', 'TLS_RSA_WITH_AES_128_CBC_SHA', 'sha1', 'AES128-SHA:@SECLEVEL=0'],
  ] as const)('of %s ends in facts, data and equal keys (%s, %s)', async (...row) => {
    const [protocol, version, cipherSuite, hash, ciphers] = row;
    const client = openClient({
      minVersion: protocol,
      maxVersion: protocol,
      ...(ciphers === undefined ? {} : { ciphers }),
    });
    const progress = await shakeHands(client);
    expect(client.error()).toBeUndefined();
    expect(client.isConnected()).toBe(true);
    if (progress.kind !== 'open') throw new Error(progress.kind);
    expect(progress.facts).toMatchObject({ version, cipherSuite, hash });
    expect(progress.facts.clientRandom).toMatch(/^[\da-f]{64}$/);
    expect(progress.facts.serverRandom).not.toBe(progress.facts.clientRandom);

    for (const context of [undefined, Buffer.alloc(0), Buffer.from([13])]) {
      const ours = await engine.exportKey(
        progress.connection,
        'client EAP encryption',
        64,
        context,
      );
      const theirs = client.socket.exportKeyingMaterial(
        64,
        'client EAP encryption',
        context as Buffer,
      );
      expect(ours).toEqual(theirs);
    }

    client.socket.write('hello');
    const said = await engine.receive(progress.connection, await client.said(), moment());
    if (said.kind !== 'open') throw new Error(said.kind);
    expect(said.data.toString()).toBe('hello');
    const { output } = await engine.send(said.connection, Buffer.from('good day'));
    client.hear(output);
    await client.said();
    expect(Buffer.concat(client.heard).toString()).toBe('good day');
  });

  test('may arrive in pieces, and is answered after the last', async () => {
    const client = openClient();
    let early = 0;
    const progress = await shakeHands(client, {}, async (connection, bytes) => {
      let received = await engine.receive(connection, bytes.subarray(0, 100), moment());
      for (let at = 100; at < bytes.length; at += 100) {
        early += received.kind === 'handshaking' ? received.output.length : 1;
        const piece = bytes.subarray(at, at + 100);
        received = await engine.receive(received.connection, piece, moment());
      }
      return received;
    });
    expect(progress.kind).toBe('open');
    expect(early).toBe(0);
  });

  test('with a client that supports another group only is retried, and its random is the second one', async () => {
    const client = openClient({ ecdhCurve: 'X25519MLKEM768:P-256', minVersion: 'TLSv1.3' });
    const progress = await shakeHands(client);
    if (progress.kind !== 'open') throw new Error(progress.kind);
    expect(progress.facts.serverRandom).not.toMatch(/^cf21ad74/);
  });

  test('is refused below the lowest version, with an alert in the clear', async () => {
    engine[Symbol.dispose]();
    open({ minVersion: '1.2' });
    const client = openClient({
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'ALL:@SECLEVEL=0',
    });
    const progress = await shakeHands(client);
    expect(progress).toMatchObject({ kind: 'failed', from: 'us', alert: 'protocol_version' });
    expect('output' in progress && progress.output).toHaveLength(7);
    expect(client.error()).toMatchObject({ code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION' });
  });

  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'ends with the alert that the client has sent (%s)',
    async (version) => {
      const client = openClient({ minVersion: version, maxVersion: version });
      const first = await engine.receive(engine.accept(TERMS), await client.said(), moment());
      const unknownAuthority = Buffer.from('15030300020230', 'hex');
      const progress = await engine.receive(first.connection, unknownAuthority, moment());
      expect(progress).toMatchObject({ kind: 'failed', from: 'client', alert: 'unknown_ca' });
    },
  );

  test('with garbage fails', async () => {
    const connection = engine.accept(TERMS);
    const progress = await engine.receive(
      connection,
      Buffer.from('GET / HTTP/1.0\r\n\r\n'),
      moment(),
    );
    expect(progress).toMatchObject({ kind: 'failed', from: 'us' });
  });

  test('is never resumed: no ticket opens a connection', async () => {
    const session = { latest: undefined as Buffer | undefined };
    const first = openClient({ maxVersion: 'TLSv1.2' });
    first.socket.on('session', (given: Buffer) => (session.latest = given));
    await shakeHands(first);
    const second = openClient({
      maxVersion: 'TLSv1.2',
      ...(session.latest === undefined ? {} : { session: session.latest }),
    });
    const progress = await shakeHands(second);
    expect(progress.kind).toBe('open');
    expect(second.socket.isSessionReused()).toBe(false);
    if (progress.kind !== 'open') throw new Error(progress.kind);
    const ticket = { identity: 'alice', policy: 'p' };
    expect(await engine.issueTicket(progress.connection, ticket, moment())).toEqual({
      connection: progress.connection,
      output: Buffer.alloc(0),
    });
  });
});

describe('a client certificate', () => {
  test.each(['TLSv1', 'TLSv1.2', 'TLSv1.3'] as const)(
    'that is valid says who its holder is (%s)',
    async (version) => {
      const client = openClient({
        ...withCertificate(good),
        minVersion: version,
        maxVersion: version,
        ciphers: 'ALL:@SECLEVEL=0',
      });
      const progress = await shakeHands(client, { clientCertificate: 'required' });
      if (progress.kind !== 'open') throw new Error(JSON.stringify(progress));
      expect(progress.facts.clientCertificate).toMatchObject({
        commonName: 'alice',
        emails: ['alice@example.org'],
        dnsNames: ['laptop.example.org'],
      });
    },
  );

  test.each([
    ['expired', 'TLSv1.2', 'certificate_expired'],
    ['expired', 'TLSv1.3', 'certificate_expired'],
    ['expired', 'TLSv1', 'certificate_expired'],
    ['rogue', 'TLSv1.2', 'unknown_ca'],
    ['rogue', 'TLSv1.3', 'unknown_ca'],
    ['revoked', 'TLSv1.2', 'certificate_revoked'],
    ['revoked', 'TLSv1.3', 'certificate_revoked'],
    ['for servers', 'TLSv1.2', 'unsupported_certificate'],
    ['missing', 'TLSv1.2', 'handshake_failure'],
    ['missing', 'TLSv1.3', 'certificate_required'],
  ] as const)('that is %s is refused (%s)', async (which, version, alert) => {
    settings = settingsWith('required');
    const bad = { commonName: 'alice', usage: 'client' } as const;
    const shown = {
      expired: () => authority.issue({ ...bad, isExpired: true }),
      rogue: () => rogue.issue(bad),
      revoked: () => revoked,
      'for servers': () => server,
      missing: () => undefined,
    }[which]();
    const client = openClient({
      ...(shown === undefined ? {} : withCertificate(shown)),
      minVersion: version,
      maxVersion: version,
      ...(version === 'TLSv1' ? { ciphers: 'ALL:@SECLEVEL=0' } : {}),
    });
    const progress = await shakeHands(client, { clientCertificate: 'required' });
    expect(progress).toMatchObject({ kind: 'failed', from: 'us', alert });
    // TLS 1.3 has let it in already. Before that it sees the alert, and never our Finished.
    const isTold = String(Reflect.get(client.error() ?? {}, 'code')).includes('ALERT');
    const expected = version === 'TLSv1.3' ? [true, false, true] : [false, true, true];
    expect([client.isConnected(), isTold, client.socket.readyState !== 'open']).toEqual(expected);
  });

  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'below an authority that the client sends along is valid (%s)',
    async (version) => {
      const terms = { serial: Buffer.alloc(16, 1), notBeforeMs: 0, notAfterMs: 2 ** 42 };
      const root = createAuthority({ ...terms, commonName: 'root', pathLength: 1 });
      const issuer = authorityOf(root);
      const middle = createAuthority({ ...terms, commonName: 'middle', issuer });
      const leaf = issueCertificate({
        ...terms,
        authority: authorityOf(middle),
        usage: 'client',
        commonName: 'bob',
      });
      const trust = { anchors: [root.certificate], intermediates: [], crls: [] };
      settings = { ...settings, clientTrust: { ...trust, revocation: 'none' } };
      const client = openClient({
        cert: leaf.certificatePem + middle.certificatePem,
        key: leaf.privateKeyPem,
        minVersion: version,
        maxVersion: version,
      });
      const progress = await shakeHands(client, { clientCertificate: 'required' });
      if (progress.kind !== 'open') throw new Error(JSON.stringify(progress));
      expect(progress.facts.clientCertificate?.commonName).toBe('bob');
    },
  );

  test('that is optional may be missing, but not bad', async () => {
    const terms = { purpose: 'teap', clientCertificate: 'optional' } as const;
    const without = await shakeHands(openClient(), terms);
    expect(without).toMatchObject({ kind: 'open' });
    const bad = rogue.issue({ commonName: 'alice', usage: 'client' });
    const rogueClient = await shakeHands(openClient(withCertificate(bad)), terms);
    expect(rogueClient).toMatchObject({ kind: 'failed', alert: 'unknown_ca' });
  });
});

describe('a connection', () => {
  test('that another process has is lost', async () => {
    const unknown = { engine: 'native', id: 'ff'.repeat(16), step: 1 };
    const progress = await engine.receive(unknown, Buffer.alloc(1), moment());
    expect(progress).toMatchObject({ kind: 'failed', from: 'us', alert: 'internal_error' });
    await expect(engine.send(unknown, Buffer.alloc(1))).rejects.toThrow('does not have');
    expect(() => engine.exportKey(unknown, 'label', 8)).toThrow('does not have');
  });

  test('that was silent for a minute is forgotten, one that was not stays', async () => {
    const silent = openClient();
    const first = await engine.receive(engine.accept(TERMS), await silent.said(), moment());
    clock.skip(50_000);
    const busy = openClient();
    const second = await engine.receive(engine.accept(TERMS), await busy.said(), moment());
    clock.skip(20_000);
    if (first.kind !== 'handshaking' || second.kind !== 'handshaking') throw new Error('no');
    silent.hear(first.output);
    busy.hear(second.output);
    const lost = await engine.receive(first.connection, await silent.said(), moment());
    expect(lost).toMatchObject({ kind: 'failed', alert: 'internal_error' });
    const found = await engine.receive(second.connection, await busy.said(), moment());
    expect(found.kind).toBe('open');
  });

  test('of many the longest silent goes first', async () => {
    engine[Symbol.dispose]();
    open({ maxHandles: 2 });
    const clients = [openClient(), openClient(), openClient()];
    const progresses: TlsProgress[] = [];
    for (const client of clients) {
      progresses.push(await engine.receive(engine.accept(TERMS), await client.said(), moment()));
    }
    const outcomes: string[] = [];
    for (const [i, progress] of progresses.entries()) {
      const client = clients[i];
      if (progress.kind !== 'handshaking' || client === undefined) throw new Error('no');
      client.hear(progress.output);
      const next = await engine.receive(progress.connection, await client.said(), moment());
      outcomes.push(next.kind);
    }
    expect(outcomes).toEqual(['failed', 'open', 'open']);
  });

  test('that gets the same bytes twice gives the same answer twice, and goes on', async () => {
    const client = openClient({ maxVersion: 'TLSv1.2' });
    const seconds: TlsProgress[] = [];
    const progress = await shakeHands(client, {}, async (connection, bytes) => {
      const first = await engine.receive(connection, bytes, moment());
      if ('id' in connection) {
        seconds.push(first, await engine.receive(connection, bytes, moment()));
        seconds.push(await engine.receive(connection, Buffer.from('other'), moment()));
      }
      return first;
    });
    const [first, again, other] = seconds;
    expect(again).toEqual(first);
    expect(other).toMatchObject({ kind: 'failed', alert: 'internal_error' });
    if (progress.kind !== 'open') throw new Error(progress.kind);
    const once = await engine.send(progress.connection, Buffer.from('hello'));
    expect(await engine.send(progress.connection, Buffer.from('hello'))).toEqual(once);
    client.hear(once.output);
    await client.said();
    expect(Buffer.concat(client.heard).toString()).toBe('hello');
  });

  test('in its handshake ends with the alert in the clear', async () => {
    const client = openClient({ maxVersion: 'TLSv1.2' });
    const first = await engine.receive(engine.accept(TERMS), await client.said(), moment());
    const { output } = await engine.abort(first.connection, 'access_denied');
    client.hear(output);
    await client.said();
    expect(client.error()).toMatchObject({ code: 'ERR_SSL_TLSV1_ALERT_ACCESS_DENIED' });
  });

  test('that is open can only be closed', async () => {
    const client = openClient();
    const progress = await shakeHands(client);
    const { output } = await engine.abort(progress.connection, 'access_denied');
    client.hear(output);
    await client.said();
    expect(output.length).toBeGreaterThan(0);
    expect(client.socket.readyState).not.toBe('open');
  });

  test('that the client closes is over', async () => {
    const client = openClient();
    const progress = await shakeHands(client);
    client.socket.end();
    const closed = await engine.receive(progress.connection, await client.said(), moment());
    expect(closed).toMatchObject({ kind: 'failed', from: 'client', alert: 'close_notify' });
  });
});
