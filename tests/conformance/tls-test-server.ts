// The portable TLS server as a test meets it: with certificates, a store of sessions, and the decisions
// that an EAP method makes. Every call goes through JSON, as it does between two nodes.

import { createPrivateKey, randomBytes, X509Certificate } from 'node:crypto';
import type {
  Ticket,
  TlsConnection,
  TlsEngine,
  TlsProgress,
  TlsTerms,
} from '../../src/protocols/tls/engine.ts';
import { createPortableEngine } from '../../src/protocols/tls/server.ts';
import type { ServerIdentity, TlsSettings } from '../../src/protocols/tls/settings.ts';
import { createTicketBox } from '../../src/protocols/tls/ticket-box.ts';
import { certificatesFromPem } from '../../src/protocols/x509/certificate.ts';
import type { Certificate } from '../../src/protocols/x509/certificate.ts';
import type { TestClient } from './tls-test-client.ts';

export type TestServer = {
  engine: TlsEngine;
  settings: TlsSettings;
  /** What was remembered, by id. */
  sessions: Map<string, Buffer>;
  /** Whether the caller lets a ticket be used. */
  mayResume: (ticket: Ticket) => boolean;
};

export const TEST_LIFETIME_MS = 3_600_000;

export function createTestServer(
  settings: Partial<TlsSettings>,
  { remembers = true } = {},
): TestServer {
  const all: TlsSettings = {
    identities: [],
    minVersion: '1.2',
    maxVersion: '1.3',
    ...(remembers && { tickets: createTicketBox(randomBytes(32), TEST_LIFETIME_MS) }),
    ticketLifetimeMs: TEST_LIFETIME_MS,
    ...settings,
  };
  const server: TestServer = {
    engine: createPortableEngine(() => server.settings),
    settings: all,
    sessions: new Map(),
    mayResume: () => true,
  };
  return server;
}

/** One call of `receive`, and what has to be decided because of it. */
export async function give(
  { engine, sessions, mayResume }: TestServer,
  connection: TlsConnection,
  bytes: Buffer,
  nowMs = Date.now(),
): Promise<TlsProgress> {
  const moment = () => ({ nowMs, random: randomBytes(32) });
  let progress = await engine.receive(stored(connection), bytes, moment());
  for (;;) {
    if (progress.kind === 'offers-session') {
      const session = sessions.get(progress.id) ?? null;
      const decision = { kind: 'session', session } as const;
      progress = await engine.decide(stored(progress.connection), decision, moment());
    } else if (progress.kind === 'offers-ticket') {
      const decision = { kind: 'ticket', mayResume: mayResume(progress.ticket) } as const;
      progress = await engine.decide(stored(progress.connection), decision, moment());
    } else return progress;
  }
}

/** An honest handshake to its end. */
export async function shakeHands(
  server: TestServer,
  client: TestClient,
  terms: TlsTerms,
): Promise<Extract<TlsProgress, { kind: 'open' | 'failed' }>> {
  let connection = server.engine.accept(terms);
  let flight = client.hello();
  for (let round = 0; round < 5; round += 1) {
    const progress = await give(server, connection, client.encode(flight));
    if (progress.kind === 'offers-session' || progress.kind === 'offers-ticket')
      throw new Error('undecided');
    client.receive(progress.output);
    if (progress.kind !== 'handshaking') return progress;
    connection = progress.connection;
    flight = client.answer();
  }
  throw new Error('the handshake does not end');
}

/** What another node would read from the store. */
export function stored(connection: TlsConnection): TlsConnection {
  return JSON.parse(JSON.stringify(connection)) as TlsConnection;
}

export function identityOf({
  certificate,
  key,
}: {
  certificate: string;
  key: string;
}): ServerIdentity {
  return {
    chain: [new X509Certificate(certificate).raw],
    privateKey: createPrivateKey(key),
  };
}

export function certificatesOf(pem: string): Certificate[] {
  const certificates = certificatesFromPem(pem);
  if (certificates === undefined) throw new Error('a certificate of this test cannot be read');
  return certificates;
}
