// What decides whether a packet gets an answer, and which: routers and their secrets, the rule about
// Message-Authenticator (CVE-2024-3596), retransmissions, broken packets, and the address an answer
// comes from. RFC 2865 §3, RFC 3579 §3.2, RFC 5080 §2.2. Against a real Evergate, by our own router.

import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Evergate } from '../servers/evergate.ts';
import { startEvergate } from '../servers/evergate.ts';
import type { Attribute, TestRouter } from './test-router.ts';
import {
  Code,
  Type,
  accessRequest,
  accountingRequest,
  checkReply,
  encode,
  openTestRouter,
  valueOf,
} from './test-router.ts';

const SECRET = 'testing123';
const ALICE = { username: 'alice', password: 'wonderland', secret: SECRET };

/** The routers of these tests: each rule at its own address. */
const PERMISSIVE = '127.0.0.2'; // no
const STRICT = '127.0.0.3'; // yes
const LATCHING = '127.0.0.4'; // auto
const UNKNOWN = '127.0.0.9';

let evergate: Evergate;
const opened = new AsyncDisposableStack();

beforeAll(async () => {
  const router = (name: string, address: string, rule: string) => ({
    name,
    site: 'cafe',
    address: `${address}/32`,
    secret: SECRET,
    require_message_authenticator: rule,
  });
  evergate = await startEvergate({
    environment: { EVERGATE_RADIUS_REJECT_DELAY: '0', EVERGATE_RADIUS_HOST: '0.0.0.0' },
    apply: {
      sites: [{ name: 'cafe', timezone: 'UTC' }],
      routers: [
        router('permissive', PERMISSIVE, 'no'),
        router('strict', STRICT, 'yes'),
        router('latching', LATCHING, 'auto'),
      ],
      plans: [{ name: 'hour', duration: '1h' }],
      subscribers: [{ username: 'alice', password: 'wonderland', plan: 'hour' }],
    },
  });
  opened.use(evergate);
});

afterAll(() => opened.disposeAsync());

describe('who is answered', () => {
  test('every answer to a login begins with a valid Message-Authenticator', async () => {
    await using router = await openTestRouter(PERMISSIVE);
    for (const password of ['wonderland', 'looking-glass']) {
      const request = accessRequest({ ...ALICE, password, signed: false });
      const { bytes } = await router.ask(request, evergate.authPort);
      const { attributes } = checkReply(bytes, request, SECRET);
      expect(attributes[0]?.type).toBe(Type.messageAuthenticator);
    }
  });

  test('an unknown router hears nothing, and it is counted', async () => {
    await using router = await openTestRouter(UNKNOWN);
    expect(await answerToDiscarded(router, accessRequest(ALICE), 'unknown-router')).toBeUndefined();
  });

  test('a wrong secret hears nothing: a signed login', async () => {
    await using router = await openTestRouter(PERMISSIVE);
    const request = accessRequest({ ...ALICE, secret: 'wrong' });
    expect(await answerToDiscarded(router, request, 'bad-message-authenticator')).toBeUndefined();
  });

  test('a wrong secret hears nothing: accounting', async () => {
    await using router = await openTestRouter(PERMISSIVE);
    const request = accountingRequest({ secret: 'wrong', attributes: startRecord('w-1') });
    expect(
      await answerToDiscarded(router, request, 'bad-accounting-authenticator', evergate.acctPort),
    ).toBeUndefined();
  });

  test('a wrong secret in an unsigned login makes the password wrong', async () => {
    await using router = await openTestRouter(PERMISSIVE);
    const request = accessRequest({ ...ALICE, secret: 'wrong', signed: false });
    const { bytes } = await router.ask(request, evergate.authPort);
    expect(checkReply(bytes, request, SECRET).code).toBe(Code.accessReject);
  });

  test('a Status-Server without a Message-Authenticator hears nothing', async () => {
    await using router = await openTestRouter(PERMISSIVE);
    const request = accessRequest({ secret: SECRET, code: Code.statusServer, signed: false });
    expect(await answerToDiscarded(router, request)).toBeUndefined();
  });

  test.each([
    ['127.0.0.5', '127.0.0.5'],
    ['127.0.0.1', '127.0.0.1'],
  ])('a request to %s is answered from there', async (asked, answered) => {
    await using router = await openTestRouter(PERMISSIVE);
    const request = accessRequest(ALICE);
    const { bytes, address } = await router.ask(request, evergate.authPort, asked);
    expect(checkReply(bytes, request, SECRET).code).toBe(Code.accessAccept);
    expect(address).toBe(answered);
  });

  test('accounting is answered from the address that was asked', async () => {
    await using router = await openTestRouter(PERMISSIVE);
    const request = accountingRequest({ secret: SECRET, attributes: startRecord('a-5') });
    const { address } = await router.ask(request, evergate.acctPort, '127.0.0.5');
    expect(address).toBe('127.0.0.5');
  });
});

