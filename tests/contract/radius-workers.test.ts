// Several worker threads behind the same ports keep the promises of one: `radius.workers`. The kernel
// spreads requests by sender and Identifier, so a router that counts its Identifiers up meets all of
// them. Real processes, spoken to by RADIUS and HTTP.

import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { answerEap, eapIdentity } from '../../src/protocols/eap/peer.ts';
import type { EapPeerMemory } from '../../src/protocols/eap/peer.ts';
import {
  Code,
  Type,
  accessRequest,
  accountingRequest,
  checkReply,
  openTestRouter,
  valueOf,
} from '../conformance/test-router.ts';
import type { Attribute, TestRouter } from '../conformance/test-router.ts';
import { startEvergate } from '../servers/evergate.ts';
import type { Evergate } from '../servers/evergate.ts';
import { freeTcpPort } from '../servers/free-port.ts';
import { startPostgres } from '../servers/postgres.ts';
import type { PostgresServer } from '../servers/postgres.ts';

const SECRET = 'testing123';
const MSCHAPV2 = 26;
const CALLING_STATION_ID = 31;
const ACCT_DELAY_TIME = 41;
const START = 1;

const SESSIONS = 40;
/** What a worker may take to stop before it is ended: src/services/radius/workers.ts. */
const STOP_MS = 5_000;

const desiredState = {
  sites: [{ name: 'lab', timezone: 'UTC' }],
  routers: [
    { name: 'r1', site: 'lab', address: '127.0.0.1/32', secret: SECRET },
    { name: 'r2', site: 'lab', address: '127.0.0.2/32', secret: SECRET },
  ],
  plans: [{ name: 'free' }, { name: 'single', devices: 1 }],
  subscribers: [
    { username: 'alice', password: 'wonderland', plan: 'free' },
    { username: 'bob', password: 'builder', plan: 'single' },
  ],
};

const environment = {
  EVERGATE_RADIUS_WORKERS: '3',
  EVERGATE_RADIUS_RATE_LIMIT_PER_MINUTE: '0',
  EVERGATE_RADIUS_REJECT_DELAY: '0s',
};

