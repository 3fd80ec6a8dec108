// RADIUS over TLS against a real Evergate: radsecproxy, which is not ours, between radclient or eapol_test
// and the server; and a client of our own for RADIUS/1.1, broken packets and certificates that are wrong.

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { copyFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConnectionOptions } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { answerEap, eapIdentity } from '../../src/protocols/eap/peer.ts';
import type { EapPeerMemory } from '../../src/protocols/eap/peer.ts';
import { createCertificateAuthority } from '../servers/certificate-authority.ts';
import type { CertificateAuthority, Issued } from '../servers/certificate-authority.ts';
import { ensureDebianPackage } from '../servers/ensure-package.ts';
import { startEvergate } from '../servers/evergate.ts';
import type { Evergate } from '../servers/evergate.ts';
import { freeTcpPort } from '../servers/free-port.ts';
import { startRadsecproxy } from '../servers/radsecproxy.ts';
import type { Radsecproxy } from '../servers/radsecproxy.ts';
import { attributeOf, openRadsec, packet11 } from './radsec-client.ts';
import type { RadsecClient } from './radsec-client.ts';
import {
  Code,
  Type,
  accessRequest,
  accountingRequest,
  checkReply,
  valueOf,
} from './test-router.ts';
import type { Attribute } from './test-router.ts';

const SECRET = 'testing123';
const RADSEC = 'radsec';
const PROTOCOL_ERROR = 52;
const ERROR_CAUSE = 101;
const MSCHAPV2 = 26;

const opened = new AsyncDisposableStack();
let authority: CertificateAuthority;
let rogue: CertificateAuthority;
let evergate: Evergate;
let proxy: Radsecproxy;
let radsecPort: number;
let files: string;
let router: Issued;
let revoked: Issued;

beforeAll(async () => {
  ensureDebianPackage(['freeradius-utils', 'eapoltest'], ['radclient', 'eapol_test']);
  authority = opened.use(createCertificateAuthority('RadSec CA'));
  rogue = opened.use(createCertificateAuthority('Somebody else'));
  files = mkdtempSync(join(tmpdir(), 'evergate-radsec-'));
  opened.defer(() => rmSync(files, { recursive: true, force: true }));
  installCertificate();
  revoked = client('DNS:r1.example.net');
  authority.revoke(revoked);
  copyFileSync(authority.certificateFile, join(files, 'ca.pem'));
  copyFileSync(authority.writeCrl(), join(files, 'crl.pem'));
  router = client('DNS:r1.example.net');

  radsecPort = await freeTcpPort();
  evergate = opened.use(
    await startEvergate({
      environment: {
        EVERGATE_RADIUS_REJECT_DELAY: '0',
        EVERGATE_RADIUS_RADSEC_PORT: String(radsecPort),
        EVERGATE_RADIUS_RADSEC_CERTIFICATE: join(files, 'server.pem'),
        EVERGATE_RADIUS_RADSEC_KEY: join(files, 'server.key'),
        EVERGATE_RADIUS_RADSEC_CLIENT_CA: join(files, 'ca.pem'),
        EVERGATE_RADIUS_RADSEC_CLIENT_CRL: join(files, 'crl.pem'),
      },
      apply: {
        sites: [{ name: 'cafe', timezone: 'UTC' }],
        routers: [
          // None of these addresses is where the tests come from: certificates say who it is.
          {
            name: 'r1',
            site: 'cafe',
            address: '192.0.2.1/32',
            secret: SECRET,
            radsec_identity: 'R1.example.net',
          },
          { name: 'r2.example.net', site: 'cafe', address: '192.0.2.2/32', secret: SECRET },
          { name: 'r3', site: 'cafe', address: '198.51.100.0/24', secret: SECRET },
          { name: 'r4', site: 'cafe', address: '192.0.2.4/32', secret: SECRET },
        ],
        plans: [{ name: 'hour', duration: '1h' }],
        subscribers: [{ username: 'alice', password: 'wonderland', plan: 'hour' }],
      },
    }),
  );
  proxy = opened.use(
    await startRadsecproxy({
      secret: SECRET,
      serverPort: radsecPort,
      caFile: authority.certificateFile,
      ...router,
    }),
  );
});

afterAll(() => opened.disposeAsync());

function installCertificate(): Issued {
  const names = ['IP:127.0.0.1'];
  const issued = authority.issue({ commonName: 'radius', usage: 'server', names });
  // As certbot does: a file is there in full or not at all.
  for (const [file, text] of [
    ['server.key', issued.key],
    ['server.pem', issued.certificate],
  ] as const) {
    writeFileSync(join(files, `${file}.new`), text);
    renameSync(join(files, `${file}.new`), join(files, file));
  }
  return issued;
}

