// EAP-TLS, PEAP and TTLS by the portable engine against OpenSSL's client, every state through JSON.
// Real supplicants over RADIUS are eapol-test's part.

import { describe, expect, test } from 'vitest';
import { createEapTls } from '../../src/protocols/eap/eap-tls.ts';
import { eapGtc } from '../../src/protocols/eap/gtc.ts';
import { eapMd5 } from '../../src/protocols/eap/md5.ts';
import type { EapMethod } from '../../src/protocols/eap/method.ts';
import { eapMsChapV2 } from '../../src/protocols/eap/mschapv2.ts';
import {
  EapType,
  encodeEapRequest,
  encodeEapResponse,
  parseEap,
} from '../../src/protocols/eap/packet.ts';
import { answerEap } from '../../src/protocols/eap/peer.ts';
import type { EapPeerMemory } from '../../src/protocols/eap/peer.ts';
import { bindingKeys, bindingMac, boundMsk } from '../../src/protocols/eap/peap-binding.ts';
import { encodeBindingTlv } from '../../src/protocols/eap/peap-tlv.ts';
import { createPeap } from '../../src/protocols/eap/peap.ts';
import { encodeAvps, parseAvps } from '../../src/protocols/eap/ttls-avp.ts';
import { createTtls } from '../../src/protocols/eap/ttls.ts';
import { createMsChapV2Response } from '../../src/protocols/mschap/mschapv2.ts';
import { chapResponse } from '../../src/protocols/radius/password.ts';
import { judge } from './eap-tls-laws.ts';
import { createEapTlsPeer } from './eap-tls-peer.ts';
import type { EapTlsPeer, EapTlsPeerOptions } from './eap-tls-peer.ts';
import { createEapTlsServer, createTestAuthority, login, takeRound } from './eap-tls-server.ts';
import type { EapTlsServer } from './eap-tls-server.ts';

const authority = createTestAuthority();
const { root } = authority;
const serverCertificate = authority.issue({ usage: 'server', commonName: 'radius.example.org' });
const alice = authority.issue({
  usage: 'client',
  commonName: 'Alice',
  emails: ['alice@example.org'],
});
const strangers = createTestAuthority();

type Version = '1.2' | '1.3';
type Talk = NonNullable<EapTlsPeerOptions['talk']>;

const versions: Version[] = ['1.2', '1.3'];
const random = Buffer.alloc(16, 9);

function startServer(version: Version): EapTlsServer {
  return createEapTlsServer({ root, server: serverCertificate, version });
}

function device(options: Omit<EapTlsPeerOptions, 'tls'> & { tls?: EapTlsPeerOptions['tls'] }) {
  return createEapTlsPeer({ ...options, tls: { ca: root.certificatePem, ...options.tls } });
}

function certificateOf({ certificatePem, privateKeyPem }: typeof alice) {
  return { cert: certificatePem, key: privateKeyPem };
}

/** A device with the password inside each of the tunnels. */
type Credentials = { username: string; password: string };
const right: Credentials = { username: 'alice', password: 'wonderland' };

type PeapHabits = {
  binding?: 'unknown' | 'right' | 'wrong';
  isEager?: boolean;
  /** Where the keys go when it has proven the binding. */
  bound?: { msk?: Buffer };
};

function peapTalk(
  accepts: number,
  { username, password }: Credentials,
  { binding = 'unknown', isEager = false, bound = {} }: PeapHabits = {},
): Talk {
  let memory: EapPeerMemory;
  return (heard, { identifier, socket }) => {
    if (heard.length === 0) {
      // The server speaks first, and some devices do not wait for it.
      return isEager ? Buffer.from(`\u0001${username}`) : undefined;
    }
    if (heard.length > 4 && heard[0] === 1 && heard[4] === 33) {
      const result = heard.subarray(5, 11);
      if (binding === 'unknown') return encodeEapResponse(identifier, 33, result);
      const keys = bindingKeys(mskOf(peap, '1.3', socket), memory?.msk);
      const { macKey } = keys;
      bound.msk = boundMsk(keys);
      const asked = { subType: 1, nonce: heard.subarray(19, 51) };
      const mac = bindingMac(macKey, asked);
      if (binding === 'wrong') mac.fill(0);
      const tlvs = Buffer.concat([result, encodeBindingTlv({ ...asked, mac })]);
      return encodeEapResponse(identifier, 33, tlvs);
    }
    const request = encodeEapRequest(identifier, heard[0] ?? 0, heard.subarray(1));
    const peer = { username, password: Buffer.from(password), accepts: [accepts] };
    const answer = answerEap(peer, memory, request, random);
    if (answer.kind !== 'response') throw new Error(answer.kind);
    ({ memory } = answer);
    return answer.eap.subarray(4);
  };
}

