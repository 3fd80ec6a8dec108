// The handler inside a node with simulated stores: what is answered, what is not, and when.

import { beforeEach, describe, expect, test } from 'vitest';
import type { Router } from '../../domain/router.ts';
import type { Credential } from '../../domain/subscriber.ts';
import { eapIdentity } from '../../protocols/eap/peer.ts';
import { hideUserPassword } from '../../protocols/radius/password.ts';
import { PacketCode, findValue, parsePacket } from '../../protocols/radius/packet.ts';
import type { Packet } from '../../protocols/radius/packet.ts';
import type { RequestWriter } from '../../protocols/radius/request.ts';
import {
  accountingRequest,
  AUTHENTICATOR,
  request,
  secret,
} from '../../../tests/simulation/packets.ts';
import type { RequestOptions } from '../../../tests/simulation/packets.ts';
import { createWorld, planOfDevices, subscriber } from '../../../tests/simulation/world.ts';
import type { World } from '../../../tests/simulation/world.ts';
import type { RadiusOptions } from './radius.ts';

const ROUTER_PORT = 40_000;
const PROXY_STATE = 33;
const REJECT_DELAY_MS = 500;

let world: World;
let routerAddress: string;
let answers: { atMs: number; bytes: Buffer }[];

async function openNode(options: Partial<RadiusOptions> = {}, router: Partial<Router> = {}) {
  world = createWorld(1, { nodes: 1, node: { rejectDelayMs: REJECT_DELAY_MS, ...options } });
  const { address } = await world.addRouter();
  routerAddress = address;
  const [known] = world.database.routers;
  if (known === undefined) throw new Error('no router');
  world.database.routers[0] = { ...known, ...router };
  world.database.putCredential(subscriber('alice'));
  answers = [];
  world.network.witness(({ toPort, bytes }) => {
    if (toPort === ROUTER_PORT) answers.push({ atMs: world.scheduler.nowMs, bytes });
  });
  world.nodes[0]?.start();
  await world.scheduler.run(100);
}

beforeEach(() => openNode());

function send(packet: Pick<Packet, 'bytes'>, toPort = 1812, from = routerAddress, to = '10.0.0.1') {
  const { bytes } = packet;
  world.network.inject({ from, fromPort: ROUTER_PORT, to, toPort, bytes });
}

/** The code of the answer that comes within three seconds, or `silence`. */
async function ask(packet: Pick<Packet, 'bytes'>, port = 1812): Promise<number | 'silence'> {
  const before = answers.length;
  send(packet, port);
  await world.scheduler.run(3_000);
  return answers[before]?.bytes[0] ?? 'silence';
}

function login(
  options: RequestOptions & { username?: Buffer; password?: string } = {},
  write: (writer: RequestWriter) => void = () => undefined,
): Packet {
  const password = Buffer.from(options.password ?? 'pw-alice');
  const authenticator = options.authenticator ?? AUTHENTICATOR;
  return request((writer) => {
    writer.bytes(1, options.username ?? Buffer.from('alice'));
    writer.bytes(2, hideUserPassword(password, secret, authenticator));
    write(writer);
  }, options);
}

function eapLogin(isSigned: boolean): Packet {
  return request(
    (writer) => {
      writer.text(1, 'alice');
      writer.eapMessage(eapIdentity('alice'));
    },
    { isSigned },
  );
}

function start(acctSessionId = '0001', identifier = 1): Packet {
  return accountingRequest(
    (writer) => {
      writer.integer(40, 1);
      writer.text(44, acctSessionId);
      writer.text(1, 'alice');
    },
    { identifier },
  );
}

const withProxyState = (writer: RequestWriter) => writer.bytes(PROXY_STATE, Buffer.from('proxy'));
const { AccessAccept, AccessReject, AccessChallenge, AccountingResponse } = PacketCode;

