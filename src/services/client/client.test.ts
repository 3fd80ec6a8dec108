// The client against a small server in the same process, built from the same codec: what it sends is
// understood, and what a forger, a deaf or a confused server sends does not deceive it.

import { describe, expect, test } from 'vitest';
import { verifyMsChapV2, parseMsChap2Response } from '../../protocols/mschap/mschapv2.ts';
import {
  prepareSecret,
  verifyAccountingAuthenticator,
  verifyMessageAuthenticator,
} from '../../protocols/radius/authenticator.ts';
import type { Secret } from '../../protocols/radius/authenticator.ts';
import {
  AttributeType,
  PacketCode,
  findInteger,
  findText,
  findValue,
  findVendorAttribute,
  packetAuthenticator,
  parsePacket,
} from '../../protocols/radius/packet.ts';
import type { Packet } from '../../protocols/radius/packet.ts';
import { revealUserPassword, verifyChap } from '../../protocols/radius/password.ts';
import { createReplyWriter } from '../../protocols/radius/reply.ts';
import { systemClock } from '../../runtime/clock.ts';
import { silentLog } from '../../runtime/log.ts';
import { createMetrics } from '../../runtime/metrics.ts';
import { PATH_BYTES } from '../../runtime/network.ts';
import type { Network } from '../../runtime/network.ts';
import { systemRandom } from '../../runtime/random.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { reportAccounting } from './account.ts';
import { LOGIN_METHODS, tryLogin } from './login.ts';
import type { LoginMethod } from './login.ts';
import { macAddress } from './place.ts';
import { createRadiusClient } from './radius-client.ts';
import { splitHostAndPort } from './server-address.ts';
import { createSimulation, percentile } from './simulation.ts';
import { askStatus } from './status.ts';

const SECRET = 'testing123';
const PASSWORD = Buffer.from('wonderland');
/** Longer than any machine stalls; and as long as a test that expects silence has to wait. */
const LONG_MS = 10_000;
const SHORT_MS = 40;

type Server = (request: Packet, secret: Secret) => Buffer | undefined;

/** Every socket of this network talks to the same server. */
function networkTo(server: Server, secret = SECRET): Network {
  const prepared = prepareSecret(Buffer.from(secret));
  return {
    listenTls: () => Promise.reject(new Error('nobody connects to a client')),
    bindUdp: ({ onBatch }) =>
      Promise.resolve({
        port: 1,
        engine: 'simulated',
        receiveBufferBytes: 0,
        sendFailures: 0,
        send(path, datagram) {
          const request = parsePacket(Buffer.from(datagram));
          const answer = request.kind === 'packet' ? server(request, prepared) : undefined;
          if (answer === undefined) return;
          setImmediate(() =>
            onBatch({
              count: 1,
              bytes: answer,
              offsets: Uint32Array.of(0),
              lengths: Uint32Array.of(answer.length),
              paths: Buffer.alloc(PATH_BYTES, path),
            }),
          );
        },
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }),
  };
}

function runtimeOn(network: Network): Runtime {
  return {
    clock: systemClock(),
    random: systemRandom(),
    network,
    log: silentLog(),
    metrics: createMetrics({ processMetrics: false }),
  };
}

const replies = createReplyWriter();

/** A server that knows alice, and checks everything that can be checked. */
function honestServer(request: Packet, secret: Secret): Buffer | undefined {
  if (request.code === PacketCode.AccountingRequest) {
    if (!verifyAccountingAuthenticator(request, secret)) return undefined;
    replies.begin(PacketCode.AccountingResponse, request, true);
    return replies.finish(secret);
  }
  if (verifyMessageAuthenticator(request, secret) !== 'valid') return undefined;
  const success = request.code === PacketCode.StatusServer ? '' : proofOf(request, secret);
  replies.begin(
    success === undefined ? PacketCode.AccessReject : PacketCode.AccessAccept,
    request,
    true,
  );
  if (success === undefined) replies.text(18, 'wrong password');
  else if (success !== '') replies.vendorText(311, 26, `\u0001${success}`);
  return replies.finish(secret);
}

/** Empty for a right password that needs no proof of ours; undefined for a wrong one. */
function proofOf(request: Packet, secret: Secret): string | undefined {
  const hidden = findValue(request, AttributeType.UserPassword);
  if (hidden !== undefined) {
    const revealed = revealUserPassword(hidden, secret, packetAuthenticator(request));
    return revealed?.equals(PASSWORD) === true ? '' : undefined;
  }
  const chap = findValue(request, AttributeType.ChapPassword);
  const challenge = findValue(request, AttributeType.ChapChallenge);
  if (chap !== undefined && challenge !== undefined) {
    return verifyChap(chap, challenge, PASSWORD) ? '' : undefined;
  }
  const response = findVendorAttribute(request, 311, 25);
  const parsed = response === undefined ? undefined : parseMsChap2Response(response);
  const authenticatorChallenge = findVendorAttribute(request, 311, 11);
  if (parsed === undefined || authenticatorChallenge === undefined) return undefined;
  const checked = verifyMsChapV2({
    ...parsed,
    authenticatorChallenge,
    username: findText(request, AttributeType.UserName) ?? '',
    password: PASSWORD,
  });
  return checked.kind === 'ok' ? checked.success : undefined;
}