const AVP = { isMandatory: true, vendor: 0 };
const MICROSOFT = 311;

function papTalk({ username, password }: Credentials): Talk {
  const padded = Buffer.alloc(Math.ceil(password.length / 16) * 16 || 16);
  padded.write(password);
  return () =>
    encodeAvps([
      { ...AVP, code: 1, data: Buffer.from(username) },
      { ...AVP, code: 2, data: padded },
    ]);
}

function implicitChallenge(socket: EapTlsPeer['socket']): Buffer {
  const label = 'ttls challenge';
  return socket.getProtocol() === 'TLSv1.3'
    ? socket.exportKeyingMaterial(17, label, Buffer.alloc(0))
    : (socket.exportKeyingMaterial as (length: number, label: string) => Buffer)(17, label);
}

function chapTalk({ username, password }: Credentials): Talk {
  return (_heard, { socket }) => {
    const implicit = implicitChallenge(socket);
    const challenge = implicit.subarray(0, 16);
    return encodeAvps([
      { ...AVP, code: 1, data: Buffer.from(username) },
      { ...AVP, code: 60, data: challenge },
      { ...AVP, code: 3, data: chapResponse(implicit[16] ?? 0, challenge, Buffer.from(password)) },
    ]);
  };
}

function msChapV2Talk({ username, password }: Credentials): Talk {
  return (heard, { socket }) => {
    if (heard.length > 0) return undefined; // its proof: an empty packet says that it is right
    const implicit = implicitChallenge(socket);
    const { responseAttribute } = createMsChapV2Response({
      username,
      password: Buffer.from(password),
      authenticatorChallenge: implicit.subarray(0, 16),
      peerChallenge: random,
      ident: implicit[16] ?? 0,
    });
    return encodeAvps([
      { ...AVP, code: 1, data: Buffer.from(username) },
      { ...AVP, vendor: MICROSOFT, code: 11, data: implicit.subarray(0, 16) },
      { ...AVP, vendor: MICROSOFT, code: 25, data: responseAttribute },
    ]);
  };
}

function ttlsEapTalk(accepts: number, { username, password }: Credentials): Talk {
  let memory: EapPeerMemory;
  const wrapped = (eap: Buffer) => encodeAvps([{ ...AVP, code: 79, data: eap }]);
  return (heard) => {
    if (heard.length === 0) return wrapped(encodeEapResponse(0, 1, Buffer.from(username)));
    const peer = { username, password: Buffer.from(password), accepts: [accepts] };
    const answer = answerEap(peer, memory, parseAvps(heard)?.[0]?.data ?? Buffer.alloc(0), random);
    if (answer.kind !== 'response') throw new Error(answer.kind);
    ({ memory } = answer);
    return wrapped(answer.eap);
  };
}

type Case = {
  name: string;
  type: number;
  label: string;
  create: (server: EapTlsServer) => EapMethod;
  tls?: EapTlsPeerOptions['tls'];
  talk?: (credentials: Credentials) => Talk;
  username: string;
  /** Under TLS 1.3 the server has nothing to say last, and so no ticket to give. */
  saysNothingLast?: true;
};