describe('whether a login must carry a Message-Authenticator', () => {
  const plain = () => login({ isSigned: false });
  const signed = () => login();

  test.each([
    ['yes', 'auto', 'never', 'unsigned', plain, 'silence'],
    ['yes', 'no', 'never', 'unsigned', plain, 'silence'],
    ['yes', 'auto', 'never', 'signed', signed, AccessAccept],
    ['auto', 'auto', 'never', 'unsigned', plain, AccessAccept],
    ['auto', 'auto', 'before', 'unsigned', plain, 'silence'],
    ['auto', 'auto', 'before', 'signed', signed, AccessAccept],
    ['auto', 'yes', 'never', 'unsigned', plain, 'silence'],
    ['auto', 'no', 'before', 'unsigned', plain, AccessAccept],
    ['no', 'yes', 'before', 'unsigned', plain, AccessAccept],
  ] as const)(
    'router says %s, service %s, signed %s: %s',
    async (rule, byDefault, signedBefore, _kind, packet, expected) => {
      await openNode(
        { requireMessageAuthenticator: byDefault },
        {
          requireMessageAuthenticator: rule,
          messageAuthenticatorSeenAtMs: signedBefore === 'before' ? 1 : undefined,
        },
      );
      expect(await ask(packet())).toBe(expected);
    },
  );

  test.each(['yes', 'auto', 'no'] as const)('a wrong one is never accepted (%s)', async (rule) => {
    await openNode({}, { requireMessageAuthenticator: rule });
    const forged = login();
    forged.bytes.writeUInt8(forged.bytes.readUInt8(30) ^ 1, 30);
    expect(await ask(forged)).toBe('silence');
  });

  test.each(['auto', 'no'] as const)('EAP never goes without (%s)', async (rule) => {
    await openNode({}, { requireMessageAuthenticator: rule });
    expect(await ask(eapLogin(false))).toBe('silence');
    expect(await ask(eapLogin(true))).toBe(AccessChallenge);
  });

  test('Proxy-State never goes without: it is what CVE-2024-3596 needs', async () => {
    expect(await ask(login({ isSigned: false }, withProxyState))).toBe('silence');
    expect(await ask(login({ identifier: 2 }, withProxyState))).toBe(AccessAccept);
    expect(answers[0]?.bytes.includes('proxy')).toBe(true);
  });

  test('a router that has signed once must from then on, and the database knows', async () => {
    expect(await ask(login())).toBe(AccessAccept);
    expect(await ask(login({ isSigned: false, identifier: 2 }))).toBe('silence');
    expect(world.database.routers[0]?.messageAuthenticatorSeenAtMs).toBeDefined();
  });

  test('EAP is always signed, so it does not tell that a router signs', async () => {
    await ask(eapLogin(true));
    expect(await ask(login({ isSigned: false, identifier: 2 }))).toBe(AccessAccept);
  });
});

describe('what is discarded', () => {
  test.each([
    ['a name that is no UTF-8', () => login({ username: Buffer.of(0xff, 0xfe) }), 1812],
    ['a name with a NUL', () => login({ username: Buffer.from('alice\0') }), 1812],
    ['a login at the accounting port', () => login(), 1813],
    ['accounting at the login port', () => start(), 1812],
    ['an answer', () => request(() => undefined, { code: AccessAccept }), 1812],
    ['a Disconnect-Request', () => request(() => undefined, { code: 40 }), 1812],
    ['half a packet', () => ({ bytes: login().bytes.subarray(0, 30) }), 1812],
  ])('%s', async (_name, packet, port) => {
    expect(await ask(packet(), port)).toBe('silence');
  });

  test('accounting with a wrong authenticator, and it is not stored', async () => {
    const forged = start();
    forged.bytes.writeUInt8(forged.bytes.readUInt8(4) ^ 1, 4);
    expect(await ask(forged, 1813)).toBe('silence');
    expect(world.database.sessions.size).toBe(0);
  });

  test('whatever comes from an address that is no router', async () => {
    send(login(), 1812, '203.0.113.9');
    await world.scheduler.run(3_000);
    expect(answers).toEqual([]);
  });
});

