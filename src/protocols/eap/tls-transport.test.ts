// The transport with an engine that speaks no TLS: what the client sends says what happens next.

import { expect, test } from 'vitest';
import type { AlertName, TlsEngine, TlsFacts, TlsProgress } from '../tls/engine.ts';
import type { InnerProtocol, InnerStep } from './inner-protocol.ts';
import type { EapMethod, Evidence, MethodInput, MethodState, MethodStep } from './method.ts';
import { MAX_FRAGMENTS, MAX_MESSAGE_BYTES } from './tls-fragments.ts';
import { encodeTlsPacket, parseTlsPacket } from './tls-packets.ts';
import type { TlsPacket } from './tls-packets.ts';
import { createTlsMethod } from './tls-transport.ts';

const facts: TlsFacts = {
  version: '1.2',
  cipherSuite: 'none',
  hash: 'sha256',
  clientRandom: '11',
  serverRandom: '22',
};
const plainAlert = Buffer.from('15030300020228', 'hex');
const sealedAlert = Buffer.concat([Buffer.from('1503030018', 'hex'), Buffer.alloc(24)]);
const sealedAlertOf13 = Buffer.concat([Buffer.from('1703030013', 'hex'), Buffer.alloc(19)]);

/** The client's words, and what the engine makes of them. */
const words: Record<string, Progress> = {
  hello: { kind: 'handshaking', output: Buffer.from('server hello') },
  'hello big': { kind: 'handshaking', output: Buffer.alloc(500, 'S') },
  crumb: { kind: 'handshaking', output: Buffer.alloc(0) },
  'hello session': { kind: 'offers-session', id: 'aa' },
  'hello ticket': { kind: 'offers-ticket', ticket: { identity: 'alice', policy: 'p1' } },
  finished: { kind: 'open', output: Buffer.alloc(0), data: Buffer.alloc(0), facts },
  'finished first': { kind: 'open', output: Buffer.from('our end.'), data: Buffer.alloc(0), facts },
  'say hi': { kind: 'open', output: Buffer.alloc(0), data: Buffer.from('hi'), facts },
  'new keys': {
    kind: 'open',
    output: Buffer.from('our new keys'),
    data: Buffer.alloc(0),
    facts,
  },
  'unknown ca': fails('unknown_ca', 'client', Buffer.alloc(0)),
  'no cipher': fails('handshake_failure', 'us', plainAlert),
  'bad mac': fails('bad_record_mac', 'us', sealedAlert),
  'bad mac 1.3': fails('bad_record_mac', 'us', sealedAlertOf13),
  'data too early': fails('unexpected_message', 'us', sealedAlert),
  revoked: fails('certificate_revoked', 'us', sealedAlertOf13),
};

type Progress = TlsProgress extends infer P
  ? P extends unknown
    ? Omit<P, 'connection'>
    : never
  : never;

function fails(alert: AlertName, from: 'us' | 'client', output: Buffer): Progress {
  return { kind: 'failed', output, alert, from, detail: 'so it is' };
}