const innerMethods = [eapMsChapV2, eapMd5, eapGtc];
const peap = {
  type: EapType.Peap,
  label: 'client EAP encryption',
  create: ({ engine }: EapTlsServer) => createPeap({ engine, innerMethods }),
  username: 'alice',
};
const ttls = {
  type: EapType.Ttls,
  label: 'ttls keying material',
  create: ({ engine }: EapTlsServer) => createTtls({ engine, innerMethods }),
  username: 'alice',
};
const byPassword: (Case & { talk: NonNullable<Case['talk']> })[] = [
  { ...peap, name: 'PEAP/EAP-MSCHAPv2', talk: (who) => peapTalk(EapType.MsChapV2, who) },
  { ...peap, name: 'PEAP/EAP-GTC', talk: (who) => peapTalk(EapType.Gtc, who) },
  { ...peap, name: 'PEAP/EAP-MD5', talk: (who) => peapTalk(EapType.Md5Challenge, who) },
  { ...ttls, name: 'TTLS/PAP', talk: papTalk, saysNothingLast: true },
  { ...ttls, name: 'TTLS/CHAP', talk: chapTalk, saysNothingLast: true },
  { ...ttls, name: 'TTLS/MS-CHAPv2', talk: msChapV2Talk },
  {
    ...ttls,
    name: 'TTLS/EAP-MSCHAPv2',
    talk: (who) => ttlsEapTalk(EapType.MsChapV2, who),
    saysNothingLast: true,
  },
];
const byCertificate: Case = {
  name: 'EAP-TLS',
  type: EapType.Tls,
  label: 'client EAP encryption',
  create: ({ engine }) => createEapTls({ engine }),
  tls: certificateOf(alice),
  username: 'alice@example.org',
};
const all: Case[] = [byCertificate, ...byPassword];
const everywhere = versions.flatMap((version) =>
  all.map((one) => [`${one.name}, TLS ${version}`, version, one] as const),
);

function deviceFor(
  { type, tls, talk }: Case,
  options: { session?: Buffer | undefined; fragmentBytes?: number; credentials?: Credentials } = {},
): EapTlsPeer {
  const { session, fragmentBytes, credentials = right } = options;
  return device({
    type,
    ...(talk === undefined ? {} : { talk: talk(credentials) }),
    ...(fragmentBytes === undefined ? {} : { fragmentBytes }),
    tls: { ...tls, ...(session === undefined ? {} : { session }) },
  });
}

/** The MSK as the client's OpenSSL sees it. */
function mskOf(
  { type, label }: Pick<Case, 'type' | 'label'>,
  version: Version,
  socket: EapTlsPeer['socket'],
): Buffer {
  const exporter = socket.exportKeyingMaterial.bind(socket);
  const keys =
    version === '1.3'
      ? exporter(128, 'EXPORTER_EAP_TLS_Key_Material', Buffer.of(type))
      : (exporter as (length: number, label: string) => Buffer)(128, label);
  return keys.subarray(0, 64);
}

/** The keys must be read before the device closes. */
function watchMsk(one: Case, version: Version, peer: EapTlsPeer): { msk?: Buffer } {
  const watched: { msk?: Buffer } = {};
  peer.socket.on('secureConnect', () => (watched.msk = mskOf(one, version, peer.socket)));
  return watched;
}

describe.each(everywhere)('%s', (_name, version, one) => {
  test.each([1400, 205])('a login in packets of at most %i bytes', async (maxPacketBytes) => {
    const server = startServer(version);
    const peer = deviceFor(one, { fragmentBytes: maxPacketBytes - 10 });
    const client = watchMsk(one, version, peer);
    const { outcome } = await login(server, one.create(server), peer, { maxPacketBytes });
    expect(peer.error).toBeUndefined();
    expect(outcome).toMatchObject({ kind: 'success', username: one.username });
    expect(peer.end).toBe(3);
    expect(outcome).toMatchObject({ msk: client.msk });
    expect(outcome).toHaveProperty('sessionId.length', 65);
    expect(outcome).toHaveProperty('sessionId.0', one.type);
  });

  test('a device that distrusts the server says so, and the login fails', async () => {
    const server = startServer(version);
    const { outcome } = await login(
      server,
      one.create(server),
      distrusting(deviceFor(one, { fragmentBytes: 4000 })),
    );
    expect(outcome).toMatchObject({
      kind: 'failure',
      reason: 'refused-by-peer',
      detail: expect.stringContaining('unknown_ca') as string,
    });
  });
});

function givesTicket({ saysNothingLast }: Case, version: Version): boolean {
  return version === '1.2' || saysNothingLast !== true;
}