describe('three workers on one memory', () => {
  let node: Evergate;

  beforeAll(async () => {
    // The inspector, on a free port, is how one thread of a process can be ended from outside.
    const inspected = { ...environment, NODE_OPTIONS: '--inspect=127.0.0.1:0' };
    node = await startEvergate({ apply: desiredState, environment: inspected });
  });
  afterAll(() => node[Symbol.asyncDispose]());

  test('every worker lets a subscriber in', async () => {
    await using router = await openTestRouter();
    const replies = await exchange(router, node.authPort, times(30, login));
    expect(codesOf(replies)).toEqual(replies.map(() => Code.accessAccept));
  });

  test('an EAP conversation goes on at whatever worker its next packet meets', async () => {
    await using router = await openTestRouter();
    for (let first = 0; first < 12; first++) {
      // Steps of one or two Identifiers take each of the three packets to another worker.
      const { code, mskBytes } = await converse(router, node.authPort, first, 1 + (first % 2));
      expect({ code, mskBytes }).toEqual({ code: Code.accessAccept, mskBytes: 32 });
    }
  });

  test('of thirty stations that come at once, a plan for one device admits one', async () => {
    await using router = await openTestRouter();
    const requests = times(30, (identifier) =>
      accessRequest({
        secret: SECRET,
        identifier,
        username: 'bob',
        password: 'builder',
        attributes: [[CALLING_STATION_ID, `02-00-00-00-00-${10 + identifier}`]],
      }),
    );
    const codes = codesOf(await exchange(router, node.authPort, requests));
    expect(codes.filter((code) => code === Code.accessAccept)).toHaveLength(1);
    expect(codes.filter((code) => code === Code.accessReject)).toHaveLength(29);
  });

  test('a request that comes again gets the same bytes', async () => {
    await using router = await openTestRouter();
    const requests = times(12, login);
    const first = await exchange(router, node.authPort, requests);
    expect(await exchange(router, node.authPort, requests)).toEqual(first);
  });

  test('a request that comes five times at once is decided once', async () => {
    await using router = await openTestRouter();
    const before = await countersOf(node);
    const request = login(7);
    for (let copy = 0; copy < 5; copy++) router.send(request, node.authPort);
    await expect
      .poll(async () => (await countersOf(node)).access - before.access, { timeout: 10_000 })
      .toBe(5);
    expect((await countersOf(node)).accepted - before.accepted).toBe(1);
  });

  test('accounting to all workers is stored once, and open sessions are counted once', async () => {
    await using router = await openTestRouter();
    const starts = times(SESSIONS, (i) => accountingStart(i, i));
    // A router that repeats a record counts Acct-Delay-Time up: another packet, to another worker.
    const repeats = times(SESSIONS, (i) => accountingStart(100 + i, i, [[ACCT_DELAY_TIME, 3]]));
    const replies = await exchange(router, node.acctPort, [...starts, ...repeats]);
    expect(codesOf(replies)).toEqual(replies.map(() => Code.accountingResponse));

    expect(await storedSessions(node)).toEqual(times(SESSIONS, sessionId));
    await expect
      .poll(() => node.metric('radius_sessions_active', { type: 'accounting' }), {
        timeout: 60_000,
        interval: 500,
      })
      .toBe(SESSIONS);
  });

  test('the metrics are those of all workers together', async () => {
    await using router = await openTestRouter();
    const before = await countersOf(node);
    await exchange(router, node.authPort, times(50, login));
    await exchange(
      router,
      node.acctPort,
      times(20, (i) => accountingStart(i, i)),
    );
    await expect
      .poll(() => countersOf(node))
      .toEqual({
        access: before.access + 50,
        accepted: before.accepted + 50,
        accounting: before.accounting + 20,
      });
  });

  test('a worker that ends is started again, and the others go on', async () => {
    await using router = await openTestRouter();
    expect(await healthOf(node)).toMatchObject({ status: 'healthy', database: 'embedded' });
    await endOneWorker(node);
    const meanwhile = await router.ask(login(1), node.authPort);
    expect(meanwhile.bytes[0]).toBe(Code.accessAccept);
    await expect
      .poll(() => node.metric('radius_worker_restarts_total'), { timeout: 10_000 })
      .toBe(1);
    await expect
      .poll(() => healthOf(node), { timeout: 30_000 })
      .toMatchObject({
        status: 'healthy',
      });
    const replies = await exchange(router, node.authPort, times(30, login));
    expect(codesOf(replies)).toEqual(replies.map(() => Code.accessAccept));
    // By now every worker has had the time to count the sessions of the test before.
    await expect
      .poll(() => node.metric('radius_sessions_active', { type: 'accounting' }))
      .toBe(SESSIONS);
  });
});

describe('limits and the end', () => {
  const PER_MINUTE = 60;
  let node: Evergate;

  beforeAll(async () => {
    node = await startEvergate({
      apply: desiredState,
      environment: {
        ...environment,
        EVERGATE_RADIUS_RATE_LIMIT_PER_MINUTE: String(PER_MINUTE),
        EVERGATE_RADIUS_REJECT_DELAY: '1500ms',
      },
    });
  });
  afterAll(() => node[Symbol.asyncDispose]());

  test('a rate limit holds over all workers together', async () => {
    await using router = await openTestRouter();
    const minute = () => Math.floor(Date.now() / 60_000);
    const first = minute();
    for (const request of times(200, login)) router.send(request, node.authPort);
    const decided = async () => ({
      accepted: await node.metric('radius_responses_total', { type: 'accept' }),
      refused: await node.metric('radius_discards_total', { reason: 'rate-limit' }),
    });
    await expect
      .poll(
        async () => {
          const { accepted, refused } = await decided();
          return accepted + refused;
        },
        { timeout: 10_000 },
      )
      .toBe(200);
    const { accepted } = await decided();
    expect(accepted).toBeGreaterThanOrEqual(PER_MINUTE);
    expect(accepted).toBeLessThanOrEqual(PER_MINUTE * (minute() - first + 1));
  });

  test('a stop answers what is under way at each worker, and ends with 0', async () => {
    await using router = await openTestRouter('127.0.0.2');
    const wrong = times(9, (identifier) =>
      accessRequest({ secret: SECRET, identifier, username: 'alice', password: 'looking-glass' }),
    );
    const replies = exchange(router, node.authPort, wrong);
    await expect
      .poll(() => node.metric('evergate_logins_total', { outcome: 'reject' }), { timeout: 10_000 })
      .toBe(9);
    const stoppingMs = performance.now();
    expect(await node.process.stop()).toEqual({ code: 0, signal: null });
    expect(performance.now() - stoppingMs).toBeLessThan(STOP_MS);
    expect(codesOf(await replies)).toEqual(wrong.map(() => Code.accessReject));
    expect(node.process.output()).toContain('"message":"stopped"');
    expect(node.process.output()).not.toContain('took too long');
  });
});

