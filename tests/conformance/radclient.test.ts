// radclient of FreeRADIUS, which is not ours, against a real Evergate: logins, Status-Server and
// accounting as its users type them. Debian's 3.2.1 sends no Message-Authenticator by itself.
// What radclient cannot do, such as broken packets, is in packets.test.ts.

import { spawn } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ensureDebianPackage } from '../servers/ensure-package.ts';
import type { Evergate } from '../servers/evergate.ts';
import { startEvergate } from '../servers/evergate.ts';

const SECRET = 'testing123';
let evergate: Evergate;

beforeAll(async () => {
  ensureDebianPackage(['freeradius-utils'], ['radclient']);
  evergate = await startEvergate({
    environment: { EVERGATE_RADIUS_REJECT_DELAY: '0' },
    apply: {
      sites: [{ name: 'cafe', timezone: 'Africa/Kampala' }],
      routers: [{ name: 'r1', site: 'cafe', address: '127.0.0.1/32', secret: SECRET }],
      plans: [{ name: 'hour', duration: '1h', data: '100GiB', rate: '2M/10M' }],
      subscribers: [
        { username: 'alice', password: 'wonderland', plan: 'hour' },
        { username: 'żółw', password: 'pässwörd ☂', plan: 'hour' },
        { username: 'User', password: 'clientPass', plan: 'hour' }, // RFC 2759 §9.2
      ],
      vouchers: [{ code: 'ABCD-EFGH', plan: 'hour' }],
    },
  });
});

afterAll(() => evergate?.[Symbol.asyncDispose]());

describe('logins', () => {
  test('a right password is accepted', async () => {
    const { answer } = await login('User-Name = "alice", User-Password = "wonderland"');
    expect(answer).toBe('Access-Accept');
  });

  test('a wrong password is rejected', async () => {
    const { answer } = await login('User-Name = "alice", User-Password = "looking-glass"');
    expect(answer).toBe('Access-Reject');
  });

  test('an unknown subscriber is rejected', async () => {
    const { answer } = await login('User-Name = "nobody", User-Password = "wonderland"');
    expect(answer).toBe('Access-Reject');
  });

  test('names and passwords may be in any script', async () => {
    const { answer } = await login('User-Name = "żółw", User-Password = "pässwörd ☂"');
    expect(answer).toBe('Access-Accept');
  });

  test('a voucher code is name and password', async () => {
    const { answer } = await login('User-Name = "ABCD-EFGH", User-Password = "ABCD-EFGH"');
    expect(answer).toBe('Access-Accept');
  });

  test('CHAP tells a right password from a wrong one', async () => {
    const right = await login('User-Name = "alice", CHAP-Password = "wonderland"');
    expect(right.answer).toBe('Access-Accept');
    const wrong = await login('User-Name = "alice", CHAP-Password = "looking-glass"');
    expect(wrong.answer).toBe('Access-Reject');
  });

  test('CHAP works with a challenge of its own', async () => {
    const challenge = 'CHAP-Challenge = 0x00112233445566778899aabbccddeeff';
    const right = await login(`User-Name = "alice", CHAP-Password = "wonderland", ${challenge}`);
    expect(right.answer).toBe('Access-Accept');
  });

  test('MS-CHAPv2 answers the example of RFC 2759 with the proof that stands there', async () => {
    const challenge = '5b5d7c7d7b3f2f3e3c2c602132262628';
    const peerChallenge = '21402324255e262a28295f2b3a337c7e';
    const ntResponse = '82309ecd8d708b5ea08faa3981cd83544233114a3d85d6df';
    const { answer, text } = await login(
      `User-Name = "User", MS-CHAP-Challenge = 0x${challenge}, ` +
        `MS-CHAP2-Response = 0x0100${peerChallenge}0000000000000000${ntResponse}`,
    );
    expect(answer).toBe('Access-Accept');
    const proof = Buffer.from('S=407A5589115FD0D6209F510FE9C04566932CDA56').toString('hex');
    expect(text).toContain(`MS-CHAP2-Success = 0x01${proof}`);
    expect(text).toContain('MS-MPPE-Send-Key');
    expect(text).toContain('MS-MPPE-Recv-Key');
  });

  test('MS-CHAPv2 with a wrong response is rejected with error 691', async () => {
    const { answer, text } = await login(
      `User-Name = "User", MS-CHAP-Challenge = 0x${'5b'.repeat(16)}, ` +
        `MS-CHAP2-Response = 0x0100${'21'.repeat(16)}0000000000000000${'82'.repeat(24)}`,
    );
    expect(answer).toBe('Access-Reject');
    expect(text).toContain('E=691');
  });

  test('an accept says what the plan allows', async () => {
    const { text } = await login('User-Name = "alice", User-Password = "wonderland"');
    expect(text).toMatch(/Session-Timeout = \d+/);
  });

  test('a reject says nothing that an accept says', async () => {
    const { text } = await login('User-Name = "alice", User-Password = "looking-glass"');
    expect(text).not.toContain('Session-Timeout');
  });

  test('Proxy-State comes back, all of it and in order', async () => {
    const { answer, text } = await login(
      'User-Name = "alice", User-Password = "wonderland", Message-Authenticator = 0x00, ' +
        'Proxy-State = 0x01, Proxy-State = 0x0203, Proxy-State = 0x04',
    );
    expect(answer).toBe('Access-Accept');
    const received = text.slice(text.indexOf('Received'));
    const states = [...received.matchAll(/Proxy-State = (\w+)/g)].map((match) => match[1]);
    expect(states).toEqual(['0x01', '0x0203', '0x04']);
  });
});

