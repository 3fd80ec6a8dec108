import { describe, expect, test } from 'vitest';
import { continueConversation, mppeKeysOf, startConversation } from './conversation.ts';
import type { ConversationOutcome, ConversationState } from './conversation.ts';
import { eapGtc } from './gtc.ts';
import { eapMd5 } from './md5.ts';
import type { EapMethod, Evidence } from './method.ts';
import { eapMsChapV2 } from './mschapv2.ts';
import { EapType, encodeEapResponse, parseEap } from './packet.ts';
import { answerEap, eapIdentity } from './peer.ts';
import type { EapPeer, EapPeerAnswer, EapPeerMemory } from './peer.ts';

const random = Buffer.from(Array.from({ length: 32 }, (_, index) => index * 7));
const circumstances = { random, fresh: random, nowMs: 0, maxPacketBytes: 1400 };
const all = [eapMsChapV2, eapMd5, eapGtc];
const passwords: Record<string, string> = { alice: 'wonderland', 'chị Hoa': 'mật khẩu' };

/** Both sides talk until the peer is done. Every state passes through JSON, as between two nodes. */
async function converse(
  peer: EapPeer,
  offered: readonly EapMethod[],
  first = eapIdentity('alice', 4),
) {
  const transcript: string[] = [];
  let outcome = startConversation(first, { offered, ...circumstances });
  let memory: EapPeerMemory;
  for (let round = 0; round < 10; round++) {
    transcript.push(describeOutcome(outcome));
    if (!('eap' in outcome)) break;
    const answer: EapPeerAnswer = answerEap(peer, memory, outcome.eap, random);
    if (answer.kind !== 'response' || outcome.kind !== 'challenge') {
      transcript.push(`peer: ${answer.kind}`);
      return { transcript, outcome, answer };
    }
    memory = answer.memory;
    const state = JSON.parse(JSON.stringify(outcome.state)) as ConversationState;
    outcome = await continueConversation(state, answer.eap, { offered, ...circumstances });
    if (outcome.kind === 'needs-password') {
      transcript.push(describeOutcome(outcome));
      outcome = await continueConversation(state, answer.eap, {
        offered,
        ...circumstances,
        evidence: evidenceFor(outcome.username),
      });
    }
  }
  return { transcript, outcome, answer: undefined };
}

function evidenceFor(username: string): Evidence {
  const password = passwords[username];
  return {
    kind: 'password',
    password: password === undefined ? null : Buffer.from(password),
    policy: 'p1',
  };
}

function describeOutcome(outcome: ConversationOutcome): string {
  if (outcome.kind === 'challenge') {
    const eap = parseEap(outcome.eap);
    return eap.kind === 'eap' ? `request ${eap.identifier} type ${eap.type}` : 'malformed';
  }
  if (outcome.kind === 'needs-password') return `who is ${outcome.username}`;
  if (outcome.kind === 'success') return `success ${outcome.username}`;
  return 'reason' in outcome ? `${outcome.kind} ${outcome.reason}` : outcome.kind;
}

function peer(accepts: readonly number[], username = 'alice', password = 'wonderland'): EapPeer {
  return { username, password: Buffer.from(password), accepts };
}

