// What only TLS 1.3 has: tickets and what they may not do, early data, keys of several epochs. In memory,
// with Node's own client where a ticket is needed and a client that can misbehave elsewhere. RFC 8446.

import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { Duplex } from 'node:stream';
import { type ConnectionOptions, connect } from 'node:tls';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type {
  Ticket,
  TlsConnection,
  TlsMoment,
  TlsProgress,
  TlsTerms,
} from '../../src/protocols/tls/engine.ts';
import { parseClientHello } from '../../src/protocols/tls/client-hello.ts';
import { extensionTypes, messageTypes } from '../../src/protocols/tls/handshake.ts';
import { createPortableEngine } from '../../src/protocols/tls/server.ts';
import type { TlsSettings } from '../../src/protocols/tls/settings.ts';
import { createTicketBox } from '../../src/protocols/tls/ticket-box.ts';
import { type Issued, createAuthority, issueCertificate } from '../../src/protocols/x509/create.ts';
import { pathReferencesOf } from '../../src/protocols/x509/path-references.ts';
import type { ClientTrust } from '../../src/protocols/x509/trust.ts';
import {
  type ClientOptions,
  alertPart,
  createTestClient,
  dataPart,
  message,
} from './tls-test-client.ts';
import { identityOf, stored } from './tls-test-server.ts';

const NOW_MS = Date.now();
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const dates = { notBeforeMs: NOW_MS - DAY_MS, notAfterMs: NOW_MS + DAY_MS };
const root = createAuthority({ ...dates, commonName: 'Root', serial: randomBytes(16) });
const authority = { certificate: root.certificate, privateKey: keyOf(root) };
const issue = (commonName: string, usage: 'client' | 'server') =>
  issueCertificate({ ...dates, authority, commonName, usage, serial: randomBytes(16) });
const server = issue('radius.example', 'server');
const alice = issue('alice', 'client');

function keyOf({ certificatePem, privateKeyPem }: Issued) {
  return identityOf({ certificate: certificatePem, key: privateKeyPem }).privateKey;
}

const trust: ClientTrust = {
  anchors: [root.certificate],
  intermediates: [],
  crls: [],
  revocation: 'none',
};
const settings: TlsSettings = {
  identities: [identityOf({ certificate: server.certificatePem, key: server.privateKeyPem })],
  clientTrust: trust,
  minVersion: '1.3',
  maxVersion: '1.3',
  tickets: createTicketBox(randomBytes(32), DAY_MS),
  ticketLifetimeMs: HOUR_MS,
};
const peap: TlsTerms = { purpose: 'peap', clientCertificate: 'none' };
const eapTls: TlsTerms = { purpose: 'eap-tls', clientCertificate: 'required' };
const ticket: Ticket = { identity: 'alice@example', policy: 'the plan' };

const engineWith = (changes: Partial<TlsSettings> = {}) =>
  createPortableEngine(() => ({ ...settings, ...changes }));

const moment = (nowMs = NOW_MS): TlsMoment => ({ nowMs, random: randomBytes(32) });

function expectKind<K extends TlsProgress['kind']>(
  progress: TlsProgress,
  kind: K,
): Extract<TlsProgress, { kind: K }> {
  const { connection: _, ...rest } = progress;
  expect(rest).toMatchObject({ kind });
  return progress as Extract<TlsProgress, { kind: K }>;
}