describe('Message-Authenticator', () => {
  test('yes: a login without one hears nothing', async () => {
    await using router = await openTestRouter(STRICT);
    expect(
      await answerToDiscarded(
        router,
        accessRequest({ ...ALICE, signed: false }),
        'message-authenticator-required',
      ),
    ).toBeUndefined();
    expect(await codeOf(router, accessRequest(ALICE))).toBe(Code.accessAccept);
  });

  test('no: a login without one is answered, also after one with it', async () => {
    await using router = await openTestRouter(PERMISSIVE);
    expect(await codeOf(router, accessRequest(ALICE))).toBe(Code.accessAccept);
    const unsigned = accessRequest({ ...ALICE, signed: false });
    expect(await codeOf(router, unsigned)).toBe(Code.accessAccept);
  });

  test('accounting never needs one', async () => {
    await using router = await openTestRouter(STRICT);
    const request = accountingRequest({ secret: SECRET, attributes: startRecord('m-1') });
    const { bytes } = await router.ask(request, evergate.acctPort);
    expect(checkReply(bytes, request, SECRET).code).toBe(Code.accountingResponse);
  });

  test('two of them are discarded', async () => {
    await using router = await openTestRouter(PERMISSIVE);
    const attributes: Attribute[] = [[Type.messageAuthenticator, randomBytes(16)]];
    expect(
      await answerToDiscarded(router, accessRequest({ ...ALICE, attributes })),
    ).toBeUndefined();
  });

  test('an EAP-Message without one is discarded', async () => {
    await using router = await openTestRouter(PERMISSIVE);
    const eap = Buffer.concat([Buffer.of(2, 0, 0, 10, 1), Buffer.from('alice')]);
    const attributes: Attribute[] = [[Type.eapMessage, eap]];
    expect(
      await answerToDiscarded(
        router,
        accessRequest({ username: 'alice', secret: SECRET, attributes, signed: false }),
        'unprotected-eap',
      ),
    ).toBeUndefined();
  });

  test('Proxy-State without one is discarded, and with one echoed', async () => {
    await using router = await openTestRouter(PERMISSIVE);
    const attributes: Attribute[] = [
      [Type.proxyState, 'first'],
      [Type.proxyState, 'second'],
    ];
    expect(
      await answerToDiscarded(
        router,
        accessRequest({ ...ALICE, attributes, signed: false }),
        'unprotected-proxy-state',
      ),
    ).toBeUndefined();
    for (const password of ['wonderland', 'looking-glass']) {
      const request = accessRequest({ ...ALICE, password, attributes });
      const { bytes } = await router.ask(request, evergate.authPort);
      expect(valueOf(checkReply(bytes, request, SECRET), Type.proxyState).toString()).toBe(
        'firstsecond',
      );
    }
    const record = accountingRequest({
      secret: SECRET,
      attributes: [...startRecord('p-1'), ...attributes],
    });
    const { bytes } = await router.ask(record, evergate.acctPort);
    expect(valueOf(checkReply(bytes, record, SECRET), Type.proxyState).toString()).toBe(
      'firstsecond',
    );
  });

  test('auto: requires one for good after the first valid one, also after a restart', async () => {
    await using router = await openTestRouter(LATCHING);
    const unsigned = () => accessRequest({ ...ALICE, signed: false });
    expect(await codeOf(router, unsigned())).toBe(Code.accessAccept);
    const forged = accessRequest({ ...ALICE, secret: 'wrong' });
    expect(await answerToDiscarded(router, forged, 'bad-message-authenticator')).toBeUndefined();
    expect(await codeOf(router, unsigned())).toBe(Code.accessAccept);

    expect(await codeOf(router, accessRequest(ALICE))).toBe(Code.accessAccept);
    expect(
      await answerToDiscarded(router, unsigned(), 'message-authenticator-required'),
    ).toBeUndefined();

    const { again } = evergate;
    await evergate.process.stop();
    evergate = opened.use(await startEvergate(again));
    expect(
      await answerToDiscarded(router, unsigned(), 'message-authenticator-required'),
    ).toBeUndefined();
    expect(await codeOf(router, accessRequest(ALICE))).toBe(Code.accessAccept);
  });
});

