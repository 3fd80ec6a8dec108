// eapol_test of hostap, which is not ours, as the Wi-Fi client behind an access point: EAP-MD5 and
// EAP-MSCHAPv2 with its keys, the way from one to the other, and failures. And conversations that
// go on at another node, which need a client that chooses the node for each packet. RFC 3748, 3579.

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { answerEap, eapIdentity } from '../../src/protocols/eap/peer.ts';
import type { EapPeerMemory } from '../../src/protocols/eap/peer.ts';
import { ensureDebianPackage } from '../servers/ensure-package.ts';
import type { Evergate } from '../servers/evergate.ts';
import { startEvergate } from '../servers/evergate.ts';
import { startPostgres } from '../servers/postgres.ts';
import { startRedis } from '../servers/redis.ts';
import type { Attribute, TestRouter } from './test-router.ts';
import { Code, Type, accessRequest, checkReply, openTestRouter, valueOf } from './test-router.ts';

const SECRET = 'testing123';
const MD5 = 4;
const MSCHAPV2 = 26;

const nodes: Evergate[] = [];
const opened = new AsyncDisposableStack();

beforeAll(async () => {
  ensureDebianPackage(['eapoltest'], ['eapol_test']);
  const redis = opened.use(await startRedis());
  const postgres = opened.use(await startPostgres());
  const shared = {
    EVERGATE_DATABASE_URL: postgres.url,
    EVERGATE_STATE_URL: redis.url,
    EVERGATE_SECRETS_KEY: randomBytes(32).toString('hex'),
    EVERGATE_RADIUS_REJECT_DELAY: '0',
  };
  const first = await startEvergate({
    environment: { ...shared, EVERGATE_NODE: 'node-1' },
    apply: {
      sites: [{ name: 'cafe', timezone: 'UTC' }],
      routers: [{ name: 'r1', site: 'cafe', address: '127.0.0.1/32', secret: SECRET }],
      plans: [{ name: 'hour', duration: '1h' }],
      subscribers: [
        { username: 'alice', password: 'wonderland', plan: 'hour' },
        { username: 'bob', password: 'pässwörd ☂', plan: 'hour' },
      ],
    },
  });
  nodes.push(opened.use(first));
  const second = await startEvergate({
    services: ['radius'],
    environment: { ...shared, EVERGATE_NODE: 'node-2' },
  });
  nodes.push(opened.use(second));
});

afterAll(() => opened.disposeAsync());

describe('eapol_test', () => {
  test('EAP-MD5 succeeds', async () => {
    const run = await eapolTest('MD5', 'alice', 'wonderland', ['-n']);
    expect(run).toMatchObject({ exitCode: 0 });
  });

  test('EAP-MSCHAPv2 succeeds, and both sides have the same keys', async () => {
    const run = await eapolTest('MSCHAPV2', 'alice', 'wonderland');
    expect(run).toMatchObject({ exitCode: 0 });
    expect(run.text).toContain('MPPE keys OK: 1  mismatch: 0');
  });

  test('EAP-MSCHAPv2 takes a password in any script', async () => {
    const run = await eapolTest('MSCHAPV2', 'bob', 'pässwörd ☂');
    expect(run).toMatchObject({ exitCode: 0 });
  });

  test('a client that wants another method than the first gets it by a Nak', async () => {
    const runs = [
      await eapolTest('MD5', 'alice', 'wonderland', ['-n']),
      await eapolTest('MSCHAPV2', 'alice', 'wonderland'),
    ];
    expect(runs.map(({ exitCode }) => exitCode)).toEqual([0, 0]);
    expect(runs.filter(({ text }) => text.includes('EAP: Building EAP-Nak'))).toHaveLength(1);
  });

  test.each(['MD5', 'MSCHAPV2'])(
    'a wrong password ends in a failure at once: %s',
    async (method) => {
      const { exitCode, text } = await eapolTest(method, 'alice', 'looking-glass');
      expect(exitCode).not.toBe(0);
      expect(text).toContain('Access-Reject');
      expect(text).toContain('EAP: Received EAP-Failure');
      expect(text).not.toContain('EAPOL test timed out');
    },
  );

  test('an unknown subscriber ends in a failure at once', async () => {
    const { exitCode, text } = await eapolTest('MSCHAPV2', 'nobody', 'wonderland');
    expect(exitCode).not.toBe(0);
    expect(text).toContain('EAP: Received EAP-Failure');
    expect(text).not.toContain('EAPOL test timed out');
  });

  test('a method that nobody offers ends in a failure', async () => {
    const { exitCode, text } = await eapolTest('PWD', 'alice', 'wonderland');
    expect(exitCode).not.toBe(0);
    expect(text).not.toContain('EAPOL test timed out');
  });
});