describe('tickets', () => {
  /** What Node's client says first. */
  function helloOf(options: ConnectionOptions): Promise<Buffer> {
    return new Promise((resolve) => {
      const pipe = new Duplex({ read: () => undefined, write: (chunk: Buffer) => resolve(chunk) });
      const client = connect({ socket: pipe, rejectUnauthorized: false, ...options });
      client.on('error', () => undefined);
    });
  }

  /** Logs in with Node's client and gives what it would resume with. */
  async function login(
    terms: TlsTerms,
    earned: Ticket,
    options: ConnectionOptions = {},
    engine = engineWith(),
  ) {
    let connection = engine.accept(terms);
    let facts: unknown;
    async function hear(chunk: Buffer): Promise<Buffer> {
      let progress = await engine.receive(stored(connection), chunk, moment());
      if (progress.kind === 'offers-ticket') {
        const decision = { kind: 'ticket', mayResume: true } as const;
        progress = await engine.decide(stored(progress.connection), decision, moment());
      }
      connection = progress.connection;
      if (progress.kind !== 'open' || facts !== undefined)
        return 'output' in progress ? progress.output : Buffer.alloc(0);
      facts = progress.facts;
      const issued = await engine.issueTicket(stored(connection), earned, moment());
      connection = issued.connection;
      return Buffer.concat([progress.output, issued.output]);
    }
    async function answer(chunk: Buffer, done: (error?: Error) => void): Promise<void> {
      const output = await hear(chunk);
      if (output.length > 0) pipe.push(output);
      done();
    }
    const pipe: Duplex = new Duplex({
      read: () => undefined,
      write(chunk: Buffer, _encoding, done) {
        void answer(chunk, done);
      },
    });
    const client = connect({ socket: pipe, rejectUnauthorized: false, ...options });
    const session = await new Promise<Buffer>((resolve, reject) => {
      client.once('error', reject);
      client.once('session', resolve);
    });
    const isReused = client.isSessionReused();
    client.destroy();
    return { session, facts, isReused, connection };
  }

  async function offer(
    hello: Buffer,
    terms: TlsTerms = peap,
    engine = engineWith(),
    nowMs = NOW_MS,
  ): Promise<TlsProgress> {
    return engine.receive(engine.accept(terms), hello, moment(nowMs));
  }

  test('say what the login earned, and leave the decision to the caller', async () => {
    const { session } = await login(peap, ticket);
    const offered = expectKind(await offer(await helloOf({ session })), 'offers-ticket');
    expect(offered.ticket).toEqual(ticket);

    // Another engine, another process: all they share is the box.
    const other = engineWith();
    const waiting = stored(offered.connection);
    const decide = async (mayResume: boolean) =>
      expectKind(
        await other.decide(waiting, { kind: 'ticket', mayResume }, moment()),
        'handshaking',
      ).output.length;
    expect(await decide(true)).toBeLessThan(300);
    expect(await decide(false)).toBeGreaterThan(500); // with our certificate
  });

  test('are decided on alike in the process that opened them and in another', async () => {
    const { session } = await login(peap, ticket);
    const offered = expectKind(await offer(await helloOf({ session })), 'offers-ticket');
    const decision = { kind: 'ticket', mayResume: true } as const;
    const once = moment();
    const here = await engineWith().decide(offered.connection, decision, once);
    const there = await engineWith().decide(stored(offered.connection), decision, once);
    expect(here).toEqual(there);
  });

  test('resume, and the facts have the ticket', async () => {
    const { session } = await login(peap, ticket);
    const again = await login(peap, ticket, { session });
    expect(again.isReused).toBe(true);
    expect(again.facts).toMatchObject({ version: '1.3', resumed: ticket });
    const third = await login(peap, ticket, { session: again.session });
    expect(third.isReused).toBe(true);
  });

  test('that follow each other end when the first one would', async () => {
    const { session } = await login(peap, ticket);
    const engine = engineWith();
    const late = NOW_MS + HOUR_MS - 5_000;
    const offered = expectKind(
      await offer(await helloOf({ session }), peap, engine, late),
      'offers-ticket',
    );
    expect(offered.ticket).toEqual(ticket);
    const over = await offer(await helloOf({ session }), peap, engine, NOW_MS + HOUR_MS);
    expectKind(over, 'handshaking');

    const second = await login(peap, ticket, { session });
    const afterEnd = await offer(
      await helloOf({ session: second.session }),
      peap,
      engine,
      NOW_MS + HOUR_MS + 1,
    );
    expectKind(afterEnd, 'handshaking');
  });

  test.each<[string, TlsTerms, Partial<TlsSettings>]>([
    ['of another purpose', { purpose: 'ttls', clientCertificate: 'none' }, {}],
    ['without a certificate where one is required', { ...peap, clientCertificate: 'required' }, {}],
    ['of another cluster', peap, { tickets: createTicketBox(randomBytes(32), DAY_MS) }],
  ])('%s are passed over', async (_name, terms, changes) => {
    const { session } = await login(peap, ticket);
    const progress = await offer(await helloOf({ session }), terms, engineWith(changes));
    expect(progress.kind).toBe('handshaking');
  });

  test('are neither issued nor looked at where nothing is resumed', async () => {
    const { session, connection } = await login(peap, ticket);
    const { tickets: _, ...others } = settings;
    const engine = createPortableEngine(() => others);
    const { output, session: remembered } = await engine.issueTicket(connection, ticket, moment());
    expect({ output, remembered }).toEqual({ output: Buffer.alloc(0), remembered: undefined });
    expectKind(await offer(await helloOf({ session }), peap, engine), 'handshaking');
  });

  test('of a client certificate end with it', async () => {
    const { fingerprint } = alice.certificate;
    const earned = { ...ticket, certificate: fingerprint };
    const options = { cert: alice.certificatePem, key: alice.privateKeyPem };
    const { session, facts } = await login(eapTls, earned, options);
    expect(facts).toMatchObject({ clientCertificate: { commonName: 'alice' } });
    const hello = await helloOf({ session });
    expectKind(await offer(hello, eapTls), 'offers-ticket');

    const [reference] = pathReferencesOf([alice.certificate]);
    expect(reference).toBeDefined();
    const stranger = createAuthority({ ...dates, commonName: 'Other', serial: randomBytes(16) });
    const untrusting = engineWith({ clientTrust: { ...trust, anchors: [stranger.certificate] } });
    expectKind(await offer(hello, eapTls, untrusting), 'handshaking');
    const strict = engineWith({ clientTrust: { ...trust, revocation: 'required' } }); // no list at hand
    expectKind(await offer(hello, eapTls, strict), 'handshaking');

    const again = await login(eapTls, earned, { session });
    expect(again.facts).toMatchObject({ resumed: earned });
    expect(again.facts).not.toHaveProperty('clientCertificate');
    // The path goes with every ticket that follows.
    const next = await helloOf({ session: again.session });
    expectKind(await offer(next, eapTls), 'offers-ticket');
    expectKind(await offer(next, eapTls, untrusting), 'handshaking');
  });

  test('whose binder is wrong end the connection', async () => {
    const { session } = await login(peap, ticket);
    const hello = await helloOf({ session });
    for (const bit of [0, 7, 100, 255]) {
      const forged = Buffer.from(hello);
      const place = forged.length - 32 + Math.floor(bit / 8);
      forged[place] = (forged[place] ?? 0) ^ (1 << (bit % 8));
      const progress = expectKind(await offer(forged), 'failed');
      expect(progress).toMatchObject({ alert: 'decrypt_error', from: 'us' });
    }
    // The binder also vouches for all that comes before it, such as the random of the client.
    const changed = Buffer.from(hello);
    changed[20] = (changed[20] ?? 0) ^ 1;
    expect(expectKind(await offer(changed), 'failed').alert).toBe('decrypt_error');
  });

  test('that anybody has touched are passed over', async () => {
    const { session } = await login(peap, ticket);
    const hello = await helloOf({ session });
    const [offered] = parseClientHello(hello.subarray(9)).preSharedKeys?.identities ?? [];
    const sealed = offered?.identity ?? Buffer.alloc(0);
    const start = hello.indexOf(sealed);
    for (let place = start; place < start + sealed.length; place += 7) {
      const touched = Buffer.from(hello);
      touched[place] = (touched[place] ?? 0) ^ 0x10;
      expect((await offer(touched)).kind).toBe('handshaking');
    }
  });
});

