// Real connections on the loopback interface.

import { X509Certificate, createPrivateKey } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import type { Socket } from 'node:net';
import { connect } from 'node:tls';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { createCertificateAuthority } from '../../tests/servers/certificate-authority.ts';
import type { CertificateAuthority, Issued } from '../../tests/servers/certificate-authority.ts';
import { createAuthority, issueCertificate } from '../protocols/x509/create.ts';
import type { Issued as CreatedCertificate } from '../protocols/x509/create.ts';
import type { TlsFailure, TlsIdentity, TlsOptions, TlsPeer, TlsServer } from './network.ts';
import { listenTls } from './tls-server.ts';
import { systemNetwork } from './udp/network.ts';
import { sourceAddress } from './udp/path.ts';

let authority: CertificateAuthority;
let issued: Issued;
let client: Issued;

beforeAll(() => {
  authority = createCertificateAuthority('TLS CA');
  issued = authority.issue({ commonName: 'server', usage: 'server' });
  client = authority.issue({ commonName: 'client', usage: 'client' });
});
afterAll(() => authority?.[Symbol.dispose]());

let server: TlsServer;
let peers: TlsPeer[];
let heard: string;
let failures: TlsFailure[];
let closed: (Error | undefined)[];
const sockets = new Set<Socket>();

const identityOf = ({ certificate, key }: Issued): TlsIdentity => ({
  certificates: [certificate],
  keys: [key],
});

async function listen(options: Partial<TlsOptions> = {}) {
  peers = [];
  const ours: TlsFailure[] = []; // of this server: another may still be saying goodbye
  failures = ours;
  closed = [];
  heard = '';
  server = await listenTls({
    host: '127.0.0.1',
    port: 0,
    identity: identityOf(issued),
    protocols: ['b', 'a'],
    maxConnections: 100,
    maxHandshakesPerAddress: 100,
    handshakeTimeoutMs: 10_000,
    onPeer(peer) {
      peers.push(peer);
      return {
        onBytes: (bytes) => (heard += bytes.toString()),
        onClosed: (error) => closed.push(error),
      };
    },
    onFailed: (_, reason) => ours.push(reason),
    ...options,
  });
}

beforeEach(() => listen());
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  await server[Symbol.asyncDispose]();
});

function dial(options: ConnectionOptions = {}): TLSSocket {
  const socket = connect({
    host: '127.0.0.1',
    port: server.port,
    ca: authority.certificate,
    checkServerIdentity: () => undefined,
    ...options,
  });
  socket.on('error', () => undefined);
  sockets.add(socket);
  return socket;
}

const withCertificate = () => ({ cert: client.certificate, key: client.key });

async function until(isSo: () => boolean) {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5));
}

test('a peer is known by its address, its certificate and what it speaks', async () => {
  const socket = dial({ ...withCertificate(), ALPNProtocols: ['a', 'b'] });
  await until(() => peers.length === 1);
  const [peer] = peers;
  expect(peer).toMatchObject({ protocol: 'b', version: 'TLSv1.3' });
  expect(sourceAddress(peer?.path ?? Buffer.alloc(40))).toBe('127.0.0.1');
  const [own] = peer?.certificates ?? [];
  expect(new X509Certificate(own ?? '').subject).toBe('CN=client');

  socket.write('hello');
  await until(() => heard === 'hello');
  peer?.send(Buffer.from('good day'));
  const [answer] = (await once(socket, 'data')) as [Buffer];
  expect(answer.toString()).toBe('good day');
  peer?.end();
  await once(socket, 'close');
  await until(() => closed.length === 1);
  expect(closed).toEqual([undefined]);
});

test.each(['TLSv1.2', 'TLSv1.3'] as const)('a chain comes as it was sent (%s)', async (version) => {
  const terms = { serial: Buffer.alloc(16, 1), notBeforeMs: 0, notAfterMs: 2 ** 42 };
  const asAuthority = ({ certificate, privateKeyPem }: CreatedCertificate) => ({
    certificate,
    privateKey: createPrivateKey(privateKeyPem),
  });
  const root = createAuthority({ ...terms, commonName: 'root', pathLength: 1 });
  const middle = createAuthority({ ...terms, commonName: 'middle', issuer: asAuthority(root) });
  const leaf = issueCertificate({
    ...terms,
    authority: asAuthority(middle),
    usage: 'client',
    commonName: 'leaf',
  });
  const versions = { minVersion: version, maxVersion: version };
  const cert = leaf.certificatePem + middle.certificatePem;
  dial({ ...versions, cert, key: leaf.privateKeyPem });
  await until(() => peers.length === 1);
  const subjects = peers[0]?.certificates.map((der) => new X509Certificate(der).subject);
  expect(subjects).toEqual(['CN=leaf', 'CN=middle']);
});