const place = {
  nasIdentifier: 'r1',
  nasIpAddress: '10.0.0.1',
  calledStationId: 'ap:ssid',
  callingStationId: macAddress(1),
};

async function loginTo(
  server: Server,
  options: {
    method?: LoginMethod;
    password?: string;
    serverSecret?: string;
    timeoutMs?: number;
  } = {},
) {
  const runtime = runtimeOn(networkTo(server, options.serverSecret));
  await using client = await createRadiusClient(
    {
      address: '127.0.0.1',
      secret: SECRET,
      timeoutMs: options.timeoutMs ?? LONG_MS,
      retransmitAfterMs: 10,
    },
    runtime,
  );
  const { method = 'pap', password = 'wonderland' } = options;
  return tryLogin(client, 1812, { username: 'alice', password, method, place }, runtime.random);
}

describe('a login', () => {
  test.each(LOGIN_METHODS)('with the right password is accepted by %s', async (method) => {
    expect(await loginTo(honestServer, { method })).toMatchObject({
      kind: 'accepted',
      attempts: 1,
      isSigned: true,
    });
  });

  test.each(LOGIN_METHODS)('with the wrong password is rejected by %s', async (method) => {
    expect(await loginTo(honestServer, { method, password: 'nope' })).toMatchObject({
      kind: 'rejected',
      message: 'wrong password',
    });
  });

  test('is sent again, the same bytes, until it is answered', async () => {
    const seen: string[] = [];
    const outcome = await loginTo((request, secret) => {
      seen.push(request.bytes.toString('hex'));
      return seen.length < 3 ? undefined : honestServer(request, secret);
    });
    expect(outcome).toMatchObject({ kind: 'accepted', attempts: 3 });
    expect(new Set(seen).size).toBe(1);
  });

  test('that nobody answers ends in silence', async () => {
    const outcome = await loginTo(() => undefined, { timeoutMs: SHORT_MS });
    expect(outcome).toMatchObject({ kind: 'silence', forged: 0 });
  });

  test('with another secret ends in silence, whoever answers', async () => {
    expect(
      await loginTo(honestServer, { serverSecret: 'another', timeoutMs: SHORT_MS }),
    ).toMatchObject({
      kind: 'silence',
      forged: 0,
    });
    const careless: Server = (request, secret) => {
      replies.begin(PacketCode.AccessAccept, request, true);
      return replies.finish(secret);
    };
    const forged = await loginTo(careless, { serverSecret: 'another', timeoutMs: SHORT_MS });
    expect(forged).toMatchObject({ kind: 'silence' });
    expect(forged.kind === 'silence' && forged.forged > 0).toBe(true);
  });

  test('is not deceived by a broken, a foreign and a changed answer that come first', async () => {
    let answers = 0;
    const outcome = await loginTo((request, secret) => {
      answers++;
      const answer = honestServer(request, secret);
      if (answers === 1) return answer?.subarray(0, 12);
      if (answers === 2) answer?.writeUInt8(PacketCode.AccessReject, 0);
      return answer;
    });
    expect(outcome).toMatchObject({ kind: 'accepted', attempts: 3 });
  });

  test('by MS-CHAPv2 is not accepted from a server that does not know the password', async () => {
    const outcome = await loginTo(
      (request, secret) => {
        replies.begin(PacketCode.AccessAccept, request, true);
        replies.vendorText(311, 26, '\u0001S=0000000000000000000000000000000000000000');
        return replies.finish(secret);
      },
      { method: 'mschapv2' },
    );
    expect(outcome.kind).toBe('not-proven');
  });

  test('that is answered with a challenge is unexpected', async () => {
    const outcome = await loginTo((request, secret) => {
      replies.begin(PacketCode.AccessChallenge, request, true);
      return replies.finish(secret);
    });
    expect(outcome).toMatchObject({ kind: 'unexpected', code: PacketCode.AccessChallenge });
  });
});

test('more than 256 requests at once are one too many', async () => {
  const runtime = runtimeOn(networkTo(() => undefined));
  await using client = await createRadiusClient(
    { address: '127.0.0.1', secret: SECRET, timeoutMs: SHORT_MS, retransmitAfterMs: 100 },
    runtime,
  );
  const outcomes = await Promise.all(Array.from({ length: 257 }, () => askStatus(client, 1812)));
  expect(outcomes.filter(({ kind }) => kind === 'busy')).toHaveLength(1);
  expect(outcomes.filter(({ kind }) => kind === 'silence')).toHaveLength(256);
});