describe('a conversation', () => {
  test('EAP-MSCHAPv2 ends in success with keys that both sides agree on', async () => {
    const { transcript, outcome, answer } = await converse(peer([EapType.MsChapV2]), all);
    expect(transcript).toEqual([
      'request 5 type 26',
      'who is alice',
      'request 6 type 26',
      'success alice',
      'peer: success',
    ]);
    expect(outcome).toMatchObject({ eap: Buffer.of(3, 6, 0, 4) });
    expect(answer).toEqual({ kind: 'success', msk: (outcome as { msk: Buffer }).msk });
    const { recvKey, sendKey } = mppeKeysOf((outcome as { msk: Buffer }).msk);
    expect([recvKey.length, sendKey.length]).toEqual([16, 16]);
  });

  test('a name and a password outside ASCII are fine', async () => {
    const hoa = peer([EapType.MsChapV2], 'chị Hoa', 'mật khẩu');
    expect((await converse(hoa, all, eapIdentity('chị Hoa'))).outcome).toMatchObject({
      kind: 'success',
      username: 'chị Hoa',
    });
  });

  test('the name inside EAP-MSCHAPv2 counts, not the identity outside', async () => {
    const { outcome } = await converse(peer([EapType.MsChapV2]), all, eapIdentity('anonymous', 4));
    expect(outcome).toMatchObject({ kind: 'success', username: 'alice' });
  });

  test('a wrong password is told to the peer, then fails', async () => {
    expect((await converse(peer([EapType.MsChapV2], 'alice', 'wrong'), all)).transcript).toEqual([
      'request 5 type 26',
      'who is alice',
      'request 6 type 26',
      'failure wrong-password',
      'peer: failure',
    ]);
  });

  test('a subscriber who does not exist looks like a wrong password', async () => {
    const mallory = peer([EapType.MsChapV2], 'mallory', '');
    expect((await converse(mallory, all, eapIdentity('mallory', 4))).transcript).toEqual([
      'request 5 type 26',
      'who is mallory',
      'request 6 type 26',
      'failure wrong-password',
      'peer: failure',
    ]);
    for (const type of [EapType.Md5Challenge, EapType.Gtc]) {
      const { transcript } = await converse(
        peer([type], 'mallory', ''),
        all,
        eapIdentity('mallory', 4),
      );
      expect(transcript.at(-2)).toBe('failure wrong-password');
    }
  });

  test.each([
    ['EAP-MD5', EapType.Md5Challenge],
    ['EAP-GTC', EapType.Gtc],
  ])('a Nak leads to %s', async (_name, type) => {
    expect((await converse(peer([type]), all)).transcript).toEqual([
      'request 5 type 26',
      `request 6 type ${type}`,
      'who is alice',
      'success alice',
      'peer: success',
    ]);
    expect((await converse(peer([type], 'alice', 'wrong'), all)).transcript.at(-2)).toBe(
      'failure wrong-password',
    );
  });

  test('a Nak for nothing we offer fails', async () => {
    expect((await converse(peer([EapType.Tls]), all)).transcript).toEqual([
      'request 5 type 26',
      'failure no-common-method',
      'peer: failure',
    ]);
    expect((await converse(peer([EapType.Md5Challenge]), [])).transcript[0]).toBe(
      'failure no-common-method',
    );
  });

  test('a Nak is understood by a node that does not offer what was refused', async () => {
    const first = startConversation(eapIdentity('alice', 4), { offered: all, ...circumstances });
    if (first.kind !== 'challenge') throw new Error(first.kind);
    const nak = encodeEapResponse(5, EapType.Nak, Buffer.of(EapType.Md5Challenge));
    const outcome = await continueConversation(first.state, nak, {
      offered: [eapMd5],
      ...circumstances,
    });
    expect(describeOutcome(outcome)).toBe('request 6 type 4');
  });

  test('an EAP-Start is asked for its identity', async () => {
    expect(
      (await converse(peer([EapType.Md5Challenge]), [eapMd5], Buffer.alloc(0))).transcript.slice(
        0,
        2,
      ),
    ).toEqual(['request 0 type 1', 'request 1 type 4']);
  });

  test('a password that the subscriber sends can be judged by the caller', async () => {
    const state = challenge(
      startConversation(eapIdentity('alice', 1), { offered: [eapGtc], ...circumstances }),
    );
    const answer = encodeEapResponse(2, EapType.Gtc, Buffer.from('secret'));
    const input = { offered: [eapGtc], ...circumstances };
    expect(await continueConversation(state, answer, input)).toEqual({
      kind: 'needs-password',
      username: 'alice',
      given: Buffer.from('secret'),
      state,
    });
    for (const isRight of [true, false]) {
      expect(
        (
          await continueConversation(state, answer, {
            ...input,
            evidence: { kind: 'verdict', isRight, policy: 'p1' },
          })
        ).kind,
      ).toBe(isRight ? 'success' : 'failure');
    }
  });
});

describe('what is discarded', () => {
  const input = { offered: all, ...circumstances };
  const state = challenge(startConversation(eapIdentity('alice', 1), input));
  const begun = { ...state, hasBegun: true } as ConversationState;

  test.each([
    ['another identifier', state, encodeEapResponse(3, 26, Buffer.of(2)), 'unexpected-identifier'],
    ['another type', state, encodeEapResponse(2, 4, Buffer.of(2)), 'unexpected-type'],
    [
      'a Nak after the method has begun',
      begun,
      encodeEapResponse(2, 3, Buffer.of(4)),
      'unexpected-type',
    ],
    ['a request', state, Buffer.of(1, 2, 0, 5, 26), 'not-a-response'],
    ['a broken packet', state, Buffer.of(2, 2, 0, 9, 26), 'malformed'],
    ['a broken response', state, encodeEapResponse(2, 26, Buffer.of(2, 2)), 'malformed'],
  ])('%s', async (_name, from, eap, reason) => {
    expect(await continueConversation(from, eap, input)).toEqual({ kind: 'discard', reason });
  });

  test('a conversation that does not begin with an identity', async () => {
    expect(startConversation(encodeEapResponse(1, 4, Buffer.of(1)), input).kind).toBe('discard');
    expect(startConversation(Buffer.of(2, 1), input).kind).toBe('discard');
  });
});

test('a peer that does not believe our proof ends the conversation', async () => {
  const input = { offered: all, ...circumstances };
  const state = challenge(startConversation(eapIdentity('alice', 1), input));
  const first = answerEap(peer([26]), undefined, startEap(), random);
  if (first.kind !== 'response') throw new Error('the peer should respond');
  const proof = await continueConversation(state, first.eap, {
    ...input,
    evidence: evidenceFor('alice'),
  });
  expect(
    await continueConversation(challenge(proof), encodeEapResponse(3, 26, Buffer.of(4)), input),
  ).toMatchObject({ kind: 'failure', reason: 'refused-by-peer' });

  // And the peer indeed refuses a proof that is not its own.
  if (proof.kind !== 'challenge') throw new Error('a challenge should follow');
  const forged = { expectedSuccess: 'S=00', msk: Buffer.alloc(32) };
  expect(answerEap(peer([26]), forged, proof.eap, random).kind).toBe('distrust');

  function startEap() {
    const outcome = startConversation(eapIdentity('alice', 1), input);
    return outcome.kind === 'challenge' ? outcome.eap : Buffer.alloc(0);
  }
});

function challenge(outcome: ConversationOutcome): ConversationState {
  if (outcome.kind !== 'challenge') throw new Error(`expected a challenge, got ${outcome.kind}`);
  return outcome.state;
}