function client(...names: string[]): Issued {
  return authority.issue({ commonName: 'r1', usage: 'client', names });
}

function connectAs(issued: Issued | undefined, options: ConnectionOptions = {}) {
  return openRadsec({
    port: radsecPort,
    ca: authority.certificate,
    ...(issued === undefined ? {} : { cert: issued.certificate, key: issued.key }),
    ...options,
  });
}

const as11 = { ALPNProtocols: ['radius/1.1'] };

function login(password: string, identifier = 1): Buffer {
  return accessRequest({ secret: RADSEC, identifier, username: 'alice', password });
}

function login11(password: string, token: number, ...attributes: Attribute[]): Buffer {
  return packet11(Code.accessRequest, token, [
    [Type.userName, 'alice'],
    [Type.userPassword, password],
    ...attributes,
  ]);
}

async function isAnswered(connection: RadsecClient): Promise<boolean> {
  connection.send(login('wonderland'));
  const answer = await connection.receive();
  return answer?.[0] === Code.accessAccept;
}

describe('through radsecproxy', () => {
  test.each([
    ['wonderland', 'Access-Accept'],
    ['looking-glass', 'Access-Reject'],
  ])('the password %s ends in %s', async (password, expected) => {
    const { answer } = await radclient(
      'auth',
      `User-Name = "alice", User-Password = "${password}"`,
    );
    expect(answer).toBe(expected);
  });

  test('accounting is stored, of the router that the certificate names', async () => {
    const session = 'User-Name = "alice", Acct-Session-Id = "tls-1", NAS-IP-Address = 10.9.9.9';
    const { answer } = await radclient('acct', `${session}, Acct-Status-Type = Start`);
    expect(answer).toBe('Accounting-Response');
    const response = await evergate.api('/v1/sessions?limit=100');
    const { data } = (await response.json()) as { data: Record<string, unknown>[] };
    expect(data.find((each) => each['acct_session_id'] === 'tls-1')).toMatchObject({
      username: 'alice',
      router: 'r1',
    });
  });

  test('EAP-MD5 succeeds', async () => {
    const { exitCode } = await eapolTest('MD5', 'wonderland', ['-n']);
    expect(exitCode).toBe(0);
  });

  test('EAP-MSCHAPv2 succeeds, and both sides have the same keys', async () => {
    const { exitCode, text } = await eapolTest('MSCHAPV2', 'wonderland');
    expect(exitCode).toBe(0);
    expect(text).toContain('MPPE keys OK: 1  mismatch: 0');
  });

  test('EAP with a wrong password fails at once', async () => {
    const { exitCode, text } = await eapolTest('MD5', 'looking-glass', ['-n']);
    expect(exitCode).not.toBe(0);
    expect(text).toContain('EAP: Received EAP-Failure');
  });

  test('all of it has gone through one connection', async () => {
    expect(await evergate.metric('radius_tls_connections')).toBe(1);
    expect(await evergate.metric('radius_tls_closed_total')).toBe(0);
  });
});

