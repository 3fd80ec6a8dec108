// The other side of eap-tls-peer.ts: a conversation as services/radius/ holds one, with subscribers, a
// store of TLS sessions, and every state passed through JSON, as between two nodes.

import { createPrivateKey, randomBytes } from 'node:crypto';
import { continueConversation, startConversation } from '../../src/protocols/eap/conversation.ts';
import type {
  ConversationOutcome,
  ConversationState,
} from '../../src/protocols/eap/conversation.ts';
import type { EapMethod, Evidence } from '../../src/protocols/eap/method.ts';
import { eapIdentity } from '../../src/protocols/eap/peer.ts';
import type { TlsEngine } from '../../src/protocols/tls/engine.ts';
import { createPortableEngine } from '../../src/protocols/tls/server.ts';
import type { TlsSettings } from '../../src/protocols/tls/settings.ts';
import { createTicketBox } from '../../src/protocols/tls/ticket-box.ts';
import { authorityOf, createAuthority, issueCertificate } from '../../src/protocols/x509/create.ts';
import type { CertificateTerms, Issued } from '../../src/protocols/x509/create.ts';
import type { EapTlsPeer } from './eap-tls-peer.ts';

export type EapTlsServer = {
  engine: TlsEngine;
  settings: TlsSettings;
  subscribers: Map<string, { password: string; policy: string }>;
  sessions: Map<string, Buffer>;
};

export type Login = {
  /** One line for each packet and each question, in their order. */
  transcript: string[];
  /** What the server knew before each packet, and the packet. */
  rounds: Round[];
  outcome: ConversationOutcome;
};

export type Round = { state: ConversationState; eap: Buffer };

const HOUR_MS = 3_600_000;
/** When every conversation begins, unless told otherwise. */
export const nowMs = Date.now();

export function createTestAuthority() {
  const terms = () => ({
    serial: randomBytes(16),
    notBeforeMs: nowMs - HOUR_MS,
    notAfterMs: nowMs + 24 * HOUR_MS,
  });
  const root = createAuthority({ ...terms(), commonName: 'Test Root' });
  return {
    root,
    issue: (asked: Omit<CertificateTerms, 'authority' | keyof ReturnType<typeof terms>>): Issued =>
      issueCertificate({ ...terms(), ...asked, authority: authorityOf(root) }),
  };
}

export function createEapTlsServer(options: {
  root: Issued;
  server: Issued;
  version: '1.2' | '1.3';
}): EapTlsServer {
  const { root, server, version } = options;
  const settings: TlsSettings = {
    identities: [
      { chain: [server.certificate.der], privateKey: createPrivateKey(server.privateKeyPem) },
    ],
    clientTrust: {
      anchors: [root.certificate],
      intermediates: [],
      crls: [],
      revocation: 'none',
    },
    minVersion: version,
    maxVersion: version,
    tickets: createTicketBox(randomBytes(32), HOUR_MS),
    ticketLifetimeMs: HOUR_MS,
  };
  return {
    engine: createPortableEngine(() => settings),
    settings,
    subscribers: new Map([
      ['alice', { password: 'wonderland', policy: 'p1' }],
      ['alice@example.org', { password: '-', policy: 'p1' }],
    ]),
    sessions: new Map(),
  };
}

export async function login(
  server: EapTlsServer,
  method: EapMethod,
  peer: EapTlsPeer,
  { maxPacketBytes = 1400, startedAtMs = nowMs } = {},
): Promise<Login> {
  const transcript: string[] = [];
  const rounds: Round[] = [];
  const first = circumstances(method, maxPacketBytes, startedAtMs);
  let outcome = startConversation(eapIdentity('anonymous', 1), first);
  for (let packets = 0; packets < 200; packets++) {
    if (!('eap' in outcome)) throw new Error(`the conversation ends with ${outcome.kind}`);
    if (outcome.eap.length > maxPacketBytes) throw new Error('a packet that is too long');
    const eap = await peer.answer(outcome.eap);
    if (outcome.kind !== 'challenge' || eap === undefined) break;
    transcript.push('packet');
    rounds.push({ state: outcome.state, eap });
    outcome = await takeRound(
      server,
      method,
      { state: outcome.state, eap },
      { transcript, maxPacketBytes, startedAtMs },
    );
  }
  peer.close();
  if (outcome.kind === 'success' && outcome.session !== undefined) {
    server.sessions.set(outcome.session.id, outcome.session.value);
  }
  return { transcript, rounds, outcome };
}

/** One packet, with everything looked up that the method asks for. */
export async function takeRound(
  server: EapTlsServer,
  method: EapMethod,
  round: Round,
  {
    transcript = [] as string[],
    maxPacketBytes = 1400,
    startedAtMs = nowMs,
    random = randomBytes(32),
  } = {},
): Promise<ConversationOutcome> {
  const input = { ...circumstances(method, maxPacketBytes, startedAtMs), random };
  let state = stored(round.state);
  let evidence: Evidence = { kind: 'not-yet' };
  for (;;) {
    const outcome = await continueConversation(state, round.eap, { ...input, evidence });
    if ('eap' in outcome || outcome.kind === 'discard') return outcome;
    transcript.push(
      outcome.kind === 'needs-session' ? outcome.kind : `${outcome.kind} ${outcome.username}`,
    );
    evidence = evidenceOf(server, outcome);
    state = stored(outcome.state);
  }
}

function circumstances(method: EapMethod, maxPacketBytes: number, startedAtMs: number) {
  return {
    offered: [method],
    random: randomBytes(32),
    fresh: randomBytes(32),
    nowMs: startedAtMs,
    maxPacketBytes,
  };
}

function evidenceOf(
  { sessions, subscribers }: EapTlsServer,
  need: Exclude<ConversationOutcome, { eap: Buffer } | { kind: 'discard' }>,
): Evidence {
  if (need.kind === 'needs-session') {
    return { kind: 'session', session: sessions.get(need.id) ?? null };
  }
  const subscriber = subscribers.get(need.username);
  const policy = subscriber?.policy ?? '';
  if (need.kind === 'needs-subscriber') {
    return { kind: 'subscriber', isKnown: subscriber !== undefined, policy };
  }
  const password = subscriber === undefined ? null : Buffer.from(subscriber.password);
  if (need.given === undefined) return { kind: 'password', password, policy };
  return { kind: 'verdict', isRight: password?.equals(need.given) === true, policy };
}

function stored(state: ConversationState): ConversationState {
  return JSON.parse(JSON.stringify(state)) as ConversationState;
}
