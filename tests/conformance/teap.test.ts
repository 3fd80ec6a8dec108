// TEAP by the portable engine against OpenSSL's client, every state through JSON. RFC 9930. The device
// computes its keys by itself (teap-peer.ts); hostap's client over RADIUS is eapol-test-teap.test.ts.

import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createTeap } from '../../src/protocols/eap/teap.ts';
import type { TeapOptions } from '../../src/protocols/eap/teap.ts';
import { encodeTlvs } from '../../src/protocols/eap/teap-tlv.ts';
import type { TeapTlv } from '../../src/protocols/eap/teap-tlv.ts';
import {
  authorityOf,
  createRevocationList,
  issueCertificate,
} from '../../src/protocols/x509/create.ts';
import { crlsFromPem } from '../../src/protocols/x509/revocation.ts';
import { judge } from './eap-tls-laws.ts';
import { createEapTlsServer, createTestAuthority, login, nowMs } from './eap-tls-server.ts';
import type { EapTlsServer } from './eap-tls-server.ts';
import { createTeapPeer } from './teap-peer.ts';
import type { TeapPeerOptions } from './teap-peer.ts';

const authority = createTestAuthority();
const serverCertificate = authority.issue({ usage: 'server', commonName: 'radius.example.org' });
const alice = authority.issue({ usage: 'client', commonName: 'alice' });
const mallory = authority.issue({ usage: 'client', commonName: 'mallory' });
const authorityId = Buffer.from('evergate');

type Version = '1.2' | '1.3';
const versions: Version[] = ['1.2', '1.3'];
const compatibilities = ['rfc9930', 'hostap'] as const;
const everywhere = versions.flatMap((version) =>
  compatibilities.map((compatibility) => ({ version, compatibility })),
);

const start = (version: Version) =>
  createEapTlsServer({ root: authority.root, server: serverCertificate, version });

type Attempt = Partial<Omit<TeapPeerOptions, 'tls' | 'tlsInside'>> & {
  server?: EapTlsServer;
  version?: Version;
  session?: Buffer | undefined;
  certificate?: typeof alice;
  /** For EAP-TLS inside. */
  certificateInside?: typeof alice;
  options?: Partial<TeapOptions>;
  startedAtMs?: number;
};

async function attempt({
  version = '1.3',
  server = start(version),
  session,
  certificate,
  certificateInside,
  options,
  compatibility = 'rfc9930',
  startedAtMs = nowMs,
  ...device
}: Attempt) {
  const method = createTeap({
    engine: server.engine,
    innerMethods: ['mschapv2', 'password'],
    compatibility,
    authorityId,
    ...options,
  });
  const peer = createTeapPeer({
    ...device,
    compatibility,
    tls: { ...tlsWith(certificate), ...(session === undefined ? {} : { session }) },
    ...(certificateInside && { tlsInside: tlsWith(certificateInside) }),
  });
  const { outcome, transcript, rounds } = await login(server, method, peer, { startedAtMs });
  if (peer.error !== undefined) transcript.push(peer.error.message);
  const said = peer.messages.map(namesOf);
  return { outcome, peer, transcript, said, server, method, rounds };
}

function tlsWith(certificate?: typeof alice) {
  return {
    ca: authority.root.certificatePem,
    ecdhCurve: 'X25519:P-256', // its first message then fits into one packet
    ...(certificate && { cert: certificate.certificatePem, key: certificate.privateKeyPem }),
  };
}

function namesOf(tlvs: readonly TeapTlv[]): string {
  const describe = (tlv: TeapTlv) => {
    if (tlv.kind === 'error') return `error ${tlv.code}`;
    if (tlv.kind === 'identity-type') return tlv.type === 2 ? 'machine' : 'user';
    if (tlv.kind === 'nak') return `nak ${tlv.type}`;
    if (!('status' in tlv)) return tlv.kind;
    return `${tlv.kind} ${tlv.status === 1 ? 'success' : 'failure'}`;
  };
  return tlvs.map(describe).join(', ');
}

const onlyPassword = { innerMethods: ['password'] } as const;
const onlyTls = { innerMethods: ['tls'] } as const;