test('an accounting record carries Gigawords, and is signed', async () => {
  const seen: Packet[] = [];
  const runtime = runtimeOn(
    networkTo((request, secret) => {
      seen.push(request);
      return honestServer(request, secret);
    }),
  );
  await using client = await createRadiusClient(
    { address: '127.0.0.1', secret: SECRET, timeoutMs: LONG_MS, retransmitAfterMs: 1_000 },
    runtime,
  );
  const outcome = await reportAccounting(client, 1813, {
    kind: 'stop',
    acctSessionId: 's1',
    multiSessionId: 'm1',
    username: 'alice',
    framedIpAddress: '10.0.0.2',
    place,
    seconds: 60,
    inputOctets: 5 * 2 ** 32 + 7,
    outputOctets: 9,
    eventAtMs: 1_700_000_000_000,
  });
  expect(outcome.kind).toBe('answer');
  const [request] = seen;
  expect(request && [42, 52, 43, 53, 55].map((type) => findInteger(request, type))).toEqual([
    7, 5, 9, 0, 1_700_000_000,
  ]);
});

describe('a simulation', () => {
  async function simulate(server: Server, wrongPasswords = 0, timeoutMs = LONG_MS) {
    const runtime = runtimeOn(networkTo(server));
    const client = await createRadiusClient(
      { address: '127.0.0.1', secret: SECRET, timeoutMs, retransmitAfterMs: 1_000 },
      runtime,
    );
    const routers = ['a', 'b'].map((name) => ({ name, address: '127.0.0.1', client }));
    const subscribers = Array.from({ length: 50 }, (_, index) => ({
      username: `simulate-${index}`,
      password: 'wonderland',
    }));
    const simulation = createSimulation(
      {
        routers,
        subscribers,
        authPort: 1812,
        acctPort: 1813,
        loginsPerSecond: 100,
        durationMs: 400,
        wrongPasswords,
      },
      runtime,
    );
    await simulation.run(new AbortController().signal);
    return simulation;
  }

  test('ends every session, and knows what was acknowledged', async () => {
    const { counts, acknowledged } = await simulate(honestServer, 0.2);
    expect(counts).toMatchObject({ wrong: 0, silent: 0, accountingSilent: 0, open: 0 });
    expect(counts.accepted).toBeGreaterThan(0);
    expect(acknowledged.size).toBe(counts.accepted);
    expect([...acknowledged.values()].every((session) => session.isStopped)).toBe(true);
  });

  test('sees a server that lets everybody in, and one that lets nobody in', async () => {
    const generous = await simulate((request, secret) => {
      replies.begin(PacketCode.AccessAccept, request, true);
      return replies.finish(secret);
    }, 1);
    expect(generous.counts.wrong).toBeGreaterThan(0);
    expect(generous.lastComplaint).toMatch(/was let in with the wrong password|not-proven/);

    const strict = await simulate((request, secret) => {
      replies.begin(PacketCode.AccessReject, request, true);
      return replies.finish(secret);
    });
    expect(strict.counts).toMatchObject({ accepted: 0 });
    expect(strict.lastComplaint).toMatch(/was not let in \(\w+\): rejected/);
  });

  test('counts what a deaf server leaves unanswered', async () => {
    const { counts, acknowledged } = await simulate(
      (request, secret) =>
        request.code === PacketCode.AccessRequest ? honestServer(request, secret) : undefined,
      0,
      SHORT_MS,
    );
    expect(counts.accountingSilent).toBe(counts.accountingSent);
    expect(acknowledged.size).toBe(0);
  });
});

test.each([
  ['127.0.0.1', '127.0.0.1', 1812],
  ['127.0.0.1:1645', '127.0.0.1', 1645],
  ['radius.example.org:1812', 'radius.example.org', 1812],
  ['2001:db8::1', '2001:db8::1', 1812],
  ['[2001:db8::1]', '2001:db8::1', 1812],
  ['[2001:db8::1]:1645', '2001:db8::1', 1645],
])('%s is a server', (text, host, port) => {
  expect(splitHostAndPort(text, 1812)).toEqual({ host, port });
});

test.each(['', 'a:b', 'a:0', 'a:70000', '[::1', 'a b'])('%j is not a server', (text) => {
  expect(() => splitHostAndPort(text, 1812)).toThrow('is not a server; it looks like');
});

test('a percentile is a value that was measured', () => {
  expect(percentile([], 0.5)).toBe(0);
  expect(percentile([3, 1, 2], 0.5)).toBe(2);
  expect(percentile([3, 1, 2], 1)).toBe(3);
});