describe('a login', () => {
  test.each([
    ['the right password', login, AccessAccept],
    ['a wrong password', () => login({ password: 'wrong' }), AccessReject],
    ['an unknown name', () => login({ username: Buffer.from('mallory') }), AccessReject],
    ['an empty name', () => login({ username: Buffer.alloc(0) }), AccessReject],
    ['no password', () => request((writer) => writer.text(1, 'alice')), AccessReject],
  ])('with %s', async (_name, packet, code) => {
    expect(await ask(packet())).toBe(code);
  });

  test('that is rejected waits, one that is accepted does not', async () => {
    const askedAtMs = world.scheduler.nowMs;
    send(login({ password: 'wrong' }));
    send(login({ identifier: 2 }));
    await world.scheduler.run(3_000);
    const [first, second] = answers;
    expect(first?.bytes[0]).toBe(AccessAccept);
    expect(first?.atMs).toBeLessThan(askedAtMs + 50);
    expect(second?.bytes[0]).toBe(AccessReject);
    expect(second?.atMs).toBeGreaterThan(askedAtMs + REJECT_DELAY_MS);
  });

  test('that nobody can judge gets no answer: another node may know more', async () => {
    world.database.mode = 'away';
    expect(await ask(login())).toBe('silence');
    world.database.mode = 'up';
    expect(await ask(login())).toBe(AccessAccept);
  });

  test('that one node cannot judge is judged by the other at once', async () => {
    world = createWorld(1, { nodes: 2 });
    routerAddress = (await world.addRouter()).address;
    world.database.putCredential(subscriber('alice'));
    answers = [];
    world.network.witness(({ toPort, bytes }) => {
      if (toPort === ROUTER_PORT) answers.push({ atMs: world.scheduler.nowMs, bytes });
    });
    for (const node of world.nodes) node.start();
    await world.scheduler.run(100);
    world.database.cutOff.add('node-1');
    send(login());
    await world.scheduler.run(500);
    expect(answers).toEqual([]);
    send(login(), 1812, routerAddress, '10.0.0.2');
    await world.scheduler.run(100);
    expect(answers[0]?.bytes[0]).toBe(AccessAccept);
  });

  test.each(['alice', 'mallory'])(
    'with MS-CHAPv2 and a wrong password tells nobody whether there is a %s',
    async (name) => {
      await ask(
        request((writer) => {
          writer.text(1, name);
          writer.vendorBytes(311, 11, Buffer.alloc(16));
          writer.vendorBytes(311, 25, Buffer.alloc(50));
        }),
      );
      const [rejected] = answers;
      expect(rejected?.bytes[0]).toBe(AccessReject);
      expect(rejected?.bytes.includes('E=691')).toBe(true);
    },
  );

  test('without a seat is rejected', async () => {
    world.database.putCredential(subscriber('alice', { plan: planOfDevices(1) }));
    await world.scheduler.run(100);
    const from = (device: string, identifier: number) =>
      login({ identifier }, (writer) => writer.text(31, device));
    expect(await ask(from('02-00-00-00-00-01', 1))).toBe(AccessAccept);
    expect(await ask(from('02-00-00-00-00-02', 2))).toBe(AccessReject);
    expect(await ask(from('02:00:00:00:00:01', 3))).toBe(AccessAccept);
  });

  test.each([
    ['again in the middle of a session keeps its Class, so that accounting sees one', 'a1', true],
    ['of another session has another Class', 'b2', false],
    ['that names no session has another Class', undefined, false],
  ])('%s', async (_name, session, isSame) => {
    const ofSession = (name: string | undefined, identifier: number) =>
      login({ identifier }, (writer) => name !== undefined && writer.text(44, name));
    await ask(ofSession('a1', 1));
    await ask(ofSession(session, 2));
    const [first, second] = answers.map(({ bytes }) => classOf(bytes));
    expect(first?.length).toBe(12);
    expect(first?.equals(second ?? Buffer.alloc(0))).toBe(isSame);
  });

  test('over the rate limit gets no answer', async () => {
    await openNode({ rateLimitPerMinute: 2 });
    const codes = [];
    for (const identifier of [1, 2, 3]) codes.push(await ask(login({ identifier })));
    expect(codes).toEqual([AccessAccept, AccessAccept, 'silence']);
  });
});