describe.each(everywhere)('over TLS $version as $compatibility', (kind) => {
  test('EAP-MSCHAPv2 inside succeeds, and both sides have the same keys', async () => {
    const { outcome, peer, said } = await attempt(kind);
    expect(outcome).toMatchObject({ kind: 'success', username: 'alice', msk: peer.keys().msk });
    expect(peer.keys().msk).toHaveLength(64);
    const eap = Array.from({ length: 3 }, () => 'eap-payload');
    const proof = 'intermediate-result success, crypto-binding';
    // Under TLS 1.3 the ticket goes out with the Result, and only to who has given the proof.
    const end = kind.version === '1.3' ? [proof, 'result success'] : [`${proof}, result success`];
    expect(said).toEqual([...eap, ...end]);
  });

  test('a password inside succeeds, and both sides have the same keys', async () => {
    const { outcome, peer, said, transcript } = await attempt({ ...kind, options: onlyPassword });
    expect(outcome).toMatchObject({ kind: 'success', username: 'alice', msk: peer.keys().msk });
    expect(transcript).toContain('needs-password alice');
    expect(said).toEqual([
      'password-request',
      'intermediate-result success, crypto-binding, result success',
    ]);
  });

  test('EAP-TLS inside succeeds, and both sides have the same keys', async () => {
    const { outcome, peer, said, transcript } = await attempt({
      ...kind,
      certificateInside: alice,
      options: onlyTls,
    });
    expect(outcome).toMatchObject({ kind: 'success', username: 'alice', msk: peer.keys().msk });
    expect(transcript).toContain('needs-subscriber alice');
    expect(said.at(-1)).toBe('intermediate-result success, crypto-binding, result success');
  });

  test('a device that was here before asks for nothing inside', async () => {
    const server = start(kind.version);
    const first = await attempt({ ...kind, server });
    const { outcome, peer, said, transcript } = await attempt({
      ...kind,
      server,
      session: first.peer.session,
    });
    expect(peer.isResumed).toBe(true);
    expect(outcome).toMatchObject({ kind: 'success', username: 'alice', msk: peer.keys().msk });
    expect(said).toEqual(['crypto-binding, result success']);
    expect(transcript).toContain('needs-subscriber alice');
    expect(transcript).not.toContain('needs-password alice');
  });

  test('another password or plan since then asks for all again', async () => {
    const server = start(kind.version);
    const first = await attempt({ ...kind, server });
    server.subscribers.set('alice', { password: 'wonderland', policy: 'p2' });
    const { outcome, peer } = await attempt({ ...kind, server, session: first.peer.session });
    expect(peer.isResumed).toBe(false);
    expect(outcome).toMatchObject({ kind: 'success', msk: peer.keys().msk });
  });

  test('a certificate in the handshake asks for nothing inside', async () => {
    const { outcome, peer, said, transcript } = await attempt({
      ...kind,
      certificate: alice,
      options: { clientCertificate: 'optional' },
    });
    expect(outcome).toMatchObject({ kind: 'success', username: 'alice', msk: peer.keys().msk });
    expect(said).toEqual(['crypto-binding, result success']);
    expect(transcript).toContain('needs-subscriber alice');
  });

  test('a machine and then its user', async () => {
    const { outcome, peer, said } = await attempt({
      ...kind,
      options: { identities: ['machine', 'user'] },
    });
    expect(outcome).toMatchObject({ kind: 'success', username: 'alice', msk: peer.keys().msk });
    expect(said[0]).toBe('machine, eap-payload');
    expect(said[4]).toBe('user, eap-payload');
  });

  test('a machine by its key and then its user by a password', async () => {
    let asked = 0;
    const { outcome, peer } = await attempt({
      ...kind,
      options: { identities: ['machine', 'user'], innerMethods: ['password', 'mschapv2'] },
      change: (said) =>
        // It has no password for the machine.
        said.map((tlv) =>
          tlv.kind === 'password-response' && asked++ === 0
            ? { kind: 'nak', vendorId: 0, type: 13 }
            : tlv,
        ),
    });
    expect(outcome).toMatchObject({ kind: 'success', msk: peer.keys().msk });
  });
});

