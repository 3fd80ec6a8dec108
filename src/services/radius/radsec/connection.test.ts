// One connection, with a peer and a request handler that do as the test says, in virtual time.

import { beforeEach, describe, expect, test } from 'vitest';
import { virtualRuntime } from '../../../../tests/simulation/virtual-runtime.ts';
import type { VirtualRuntime } from '../../../../tests/simulation/virtual-runtime.ts';
import type { Router } from '../../../domain/router.ts';
import { prepareSecret, signRequest } from '../../../protocols/radius/authenticator.ts';
import { PacketCode, findInteger, parsePacket } from '../../../protocols/radius/packet.ts';
import { createRequestWriter } from '../../../protocols/radius/request.ts';
import { pathTo } from '../../../runtime/udp/path.ts';
import type { TlsPeer } from '../../../runtime/network.ts';
import type { DiscardReason } from '../counters.ts';
import type { RequestHandler } from '../handle-request.ts';
import type { KnownRouter } from '../router-table.ts';
import { createConnection } from './connection.ts';
import type { CloseReason, Connection } from './connection.ts';

const secret = prepareSecret(Buffer.from('radsec'));

function knownRouter(name: string): KnownRouter {
  const router: Router = {
    id: `id-${name}`,
    name,
    siteId: 'site',
    address: '10.0.0.1/32',
    secret: Buffer.from('another'),
    vendor: 'generic',
    coaPort: 3799,
    requireMessageAuthenticator: 'auto',
    messageAuthenticatorSeenAtMs: undefined,
  };
  return { router, secret: prepareSecret(router.secret), hasSignedRequests: false };
}

function login(identifier: number): Buffer {
  const writer = createRequestWriter();
  writer.begin(PacketCode.AccessRequest, identifier, Buffer.alloc(16, identifier), true);
  writer.text(1, 'alice');
  return writer.finish(secret) ?? Buffer.alloc(0);
}

type Taken = Parameters<RequestHandler['receiveProtected']>;

let runtime: VirtualRuntime;
let taken: Taken[];
let sent: Buffer[];
let states: string[];
let unsentBytes: number;
let ended: { reason: CloseReason; detail: string | undefined } | undefined;
let generation: number;
let routerNow: KnownRouter | undefined;
let connection: Connection;

function open(protocol?: string) {
  const peer: TlsPeer = {
    path: pathTo('192.0.2.7', 40_000),
    protocol,
    version: 'TLSv1.3',
    certificates: [],
    send: (bytes) => void sent.push(Buffer.from(bytes)),
    get unsentBytes() {
      return unsentBytes;
    },
    pause: () => void states.push('paused'),
    resume: () => void states.push('resumed'),
    end: () => void states.push('ended'),
    destroy: () => void states.push('destroyed'),
  };
  connection = createConnection({
    peer,
    router: knownRouter('r1'),
    identify: () => routerNow,
    generation: () => generation,
    receive: (...request) => void taken.push(request),
    malformed: () => undefined,
    runtime,
    onEnd(_, reason, detail) {
      ended = { reason, detail };
    },
  });
}

beforeEach(() => {
  runtime = virtualRuntime();
  taken = [];
  sent = [];
  states = [];
  unsentBytes = 0;
  ended = undefined;
  generation = 1;
  routerNow = knownRouter('r1');
  open();
});

const answer = (index: number, bytes = Buffer.from(`answer ${index}`)) => {
  const [, source, socket] = taken[index] ?? [];
  socket?.send(source?.path ?? Buffer.alloc(0), bytes);
};
const refuse = (index: number, reason: DiscardReason) => taken[index]?.[2].refuse?.(reason);