describe.each(everywhere.filter(([, version, one]) => givesTicket(one, version)))(
  '%s',
  (_name, version, one) => {
    test('a second login is resumed, without a password or certificate', async () => {
      const server = startServer(version);
      const first = deviceFor(one);
      await login(server, one.create(server), first);
      const second = deviceFor(one, {
        session: first.session,
        credentials: { username: 'nobody', password: 'none' },
      });
      const client = watchMsk(one, version, second);
      const { outcome, transcript } = await login(server, one.create(server), second);
      expect(outcome).toMatchObject({ kind: 'success', username: one.username });
      expect(second.isResumed).toBe(true);
      expect(transcript.filter((line) => line !== 'packet')).toEqual([
        ...(version === '1.2' ? ['needs-session'] : []),
        `needs-subscriber ${one.username}`,
      ]);
      expect(outcome).toHaveProperty('msk', client.msk);
    });

    test('another policy makes it a login in full', async () => {
      const server = startServer(version);
      const first = deviceFor(one);
      await login(server, one.create(server), first);
      server.subscribers.set(one.username, { password: 'wonderland', policy: 'p2' });
      const second = deviceFor(one, { session: first.session });
      const { outcome } = await login(server, one.create(server), second);
      expect(outcome.kind).toBe('success');
      expect(second.isResumed).toBe(false);
    });
  },
);

test.each(everywhere.filter(([, version, one]) => !givesTicket(one, version)))(
  '%s gives no ticket, and the next login is in full',
  async (_name, version, one) => {
    const server = startServer(version);
    const first = deviceFor(one);
    await login(server, one.create(server), first);
    expect(first.session).toBeUndefined();
  },
);

/** Answers the server's first flight as OpenSSL does when it does not know who has issued its certificate. */
function distrusting(peer: EapTlsPeer): EapTlsPeer {
  let packets = 0;
  return Object.assign(peer, {
    answer: ((honest) => async (eap: Buffer) => {
      const answer = await honest(eap);
      if (answer === undefined || ++packets !== 2) return answer;
      const { identifier, type } = responseIn(answer);
      return encodeEapResponse(identifier, type, Buffer.from('0015030300020230', 'hex'));
    })(peer.answer),
  });
}

function responseIn(bytes: Buffer) {
  const eap = parseEap(bytes);
  if (eap.kind === 'malformed') throw new Error('a malformed response');
  return eap;
}

const keyKinds = ['ecdsa', 'rsa'] as const;

describe.each(keyKinds)('with a certificate of %s', (keyKind) => {
  const certificate = authority.issue({ usage: 'server', commonName: 'radius', keyKind });

  test.each(everywhere)(
    '%s: a round worked out twice, or asked for by somebody without keys, is one text',
    async (_name, version, one) => {
      const server = createEapTlsServer({ root, server: certificate, version });
      const method = one.create(server);
      const first = deviceFor(one, { fragmentBytes: 500 });
      const inFull = await login(server, method, first, { maxPacketBytes: 600 });
      const resumed = await login(server, method, deviceFor(one, { session: first.session }));
      const wrong = { username: 'alice', password: 'looking-glass' };
      const refused = await login(server, method, deviceFor(one, { credentials: wrong }));
      for (const { rounds } of [inFull, resumed, refused]) {
        expect(await judge(server, method, rounds)).toEqual({
          breaches: [],
          unrepeatable: 0,
          different: 0,
        });
      }
    },
  );
});

const some = everywhere.filter(([name]) =>
  ['EAP-TLS,', 'PEAP/EAP-MSCHAPv2,', 'TTLS/MS-CHAPv2,'].some((start) => name.startsWith(start)),
);

describe.each(some)('%s: what does not fit', (_name, version, one) => {
  test('a packet that is cut off, or has a wrong byte, never throws', async () => {
    const server = startServer(version);
    const method = one.create(server);
    const { rounds } = await login(server, method, deviceFor(one));
    for (const { state, eap } of rounds) {
      for (let length = 5; length < eap.length; length += eap.length > 600 ? 7 : 1) {
        const cut = Buffer.from(eap.subarray(0, length));
        cut.writeUInt16BE(length, 2);
        const outcome = await takeRound(server, method, { state, eap: cut });
        expect(outcome.kind).not.toBe('success');
        const wrong = Buffer.from(eap);
        wrong[length] = (wrong[length] ?? 0) ^ (1 << (length % 8));
        await takeRound(server, method, { state, eap: wrong });
      }
    }
  });

  test('records that a state which is too old cannot know get no encrypted answer', async () => {
    const server = startServer(version);
    const method = one.create(server);
    const first = deviceFor(one);
    const inFull = await login(server, method, first);
    const resumed = await login(server, method, deviceFor(one, { session: first.session }));
    for (const { rounds } of [inFull, resumed]) {
      for (const [index, { state }] of rounds.entries()) {
        for (const { eap } of rounds.slice(index + 1)) {
          const { identifier, data } = responseIn(eap);
          if (data.length < 2) continue; // an acknowledgement
          const old = { ...state, outstanding: identifier };
          const outcome = await takeRound(server, method, { state: old, eap });
          if (outcome.kind !== 'challenge') continue;
          const { data: said } = responseIn(outcome.eap);
          const isPlaintextAlert = said.toString('hex', 1, 6) === '1503030002';
          expect(said.length === 1 || isPlaintextAlert).toBe(true);
        }
      }
    }
  });
});