/** The server has answered, and waits for the client's Finished. */
async function atAnswer(options: Partial<ClientOptions> = {}, terms = peap, engine = engineWith()) {
  const client = createTestClient({ version: '1.3', ...options });
  const hello = client.encode(client.hello());
  const progress = expectKind(
    await engine.receive(engine.accept(terms), hello, moment()),
    'handshaking',
  );
  client.receive(progress.output);
  return { client, engine, connection: stored(progress.connection) };
}

async function whenOpen(options: Partial<ClientOptions> = {}, engine = engineWith()) {
  const { client, connection } = await atAnswer(options, peap, engine);
  const bytes = client.encode(client.answer());
  const progress = expectKind(await engine.receive(connection, bytes, moment()), 'open');
  client.receive(progress.output);
  return { client, engine, connection: stored(progress.connection) };
}

describe('early data', () => {
  const offersEarlyData: Partial<ClientOptions> = {
    extensions: (extensions) => extensions.set(extensionTypes.earlyData, Buffer.alloc(0)),
  };
  const record = (bytes: number) =>
    Buffer.concat([Buffer.from([23, 3, 3, bytes >> 8, bytes & 0xff]), randomBytes(bytes)]);

  test('is skipped, and the handshake goes on', async () => {
    const { client, engine, connection } = await atAnswer(offersEarlyData);
    const early = Buffer.concat([record(100), record(16_000), record(17)]);
    const bytes = Buffer.concat([early, client.encode(client.answer())]);
    expect((await engine.receive(connection, bytes, moment())).kind).toBe('open');
  });

  test('is skipped in the same packet as the ClientHello, and after a HelloRetryRequest', async () => {
    const client = createTestClient({ version: '1.3', withoutKeyShare: true, ...offersEarlyData });
    const engine = engineWith();
    const bytes = Buffer.concat([client.encode(client.hello()), record(300)]);
    const retry = expectKind(
      await engine.receive(engine.accept(peap), bytes, moment()),
      'handshaking',
    );
    const progress = await engine.receive(retry.connection, record(300), moment());
    expect(expectKind(progress, 'handshaking').output).toHaveLength(0);
  });

  test('is refused where it was not announced, or is too much', async () => {
    const silent = await atAnswer();
    const unannounced = await silent.engine.receive(silent.connection, record(100), moment());
    expect(expectKind(unannounced, 'failed').alert).toBe('bad_record_mac');
    const { engine, connection } = await atAnswer(offersEarlyData);
    const flood = Buffer.concat(Array.from({ length: 5 }, () => record(16_000)));
    const progress = await engine.receive(connection, flood, moment());
    expect(expectKind(progress, 'failed').alert).toBe('unexpected_message');
  });

  test('cannot come once the client has used its keys', async () => {
    const { client, engine, connection } = await atAnswer(offersEarlyData);
    const bytes = Buffer.concat([client.encode(client.answer()), record(100)]);
    const progress = await engine.receive(connection, bytes, moment());
    expect(expectKind(progress, 'failed').alert).toBe('bad_record_mac');
  });
});