describe('the journal of each worker', () => {
  let postgres: PostgresServer;
  let dataDirectory: string;

  beforeAll(async () => {
    postgres = await startPostgres();
    dataDirectory = mkdtempSync(join(tmpdir(), 'evergate-workers-'));
    await using _filled = await startEvergate({
      apply: desiredState,
      dataDirectory,
      environment: withWorkers(1),
    });
  });
  afterAll(async () => {
    await postgres[Symbol.asyncDispose]();
    rmSync(dataDirectory, { recursive: true, force: true });
  });

  const withWorkers = (workers: number) => ({
    ...environment,
    EVERGATE_RADIUS_WORKERS: String(workers),
    EVERGATE_DATABASE_URL: postgres.url,
  });

  test('what two workers have kept, one brings home after `radius.workers` was lowered', async () => {
    await using two = await startEvergate({ dataDirectory, environment: withWorkers(2) });
    await postgres.stop();
    await using router = await openTestRouter();
    const replies = await exchange(
      router,
      two.acctPort,
      times(SESSIONS, (i) => accountingStart(i, i)),
    );
    expect(codesOf(replies)).toEqual(replies.map(() => Code.accountingResponse));
    await expect.poll(() => two.metric('evergate_journal_pending_records')).toBe(SESSIONS);
    expect(readdirSync(join(dataDirectory, 'journal')).toSorted()).toEqual(['0', '1']);
    for (const worker of ['0', '1']) expect(segmentsOf(dataDirectory, worker)).not.toEqual([]);
    expect(await two.process.stop()).toEqual({ code: 0, signal: null });

    const httpPort = await freeTcpPort();
    const starting = startEvergate({
      services: ['radius'],
      dataDirectory,
      httpPort,
      environment: withWorkers(1),
    });
    starting.catch(() => undefined); // awaited below
    const pending = async () => {
      const response = await fetch(`http://127.0.0.1:${httpPort}/metrics`).catch(() => undefined);
      return /^evergate_journal_pending_records (\d+)/m.exec((await response?.text()) ?? '')?.[1];
    };
    await expect.poll(pending, { timeout: 60_000 }).toBe(String(SESSIONS));

    await postgres.start();
    await using one = await starting;
    await expect
      .poll(() => one.metric('evergate_journal_pending_records'), { timeout: 30_000 })
      .toBe(0);
    await one.process.stop();

    await using up = await startEvergate({ dataDirectory, environment: withWorkers(1) });
    expect(await storedSessions(up)).toEqual(times(SESSIONS, sessionId));
    expect(segmentsOf(dataDirectory, '1')).toEqual([]);
  });

  test('a database that hangs makes the workers degraded, never silent', async () => {
    await using node = await startEvergate({
      services: ['radius'],
      dataDirectory,
      environment: withWorkers(2),
    });
    await using router = await openTestRouter();
    await exchange(router, node.authPort, times(6, login)); // each worker knows alice now
    postgres.freeze();
    try {
      await expect
        .poll(() => healthOf(node), { timeout: 30_000 })
        .toMatchObject({
          status: 'degraded',
          checks: expect.arrayContaining([
            expect.objectContaining({ name: 'radius', status: 'pass' }),
          ]),
        });
      expect((await node.http('/health/readiness')).status).toBe(200);
      const again = times(6, (i) => login(100 + i));
      const replies = await exchange(router, node.authPort, again);
      expect(codesOf(replies)).toEqual(again.map(() => Code.accessAccept));
    } finally {
      postgres.thaw();
    }
    await expect
      .poll(() => healthOf(node), { timeout: 30_000 })
      .toMatchObject({
        status: 'healthy',
        database: 'connected',
      });
  });
});

function times<T>(count: number, make: (i: number) => T): T[] {
  return Array.from({ length: count }, (_, i) => make(i));
}

function login(identifier: number): Buffer {
  return accessRequest({
    secret: SECRET,
    identifier,
    username: 'alice',
    password: 'wonderland',
  });
}

function sessionId(session: number): string {
  return `session-${String(session).padStart(3, '0')}`;
}

function accountingStart(
  identifier: number,
  session: number,
  attributes: Attribute[] = [],
): Buffer {
  return accountingRequest({
    secret: SECRET,
    identifier,
    attributes: [
      [Type.acctStatusType, START],
      [Type.acctSessionId, sessionId(session)],
      [Type.userName, 'alice'],
      ...attributes,
    ],
  });
}

