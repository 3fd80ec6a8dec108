// Which rounds of TEAP are for one node alone. What is said is tests/conformance/teap.test.ts.

import { expect, test } from 'vitest';
import { createPortableEngine } from '../tls/server.ts';
import type { MethodState } from './method.ts';
import { EapType } from './packet.ts';
import { createTeap } from './teap.ts';

const engine = createPortableEngine(() => {
  throw new Error('nobody says anything here');
});
const teap = createTeap({
  engine,
  innerMethods: ['mschapv2', 'password', 'tls'],
  compatibility: 'rfc9930',
  authorityId: Buffer.from('evergate'),
});

const fresh = engine.accept({ purpose: 'eap-tls', clientCertificate: 'required' });
const at = (stage: string) => ({ connection: { ...fresh, stage } });
const login = { seed: '', chains: { msk: '', emsk: '', isBare: true }, methods: 0 };

/** The tunnel stands, and this is said inside. */
function open(inner: MethodState, link: MethodState = {}): MethodState {
  return { responses: 5, connection: { stage: 'open' }, facts: {}, inner, ...link };
}

function running(type: number, state: MethodState): MethodState {
  const conversation = { stage: 'method', outstanding: 7, identity: 'alice', type, state };
  return { stage: 'method', login, running: { kind: 'eap', inner: { conversation, rounds: 2 } } };
}

const tls = (state: MethodState) => running(EapType.Tls, { responses: 0, inner: {}, ...state });

test.each<[string, MethodState]>([
  ['nothing has come yet', open(tls({}))],
  ['a part of its hello has come', open(tls({ incoming: { bytes: 'AAAA', fragments: 1 } }))],
  ['a part of it has reached the engine', open(tls(at('client-hello')))],
  ['it was asked for another hello', open(tls(at('second-client-hello')))],
  ['the engine has not chosen yet', open(tls({ connection: { engine: 'undecided' } }))],
  ['a part of the outer message has come', open(tls({}), { incoming: { bytes: 'AAAA' } })],
])('a round must not be repeated while EAP-TLS inside waits for a hello: %s', (_, state) => {
  expect(teap.mustNotRepeat?.(state)).toBe(true);
});

test.each<[string, MethodState]>([
  ['there is no tunnel yet', { responses: 0, inner: {} }],
  ['the tunnel is not complete', { responses: 1, connection: at('finished-1-3'), inner: {} }],
  ['the rest of our message is asked for', open(tls({}), { outgoing: 'AAAA' })],
  ['it ends', open(tls({}), { ending: { kind: 'failure', reason: 'tls-failed' } })],
  ['only this process can go on', open(tls({}), { connection: { engine: 'native', id: 'a' } })],
  [
    'the rest of the flight inside is asked for',
    open(tls({ ...at('client-key-exchange'), outgoing: 'AAAA' })),
  ],
  ['the flight was said, over TLS 1.2', open(tls(at('client-key-exchange')))],
  ['the flight was said, over TLS 1.3', open(tls(at('certificate-1-3')))],
  ['only this process can go on inside', open(tls({ connection: { engine: 'native', id: 'a' } }))],
  ['EAP-MSCHAPv2 runs', open(running(EapType.MsChapV2, { stage: 'challenge' }))],
  ['a password is awaited', open({ stage: 'method', login, running: { kind: 'password' } })],
  [
    'the name is awaited',
    open({
      stage: 'method',
      login,
      running: {
        kind: 'eap',
        inner: { conversation: { stage: 'identity', outstanding: 1 }, rounds: 0 },
      },
    }),
  ],
  ['the proof is awaited', open({ stage: 'proof', login, proving: {} })],
  ['the result is awaited', open({ stage: 'result', login })],
  ['the login is refused', open({ stage: 'refused', reason: 'wrong-password', detail: '' })],
])('any other round comes out the same: %s', (_, state) => {
  expect(teap.mustNotRepeat?.(state)).toBe(false);
});