describe('Status-Server', () => {
  test('is answered on the authentication port', async () => {
    const { answer } = await radclient(evergate.authPort, 'status', 'Message-Authenticator = 0x00');
    expect(answer).toBe('Access-Accept');
  });

  test('is answered on the accounting port', async () => {
    const { answer } = await radclient(evergate.acctPort, 'status', 'Message-Authenticator = 0x00');
    expect(answer).toBe('Accounting-Response');
  });
});

describe('accounting', () => {
  test('a session begins, reports and ends', async () => {
    const session = 'User-Name = "alice", Acct-Session-Id = "s-1", NAS-IP-Address = 127.0.0.1';
    expect((await account(`${session}, Acct-Status-Type = Start`)).answer).toBe(
      'Accounting-Response',
    );
    await account(
      `${session}, Acct-Status-Type = Interim-Update, Acct-Session-Time = 60, ` +
        'Acct-Input-Octets = 1000, Acct-Output-Octets = 2000',
    );
    expect(await findSession('s-1')).toMatchObject({ username: 'alice', stopped_at: null });

    await account(
      `${session}, Acct-Status-Type = Stop, Acct-Session-Time = 90, ` +
        'Acct-Input-Octets = 1500, Acct-Output-Octets = 3000, Acct-Terminate-Cause = User-Request',
    );
    const stopped = await findSession('s-1');
    expect(stopped).toMatchObject({ seconds: 90, input_octets: 1500, output_octets: 3000 });
    expect(stopped['stopped_at']).not.toBeNull();
  });

  test('Gigawords count', async () => {
    await account(
      'User-Name = "alice", Acct-Session-Id = "s-2", Acct-Status-Type = Stop, ' +
        'Acct-Session-Time = 9000, Acct-Input-Octets = 1, Acct-Input-Gigawords = 1, ' +
        'Acct-Output-Octets = 2, Acct-Output-Gigawords = 3',
    );
    expect(await findSession('s-2')).toMatchObject({
      input_octets: 2 ** 32 + 1,
      output_octets: 3 * 2 ** 32 + 2,
    });
  });

  test.each(['Accounting-On', 'Accounting-Off'])(
    '%s ends what the router had open',
    async (type) => {
      const id = `s-${type}`;
      await account(`User-Name = "alice", Acct-Session-Id = "${id}", Acct-Status-Type = Start`);
      expect((await findSession(id))['stopped_at']).toBeNull();
      const { answer } = await account(
        `Acct-Status-Type = ${type}, NAS-IP-Address = 127.0.0.1, Acct-Session-Id = "0"`,
      );
      expect(answer).toBe('Accounting-Response');
      expect((await findSession(id))['stopped_at']).not.toBeNull();
    },
  );
});

function login(attributes: string) {
  return radclient(evergate.authPort, 'auth', attributes);
}

function account(attributes: string) {
  return radclient(evergate.acctPort, 'acct', attributes);
}

/** The last answer that radclient shows, or undefined, and all it wrote. */
function radclient(
  port: number,
  command: 'auth' | 'acct' | 'status',
  attributes: string,
): Promise<{ answer: string | undefined; text: string }> {
  const child = spawn('radclient', [
    '-x',
    '-r',
    '5',
    '-t',
    '2',
    `127.0.0.1:${port}`,
    command,
    SECRET,
  ]);
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
    });
  }
  child.stdin.end(`${attributes}\n`);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => {
      resolve({ answer: [...text.matchAll(/Received ([\w-]+) Id/g)].at(-1)?.[1], text });
    });
  });
}

/** As the API tells it. */
async function findSession(acctSessionId: string): Promise<Record<string, unknown>> {
  const response = await evergate.api('/v1/sessions?limit=100');
  expect(response.status).toBe(200);
  const page = (await response.json()) as { data: Record<string, unknown>[] };
  const session = page.data.find((item) => item['acct_session_id'] === acctSessionId);
  if (session === undefined) throw new Error(`no session ${acctSessionId} in the API`);
  return session;
}