describe('RADIUS/1.0 over TLS', () => {
  test('many requests at once are all answered', async () => {
    await using connection = await connectAs(router);
    const requests = Array.from({ length: 200 }, (_, i) => login(i % 2 ? 'wonderland' : 'no', i));
    connection.send(Buffer.concat(requests));
    const codes = new Map<number, number>();
    for (const _ of requests) {
      const answer = (await connection.receive()) ?? Buffer.alloc(0);
      const request = requests[answer.readUInt8(1)] ?? Buffer.alloc(0);
      codes.set(answer.readUInt8(1), checkReply(answer, request, RADSEC).code);
    }
    const expected = requests.map((_, i) => [i, i % 2 ? Code.accessAccept : Code.accessReject]);
    expect([...codes].toSorted(([a], [b]) => a - b)).toEqual(expected);
  });

  test('packets may come in pieces', async () => {
    await using connection = await connectAs(router);
    const request = login('wonderland');
    for (let at = 0; at < request.length; at += 7) {
      connection.send(request.subarray(at, at + 7));
      await sleep(1);
    }
    const answer = (await connection.receive()) ?? Buffer.alloc(0);
    expect(checkReply(answer, request, RADSEC).code).toBe(Code.accessAccept);
  });

  test('the same packet twice is two requests', async () => {
    await using connection = await connectAs(router);
    const before = await evergate.metric('evergate_logins_total', { outcome: 'accept' });
    const request = login('wonderland');
    await connection.ask(request);
    await connection.ask(request);
    expect(await evergate.metric('evergate_logins_total', { outcome: 'accept' })).toBe(before + 2);
  });

  test('a login needs no Message-Authenticator', async () => {
    await using connection = await connectAs(router);
    const request = accessRequest({
      secret: RADSEC,
      username: 'alice',
      password: 'wonderland',
      signed: false,
      attributes: [[Type.proxyState, 'proxy']],
    });
    const reply = checkReply(await connection.ask(request), request, RADSEC);
    expect(reply.code).toBe(Code.accessAccept);
    expect(valueOf(reply, Type.proxyState).toString()).toBe('proxy');
  });

  test('Status-Server is answered on the one port that there is', async () => {
    await using connection = await connectAs(router, { ALPNProtocols: ['radius/1.0'] });
    expect(connection.socket.alpnProtocol).toBe('radius/1.0');
    const request = accessRequest({ secret: RADSEC, code: Code.statusServer });
    const reply = checkReply(await connection.ask(request), request, RADSEC);
    expect(reply.code).toBe(Code.accessAccept);
  });

  test.each([
    ['Disconnect-Request', 40, 42],
    ['CoA-Request', 43, 45],
  ])('a %s is refused by its NAK', async (_, code, nak) => {
    await using connection = await connectAs(router);
    const request = accessRequest({ secret: RADSEC, code });
    const reply = checkReply(await connection.ask(request), request, RADSEC);
    expect(reply.code).toBe(nak);
    expect(valueOf(reply, ERROR_CAUSE).readUInt32BE()).toBe(406);
  });

  test.each([
    ['a wrong Message-Authenticator', () => accessRequest({ secret: 'other', username: 'alice' })],
    [
      'a wrong Request Authenticator',
      () => accountingRequest({ secret: 'other', attributes: [[Type.acctStatusType, 1]] }),
    ],
    ['a length that cannot be', () => Buffer.from('01010010'.padEnd(40, '0'), 'hex')],
    ['a broken attribute', () => Buffer.from(`01010016${'00'.repeat(16)}0101`, 'hex')],
    ['no RADIUS at all', () => Buffer.from('GET / HTTP/1.1\r\nHost: radius\r\n\r\n')],
  ])('%s ends the connection', async (_, packet) => {
    await using connection = await connectAs(router);
    expect(await isAnswered(connection)).toBe(true);
    connection.send(packet());
    await connection.closed();
    expect(await connection.receive()).toBeUndefined();
  });
});