describe('a conversation over two nodes', () => {
  test.each([
    ['EAP-MD5', MD5, undefined],
    ['EAP-MSCHAPv2', MSCHAPV2, 32],
  ])('every packet to the other node: %s', async (_, method, mskBytes) => {
    await using router = await openTestRouter();
    const { code, msk } = await converse(router, method, { node: (step) => step % 2 });
    expect(code).toBe(Code.accessAccept);
    expect(msk?.length).toBe(mskBytes);
  });

  test.each([
    ['the same node', 0],
    ['the other node', 1],
  ])('a retransmission to %s gets the identical answer', async (_, other) => {
    await using router = await openTestRouter();
    const { code, repeated } = await converse(router, MSCHAPV2, {
      node: () => 0,
      repeatAt: other,
    });
    expect(code).toBe(Code.accessAccept);
    expect(repeated.length).toBeGreaterThanOrEqual(3);
    for (const { first, second } of repeated) expect(second).toEqual(first);
  });

  test('an answer to a challenge counts once', async () => {
    await using router = await openTestRouter();
    const before = await acceptedLogins();
    const { code } = await converse(router, MD5, { node: () => 0, repeatAt: 1 });
    expect(code).toBe(Code.accessAccept);
    expect(await acceptedLogins()).toBe(before + 1);
  });

  test('a State that nobody knows is rejected at once, with an EAP-Failure', async () => {
    await using router = await openTestRouter();
    const eap = Buffer.concat([Buffer.of(2, 7, 0, 22, MD5, 16), randomBytes(16)]);
    const request = eapRequest(eap, randomBytes(16), 1);
    const { bytes } = await router.ask(request, port(0));
    const reply = checkReply(bytes, request, SECRET);
    expect(reply.code).toBe(Code.accessReject);
    expect(valueOf(reply, Type.eapMessage)).toEqual(Buffer.of(4, 7, 0, 4));
  });
});

type Conversation = {
  code: number;
  msk: Buffer | undefined;
  repeated: { first: Buffer; second: Buffer }[];
};

/** A whole login, with the node chosen for each packet and each packet repeated at `repeatAt`. */
async function converse(
  router: TestRouter,
  method: number,
  options: { node: (step: number) => number; repeatAt?: number },
): Promise<Conversation> {
  const peer = { username: 'alice', password: Buffer.from('wonderland'), accepts: [method] };
  const repeated: Conversation['repeated'] = [];
  let eap = eapIdentity('alice');
  let state: Buffer | undefined;
  let memory: EapPeerMemory;
  for (let step = 0; step < 10; step++) {
    const request = eapRequest(eap, state, step);
    const { bytes } = await router.ask(request, port(options.node(step)));
    if (options.repeatAt !== undefined) {
      const again = await router.ask(request, port(options.repeatAt));
      repeated.push({ first: bytes, second: again.bytes });
    }
    const reply = checkReply(bytes, request, SECRET);
    const answer = answerEap(peer, memory, valueOf(reply, Type.eapMessage), randomBytes(16));
    if (answer.kind === 'distrust') throw new Error(answer.reason);
    if (answer.kind !== 'response') {
      return { code: reply.code, msk: 'msk' in answer ? answer.msk : undefined, repeated };
    }
    expect(reply.code).toBe(Code.accessChallenge);
    ({ eap, memory } = answer);
    state = valueOf(reply, Type.state);
    expect(state.length).toBeGreaterThan(0);
  }
  throw new Error('the conversation does not end');
}

function eapRequest(eap: Buffer, state: Buffer | undefined, identifier: number): Buffer {
  const attributes: Attribute[] = [[Type.eapMessage, eap]];
  if (state !== undefined) attributes.push([Type.state, state]);
  return accessRequest({ secret: SECRET, username: 'alice', identifier, attributes });
}

function port(node: number): number {
  const { authPort } = nodes[node] ?? {};
  if (authPort === undefined) throw new Error(`there is no node ${node}`);
  return authPort;
}

async function acceptedLogins(): Promise<number> {
  const counts = await Promise.all(
    nodes.map((node) => node.metric('evergate_logins_total', { outcome: 'accept' })),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

async function eapolTest(
  method: string,
  identity: string,
  password: string,
  options: string[] = [],
): Promise<{ exitCode: number | null; text: string }> {
  const directory = mkdtempSync(join(tmpdir(), 'evergate-eapol-'));
  const file = join(directory, 'network.conf');
  writeFileSync(
    file,
    `network={
  key_mgmt=IEEE8021X
  eap=${method}
  identity="${identity}"
  password="${password}"
}
`,
  );
  const args = ['-c', file, '-a', '127.0.0.1', '-p', String(port(0)), '-s', SECRET, '-t', '20'];
  const child = spawn('eapol_test', [...args, ...options]);
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
    });
  }
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  rmSync(directory, { recursive: true, force: true });
  return { exitCode, text };
}