describe('retransmissions', () => {
  test('a retransmitted login gets the first answer again', async () => {
    await using router = await openTestRouter(PERMISSIVE);
    const request = accessRequest(ALICE);
    const first = await router.ask(request, evergate.authPort);
    const logins = await evergate.metric('evergate_logins_total');
    const second = await router.ask(request, evergate.authPort);
    expect(second.bytes).toEqual(first.bytes);
    expect(await evergate.metric('evergate_logins_total')).toBe(logins);
  });

  test('a retransmitted accounting record gets the first answer again', async () => {
    await using router = await openTestRouter(PERMISSIVE);
    const request = accountingRequest({ secret: SECRET, attributes: startRecord('r-1') });
    const first = await router.ask(request, evergate.acctPort);
    const second = await router.ask(request, evergate.acctPort);
    expect(second.bytes).toEqual(first.bytes);
  });

  test('a request that comes twice at once has one effect, and its answers are equal', async () => {
    await using router = await openTestRouter(PERMISSIVE);
    for (let identifier = 0; identifier < 20; identifier++) {
      const request = accessRequest({ ...ALICE, identifier });
      const logins = await evergate.metric('evergate_logins_total');
      router.send(request, evergate.authPort);
      const answer = await router.ask(request, evergate.authPort);
      expect(checkReply(answer.bytes, request, SECRET).code).toBe(Code.accessAccept);
      const another = (await router.receive(50)) ?? answer; // the second may go unanswered
      expect(another.bytes).toEqual(answer.bytes);
      expect(await evergate.metric('evergate_logins_total')).toBe(logins + 1);
    }
  });

  test('the same identifier with another authenticator is another request', async () => {
    await using router = await openTestRouter(PERMISSIVE);
    expect(await codeOf(router, accessRequest(ALICE))).toBe(Code.accessAccept);
    const wrong = accessRequest({ ...ALICE, password: 'looking-glass' });
    expect(await codeOf(router, wrong)).toBe(Code.accessReject);
  });
});