describe.each(versions)('refused over TLS %s', (version) => {
  const refusal = 'intermediate-result failure, result failure, error 1003';

  test.each([
    ['EAP-MSCHAPv2', { password: 'looking-glass' }],
    ['a password', { password: 'looking-glass', options: onlyPassword }],
    ['a name that nobody has', { username: 'nobody', options: onlyPassword }],
  ])('a wrong secret, said inside the tunnel: %s', async (_, wrong) => {
    const { outcome, peer, said } = await attempt({ version, ...wrong });
    expect(outcome).toMatchObject({ kind: 'failure', reason: 'wrong-password' });
    expect(said.at(-1)).toBe(refusal);
    expect(peer.end).toBe(4);
    expect(version === '1.2' || peer.session === undefined).toBe(true);
  });

  test('a client that wants no method of ours', async () => {
    const { outcome, said } = await attempt({
      version,
      accepts: [13],
      options: { innerMethods: ['mschapv2'] },
    });
    expect(outcome).toMatchObject({ kind: 'failure', reason: 'no-common-method' });
    expect(said.at(-1)).toContain('error 1032');
  });

  test('the certificate of nobody, where nothing is asked inside', async () => {
    const { outcome, said } = await attempt({
      version,
      certificate: mallory,
      options: { clientCertificate: 'optional', innerMethods: [] },
    });
    expect(outcome).toMatchObject({ kind: 'failure', reason: 'unknown-subscriber' });
    expect(said.at(-1)).toBe('result failure, error 1020');
  });

  test('the certificate of nobody does not keep its owner from a password', async () => {
    const { outcome, peer } = await attempt({
      version,
      certificate: mallory,
      options: { clientCertificate: 'optional' },
    });
    expect(outcome).toMatchObject({ kind: 'success', username: 'alice', msk: peer.keys().msk });
  });

  test('an identity that has logged in already', async () => {
    const { outcome, said } = await attempt({
      version,
      options: { identities: ['machine', 'user'] },
      identityType: () => 1,
    });
    expect(outcome).toMatchObject({ kind: 'failure', detail: 'identity type 1' });
    expect(said[0]).toBe('machine, eap-payload');
    expect(said[4]).toBe('machine, eap-payload'); // the user has, so the machine is asked again
  });
});

/** No ticket can tell that a certificate inside has stopped being good: the engine has not seen it. */
describe.each(versions)('after EAP-TLS inside, over TLS %s', (version) => {
  const minutes = (count: number) => nowMs + count * 60_000;
  const shortLived = issueCertificate({
    authority: authorityOf(authority.root),
    serial: randomBytes(16),
    notBeforeMs: minutes(-1),
    notAfterMs: minutes(10),
    usage: 'client',
    commonName: 'alice',
  });
  const others = createTestAuthority();
  const [list] = crlsFromPem(
    createRevocationList({
      authority: authorityOf(authority.root),
      number: 1,
      thisUpdateMs: minutes(-1),
      nextUpdateMs: minutes(60),
      revoked: [{ serial: alice.certificate.serial, atMs: nowMs }],
    }),
  );
  if (list?.kind !== 'crl') throw new Error('no revocation list');
  const { crl } = list;

  test.each([
    ['revoked', alice, { crls: [crl], revocation: 'when-present' }, nowMs],
    [
      'of an authority that is not trusted now',
      alice,
      { anchors: [others.root.certificate] },
      nowMs,
    ],
    ['expired', shortLived, {}, minutes(11)],
  ] as const)(
    'no later login is short, and none succeeds: %s',
    async (_, certificateInside, trust, startedAtMs) => {
      const server = start(version);
      const device = { server, certificateInside, options: onlyTls };
      const first = await attempt(device);
      expect(first.outcome).toMatchObject({ kind: 'success', username: 'alice' });
      expect(first.outcome).not.toHaveProperty('session');
      expect(version === '1.3' && first.peer.session !== undefined).toBe(false);

      const clientTrust = { ...server.settings.clientTrust, ...trust };
      Object.assign(server.settings, { clientTrust });
      const second = await attempt({ ...device, startedAtMs, session: first.peer.session });
      expect(second.peer.isResumed).toBe(false);
      expect(second.outcome).toMatchObject({ kind: 'failure', reason: 'certificate-refused' });
    },
  );

  test('nor after a machine by EAP-TLS and then its user by a password', async () => {
    let asked = 0;
    const { outcome, peer } = await attempt({
      version,
      certificateInside: alice,
      options: { identities: ['machine', 'user'], innerMethods: ['password', 'tls'] },
      change: (said) =>
        // It has no password for the machine.
        said.map((tlv) =>
          tlv.kind === 'password-response' && asked++ === 0
            ? { kind: 'nak', vendorId: 0, type: 13 }
            : tlv,
        ),
    });
    expect(outcome).toMatchObject({ kind: 'success', username: 'alice' });
    expect(outcome).not.toHaveProperty('session');
    expect(version === '1.3' && peer.session !== undefined).toBe(false);
  });
});