test('a peer without a certificate is there, and has none', async () => {
  dial();
  await until(() => peers.length === 1);
  expect(peers[0]?.certificates).toEqual([]);
});

test.each<[string, ConnectionOptions]>([
  ['another protocol', { ALPNProtocols: ['c'] }],
  ['TLS 1.1', { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' }],
])('a client of %s is refused', async (_, options) => {
  const socket = dial({
    ...options,
    ...('ALPNProtocols' in options ? { ALPNProtocols: ['c'] } : {}),
  });
  await until(() => socket.closed && failures.length === 1);
  expect(failures).toEqual(['handshake-failed']);
  expect(peers).toEqual([]);
});

test('a client that says nothing is hung up on', async () => {
  await server[Symbol.asyncDispose]();
  await listen({ handshakeTimeoutMs: 100 });
  const socket = connectTcp(server.port, '127.0.0.1');
  sockets.add(socket);
  socket.on('error', () => undefined).resume();
  await once(socket, 'close');
  expect(failures).toEqual(['handshake-failed']);
});

test('of one address only so many may be silent, and those who are through do not count', async () => {
  await server[Symbol.asyncDispose]();
  await listen({ maxHandshakesPerAddress: 2 });
  for (let i = 1; i <= 4; i++) {
    dial(withCertificate());
    await until(() => peers.length === i);
  }
  const silent = [1, 2, 3].map(() => connectTcp(server.port, '127.0.0.1'));
  for (const socket of silent) sockets.add(socket.on('error', () => undefined).resume());
  await until(() => silent.some(({ closed: isClosed }) => isClosed));
  expect(failures).toContain('too-many-handshakes');
  silent.find(({ closed: isClosed }) => !isClosed)?.destroy();
  // Whoever hangs up makes room for another.
  await until(() => silent.filter(({ closed: isClosed }) => isClosed).length === 2);
  await new Promise((resolve) => setTimeout(resolve, 50));
  dial(withCertificate());
  await until(() => peers.length === 5);
});

test('there are only so many connections', async () => {
  await server[Symbol.asyncDispose]();
  await listen({ maxConnections: 1 });
  dial();
  await until(() => peers.length === 1);
  dial();
  await until(() => failures.length === 1);
  expect(failures).toEqual(['too-many-connections']);
});

test('another certificate counts for those who come later', async () => {
  const old = dial(withCertificate());
  await once(old, 'secureConnect');
  const renewed = authority.issue({ commonName: 'renewed', usage: 'server' });
  server.replaceIdentity(identityOf(renewed));
  const young = dial(withCertificate());
  await once(young, 'secureConnect');
  const names = [old, young].map((socket) => socket.getPeerX509Certificate()?.subject);
  expect(names).toEqual(['CN=server', 'CN=renewed']);
  expect(() => server.replaceIdentity({ ...identityOf(renewed), keys: [issued.key] })).toThrow(
    'key values mismatch',
  );
  expect(old.closed).toBe(false);
});

test('nobody is resumed', async () => {
  let session: Buffer | undefined;
  const first = dial({ ...withCertificate(), maxVersion: 'TLSv1.2' });
  first.on('session', (given: Buffer) => (session = given));
  await once(first, 'secureConnect');
  const second = dial({ maxVersion: 'TLSv1.2', ...(session === undefined ? {} : { session }) });
  await until(() => peers.length === 2);
  expect(second.isSessionReused()).toBe(false);
  expect(peers[1]?.certificates).toEqual([]);
});

test('who is connected stays when nobody else may come', async () => {
  const socket = dial(withCertificate());
  await until(() => peers.length === 1);
  server.stopListening();
  const late = connectTcp(server.port, '127.0.0.1');
  await once(late, 'error');
  socket.write('still here');
  await until(() => heard !== '');
  expect(heard).toBe('still here');
});

test('a port in use is one sentence', async () => {
  const listening = systemNetwork().listenTls({
    host: '127.0.0.1',
    port: server.port,
    identity: identityOf(issued),
    protocols: [],
    maxConnections: 1,
    maxHandshakesPerAddress: 1,
    handshakeTimeoutMs: 1,
    onPeer: () => ({ onBytes: () => undefined, onClosed: () => undefined }),
    onFailed: () => undefined,
  });
  await expect(listening).rejects.toThrow(
    `tcp 127.0.0.1:${server.port} is in use by another process: stop it ("ss -tlpn" shows which)`,
  );
});