describe('alerts', () => {
  test('of a client that has no keys yet come in the open', async () => {
    const { client, engine, connection } = await atAnswer();
    const plain = createTestClient({ version: '1.3' }).encode([alertPart(2, 48)]);
    const progress = expectKind(await engine.receive(connection, plain, moment()), 'failed');
    expect(progress).toMatchObject({ alert: 'unknown_ca', from: 'client' });
    expect(progress.output).toHaveLength(0);
    expect(client.received.alerts).toEqual([]);
  });

  test('in the open mean nothing once the client has used its keys', async () => {
    const { engine, connection } = await whenOpen();
    const plain = createTestClient({ version: '1.3' }).encode([alertPart(2, 48)]);
    const progress = expectKind(await engine.receive(connection, plain, moment()), 'failed');
    expect(progress).toMatchObject({ alert: 'unexpected_message', from: 'us' });
  });

  test('of ours after our Finished are under the keys of application data', async () => {
    const { client, engine, connection } = await atAnswer();
    const aborted = await engine.abort(connection, 'access_denied');
    client.receive(aborted.output); // it has switched to those keys when it read our Finished
    expect(client.received.alerts).toEqual([{ level: 2, name: 'access_denied' }]);
    expect(JSON.stringify(aborted.connection)).not.toContain('"key"');
    expect((await engine.abort(aborted.connection, 'access_denied')).output).toHaveLength(0);
  });

  test('what a client says before its goodbye does not count: nobody is there for an answer', async () => {
    const { client, engine, connection } = await whenOpen();
    const bytes = client.encode([dataPart(Buffer.from('bye')), alertPart(1, 0)]);
    const progress = expectKind(await engine.receive(connection, bytes, moment()), 'failed');
    expect(progress).toMatchObject({ from: 'client', alert: 'close_notify' });
    expectKind(await engine.receive(progress.connection, bytes, moment()), 'failed');
  });
});