const keyKinds = ['ecdsa', 'rsa'] as const;

describe.each(keyKinds.flatMap((keyKind) => versions.map((version) => ({ keyKind, version }))))(
  'a certificate of $keyKind over TLS $version',
  ({ keyKind, version }) => {
    const certificate = authority.issue({ usage: 'server', commonName: 'radius', keyKind });
    const begin = () => createEapTlsServer({ root: authority.root, server: certificate, version });
    const optional = { clientCertificate: 'optional' } as const;
    const lawful = { breaches: [], unrepeatable: 0, different: 0 };

    test.each<[string, Attempt]>([
      ['EAP-MSCHAPv2', {}],
      ['EAP-MSCHAPv2 in small packets', { fragmentBytes: 60 }],
      ['EAP-MSCHAPv2, wrong', { password: 'looking-glass' }],
      ['a password', { options: onlyPassword }],
      ['a password, wrong', { options: onlyPassword, password: 'looking-glass' }],
      ['no method of ours', { accepts: [4], hasPassword: false }],
      ['a machine and its user', { options: { identities: ['machine', 'user'] } }],
      ['a certificate in the handshake', { certificate: alice, options: optional }],
      ['a certificate of nobody', { certificate: mallory, options: optional }],
    ])(
      '%s: a round worked out twice, or asked for without keys, is one text',
      async (_, device) => {
        const server = begin();
        const first = await attempt({ ...device, server });
        const second = await attempt({ ...device, server, session: first.peer.session });
        for (const { method, rounds } of [first, second]) {
          expect(await judge(server, method, rounds)).toEqual(lawful);
        }
      },
    );

    test.each<[string, Attempt, number]>([
      ['whole', {}, 1],
      ['in small packets', { fragmentBytes: 100 }, 8],
      ['refused', { certificateInside: mallory }, 1],
      ['after another method', { options: { innerMethods: ['mschapv2', 'password', 'tls'] } }, 1],
    ])('EAP-TLS inside, %s: so is all but the flight that is signed', async (_, device, most) => {
      const inside = { certificateInside: alice, options: onlyTls, ...device };
      const { outcome, server, method, rounds } = await attempt({ ...inside, server: begin() });
      expect(outcome.kind).toBe(device.certificateInside === mallory ? 'failure' : 'success');
      const { breaches, unrepeatable, different } = await judge(server, method, rounds);
      expect(breaches).toEqual([]);
      expect(different).toBe(1);
      expect(unrepeatable).toBeLessThanOrEqual(most);
    });
  },
);

describe('the proof that the inner login was made in this tunnel', () => {
  type Binding = Extract<TeapTlv, { kind: 'crypto-binding' }>;
  const forged = (change: (binding: Binding) => Partial<Binding>) => ({
    change: (said: TeapTlv[]) =>
      said.map((tlv) => (tlv.kind === 'crypto-binding' ? { ...tlv, ...change(tlv) } : tlv)),
  });
  const flipped = (bytes: Buffer, at: number) => {
    const copy = Buffer.from(bytes);
    copy[at] = (copy[at] ?? 0) ^ 1;
    return copy;
  };

  test.each([
    ['another version', 2003, forged(() => ({ version: 2 }))],
    ['another version received', 2003, forged(() => ({ receivedVersion: 2 }))],
    ['our own request sent back', 2003, forged(() => ({ subType: 0 }))],
    ['no code at all', 2003, forged(() => ({ macs: 0 }))],
    ['another nonce', 2003, forged(({ nonce }) => ({ nonce: flipped(nonce, 0) }))],
    ['an even nonce', 2003, forged(({ nonce }) => ({ nonce: flipped(nonce, 31) }))],
    ['only a code that we cannot check', 2004, forged(() => ({ macs: 1 }))],
    ['another code', 2005, forged(({ mskMac }) => ({ mskMac: flipped(mskMac, 19) }))],
    [
      'none',
      2001,
      { change: (said: TeapTlv[]) => said.filter(({ kind }) => kind !== 'crypto-binding') },
    ],
  ])('%s ends in a failure, and earns no ticket', async (_, code, device) => {
    for (const version of versions) {
      const { outcome, peer, said } = await attempt({ version, ...device });
      expect(outcome).toMatchObject({ kind: 'failure', reason: 'tls-failed' });
      expect(said.at(-1)).toBe(`result failure, error ${code}`);
      expect(version === '1.2' || peer.session === undefined).toBe(true);
    }
  });

  test('it also covers what was said outside the tunnel', async () => {
    const outerTlvs = encodeTlvs([
      { kind: 'vendor-specific', isMandatory: false, vendorId: 39068, data: Buffer.of(1) },
    ]);
    const { outcome, peer } = await attempt({ outerTlvs });
    expect(outcome).toMatchObject({ kind: 'success', msk: peer.keys().msk });
    expect(peer.keys().authorityId).toEqual(authorityId);
  });

  test('a code that an EMSK was said to be in, and that we cannot check, does not count', async () => {
    const { outcome } = await attempt(forged(() => ({ macs: 3 })));
    // The flags are covered by the other code, which is then wrong.
    expect(outcome).toMatchObject({ kind: 'failure' });
  });
});