/** Sends all at once, each with an Identifier of its own, and gives the checked answers in order. */
async function exchange(router: TestRouter, port: number, requests: Buffer[]): Promise<Buffer[]> {
  for (const request of requests) router.send(request, port);
  const answers = new Map<number, Buffer>();
  while (answers.size < requests.length) {
    const answer = await router.receive(10_000);
    if (answer === undefined) {
      throw new Error(`${answers.size} of ${requests.length} requests were answered`);
    }
    answers.set(answer.bytes.readUInt8(1), answer.bytes);
  }
  return requests.map((request) => {
    const answer = answers.get(request.readUInt8(1)) ?? Buffer.alloc(0);
    checkReply(answer, request, SECRET);
    return answer;
  });
}

function codesOf(replies: Buffer[]): number[] {
  return replies.map((reply) => reply.readUInt8(0));
}

/** A whole EAP-MSCHAPv2 login; the Identifier of each packet is `step` more than that of the last. */
async function converse(router: TestRouter, port: number, first: number, step: number) {
  const peer = { username: 'alice', password: Buffer.from('wonderland'), accepts: [MSCHAPV2] };
  let eap = eapIdentity('alice');
  let state: Attribute[] = [];
  let memory: EapPeerMemory;
  for (let identifier = first; identifier < 256; identifier += step) {
    const attributes: Attribute[] = [[Type.eapMessage, eap], ...state];
    const request = accessRequest({ secret: SECRET, username: 'alice', identifier, attributes });
    const reply = checkReply((await router.ask(request, port)).bytes, request, SECRET);
    const answer = answerEap(peer, memory, valueOf(reply, Type.eapMessage), randomBytes(16));
    if (answer.kind !== 'response') {
      const msk = answer.kind === 'success' ? answer.msk : undefined;
      return { code: reply.code, mskBytes: msk?.length };
    }
    ({ eap, memory } = answer);
    state = [[Type.state, valueOf(reply, Type.state)]];
  }
  throw new Error('the conversation does not end');
}

async function countersOf(node: Evergate) {
  return {
    access: await node.metric('radius_requests_total', { type: 'access' }),
    accepted: await node.metric('evergate_logins_total', { outcome: 'accept' }),
    accounting: await node.metric('radius_requests_total', { type: 'accounting' }),
  };
}

type Health = { status: string; database: string; checks: { name: string; status: string }[] };

async function healthOf(node: Evergate): Promise<Health> {
  const response = await node.http('/health');
  return (await response.json()) as Health;
}

async function storedSessions(node: Evergate): Promise<string[]> {
  const response = await node.api('/v1/sessions?limit=200');
  const { data } = (await response.json()) as { data: { acct_session_id: string }[] };
  return data.map((session) => session.acct_session_id).toSorted();
}

function segmentsOf(dataDirectory: string, worker: string): string[] {
  const files = readdirSync(join(dataDirectory, 'journal', worker));
  return files.filter((name) => name.endsWith('.journal'));
}

/** Throws an error inside one of the threads, as a mistake of ours would. */
async function endOneWorker(node: Evergate): Promise<void> {
  const url = /ws:\/\/127\.0\.0\.1:\d+\/[\w-]+/.exec(node.process.output())?.[0];
  if (url === undefined) throw new Error(`no inspector:\n${node.process.output()}`);
  const inspector = new WebSocket(url);
  const send = (method: string, params: object) =>
    inspector.send(JSON.stringify({ id: 1, method, params }));
  const expression = `setTimeout(() => { throw new Error('a mistake') })`;
  const message = JSON.stringify({ id: 1, method: 'Runtime.evaluate', params: { expression } });
  let isSent = false;
  await new Promise<void>((resolve, reject) => {
    inspector.addEventListener('error', () => reject(new Error('the inspector failed')));
    inspector.addEventListener('open', () =>
      send('NodeWorker.enable', { waitForDebuggerOnStart: false }),
    );
    inspector.addEventListener('message', ({ data }) => {
      const said = JSON.parse(String(data)) as { method?: string; params?: { sessionId: string } };
      if (said.method === 'NodeWorker.attachedToWorker' && !isSent) {
        isSent = true;
        send('NodeWorker.sendMessageToWorker', { sessionId: said.params?.sessionId, message });
      }
      if (said.method === 'NodeWorker.detachedFromWorker') resolve();
    });
  });
  inspector.close();
}