describe.each(
  versions.flatMap((version) =>
    byPassword.map((one) => [`${one.name}, TLS ${version}`, version, one] as const),
  ),
)('%s', (_name, version, one) => {
  test.each([
    ['a wrong password', { username: 'alice', password: 'looking-glass' }],
    ['an unknown subscriber', { username: 'mallory', password: 'wonderland' }],
  ])('%s fails, and nothing can be resumed', async (_what, credentials) => {
    const server = startServer(version);
    const peer = deviceFor(one, { credentials });
    const { outcome } = await login(server, one.create(server), peer);
    expect(outcome).toMatchObject({ kind: 'failure', reason: 'wrong-password' });
    expect(peer.end).toBe(4);
    expect(server.sessions.size).toBe(0);
    // In TLS 1.2 the client keeps the session id, which we have not remembered.
    expect(version === '1.3' && peer.session !== undefined).toBe(false);
  });
});

describe.each(versions)('EAP-TLS, TLS %s', (version) => {
  test.each([
    ['no certificate', undefined, 'certificate-refused'],
    [
      'a certificate of strangers',
      strangers.issue({ usage: 'client', commonName: 'alice' }),
      'certificate-refused',
    ],
    [
      'a certificate of no subscriber',
      authority.issue({ usage: 'client', commonName: 'mallory' }),
      'unknown-subscriber',
    ],
    ['a certificate for servers', serverCertificate, 'certificate-refused'],
  ])('%s is refused by an alert', async (_what, certificate, reason) => {
    const server = startServer(version);
    const peer = device({
      type: EapType.Tls,
      ...(certificate === undefined ? {} : { tls: certificateOf(certificate) }),
    });
    const { outcome } = await login(server, byCertificate.create(server), peer);
    // TLS 1.2 has no alert of its own for a missing certificate.
    const isMissing = certificate === undefined && version === '1.2';
    expect(outcome).toMatchObject({ kind: 'failure', reason: isMissing ? 'tls-failed' : reason });
    expect(peer.end).toBe(4);
    expect(peer.error?.message).toMatch(/alert/);
  });

  test('a ticket of PEAP does not open EAP-TLS', async () => {
    const server = startServer(version);
    const tunnel = byPassword[0];
    if (tunnel === undefined) throw new Error('no tunnel');
    const first = deviceFor(tunnel);
    await login(server, tunnel.create(server), first);
    const second = device({
      type: EapType.Tls,
      tls: first.session === undefined ? {} : { session: first.session },
    });
    const { outcome } = await login(server, byCertificate.create(server), second);
    expect(outcome.kind).toBe('failure');
    expect(second.isResumed).toBe(false);
  });
});

describe('PEAP, TLS 1.3', () => {
  async function loginWith(options: PeapHabits) {
    const server = startServer('1.3');
    const peer = device({ type: EapType.Peap, talk: peapTalk(EapType.MsChapV2, right, options) });
    const { outcome } = await login(server, peap.create(server), peer);
    return outcome;
  }

  test('a device that tells its name before it is asked logs in', async () => {
    const outcome = await loginWith({ isEager: true });
    expect(outcome).toMatchObject({ kind: 'success', username: 'alice' });
  });

  test('a device that proves the binding has keys of both the tunnel and the login', async () => {
    const bound: { msk?: Buffer } = {};
    const outcome = await loginWith({ binding: 'right', bound });
    expect(outcome).toMatchObject({ kind: 'success', username: 'alice', msk: bound.msk });
  });

  test('a wrong proof of the binding fails', async () => {
    const outcome = await loginWith({ binding: 'wrong' });
    expect(outcome).toMatchObject({
      kind: 'failure',
      reason: 'tls-failed',
      detail: 'the login inside does not belong to this tunnel',
    });
  });
});
