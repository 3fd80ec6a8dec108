// When a TLS 1.2 session is taken up again, and when the client has to begin anew. A session that does not
// count is never an error: the client gets a full handshake, and what is wrong shows there.

import { readFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { afterAll, expect, test } from 'vitest';
import type { Ticket, TlsProgress, TlsTerms } from '../../src/protocols/tls/engine.ts';
import { extensionTypes, messageTypes } from '../../src/protocols/tls/handshake.ts';
import { createPortableEngine } from '../../src/protocols/tls/server.ts';
import { createTicketBox } from '../../src/protocols/tls/ticket-box.ts';
import type { ClientTrust } from '../../src/protocols/x509/path-validation.ts';
import { crlsFromPem } from '../../src/protocols/x509/revocation.ts';
import { createCertificateAuthority } from '../servers/certificate-authority.ts';
import {
  type ClientOptions,
  type TestClient,
  createTestClient,
  dataPart,
} from './tls-test-client.ts';
import {
  TEST_LIFETIME_MS,
  type TestServer,
  certificatesOf,
  createTestServer,
  give,
  identityOf,
  shakeHands,
} from './tls-test-server.ts';

const authority = createCertificateAuthority('Evergate Test Root');
afterAll(() => authority[Symbol.dispose]());
const issued = authority.issue({ commonName: 'alice', usage: 'client' });
const certificate = identityOf(issued);
const identities = [identityOf(authority.issue({ commonName: 'radius.example', usage: 'server' }))];
const clientTrust: ClientTrust = {
  anchors: certificatesOf(authority.certificate),
  intermediates: [],
  crls: [],
  revocation: 'when-present',
};
const terms: TlsTerms = { purpose: 'eap-tls', clientCertificate: 'required' };
const ticket: Ticket = { identity: 'alice', policy: 'plan' };
const NOW_MS = Date.now();
const moment = () => ({ nowMs: NOW_MS, random: randomBytes(32) });

/** A server, and a client that has logged in there once. */
async function afterLogin(
  options: Partial<ClientOptions> = {},
  ofTerms = terms,
): Promise<{ server: TestServer; first: TestClient }> {
  const server = createTestServer({ identities, clientTrust, maxVersion: '1.2' });
  const first = createTestClient({ version: '1.2', certificate, ...options });
  const { connection, kind } = await shakeHands(server, first, ofTerms);
  expect(kind).toBe('open');
  const { session, output } = await server.engine.issueTicket(connection, ticket, moment());
  if (session === undefined) throw new Error('there is no session');
  expect(output).toHaveLength(0);
  expect(session).toMatchObject({
    id: first.session().id.toString('hex'),
    lifetimeMs: TEST_LIFETIME_MS,
  });
  server.sessions.set(session.id, session.value);
  return { server, first };
}

async function login(
  server: TestServer,
  first: TestClient,
  options: Partial<ClientOptions> = {},
  ofTerms = terms,
) {
  const client = createTestClient({
    version: '1.2',
    certificate,
    session: first.session(),
    ...options,
  });
  return { client, progress: await shakeHands(server, client, ofTerms) };
}

test('a session is taken up with one round trip, and with keys of its own', async () => {
  const { server, first } = await afterLogin();
  const { client, progress } = await login(server, first);
  if (progress.kind !== 'open') throw new Error(progress.detail);
  expect(client.isResumed()).toBe(true);
  expect(client.received.messages).toEqual([messageTypes.serverHello, messageTypes.finished]);
  expect(progress.output).toHaveLength(0); // the client has the last word
  expect(progress.facts.resumed).toEqual(ticket);
  expect(progress.facts.clientCertificate).toBeUndefined();

  const label = 'client EAP encryption';
  const exported = await server.engine.exportKey(progress.connection, label, 128);
  expect(exported).toEqual(client.exportKey(label, 128));
  expect(exported).not.toEqual(first.exportKey(label, 128));

  const heard = await give(
    server,
    progress.connection,
    client.encode([dataPart(Buffer.from('inside'))]),
  );
  expect(heard).toMatchObject({ kind: 'open', data: Buffer.from('inside') });
  const said = await server.engine.send(heard.connection, Buffer.from('answer'));
  client.receive(said.output);
  expect(client.received.data.toString()).toBe('answer');
});

test('a session is good for more than once, but is not made to live longer', async () => {
  const { server, first } = await afterLogin();
  for (let count = 0; count < 3; count += 1) {
    const { client, progress } = await login(server, first);
    expect(client.isResumed()).toBe(true);
    const again = await server.engine.issueTicket(progress.connection, ticket, moment());
    expect(again).toMatchObject({ output: Buffer.alloc(0) });
    expect(again.session).toBeUndefined();
  }
});

test('another node with the same key takes the session up', async () => {
  const { server, first } = await afterLogin();
  const engine = createPortableEngine(() => server.settings);
  const { client } = await login({ ...server, engine }, first);
  expect(client.isResumed()).toBe(true);
});

test('the store does not learn the master secret', async () => {
  const { server, first } = await afterLogin();
  const { masterSecret } = first.session();
  for (const value of server.sessions.values()) {
    expect(value.includes(masterSecret)).toBe(false);
    expect(value.includes(masterSecret.toString('base64'))).toBe(false);
    expect(value.includes('alice')).toBe(false);
    expect(value.length).toBeLessThan(2048);
  }
});

test('a login that earned nothing cannot be resumed', async () => {
  const { server, first } = await afterLogin();
  server.sessions.clear();
  const { client, progress } = await login(server, first);
  expect(client.isResumed()).toBe(false);
  expect(progress.kind).toBe('open');
});

const full: [string, (setting: { server: TestServer; first: TestClient }) => void | TlsTerms][] = [
  ['of another purpose', () => ({ purpose: 'peap', clientCertificate: 'required' })],
  ['that the caller does not want', ({ server }) => void (server.mayResume = () => false)],
  [
    'under another id',
    ({ server }) => {
      const other = randomBytes(40);
      for (const id of server.sessions.keys()) server.sessions.set(id, other);
    },
  ],
  [
    'that is something else under the same key',
    ({ server }) => {
      for (const id of server.sessions.keys()) {
        const sealed = server.settings.tickets?.seal(Buffer.from('{"format":"other"}'), NOW_MS);
        server.sessions.set(id, sealed ?? Buffer.alloc(0));
      }
    },
  ],
  [
    'whose key is gone',
    ({ server }) => {
      const tickets = createTicketBox(randomBytes(32), TEST_LIFETIME_MS);
      server.settings = { ...server.settings, tickets };
    },
  ],
];

test.each(full)('a session %s leads to a full handshake', async (_name, change) => {
  const setting = await afterLogin();
  const ofTerms = change(setting) ?? terms;
  const { client, progress } = await login(setting.server, setting.first, {}, ofTerms);
  expect(client.isResumed()).toBe(false);
  if (progress.kind !== 'open') throw new Error(progress.detail);
  expect(progress.facts.resumed).toBeUndefined();
  expect(progress.facts.clientCertificate?.commonName).toBe('alice');
});

test('two sessions that the store has mixed up are both refused', async () => {
  const one = await afterLogin();
  const client = createTestClient({ version: '1.2', certificate });
  const { connection } = await shakeHands(one.server, client, terms);
  const { session } = await one.server.engine.issueTicket(connection, ticket, moment());
  const [firstId = ''] = one.server.sessions.keys();
  if (session === undefined) throw new Error('there is no session');
  one.server.sessions.set(firstId, session.value);
  expect((await login(one.server, one.first)).client.isResumed()).toBe(false);
});

test('a session ends at its time, whoever still remembers it', async () => {
  const { server, first } = await afterLogin();
  for (const [lateMs, isResumed] of [
    [-1, true],
    [0, false],
  ] as const) {
    const client = createTestClient({ version: '1.2', certificate, session: first.session() });
    const atMs = NOW_MS + TEST_LIFETIME_MS + lateMs;
    const accepted = server.engine.accept(terms);
    const progress = await give(server, accepted, client.encode(client.hello()), atMs);
    if (progress.kind !== 'handshaking') throw new Error(progress.kind);
    client.receive(progress.output);
    expect(client.isResumed()).toBe(isResumed);
  }
});

test('a session whose suite the client no longer offers leads to a full handshake', async () => {
  const { server, first } = await afterLogin();
  const suites = ['TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384'] as const;
  const { client, progress } = await login(server, first, { suites });
  expect(client.isResumed()).toBe(false);
  expect(progress).toMatchObject({ kind: 'open', facts: { cipherSuite: suites[0] } });
});

test('a session without a certificate does not do where one is required', async () => {
  const optional: TlsTerms = { purpose: 'eap-tls', clientCertificate: 'optional' };
  const { server, first } = await afterLogin(
    { certificate: { ...certificate, chain: [] } },
    optional,
  );
  expect((await login(server, first, {}, optional)).client.isResumed()).toBe(true);
  const { client, progress } = await login(server, first);
  expect(client.isResumed()).toBe(false);
  expect(progress).toMatchObject({ facts: { clientCertificate: { commonName: 'alice' } } });
});

test('a certificate that was revoked since the login is found out', async () => {
  const { server, first } = await afterLogin();
  authority.revoke(issued);
  const crls = crlsFromPem(readFileSync(authority.writeCrl(), 'utf8')).flatMap((parsed) =>
    parsed.kind === 'crl' ? [parsed.crl] : [],
  );
  expect(crls).toHaveLength(1);
  server.settings = { ...server.settings, clientTrust: { ...clientTrust, crls } };
  const { client, progress } = await login(server, first);
  expect(client.isResumed()).toBe(false);
  expect(progress).toMatchObject({ kind: 'failed', alert: 'certificate_revoked', from: 'us' });
});

test('an authority that is no longer trusted takes its sessions with it', async () => {
  const { server, first } = await afterLogin();
  server.settings = { ...server.settings, clientTrust: { ...clientTrust, anchors: [] } };
  const { client, progress } = await login(server, first);
  expect(client.isResumed()).toBe(false);
  expect(progress).toMatchObject({ kind: 'failed', alert: 'unknown_ca' });
});

test('a client that leaves out the extended master secret is refused, not resumed', async () => {
  const { server, first } = await afterLogin();
  const { progress } = await login(server, first, {
    extensions: (extensions) => extensions.delete(extensionTypes.extendedMasterSecret),
  });
  expect(progress).toMatchObject({ kind: 'failed', alert: 'handshake_failure' });
});

test('who knows the id but not the secret does not get in', async () => {
  const { server, first } = await afterLogin();
  const { id } = first.session();
  const thief = createTestClient({
    version: '1.2',
    session: { id, masterSecret: randomBytes(48) },
  });
  const accepted = server.engine.accept(terms);
  const progress = await give(server, accepted, thief.encode(thief.hello()));
  if (progress.kind !== 'handshaking') throw new Error(progress.kind);
  // It cannot read our Finished either.
  expect(() => thief.receive(progress.output)).toThrow('does not belong');
  const end: TlsProgress = await give(server, progress.connection, thief.encode(thief.answer()));
  expect(end).toMatchObject({ kind: 'failed', alert: 'bad_record_mac' });
});