describe('a voucher', () => {
  const CODE = 'ABCD-EFGH';
  const voucher = (changes: Partial<Credential> = {}) =>
    subscriber(CODE, { kind: 'voucher', password: Buffer.from(CODE), ...changes });
  const typed = (code: string, device = '', identifier = 1, password = code) =>
    login({ username: Buffer.from(code), password, identifier }, (writer) =>
      writer.text(31, device),
    );

  function put(credential: Credential) {
    world.database.putCredential(credential);
    world.database.credentials.set(CODE.toLowerCase(), credential); // found in any case
  }

  test('is known in the case in which somebody types its code', async () => {
    put(voucher());
    expect(await ask(typed('abcd-efgh'))).toBe(AccessAccept);
  });

  test('has its seats once, however its code is typed', async () => {
    put(voucher({ plan: planOfDevices(1), activatedAtMs: 1 }));
    expect(await ask(typed('ABCD-EFGH', '02-00-00-00-00-01', 1))).toBe(AccessAccept);
    expect(await ask(typed('abcd-efgh', '02-00-00-00-00-02', 2, CODE))).toBe(AccessReject);
  });

  test('is not used by a login that is refused', async () => {
    put(voucher({ disabled: true }));
    expect(await ask(typed(CODE))).toBe(AccessReject);
    expect(world.database.credentials.get(CODE)?.activatedAtMs).toBeUndefined();
  });
});

describe('a retransmission', () => {
  test('gets the first answer, byte for byte', async () => {
    await ask(login());
    await ask(login());
    expect(answers).toHaveLength(2);
    expect(answers[1]?.bytes).toEqual(answers[0]?.bytes);
  });

  test('while the first is being worked on is not answered twice', async () => {
    send(login({ password: 'wrong' }));
    await world.scheduler.run(100);
    send(login({ password: 'wrong' }));
    await world.scheduler.run(3_000);
    expect(answers).toHaveLength(1);
  });

  test('a new authenticator under the same identifier is a new request', async () => {
    await ask(login());
    await ask(login({ authenticator: Buffer.alloc(16, 9), password: 'wrong' }));
    expect(answers.map(({ bytes }) => bytes[0])).toEqual([AccessAccept, AccessReject]);
  });
});

function classOf(bytes: Buffer): Buffer | undefined {
  const packet = parsePacket(bytes);
  return packet.kind === 'packet' ? findValue(packet, 25) : undefined;
}

describe('accounting', () => {
  test('is answered when it is in the database', async () => {
    expect(await ask(start(), 1813)).toBe(AccountingResponse);
    expect(world.database.sessions.size).toBe(1);
  });

  test('is answered when it is on the disk, if the database is away', async () => {
    world.database.mode = 'away';
    expect(await ask(start(), 1813)).toBe(AccountingResponse);
    expect(world.nodes[0]?.disk.synced).toHaveLength(1);
    world.database.comeBack();
    await world.scheduler.run(6_000);
    expect(world.database.sessions.size).toBe(1);
  });

  test('of a kind that nobody knows is answered, else the router repeats it for ever', async () => {
    const strange = accountingRequest((writer) => writer.integer(40, 15));
    expect(await ask(strange, 1813)).toBe(AccountingResponse);
  });

  test('without a status is discarded', async () => {
    const without = accountingRequest((writer) => writer.text(44, '0001'));
    expect(await ask(without, 1813)).toBe('silence');
  });
});

describe('Status-Server', () => {
  const status = (isSigned = true) => {
    const packet = request(() => undefined, { code: PacketCode.StatusServer });
    return isSigned ? packet : { bytes: withoutAttributes(packet) };
  };

  function withoutAttributes({ bytes }: Packet): Buffer {
    const bare = Buffer.from(bytes.subarray(0, 20));
    bare.writeUInt16BE(20, 2);
    return bare;
  }

  test.each([
    [1812, AccessAccept],
    [1813, AccountingResponse],
  ])('at port %i is answered with code %i', async (port, code) => {
    expect(await ask(status(), port)).toBe(code);
  });

  test('without a Message-Authenticator is discarded', async () => {
    expect(await ask(status(false))).toBe('silence');
  });

  test('is not answered while the node is stopping, so that routers turn elsewhere', async () => {
    send(login({ password: 'wrong' })); // keeps it busy for a while
    await world.scheduler.run(50);
    const stopped = world.nodes[0]?.stop();
    send(status());
    await world.scheduler.run(100);
    expect(answers).toEqual([]);
    await world.scheduler.run(5_000);
    await stopped;
    expect(answers.map(({ bytes }) => bytes[0])).toEqual([AccessReject]);
  });
});