function scriptedEngine(): TlsEngine & { heard: string[] } {
  const heard: string[] = [];
  return {
    heard,
    kind: 'portable',
    accept: () => ({ sent: 0 }),
    receive(connection, bytes) {
      const text = bytes.toString().replace(/ ?#+$/, '');
      heard.push(text);
      return {
        connection,
        ...(words[text] ?? fails('decode_error', 'us', plainAlert)),
      };
    },
    decide(connection, decision) {
      const isYes = decision.kind === 'ticket' ? decision.mayResume : decision.session !== null;
      const output = Buffer.from(isYes ? 'resumed' : 'in full');
      heard.push(`decided: ${output.toString()}`);
      return { connection, kind: 'handshaking', output };
    },
    send: (connection, data) => ({ connection, output: Buffer.from(`[${data.toString()}]`) }),
    abort: (connection) => ({ connection, output: sealedAlert }),
    issueTicket: (connection, ticket) => ({
      connection,
      output: Buffer.from('<ticket>'),
      session: { id: 'bb', value: Buffer.from(ticket.identity), lifetimeMs: 1000 },
    }),
    exportKey: (_connection, label) => Buffer.from(label),
  };
}

const granted: InnerStep = {
  kind: 'success',
  username: 'alice',
  msk: Buffer.alloc(64, 7),
  sessionId: Buffer.of(1),
};

function innerOf(step: InnerProtocol['step']): InnerProtocol {
  return { acceptsTicket: () => true, step };
}

/** A login in which every state passes through JSON, as between two nodes. */
function login(inner: InnerProtocol['step'] = () => granted, maxPacketBytes = 1400) {
  const engine = scriptedEngine();
  const terms = { purpose: 'peap', clientCertificate: 'none' } as const;
  const method: EapMethod = createTlsMethod(
    { name: 'test', type: 25, version: 0, terms },
    engine,
    innerOf(inner),
  );
  const { data, state } = method.start({ identifier: 1, identity: 'anonymous', random: noise });
  let held: MethodState = state;
  return {
    engine,
    start: data,
    async answer(packet: Partial<TlsPacket> | Buffer, evidence: Evidence = { kind: 'not-yet' }) {
      const bytes = Buffer.isBuffer(packet) ? packet : encodeTlsPacket({ ...empty, ...packet });
      held = JSON.parse(JSON.stringify(held)) as MethodState;
      const step = await method.step(held, { ...inputOf(bytes), maxPacketBytes, evidence });
      if ('state' in step && step.state !== undefined) held = step.state;
      return step;
    },
    say(text: string, evidence?: Evidence) {
      return this.answer({ data: Buffer.from(text) }, evidence);
    },
  };
}

const noise = Buffer.alloc(32, 5);
const empty: TlsPacket = { version: 0, isStart: false, hasMore: false, data: Buffer.alloc(0) };

function inputOf(data: Buffer): MethodInput {
  return {
    response: { kind: 'eap', code: 2, identifier: 1, type: 25, data },
    nextIdentifier: 2,
    identity: 'anonymous',
    random: noise,
    fresh: noise,
    nowMs: 0,
    maxPacketBytes: 1400,
    evidence: { kind: 'not-yet' },
  };
}

function said(step: MethodStep): TlsPacket {
  if (step.kind !== 'continue') throw new Error(`expected a request, got ${JSON.stringify(step)}`);
  const packet = parseTlsPacket(step.data, { hasOuterTlvs: false });
  if (packet === undefined) throw new Error('a request that is cut off');
  return packet;
}

function textOf(step: MethodStep): string {
  return said(step).data.toString();
}

test('it begins with a Start packet and ends with a success', async () => {
  const peer = login();
  expect(peer.start).toEqual(Buffer.of(0x20));
  expect(textOf(await peer.say('hello'))).toBe('server hello');
  expect(await peer.say('finished')).toEqual(granted);
});

test('what the inner protocol says last is acknowledged before the success', async () => {
  const last = {
    ...granted,
    ticket: { identity: 'alice', policy: 'p1' },
    data: Buffer.from('bye'),
  };
  const peer = login(() => last);
  await peer.say('hello');
  expect(textOf(await peer.say('finished first'))).toBe('our end.<ticket>[bye]');
  expect(await peer.answer({})).toMatchObject({
    kind: 'success',
    username: 'alice',
    session: { id: 'bb', value: Buffer.from('alice'), lifetimeMs: 1000 },
  });
});

test('an alert in place of the last acknowledgement is a failure', async () => {
  const peer = login(() => ({ ...granted, data: Buffer.of(0) }));
  await peer.say('hello');
  await peer.say('finished');
  expect(await peer.say('unknown ca')).toEqual({
    kind: 'failure',
    reason: 'refused-by-peer',
    detail: 'unknown_ca: so it is',
  });
});

test('a session that was earned in the middle is remembered at the end', async () => {
  const ticket = { identity: 'alice', policy: 'p1' };
  const peer = login((state) =>
    state['asked'] === true
      ? granted
      : { kind: 'send', data: Buffer.from('?'), state: { asked: true }, ticket },
  );
  await peer.say('hello');
  expect(textOf(await peer.say('finished'))).toBe('<ticket>[?]');
  expect(await peer.say('say hi')).toMatchObject({ kind: 'success', session: { id: 'bb' } });
});

test('a long flight goes out in fragments, each acknowledged', async () => {
  const peer = login(undefined, 200);
  const sizes: number[] = [];
  let step = await peer.say('hello big');
  expect(said(step).totalBytes).toBe(500);
  while (said(step).hasMore) {
    if (step.kind === 'continue') sizes.push(step.data.length);
    step = await peer.answer({});
    expect(said(step).totalBytes).toBeUndefined();
  }
  expect(sizes).toEqual([195, 195]);
  expect(said(step).data.length).toBe(500 - 190 - 194);
  expect((await peer.say('finished')).kind).toBe('success');
});

test('data in the middle of our fragments is discarded, and the flight goes on', async () => {
  const peer = login(undefined, 200);
  await peer.say('hello big');
  expect(await peer.say('finished')).toEqual({ kind: 'discard', reason: 'malformed' });
  expect(said(await peer.answer({})).hasMore).toBe(true);
});

test('the fragments of the client are joined, with its length or without', async () => {
  for (const totalBytes of [5, undefined]) {
    const peer = login();
    const length = totalBytes === undefined ? {} : { totalBytes };
    const first = await peer.answer({ hasMore: true, data: Buffer.from('he'), ...length });
    expect(said(first)).toEqual(empty);
    // Some clients repeat the length.
    await peer.answer({ hasMore: true, data: Buffer.from('ll'), ...length });
    expect(textOf(await peer.answer({ data: Buffer.from('o') }))).toBe('server hello');
    expect(peer.engine.heard).toEqual(['hello']);
  }
});

test.each<[string, Partial<TlsPacket>[]]>([
  ['longer than its length', [{ totalBytes: 3, data: Buffer.from('hello') }]],
  ['shorter than its length', [{ totalBytes: 9, data: Buffer.from('hello') }]],
  [
    'too long by its own account',
    [{ totalBytes: MAX_MESSAGE_BYTES + 1, hasMore: true, data: Buffer.of(1) }],
  ],
  [
    'of two lengths',
    [
      { totalBytes: 9, hasMore: true, data: Buffer.of(1) },
      { totalBytes: 10, data: Buffer.alloc(9) },
    ],
  ],
  ['an empty fragment', [{ hasMore: true }]],
  [
    'too long in fact',
    Array.from({ length: 50 }, () => ({ hasMore: true, data: Buffer.alloc(1400) })),
  ],
  [
    'too many fragments',
    Array.from({ length: MAX_FRAGMENTS + 1 }, () => ({ hasMore: true, data: Buffer.of(1) })),
  ],
])('a message that is %s fails', async (_name, packets) => {
  const peer = login();
  let step: MethodStep | undefined;
  for (const packet of packets) step = await peer.answer(packet);
  expect(step).toMatchObject({ kind: 'failure', reason: 'tls-failed' });
  expect(peer.engine.heard).toEqual([]);
});

test('an acknowledgement where the handshake waits for the client fails', async () => {
  const peer = login();
  expect(await peer.answer({})).toMatchObject({ kind: 'failure', reason: 'tls-failed' });
  await peer.say('hello');
  expect(await peer.answer({})).toMatchObject({ kind: 'failure', reason: 'tls-failed' });
});

test('a part of a flight is acknowledged with an empty packet', async () => {
  expect(said(await login().say('crumb'))).toEqual(empty);
});

test('a client cannot keep us busy for ever', async () => {
  const peer = login();
  let step = await peer.say('crumb');
  for (let i = 0; i < 300 && step.kind === 'continue'; i++) step = await peer.say('crumb');
  expect(step).toMatchObject({ kind: 'failure', detail: 'more than 250 responses' });
});

test('a packet without its flags is discarded, and one of another version fails', async () => {
  const peer = login();
  expect(await peer.answer(Buffer.alloc(0))).toEqual({ kind: 'discard', reason: 'malformed' });
  expect(await peer.answer(Buffer.of(0x80, 0))).toEqual({ kind: 'discard', reason: 'malformed' });
  expect(await peer.answer({ version: 1, data: Buffer.from('hello') })).toMatchObject({
    kind: 'failure',
    reason: 'tls-failed',
  });
});

test('a session is looked up, and the engine hears the client once', async () => {
  for (const session of [Buffer.of(1), null]) {
    const peer = login();
    expect(await peer.say('hello session')).toMatchObject({ kind: 'needs-session', id: 'aa' });
    const step = await peer.say('hello session', { kind: 'session', session });
    expect(textOf(step)).toBe(session === null ? 'in full' : 'resumed');
    expect(peer.engine.heard).toHaveLength(2);
  }
});

test.each([
  ['known and under the same policy', true, 'p1', 'resumed'],
  ['under another policy', true, 'p2', 'in full'],
  ['no subscriber any more', false, 'p1', 'in full'],
])('a ticket of somebody who is %s', async (_name, isKnown, policy, expected) => {
  const peer = login();
  expect(await peer.say('hello ticket')).toMatchObject({
    kind: 'needs-subscriber',
    username: 'alice',
  });
  const evidence = { kind: 'subscriber', isKnown, policy } as const;
  expect(textOf(await peer.say('hello ticket', evidence))).toBe(expected);
});

test('what the inner protocol needs is asked without hearing the client again', async () => {
  const peer = login((_state, { data, evidence }) =>
    evidence.kind === 'password'
      ? granted
      : { kind: 'needs-password', username: data.toString(), state: { asked: true } },
  );
  await peer.say('hello');
  expect(await peer.say('say hi')).toMatchObject({ kind: 'needs-password', username: 'hi' });
  expect(await peer.say('say hi')).toMatchObject({ kind: 'needs-password', username: 'hi' });
  const evidence = { kind: 'password', password: null, policy: '' } as const;
  expect(await peer.say('say hi', evidence)).toEqual(granted);
  expect(peer.engine.heard).toEqual(['hello', 'say hi']);
});

test.each([
  ['a plaintext one', 'no cipher', 'tls-failed', plainAlert],
  ['an encrypted one about the certificate', 'revoked', 'certificate-refused', sealedAlertOf13],
])(
  'our alert is sent, and the failure follows the answer: %s',
  async (_name, word, reason, alert) => {
    const peer = login();
    expect(said(await peer.say(word)).data).toEqual(alert);
    expect(await peer.say('whatever it says')).toMatchObject({ kind: 'failure', reason });
    expect(peer.engine.heard).toEqual([word]);
  },
);

test.each(['bad mac', 'bad mac 1.3', 'data too early'])(
  'an encrypted alert that may follow from a state that is too old is not sent: %s',
  async (word) => {
    const peer = login();
    await peer.say('hello');
    await peer.say('finished');
    expect(await peer.say(word)).toMatchObject({ kind: 'failure', reason: 'tls-failed' });
  },
);

test('the inner protocol can refuse inside TLS, or at once', async () => {
  const refusal = { kind: 'failure', reason: 'unknown-subscriber', detail: 'who?' } as const;
  const inside = login(() => ({ ...refusal, alert: 'access_denied' }));
  await inside.say('hello');
  expect(said(await inside.say('finished first')).data).toEqual(
    Buffer.concat([Buffer.from('our end.'), sealedAlert]),
  );
  expect(await inside.answer({})).toEqual(refusal);

  const atOnce = login(() => refusal);
  await atOnce.say('hello');
  expect(await atOnce.say('finished')).toEqual(refusal);
});

test('what TLS says to itself is answered, and is nothing that the inner protocol hears', async () => {
  const peer = login((_state, { data, hasJustOpened }) => {
    if (hasJustOpened) return { kind: 'send', data: Buffer.from('?'), state: {} };
    expect(data.toString()).toBe('hi');
    return granted;
  });
  await peer.say('hello');
  await peer.say('finished');
  expect(textOf(await peer.say('new keys'))).toBe('our new keys');
  expect(await peer.say('say hi')).toEqual(granted);
});

test('outer TLVs travel beside the first message alone', async () => {
  const terms = { purpose: 'teap', clientCertificate: 'none' } as const;
  const outerTlvs = Buffer.from('ours');
  const heard: { ours: Buffer; theirs: Buffer }[] = [];
  const inner = innerOf((_state, input) => {
    heard.push(input.outerTlvs);
    return granted;
  });
  const method = createTlsMethod(
    { name: 'teap', type: 55, version: 1, terms, outerTlvs },
    scriptedEngine(),
    inner,
  );
  const { data, state } = method.start({ identifier: 1, identity: '', random: noise });
  expect(data.toString('latin1')).toBe('\u0031\0\0\0\u0004ours');

  const beside = { version: 1, outerTlvBytes: 6, totalBytes: 11, hasMore: true };
  let step: MethodStep = { kind: 'continue', data, state };
  for (const packet of [
    { ...empty, ...beside, data: Buffer.from('hellothe') },
    { ...empty, version: 1, data: Buffer.from('irs') },
    { ...empty, version: 1, data: Buffer.from('finished') },
  ]) {
    if (step.kind !== 'continue') break;
    step = await method.step(step.state, inputOf(encodeTlsPacket(packet)));
  }
  expect(step).toEqual(granted);
  expect(heard).toEqual([{ ours: outerTlvs, theirs: Buffer.from('theirs') }]);
});