describe('keys', () => {
  test('that change must change between two records, and ask a sensible question', async () => {
    for (const [body, alert] of [
      [Buffer.from([2]), 'illegal_parameter'],
      [Buffer.from([0, 0]), 'decode_error'],
    ] as const) {
      const { client, engine, connection } = await whenOpen();
      const bytes = client.encode([message(messageTypes.keyUpdate, body)]);
      const progress = await engine.receive(connection, bytes, moment());
      expect(expectKind(progress, 'failed').alert).toBe(alert);
    }
    const { client, engine, connection } = await whenOpen();
    const update = message(messageTypes.keyUpdate, Buffer.from([0])).content;
    const two = { kind: 'content', type: 22, content: Buffer.concat([update, update]) } as const;
    const progress = await engine.receive(connection, client.encode([two]), moment());
    expect(expectKind(progress, 'failed').alert).toBe('unexpected_message');
  });

  test('never meet the same nonce twice in one connection', async () => {
    const seen: string[] = [];
    const engine = createPortableEngine(() => settings, {
      observe: ({ key, sequence }) => seen.push(`${key.toString('hex')} ${sequence}`),
    });
    let { connection } = await whenOpen({}, engine);
    for (let round = 0; round < 3; round += 1) {
      connection = (await engine.send(connection, randomBytes(40_000))).connection;
      connection = (await engine.issueTicket(connection, ticket, moment())).connection;
    }
    await engine.abort(connection, 'close_notify');
    expect(seen).toHaveLength(1 + 3 * 4 + 1);
    expect(new Set(seen).size).toBe(seen.length);
  });

  test('protect the same ticket when a round is worked out again', async () => {
    const { engine, connection } = await whenOpen();
    const again = moment();
    const one = await engine.issueTicket(connection, ticket, again);
    const two = await engineWith().issueTicket(connection, ticket, again);
    expect(one.output.length).toBeGreaterThan(100);
    expect(two).toEqual(one);
  });

  test('are gone when the connection waits for a certificate, but for those still needed', async () => {
    const anonymous = await atAnswer();
    const asked = await atAnswer({}, eapTls);
    const { transcript: none } = anonymous.connection;
    expect(none).toBeUndefined();
    expect(asked.connection['transcript']).toBeDefined();
    expect(JSON.stringify(anonymous.connection).length).toBeLessThan(1_300);
    expect(JSON.stringify(asked.connection).length).toBeLessThan(4_000);
  });

  test('what is exported is what the client exports', async () => {
    const { client, engine, connection } = await whenOpen();
    const context = Buffer.from([13]);
    const label = 'EXPORTER_EAP_TLS_Key_Material';
    expect(await engine.exportKey(connection, label, 128, context)).toEqual(
      client.exportKey(label, 128, context),
    );
    expect(await engine.exportKey(connection, label, 64)).toEqual(
      await engine.exportKey(connection, label, 64, Buffer.alloc(0)),
    );
  });
});

test('however the bytes of a client are cut, the server says and finds the same', async () => {
  // Ed25519 signs without chance, so that the same input gives the same output to the last bit.
  const { privateKey } = generateKeyPairSync('ed25519');
  const identities = [{ chain: [randomBytes(400)], privateKey }];
  const engine = engineWith({ identities });
  const fixed = { nowMs: NOW_MS, random: createHash('sha256').update('chance').digest() };

  async function feed(connection: TlsConnection, pieces: readonly Buffer[]) {
    let last: TlsProgress | undefined;
    const outputs: Buffer[] = [];
    for (const piece of pieces) {
      last = await engine.receive(stored(last?.connection ?? connection), piece, fixed);
      if ('output' in last) outputs.push(last.output);
    }
    if (!last) throw new Error('there were no pieces');
    return { progress: last, output: Buffer.concat(outputs), connection: stored(last.connection) };
  }

  const certificate = { chain: [alice.certificate.der], privateKey: keyOf(alice) };
  const client = createTestClient({ version: '1.3', certificate });
  const hello = client.encode(client.hello());
  const start = engine.accept(eapTls);
  const answered = await feed(start, [hello]);
  client.receive(answered.output);
  const answer = client.encode([...client.answer(), dataPart(Buffer.from('inner'))], {
    recordBytes: 200,
  });
  const finished = await feed(answered.connection, [answer]);
  expectKind(finished.progress, 'open');

  const cuts = (bytes: Buffer) =>
    fc
      .uniqueArray(fc.integer({ min: 1, max: bytes.length - 1 }), { maxLength: 12 })
      .map((places) => {
        const sorted = [0, ...places.toSorted((one, other) => one - other), bytes.length];
        return sorted.slice(1).map((end, index) => bytes.subarray(sorted[index], end));
      });
  await fc.assert(
    fc.asyncProperty(cuts(hello), cuts(answer), async (helloPieces, answerPieces) => {
      const first = await feed(start, helloPieces);
      expect(first).toEqual(answered);
      const { progress, ...second } = await feed(first.connection, answerPieces);
      expect(second.output).toEqual(finished.output);
      expect(facts(progress)).toEqual(facts(finished.progress));
      const { incoming: _, ...rest } = second.connection;
      const { incoming: _whole, ...whole } = finished.connection;
      expect(rest).toEqual(whole);
    }),
    { numRuns: 60 },
  );
});

function facts(progress: TlsProgress): unknown {
  return progress.kind === 'open' ? progress.facts : progress.kind;
}