describe('requests', () => {
  test('are taken under the secret of RADIUS/TLS, as the router’s', () => {
    connection.onBytes(login(1));
    expect(taken).toHaveLength(1);
    expect(taken[0]?.[1]).toMatchObject({
      isProtected: true,
      address: '192.0.2.7',
      router: { router: { name: 'r1' }, secret: { bytes: Buffer.from('radsec') } },
    });
  });

  test('are answered as the answers come', () => {
    connection.onBytes(Buffer.concat([login(1), login(2)]));
    answer(1);
    answer(0);
    expect(sent.map(String)).toEqual(['answer 1', 'answer 0']);
  });

  test('wait when too many are being worked on, and so does the peer', () => {
    const many = Array.from({ length: 300 }, (_, i) => login(i % 256));
    connection.onBytes(Buffer.concat(many));
    expect(taken).toHaveLength(256);
    expect(states).toEqual(['paused']);
    for (let i = 0; i < 44; i++) answer(i);
    expect(taken).toHaveLength(300);
    expect(states).toEqual(['paused']);
    answer(44);
    expect(states).toEqual(['paused', 'resumed']);
    refuse(45, 'rate-limit'); // makes room as well
    connection.onBytes(Buffer.concat([login(1), login(2)]));
    expect(taken).toHaveLength(302);
  });

  test('are answered to the router as it is now', () => {
    generation = 2;
    routerNow = knownRouter('r1-renamed');
    connection.onBytes(login(1));
    expect(taken[0]?.[1].router.router.name).toBe('r1-renamed');
  });

  test('that no answer is for are met with silence', () => {
    connection.onBytes(login(1));
    refuse(0, 'backend-away');
    expect(sent).toEqual([]);
    expect(states).toEqual([]);
  });

  test('to disconnect somebody are refused', () => {
    const writer = createRequestWriter();
    writer.begin(PacketCode.DisconnectRequest, 9, Buffer.alloc(16), false);
    const request = parsePacket(writer.finish(secret) ?? Buffer.alloc(0));
    if (request.kind === 'malformed') throw new Error(request.reason);
    signRequest(request, secret);
    connection.onBytes(request.bytes);
    refuse(0, 'unexpected-code');
    const nak = parsePacket(sent[0] ?? Buffer.alloc(0));
    if (nak.kind === 'malformed') throw new Error(nak.reason);
    expect(nak).toMatchObject({ code: PacketCode.DisconnectNak, identifier: 9 });
    expect(findInteger(nak, 101)).toBe(406);
  });

  test.each([
    ['backend-away', 506],
    ['no-status-type', 402],
    ['bad-eap', 404],
    ['unexpected-code', 406],
  ] as const)('of RADIUS/1.1 learn that there is no answer: %s', (reason, cause) => {
    open('radius/1.1');
    connection.onBytes(login(1));
    refuse(0, reason);
    const error = parsePacket(sent[0] ?? Buffer.alloc(0));
    if (error.kind === 'malformed') throw new Error(error.reason);
    expect(error.code).toBe(PacketCode.ProtocolError);
    expect(findInteger(error, 101)).toBe(cause);
  });
});

describe('a connection ends', () => {
  test.each(['bad-message-authenticator', 'bad-accounting-authenticator'] as const)(
    'by a packet with a %s',
    (reason) => {
      connection.onBytes(Buffer.concat([login(1), login(2)]));
      refuse(0, reason);
      expect(states).toEqual(['ended']);
      answer(1); // too late
      expect(sent).toEqual([]);
      connection.onBytes(login(3));
      expect(taken).toHaveLength(2);
      connection.onClosed(undefined);
      expect(ended).toEqual({ reason: 'bad-authenticator', detail: reason });
    },
  );

  test('by a packet that is none, and what follows is not looked at', () => {
    connection.onBytes(Buffer.concat([login(1), Buffer.alloc(4), login(2)]));
    expect(taken).toHaveLength(1);
    connection.onClosed(undefined);
    expect(ended).toEqual({ reason: 'malformed-packet', detail: 'bad-length' });
  });

  test('when its router is gone', () => {
    generation = 2;
    routerNow = undefined;
    connection.onBytes(login(1));
    expect(taken).toEqual([]);
    connection.onClosed(undefined);
    expect(ended?.reason).toBe('router-gone');
  });

  test('at once when the peer does not read', () => {
    connection.onBytes(login(1));
    unsentBytes = 2 ** 21;
    answer(0);
    expect(states).toEqual(['destroyed']);
  });

  test('when half a packet waits for too long', async () => {
    connection.onBytes(login(1).subarray(0, 10));
    await runtime.scheduler.run(9_000);
    connection.sweep();
    expect(states).toEqual([]);
    await runtime.scheduler.run(2_000);
    connection.sweep();
    expect(states).toEqual(['ended']);
    connection.onClosed(undefined);
    expect(ended?.reason).toBe('incomplete-packet');
  });

  test('when nothing has come for ten minutes, and a minute is nothing', async () => {
    await runtime.scheduler.run(60_000);
    connection.sweep();
    expect(states).toEqual([]);
    await runtime.scheduler.run(541_000);
    connection.sweep();
    expect(states).toEqual(['ended']);
  });

  test('with force when the peer does not take its goodbye', async () => {
    connection.close('stopping');
    await runtime.scheduler.run(6_000);
    connection.sweep();
    expect(states).toEqual(['ended', 'destroyed']);
  });

  test.each([
    [undefined, 'peer'],
    [new Error('read ECONNRESET'), 'network'],
  ] as const)('because of the other side: %s', (error, reason) => {
    connection.onClosed(error);
    expect(ended).toEqual({ reason, detail: error?.message });
  });
});
