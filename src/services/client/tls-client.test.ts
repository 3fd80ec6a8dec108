// Devices over Node's TLS against our own server methods, without a network: both ends must come to the
// same keys, and a server that should not be trusted is not.

import { createPrivateKey, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { continueConversation, startConversation } from '../../protocols/eap/conversation.ts';
import type { ConversationOutcome } from '../../protocols/eap/conversation.ts';
import { createEapTls } from '../../protocols/eap/eap-tls.ts';
import { eapGtc } from '../../protocols/eap/gtc.ts';
import type { EapMethod, Evidence } from '../../protocols/eap/method.ts';
import { eapMsChapV2 } from '../../protocols/eap/mschapv2.ts';
import { createPeap } from '../../protocols/eap/peap.ts';
import { createTtls } from '../../protocols/eap/ttls.ts';
import { createPortableEngine } from '../../protocols/tls/server.ts';
import { createTicketBox } from '../../protocols/tls/ticket-box.ts';
import { authorityOf, createAuthority, issueCertificate } from '../../protocols/x509/create.ts';
import { systemClock } from '../../runtime/clock.ts';
import { systemRandom } from '../../runtime/random.ts';
import { createEapDevice } from './eap-device.ts';
import type { EapMethodName, InnerMethodName } from './eap-device.ts';
import { createTlsClient, createTlsContext } from './tls-client.ts';
import type { DeviceTls, TlsContextOptions } from './tls-client.ts';

const HOUR_MS = 3_600_000;
const nowMs = Date.now();
const terms = () => ({
  serial: randomBytes(16),
  notBeforeMs: nowMs - HOUR_MS,
  notAfterMs: nowMs + HOUR_MS,
});
const root = createAuthority({ ...terms(), commonName: 'Test Root' });
const otherRoot = createAuthority({ ...terms(), commonName: 'Test Root' });
const issue = (commonName: string, usage: 'server' | 'client') =>
  issueCertificate({ ...terms(), commonName, usage, authority: authorityOf(root) });
const serverCertificate = issue('radius.example', 'server');
const alice = issue('alice', 'client');

function startServer(version: '1.2' | '1.3') {
  const settings = {
    identities: [
      {
        chain: [serverCertificate.certificate.der],
        privateKey: createPrivateKey(serverCertificate.privateKeyPem),
      },
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
  } as const;
  const engine = createPortableEngine(() => settings);
  const methods: Record<EapMethodName, EapMethod> = {
    peap: createPeap({ engine, innerMethods: [eapMsChapV2, eapGtc] }),
    ttls: createTtls({ engine, innerMethods: [eapMsChapV2] }),
    tls: createEapTls({ engine }),
  };
  const sessions = new Map<string, Buffer>();
  return { methods, sessions };
}

type Asked = {
  method: EapMethodName;
  inner?: InnerMethodName;
  password?: string;
  authorities?: string;
  session?: Buffer;
};

async function logIn(server: ReturnType<typeof startServer>, asked: Asked) {
  const { method, inner, password = 'wonderland', session } = asked;
  const options: TlsContextOptions = {
    authorities: asked.authorities ?? root.certificatePem,
    ...(method === 'tls' ? { certificate: alice.certificatePem, key: alice.privateKeyPem } : {}),
  };
  const tls: DeviceTls = createTlsClient(
    {
      context: createTlsContext(options),
      isServerChecked: true,
      ...(session === undefined ? {} : { session }),
    },
    systemClock(),
  );
  const innerMethod = inner === undefined ? {} : { innerMethod: inner };
  const credentials = { username: 'alice', password, identity: 'anonymous', ...innerMethod };
  const device = createEapDevice(method, credentials, tls, systemRandom());

  const input = {
    offered: [server.methods[method]],
    random: randomBytes(32),
    nowMs,
    maxPacketBytes: 1000,
  };
  let outcome: ConversationOutcome = startConversation(device.identity, {
    ...input,
    fresh: randomBytes(32),
  });
  let answer = await device.answer(eapOf(outcome));
  while (outcome.kind === 'challenge' && answer.kind === 'response') {
    outcome = await takeRound(server, outcome.state, answer.eap, input);
    answer = await device.answer(eapOf(outcome));
  }
  const end = { outcome, answer, facts: tls.facts(), session: tls.session() };
  tls[Symbol.dispose]();
  return end;
}

async function takeRound(
  server: ReturnType<typeof startServer>,
  before: Parameters<typeof continueConversation>[0],
  eap: Buffer,
  input: Omit<Parameters<typeof continueConversation>[2], 'fresh'>,
): Promise<ConversationOutcome> {
  let state = before;
  let evidence: Evidence = { kind: 'not-yet' };
  for (;;) {
    const fresh = randomBytes(32);
    const outcome = await continueConversation(state, eap, { ...input, fresh, evidence });
    if (outcome.kind === 'success' && outcome.session !== undefined) {
      server.sessions.set(outcome.session.id, outcome.session.value);
    }
    if ('eap' in outcome || outcome.kind === 'discard') return outcome;
    ({ state } = outcome);
    evidence = evidenceFor(server, outcome);
  }
}

function evidenceFor(
  { sessions }: ReturnType<typeof startServer>,
  need: Exclude<ConversationOutcome, { eap: Buffer } | { kind: 'discard' }>,
): Evidence {
  const password = Buffer.from('wonderland');
  const policy = 'p';
  switch (need.kind) {
    case 'needs-session':
      return { kind: 'session', session: sessions.get(need.id) ?? null };
    case 'needs-subscriber':
      return { kind: 'subscriber', isKnown: need.username === 'alice', policy };
    case 'needs-password':
      return need.given === undefined
        ? { kind: 'password', password, policy }
        : { kind: 'verdict', isRight: password.equals(need.given), policy };
  }
}

function eapOf(outcome: ConversationOutcome): Buffer {
  if (!('eap' in outcome)) throw new Error(`the server says ${outcome.kind}`);
  return outcome.eap;
}

const METHODS: Asked[] = [
  { method: 'peap', inner: 'mschapv2' },
  { method: 'peap', inner: 'gtc' },
  { method: 'ttls', inner: 'pap' },
  { method: 'ttls', inner: 'mschapv2' },
  { method: 'tls' },
];

describe.each(['1.2', '1.3'] as const)('under TLS %s', (version) => {
  test.each(METHODS)('$method $inner ends with the same keys on both sides', async (asked) => {
    const { outcome, answer, facts } = await logIn(startServer(version), asked);
    expect(outcome).toMatchObject({ kind: 'success', username: 'alice' });
    expect(answer.kind).toBe('success');
    expect(answer.kind === 'success' && outcome.kind === 'success' && answer.msk).toEqual(
      outcome.kind === 'success' && outcome.msk,
    );
    expect(facts).toMatchObject({
      version,
      isResumed: false,
      server: { name: 'radius.example', issuer: 'Test Root', isChecked: true },
    });
  });

  // Under TLS 1.3 a ticket comes with what the server says last, and to PAP it says nothing.
  const isResumable = ({ method, inner }: Asked) =>
    version === '1.2' || method !== 'ttls' || inner === 'mschapv2';
  test.each(METHODS.filter(isResumable))('$method $inner can be resumed', async (asked) => {
    const server = startServer(version);
    const { session } = await logIn(server, asked);
    if (session === undefined) throw new Error('the server gave no ticket');
    const { outcome, answer, facts } = await logIn(server, { ...asked, session });
    expect(outcome).toMatchObject({ kind: 'success', username: 'alice' });
    expect(answer.kind === 'success' && outcome.kind === 'success' && answer.msk).toEqual(
      outcome.kind === 'success' && outcome.msk,
    );
    expect(facts).toMatchObject({ isResumed: true });
  });

  test('a wrong password is refused inside PEAP, where nobody can forge it', async () => {
    const { answer } = await logIn(startServer(version), { method: 'peap', password: 'nope' });
    expect(answer).toEqual({ kind: 'failure', refusal: { kind: 'wrong-password' } });
  });

  test('a certificate of another authority of the same name ends the login', async () => {
    const authorities = otherRoot.certificatePem;
    const { answer } = await logIn(startServer(version), { method: 'ttls', authorities });
    expect(answer).toMatchObject({ kind: 'distrust', distrust: { kind: 'certificate' } });
  });
});