describe('messages', () => {
  const withThis = (...more: TeapTlv[]) => ({
    change: (said: TeapTlv[], round: number) => (round === 0 ? [...said, ...more] : said),
  });
  const unknown = (isMandatory: boolean): TeapTlv => ({
    kind: 'other',
    type: 99,
    isMandatory,
    value: Buffer.of(1),
  });

  test('a mandatory TLV that we do not know gets a NAK, and the client may go on', async () => {
    let last: TeapTlv[] = [];
    const { outcome, said } = await attempt({
      options: onlyPassword,
      change(tlvs, round) {
        if (round === 0) {
          last = tlvs;
          return [...tlvs, unknown(true)];
        }
        return round === 1 ? last : tlvs;
      },
    });
    expect(said[1]).toBe('nak 99');
    expect(outcome).toMatchObject({ kind: 'success' });
  });

  test.each([
    ['an optional TLV that we do not know', unknown(false)],
    ['a hint of its identity', { ...unknown(false), type: 19 } as TeapTlv],
    ['a wish for a PAC', { ...unknown(false), type: 11 } as TeapTlv],
  ])('%s is ignored', async (_, tlv) => {
    const { outcome } = await attempt(withThis(tlv));
    expect(outcome).toMatchObject({ kind: 'success' });
  });

  test.each([
    ['two EAP packets', withThis({ kind: 'eap-payload', eap: Buffer.of(2, 0, 0, 5, 1) })],
    ['what only a server says', withThis({ kind: 'password-request', prompt: '' })],
    ['a status that there is not', withThis({ kind: 'result', status: 3 })],
    ['a PAC', withThis({ ...unknown(true), type: 11 } as TeapTlv)],
    ['nothing that was asked for', { change: () => [unknown(false)] }],
  ])('%s ends in a failure', async (_, device) => {
    const { outcome, said } = await attempt(device);
    expect(outcome).toMatchObject({ kind: 'failure', reason: 'tls-failed' });
    expect(said.at(-1)).toBe('result failure, error 2002');
  });

  test('a client that calls it a failure is believed', async () => {
    const { outcome } = await attempt({
      change: () => [
        { kind: 'result', status: 2 },
        { kind: 'error', code: 2001 },
      ],
    });
    expect(outcome).toMatchObject({ reason: 'refused-by-peer', detail: 'error 2001' });
  });

  test('a client without a password is asked by EAP, and one without EAP for a password', async () => {
    const byEap = await attempt({
      hasPassword: false,
      options: { innerMethods: ['password', 'mschapv2'] },
    });
    expect(byEap.outcome).toMatchObject({ kind: 'success', msk: byEap.peer.keys().msk });
    const byPassword = await attempt({ accepts: [4] });
    expect(byPassword.outcome).toMatchObject({ kind: 'success', msk: byPassword.peer.keys().msk });
    const neither = await attempt({ accepts: [4], hasPassword: false });
    expect(neither.outcome).toMatchObject({ kind: 'failure', reason: 'no-common-method' });
  });

  test('a client that wants more than we do says itself how it ends', async () => {
    const wish = (status: number): TeapTlv => ({
      kind: 'request-action',
      status,
      action: 2,
      tlvs: Buffer.alloc(0),
    });
    const instead = (status: number) => ({
      change: (said: TeapTlv[]) => said.map((tlv) => (tlv.kind === 'result' ? wish(status) : tlv)),
    });
    expect((await attempt(instead(1))).outcome).toMatchObject({ kind: 'success' });
    expect((await attempt(instead(2))).outcome).toMatchObject({ kind: 'failure' });
  });
});