describe('RADIUS/1.1', () => {
  test('is what both choose when both have it', async () => {
    await using connection = await connectAs(router, {
      ALPNProtocols: ['radius/1.0', 'radius/1.1'],
    });
    expect(connection.socket.alpnProtocol).toBe('radius/1.1');
  });

  test('a client that speaks something else is refused', async () => {
    await using connection = await connectAs(router, { ALPNProtocols: ['radius/2.0'] });
    await connection.closed();
    expect(connection.socket.alpnProtocol).toBeFalsy();
  });

  test('over TLS 1.2 is refused', async () => {
    await using connection = await connectAs(router, { ...as11, maxVersion: 'TLSv1.2' });
    await connection.closed();
    expect(evergate.process.output()).toContain('RADIUS/1.1 needs TLS 1.3');
  });

  test.each([
    ['wonderland', Code.accessAccept],
    ['looking-glass', Code.accessReject],
  ])('the password %s gets code %i, with the Token and unsigned', async (password, code) => {
    await using connection = await connectAs(router, as11);
    const answer = await connection.ask(login11(password, 0xdeadbeef, [Type.proxyState, 'proxy']));
    expect(answer.readUInt8(0)).toBe(code);
    expect(answer.toString('hex', 4, 20)).toBe(`deadbeef${'00'.repeat(12)}`);
    expect(attributeOf(answer, Type.messageAuthenticator)).toBeUndefined();
    expect(attributeOf(answer, Type.proxyState)?.toString()).toBe('proxy');
  });

  test('more requests than an Identifier could tell apart are all answered', async () => {
    await using connection = await connectAs(router, as11);
    const tokens = Array.from({ length: 1000 }, (_, i) => i * 65_537);
    connection.send(Buffer.concat(tokens.map((token) => login11('wonderland', token))));
    const answered = new Set<number>();
    while (answered.size < tokens.length) {
      const answer = await connection.receive();
      if (answer === undefined) break;
      answered.add(answer.readUInt32BE(4));
    }
    expect([...answered].toSorted((a, b) => a - b)).toEqual(tokens);
  });

  test('accounting and Status-Server are answered', async () => {
    await using connection = await connectAs(router, as11);
    const accounting = await connection.ask(
      packet11(Code.accountingRequest, 1, [
        [Type.acctStatusType, 1],
        [Type.acctSessionId, 'tls-11'],
        [Type.userName, 'alice'],
      ]),
    );
    expect(accounting[0]).toBe(Code.accountingResponse);
    const status = await connection.ask(packet11(Code.statusServer, 2, []));
    expect(status[0]).toBe(Code.accessAccept);
    expect(status.readUInt32BE(4)).toBe(2);
  });

  test('EAP-MSCHAPv2 succeeds, and the keys are there to be read', async () => {
    await using connection = await connectAs(router, as11);
    const { answer, msk } = await loginByEap11(connection);
    expect(answer[0]).toBe(Code.accessAccept);
    expect(msk).toHaveLength(32);
    const halves = [msk.subarray(0, 16), msk.subarray(16, 32)];
    expect(halves.map((half) => answer.includes(half))).toEqual([true, true]);
  });

  test.each([
    ['a code that nobody knows', () => packet11(200, 7, []), 406],
    [
      'accounting that does not say what about',
      () => packet11(Code.accountingRequest, 7, [[Type.acctSessionId, 's']]),
      402,
    ],
  ])('what cannot be answered gets a Protocol-Error: %s', async (_, packet, cause) => {
    await using connection = await connectAs(router, as11);
    const answer = await connection.ask(packet());
    expect(answer[0]).toBe(PROTOCOL_ERROR);
    expect(answer.readUInt32BE(4)).toBe(7);
    expect(attributeOf(answer, ERROR_CAUSE)?.readUInt32BE()).toBe(cause);
    expect((await connection.ask(login11('wonderland', 8)))[0]).toBe(Code.accessAccept);
  });

  test('a broken attribute ends the connection', async () => {
    await using connection = await connectAs(router, as11);
    connection.send(Buffer.from(`01000016${'00'.repeat(16)}0101`, 'hex'));
    await connection.closed();
    expect(await connection.receive()).toBeUndefined();
  });
});

describe('a certificate', () => {
  test.each([
    ['by its radsec_identity', 'DNS:R1.Example.Net'],
    ['by the name of the router', 'DNS:r2.example.net'],
    ['by an address of the router', 'IP:198.51.100.77'],
    ['by one of several names', 'DNS:x.example, DNS:r2.example.net'],
  ])('names a router %s', async (_, names) => {
    await using connection = await connectAs(client(names));
    expect(await isAnswered(connection)).toBe(true);
  });

  test.each([
    ['there is none', () => undefined, 'no-certificate'],
    ['another authority has issued it', () => issueBy(rogue), 'untrusted-certificate'],
    ['it has expired', () => issueBy(authority, { isExpired: true }), 'untrusted-certificate'],
    ['it is revoked', () => revoked, 'untrusted-certificate'],
    ['it is for a server', () => issueBy(authority, { usage: 'server' }), 'untrusted-certificate'],
    ['it names nobody we know', () => client('DNS:stranger.example.net'), 'unknown-router'],
    ['it has a common name alone', () => client(), 'unknown-router'],
    ['it has a wildcard', () => client('DNS:*.example.net'), 'unknown-router'],
    ['the router has another identity', () => client('DNS:r1'), 'unknown-router'],
    ['that address is nobody’s', () => client('IP:127.0.0.1'), 'unknown-router'],
  ])('does not let in when %s', async (_, issue, outcome) => {
    const before = await evergate.metric('radius_tls_handshakes_total', { outcome });
    await using connection = await connectAs(issue());
    connection.send(login('wonderland'));
    await connection.closed();
    expect(await connection.receive()).toBeUndefined();
    expect(await evergate.metric('radius_tls_handshakes_total', { outcome })).toBe(before + 1);
  });

  test('that is refused is explained in the log', async () => {
    await using connection = await connectAs(client('DNS:other.example.net'));
    await connection.closed();
    expect(evergate.process.output()).toContain('radsec_identity');
  });

  test('shown over TLS 1.1 comes too late', async () => {
    await using connection = await connectAs(router, {
      minVersion: 'TLSv1.1',
      maxVersion: 'TLSv1.1',
      ciphers: 'ALL:@SECLEVEL=0',
    });
    await connection.closed();
    expect(connection.socket.getProtocol()).not.toBe('TLSv1.2');
  });
});