describe('broken packets', () => {
  const header = (length: number, code: number = Code.accessRequest) => {
    const packet = Buffer.alloc(20);
    packet[0] = code;
    packet.writeUInt16BE(length, 2);
    return packet;
  };
  const login = () => accessRequest(ALICE);
  const withLength = (length: number) => {
    const packet = login();
    packet.writeUInt16BE(length, 2);
    return packet;
  };
  const withLastAttribute = (...bytes: number[]) => {
    const packet = Buffer.concat([login(), Buffer.from(bytes)]);
    packet.writeUInt16BE(packet.length, 2);
    return packet;
  };
  const oversized = () =>
    encode(
      Code.accessRequest,
      1,
      randomBytes(16),
      Array.from({ length: 17 }, () => [Type.proxyState, Buffer.alloc(253)] as const),
    );

  test.each([
    ['one byte', () => Buffer.of(1)],
    ['less than a header', () => header(20).subarray(0, 19)],
    ['a Length below 20', () => header(19)],
    ['a Length beyond the datagram', () => withLength(login().length + 1)],
    ['a truncated login', () => login().subarray(0, -1)],
    ['more than 4096 bytes', oversized],
    ['an attribute with length 0', () => withLastAttribute(1, 0)],
    ['an attribute with length 1', () => withLastAttribute(1, 1)],
    ['an attribute beyond the end', () => withLastAttribute(1, 10, 65)],
    ['half an attribute header', () => withLastAttribute(1)],
    ['an unknown code', () => accessRequest({ ...ALICE, code: 200 })],
    ['an answer instead of a request', () => header(20, Code.accessAccept)],
    [
      'accounting on the authentication port',
      () => accountingRequest({ secret: SECRET, attributes: startRecord('x-1') }),
    ],
    [
      'a name that is not UTF-8',
      () =>
        accessRequest({
          secret: SECRET,
          password: 'wonderland',
          attributes: [[Type.userName, Buffer.of(0xff, 0xfe, 0xc0)]],
        }),
    ],
    ['noise', () => randomBytes(100)],
  ])('%s gets no answer and is counted', async (_, packet) => {
    await using router = await openTestRouter(PERMISSIVE);
    expect(await answerToDiscarded(router, packet())).toBeUndefined();
  });

  test('an empty datagram gets no answer, and the server goes on', async () => {
    await using router = await openTestRouter(PERMISSIVE);
    router.send(Buffer.alloc(0), evergate.authPort);
    expect(await codeOf(router, login())).toBe(Code.accessAccept);
    expect(await router.receive(100)).toBeUndefined();
  });

  test('padding after the Length is ignored', async () => {
    await using router = await openTestRouter(PERMISSIVE);
    const request = login();
    const padded = Buffer.concat([request, Buffer.alloc(7, 0xff)]);
    const { bytes } = await router.ask(padded, evergate.authPort);
    expect(checkReply(bytes, request, SECRET).code).toBe(Code.accessAccept);
  });

  test('unknown attributes are no reason to refuse', async () => {
    await using router = await openTestRouter(PERMISSIVE);
    const attributes: Attribute[] = [
      [250, 'unknown'],
      [26, Buffer.of(0, 0, 0xff, 0xff, 1, 0)], // a vendor attribute that is broken inside
    ];
    expect(await codeOf(router, accessRequest({ ...ALICE, attributes }))).toBe(Code.accessAccept);
  });

  test('an empty password is legal, and wrong', async () => {
    await using router = await openTestRouter(PERMISSIVE);
    expect(await codeOf(router, accessRequest({ ...ALICE, password: '' }))).toBe(Code.accessReject);
  });
});

function startRecord(acctSessionId: string): Attribute[] {
  return [
    [Type.acctStatusType, 1],
    [Type.userName, 'alice'],
    [Type.acctSessionId, acctSessionId],
  ];
}

async function codeOf(router: TestRouter, request: Buffer): Promise<number> {
  const { bytes } = await router.ask(request, evergate.authPort);
  return checkReply(bytes, request, SECRET).code;
}

/** The answer to a packet that the server has counted as discarded: there should be none. */
async function answerToDiscarded(
  router: TestRouter,
  packet: Buffer,
  reason?: string,
  port = evergate.authPort,
): Promise<Buffer | undefined> {
  const labels: Record<string, string> = reason === undefined ? {} : { reason };
  const discarded = () => evergate.metric('radius_discards_total', labels);
  const before = await discarded();
  router.send(packet, port);
  for (let tries = 0; tries < 500; tries++) {
    if ((await discarded()) > before) return (await router.receive(100))?.bytes;
    const answer = await router.receive(20);
    if (answer !== undefined) return answer.bytes;
  }
  throw new Error(`a packet was neither answered nor counted as discarded (${reason ?? 'any'})`);
}