function issueBy(
  by: CertificateAuthority,
  options: { isExpired?: boolean; usage?: 'client' | 'server' } = {},
): Issued {
  return by.issue({ commonName: 'r1', usage: 'client', names: ['DNS:r1.example.net'], ...options });
}

describe('a connection', () => {
  test('survives a new certificate of the server, which the next one sees', async () => {
    await using old = await connectAs(router);
    const before = old.socket.getPeerX509Certificate()?.serialNumber;
    const renewed = installCertificate();
    expect(renewed.certificate).not.toBe('');
    await until(async () => {
      await using next = await connectAs(router);
      return next.socket.getPeerX509Certificate()?.serialNumber !== before;
    });
    expect(await isAnswered(old)).toBe(true);
  });

  test('of a certificate that is revoked meanwhile is closed, others stay', async () => {
    const issued = client('DNS:r2.example.net');
    await using connection = await connectAs(issued);
    await using other = await connectAs(router);
    expect(await isAnswered(connection)).toBe(true);
    authority.revoke(issued);
    copyFileSync(authority.writeCrl(), join(files, 'crl.new'));
    renameSync(join(files, 'crl.new'), join(files, 'crl.pem'));
    await connection.closed();
    expect(await isAnswered(other)).toBe(true);
  });

  test('of a router that is deleted meanwhile is closed', async () => {
    await using connection = await connectAs(client('DNS:r4'));
    expect(await isAnswered(connection)).toBe(true);
    const deleted = await evergate.api('/v1/routers/r4', { method: 'DELETE' });
    expect(deleted.status).toBe(204);
    await until(async () => !(await isAnswered(connection)));
    await connection.closed();
  });

  test('is closed in an orderly way when the server stops', async () => {
    await using connection = await connectAs(router);
    connection.send(Buffer.concat([login('wonderland', 1), login('looking-glass', 2)]));
    await connection.receive();
    await connection.receive();
    const stopped = evergate.process.stop();
    await connection.closed();
    expect((await stopped).code).toBe(0);
  });
});

/** Until the server accepts or rejects. */
async function loginByEap11(connection: RadsecClient): Promise<{ answer: Buffer; msk: Buffer }> {
  const peer = { username: 'alice', password: Buffer.from('wonderland'), accepts: [MSCHAPV2] };
  let eap = eapIdentity('alice');
  let state: Buffer | undefined;
  let memory: EapPeerMemory;
  for (let token = 1; ; token++) {
    const attributes: Attribute[] = [
      [Type.userName, 'alice'],
      [Type.eapMessage, eap],
    ];
    if (state !== undefined) attributes.push([Type.state, state]);
    const answer = await connection.ask(packet11(Code.accessRequest, token, attributes));
    const eapMessage = attributeOf(answer, Type.eapMessage) ?? Buffer.alloc(0);
    const step = answerEap(peer, memory, eapMessage, randomBytes(16));
    if (step.kind !== 'response') {
      const msk = step.kind === 'success' ? step.msk : undefined;
      return { answer, msk: msk ?? Buffer.alloc(0) };
    }
    ({ eap, memory } = step);
    state = attributeOf(answer, Type.state);
  }
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + 20_000;
  while (!(await isSo())) {
    if (performance.now() > deadlineMs) throw new Error('it did not happen in time');
    await sleep(200);
  }
}

function radclient(
  command: 'auth' | 'acct',
  attributes: string,
): Promise<{ answer: string | undefined }> {
  const where = `127.0.0.1:${proxy.port}`;
  return run('radclient', ['-x', '-r', '5', '-t', '2', where, command, SECRET], attributes).then(
    ({ text }) => ({ answer: [...text.matchAll(/Received ([\w-]+) Id/g)].at(-1)?.[1] }),
  );
}

async function eapolTest(method: string, password: string, options: string[] = []) {
  const file = join(files, 'network.conf');
  writeFileSync(
    file,
    `network={\n key_mgmt=IEEE8021X\n eap=${method}\n identity="alice"\n password="${password}"\n}\n`,
  );
  const where = ['-a', '127.0.0.1', '-p', String(proxy.port), '-s', SECRET];
  return run('eapol_test', ['-c', file, ...where, '-t', '20', ...options]);
}

async function run(
  program: string,
  args: string[],
  input = '',
): Promise<{ exitCode: number | null; text: string }> {
  const child = spawn(program, args);
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
    });
  }
  child.stdin.end(`${input}\n`);
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return { exitCode, text };
}
