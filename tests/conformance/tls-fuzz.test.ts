// A client that breaks the rules of TLS, each in its turn and then thousands at random. The server answers
// with the alert that the RFC names, never throws, never hangs, keeps little, and never opens.

import { afterAll, describe, expect, test } from 'vitest';
import type {
  AlertName,
  TlsConnection,
  TlsProgress,
  TlsTerms,
} from '../../src/protocols/tls/engine.ts';
import { extensionTypes, messageTypes } from '../../src/protocols/tls/handshake.ts';
import {
  uint16,
  uint24,
  uint8,
  vector16,
  vector24,
  vector8,
} from '../../src/protocols/tls/wire.ts';
import { createCertificateAuthority } from '../servers/certificate-authority.ts';
import {
  type ClientOptions,
  type Part,
  type TestClient,
  type Version,
  alertPart,
  changeCipherSpecPart,
  createTestClient,
  dataPart,
  message,
} from './tls-test-client.ts';
import { certificatesOf, createTestServer, give, identityOf } from './tls-test-server.ts';

const authority = createCertificateAuthority('Evergate Test Root');
afterAll(() => authority[Symbol.dispose]());
const certificate = identityOf(authority.issue({ commonName: 'alice', usage: 'client' }));
const rsaCertificate = identityOf(
  authority.issue({ commonName: 'alice', usage: 'client', key: 'rsa' }),
);
const server = createTestServer({
  identities: [identityOf(authority.issue({ commonName: 'radius.example', usage: 'server' }))],
  clientTrust: {
    anchors: certificatesOf(authority.certificate),
    intermediates: [],
    crls: [],
    revocation: 'none',
  },
});
const terms: TlsTerms = { purpose: 'eap-tls', clientCertificate: 'required' };
const versions: readonly Version[] = ['1.2', '1.3'];

/** A chain of 60 KiB, twice over in a state of JSON, and the rest of a connection. */
const MAX_STATE_BYTES = 256 * 1024;

/** One call of the server, which must neither throw nor keep much. */
async function say(connection: TlsConnection, bytes: Buffer): Promise<TlsProgress> {
  const progress = await give(server, connection, bytes);
  expect(JSON.stringify(progress.connection).length).toBeLessThan(MAX_STATE_BYTES);
  return progress;
}

/** Just before the client's first flight, or its second. */
type Moment = { client: TestClient; connection: TlsConnection; flight: Part[] };

async function atStart(options: ClientOptions): Promise<Moment> {
  const client = createTestClient({ certificate, ...options });
  return { client, connection: server.engine.accept(terms), flight: client.hello() };
}

async function atAnswer(options: ClientOptions): Promise<Moment> {
  const { client, connection, flight } = await atStart(options);
  const progress = await say(connection, client.encode(flight));
  if (progress.kind !== 'handshaking') throw new Error(`the server says ${describeEnd(progress)}`);
  client.receive(progress.output);
  return { client, connection: progress.connection, flight: client.answer() };
}

async function whenOpen(options: ClientOptions): Promise<Moment> {
  const { client, connection, flight } = await atAnswer(options);
  const progress = await say(connection, client.encode(flight));
  if (progress.kind !== 'open') throw new Error(`the server says ${describeEnd(progress)}`);
  client.receive(progress.output);
  return { client, connection: progress.connection, flight: [] };
}

function describeEnd(progress: TlsProgress): string {
  return progress.kind === 'failed' ? `${progress.alert}: ${progress.detail}` : progress.kind;
}

/**
 * How the server ends the connection: with an alert that the client can read, and then nothing is kept.
 * If it does not end, what else it does.
 */
async function endOf({ client, connection }: Moment, bytes: Buffer): Promise<string> {
  const progress = await say(connection, bytes);
  if (progress.kind !== 'failed' || progress.from === 'client') return progress.kind;
  client.receive(progress.output);
  expect(client.received.alerts.at(-1)).toEqual({ level: 2, name: progress.alert });
  expect(JSON.stringify(progress.connection).length).toBeLessThan(512);
  const after = await say(progress.connection, bytes);
  expect(after).toMatchObject({ kind: 'failed', output: Buffer.alloc(0) });
  return progress.alert;
}

const at = (parts: readonly Part[], type: number) =>
  parts.findIndex((part) => part.kind === 'content' && part.content[0] === type);

/** The flight without what the client switches keys with. */
const messagesOf = (parts: readonly Part[]) =>
  parts.flatMap((part, index) => (part.kind === 'content' ? [index] : []));

function withBody(parts: readonly Part[], type: number, change: (body: Buffer) => Buffer): Part[] {
  return parts.map((part) =>
    part.kind === 'content' && part.type === 22 && part.content[0] === type
      ? message(type, change(Buffer.from(part.content.subarray(4))))
      : part,
  );
}

describe.each(versions)('TLS %s', (version) => {
  test('a flight cut in two anywhere is waited for, and then it is as good as whole', async () => {
    const { client, connection, flight } = await atAnswer({ version });
    const bytes = client.encode(flight);
    for (let cut = 0; cut < bytes.length; cut += 1) {
      const first = await say(connection, bytes.subarray(0, cut));
      expect(first, `cut at ${cut}`).toMatchObject({
        kind: 'handshaking',
        output: Buffer.alloc(0),
      });
      const second = await say(first.connection, bytes.subarray(cut));
      expect(second.kind, `cut at ${cut}`).toBe('open');
    }
  });

  test('a ClientHello cut in two anywhere is waited for', async () => {
    const { client, connection, flight } = await atStart({ version });
    const bytes = client.encode(flight);
    for (let cut = 0; cut < bytes.length; cut += 1) {
      const first = await say(connection, bytes.subarray(0, cut));
      expect(first, `cut at ${cut}`).toMatchObject({
        kind: 'handshaking',
        output: Buffer.alloc(0),
      });
    }
  });

  test('a flight in records of one byte is understood as far as records are counted', async () => {
    const { client, connection, flight } = await atAnswer({ version });
    const progress = await say(connection, client.encode(flight, { recordBytes: 16 }));
    expect(progress.kind).toBe('open');
    const again = await atAnswer({ version });
    const crumbs = again.client.encode(again.flight, { recordBytes: 1 });
    expect(await endOf(again, crumbs)).toBe('unexpected_message');
  });

  test('a ClientHello that ends too early is a decode_error', async () => {
    const { client, connection, flight } = await atStart({ version });
    const [hello] = flight;
    if (hello?.kind !== 'content') throw new Error('no ClientHello');
    const body = hello.content.subarray(4);
    const extensionsAt = 2 + 32 + 1 + (body[34] ?? 0) + 2;
    const beforeExtensions = extensionsAt + body.readUInt16BE(extensionsAt - 2) + 1 + 1;
    for (let length = 0; length < body.length; length += 1) {
      const cut = message(messageTypes.clientHello, body.subarray(0, length));
      const progress = await say(connection, client.encodeVariant([cut]));
      // A hello without extensions is one of TLS 1.2, but not one that we serve.
      const alert = length === beforeExtensions ? 'handshake_failure' : 'decode_error';
      expect(describeEnd(progress), `cut at ${length}`).toMatch(new RegExp(`^${alert}`));
    }
  });

  test('a message of the second flight that ends too early is a decode_error', async () => {
    const moment = await atAnswer({ version });
    const { client, connection, flight } = moment;
    for (const index of messagesOf(flight)) {
      const part = flight[index];
      if (part?.kind !== 'content' || part.type !== 22) continue;
      const body = part.content.subarray(4);
      for (let length = 0; length < body.length; length += 7) {
        const cut = flight.with(
          index,
          message(part.content.readUInt8(0), body.subarray(0, length)),
        );
        const progress = await say(connection, client.encodeVariant(cut));
        expect(describeEnd(progress), `message ${part.content[0]}, ${length} bytes`).toMatch(
          /^decode_error/,
        );
      }
    }
  });

  test('a message that is too long by a byte is a decode_error', async () => {
    const { client, connection, flight } = await atAnswer({ version });
    for (const index of messagesOf(flight)) {
      const part = flight[index];
      if (part?.kind !== 'content' || part.type !== 22) continue;
      const body = Buffer.concat([part.content.subarray(4), uint8(0)]);
      const long = flight.with(index, message(part.content.readUInt8(0), body));
      const progress = await say(connection, client.encodeVariant(long));
      expect(describeEnd(progress), `message ${part.content[0]}`).toMatch(/^decode_error/);
    }
    const hello = await atStart({ version });
    const long = withBody(hello.flight, messageTypes.clientHello, (body) =>
      Buffer.concat([body, uint8(0)]),
    );
    expect(await endOf(hello, hello.client.encode(long))).toBe('decode_error');
  });

  test('a message that is missing, or comes twice, or too early is an unexpected_message', async () => {
    const { client, connection, flight } = await atAnswer({ version });
    const indexes = messagesOf(flight);
    const finished = at(flight, messageTypes.finished);
    for (const [position, index] of indexes.entries()) {
      const part = flight[index];
      const next = indexes[position + 1];
      if (part === undefined) continue;
      const variants: [string, Part[]][] = [['twice', flight.toSpliced(index, 0, part)]];
      if (index !== finished) variants.push(['missing', flight.toSpliced(index, 1)]);
      const other = next === undefined ? undefined : flight[next];
      if (next !== undefined && other !== undefined)
        variants.push(['too late', flight.with(index, other).with(next, part)]);
      for (const [name, parts] of variants) {
        const progress = await say(connection, client.encodeVariant(parts));
        // Under keys that are not its own a record is none. TLS 1.3 has changed keys with Finished.
        const isUnderOldKeys = version === '1.3' && index === finished && name === 'twice';
        const expected = isUnderOldKeys ? 'bad_record_mac' : 'unexpected_message';
        expect(describeEnd(progress), `part ${index} ${name}`).toMatch(new RegExp(`^${expected}`));
      }
    }
  });

  test('a flight without Finished is waited for, and does not open', async () => {
    const { client, connection, flight } = await atAnswer({ version });
    const parts = flight.toSpliced(at(flight, messageTypes.finished), 1);
    const progress = await say(connection, client.encode(parts));
    expect(progress).toMatchObject({ kind: 'handshaking', output: Buffer.alloc(0) });
  });

  test('a second ClientHello is an unexpected_message', async () => {
    const twice = await atStart({ version });
    const [hello] = twice.flight;
    if (hello === undefined) throw new Error('no ClientHello');
    const progress = await say(twice.connection, twice.client.encode([hello, hello]));
    expect(describeEnd(progress)).toMatch(/^unexpected_message/);

    const later = await atAnswer({ version });
    const again = message(messageTypes.clientHello, Buffer.from('anything'));
    const keys = later.flight.filter((part) => part.kind === 'keys').slice(0, 1);
    const parts = version === '1.3' ? [...keys, again] : [again];
    expect(await endOf(later, later.client.encode(parts))).toBe('unexpected_message');
  });

  test('a record with too much in it is a record_overflow', async () => {
    const start = await atStart({ version });
    const header = Buffer.concat([uint8(22), uint16(0x0303), uint16(2 ** 14 + 1)]);
    expect(await endOf(start, header)).toBe('record_overflow');

    const answer = await atAnswer({ version });
    const limit = 2 ** 14 + (version === '1.2' ? 2048 : 256);
    const prefix = answer.client.encode(untilKeys(answer.flight));
    const type = version === '1.2' ? 22 : 23;
    const long = Buffer.concat([uint8(type), uint16(0x0303), uint16(limit + 1)]);
    expect(await endOf(answer, Buffer.concat([prefix, long]))).toBe('record_overflow');

    const inside = await atAnswer({ version });
    const part: Part = { kind: 'content', type: 22, content: Buffer.alloc(2 ** 14 + 1, 1) };
    const parts = [...untilKeys(inside.flight), part];
    const bytes = inside.client.encode(parts, { recordBytes: 2 ** 15 });
    expect(await endOf(inside, bytes)).toBe('record_overflow');
  });

  test('a message that announces too much is refused before it is kept', async () => {
    for (const length of [16 * 1024 + 1, 2 ** 24 - 1]) {
      const start = await atStart({ version });
      const content = Buffer.concat([uint8(messageTypes.clientHello), uint24(length)]);
      const bytes = start.client.encode([{ kind: 'content', type: 22, content }]);
      expect(await endOf(start, bytes)).toBe('illegal_parameter');
    }
    const answer = await atAnswer({ version });
    const content = Buffer.concat([uint8(messageTypes.certificate), uint24(60 * 1024 + 1)]);
    const keys = version === '1.3' ? untilKeys(answer.flight) : [];
    const parts: Part[] = [...keys, { kind: 'content', type: 22, content }];
    expect(await endOf(answer, answer.client.encode(parts))).toBe('illegal_parameter');
  });

  test('a chain of 64 KiB is refused, and one just below is read and kept within bounds', async () => {
    const [leaf = Buffer.alloc(0)] = certificate.chain;
    const fill = (bytes: number) => {
      const chain = [leaf];
      for (let sum = leaf.length; sum + leaf.length < bytes; sum += leaf.length + 3)
        chain.push(leaf);
      return chain;
    };
    const tooLong = await atAnswer({
      version,
      certificate: { ...certificate, chain: fill(64 * 1024) },
    });
    expect(await endOf(tooLong, tooLong.client.encode(tooLong.flight))).toBe('illegal_parameter');

    const chain = [leaf, Buffer.alloc(58 * 1024, 0x30)];
    const long = await atAnswer({ version, certificate: { ...certificate, chain } });
    const progress = await say(long.connection, long.client.encode(long.flight));
    expect(progress.kind).toBe('open'); // what follows the leaf need not make sense

    const many = await atAnswer({
      version,
      certificate: { ...certificate, chain: fill(40 * 1024) },
    });
    expect(await endOf(many, many.client.encode(many.flight))).toBe('bad_certificate');
  });

  test('no byte of a protected record may change', async () => {
    const { client, connection, flight } = await atAnswer({ version });
    const bytes = client.encode(flight);
    const from = lastRecordOffset(bytes);
    for (let index = from; index < bytes.length; index += 1) {
      const forged = Buffer.from(bytes);
      forged[index] = (forged[index] ?? 0) ^ 1;
      const progress = await say(connection, forged);
      expect(describeEnd(progress), `byte ${index - from}`).toMatch(expectedAt(index - from));
    }

    function expectedAt(place: number): RegExp {
      if (place === 1) return /^protocol_version/;
      // An unprotected record where only protected ones may come.
      if (place === 0 && version === '1.3') return /^unexpected_message/;
      // Of another length: cut short, or waited for.
      if (place === 3 || place === 4) return /^(bad_record_mac|record_overflow|handshaking)/;
      return /^bad_record_mac/;
    }
  });

  test('a protected record that is too short to be one is a bad_record_mac', async () => {
    const moment = await atAnswer({ version });
    const prefix = moment.client.encode(untilKeys(moment.flight));
    const type = version === '1.2' ? 22 : 23;
    const short = Buffer.concat([uint8(type), uint16(0x0303), vector16(Buffer.alloc(15))]);
    expect(await endOf(moment, Buffer.concat([prefix, short]))).toBe('bad_record_mac');
  });

  test('records of types that there are not are an unexpected_message', async () => {
    for (const type of [0, 1, 19, 24, 128, 255]) {
      const moment = await atStart({ version });
      const record = Buffer.concat([uint8(type), uint16(0x0303), vector16(Buffer.alloc(4))]);
      expect(await endOf(moment, record)).toBe('unexpected_message');
    }
  });

  test('data before the handshake is complete is an unexpected_message', async () => {
    const start = await atStart({ version });
    const data = dataPart(Buffer.from('GET / HTTP/1.1'));
    expect(await endOf(start, start.client.encode([data]))).toBe('unexpected_message');
    const answer = await atAnswer({ version });
    const parts = [...untilKeys(answer.flight), data];
    expect(await endOf(answer, answer.client.encode(parts))).toBe('unexpected_message');
  });

  test('a record of another protocol is a protocol_version', async () => {
    for (const bytes of ['1602000001', '16ff000001', '1600000001']) {
      const moment = await atStart({ version });
      expect(await endOf(moment, Buffer.from(bytes, 'hex'))).toBe('protocol_version');
    }
  });

  test('a client that offers only old versions gets a protocol_version', async () => {
    for (const legacyVersion of [0x0302, 0x0301, 0x0300, 0x0200]) {
      const moment = await atStart({
        version,
        legacyVersion,
        extensions: (extensions) => extensions.delete(extensionTypes.supportedVersions),
      });
      expect(await endOf(moment, moment.client.encode(moment.flight))).toBe('protocol_version');
    }
    const moment = await atStart({
      version,
      extensions: (extensions) =>
        extensions.set(extensionTypes.supportedVersions, vector8(uint16(0x0302), uint16(0x0301))),
    });
    expect(await endOf(moment, moment.client.encode(moment.flight))).toBe('protocol_version');
  });

  test('an extension that comes twice, or that cannot be read, is refused', async () => {
    const twice = await atStart({ version });
    const parts = withBody(twice.flight, messageTypes.clientHello, repeatLastExtension);
    expect(await endOf(twice, twice.client.encode(parts))).toBe('illegal_parameter');
    for (const type of [10, 13, 43, 51, 0xff01]) {
      const broken = await atStart({
        version,
        extensions: (extensions) => extensions.set(type, Buffer.of(0xff)),
      });
      expect(await endOf(broken, broken.client.encode(broken.flight))).toBe('decode_error');
    }
  });

  test('compression must be left out', async () => {
    const moment = await atStart({ version, compression: uint8(1) });
    expect(await endOf(moment, moment.client.encode(moment.flight))).toBe('illegal_parameter');
  });

  test('no certificate where one is required is refused', async () => {
    const moment = await atAnswer({ version, certificate: { ...certificate, chain: [] } });
    const alert = version === '1.2' ? 'handshake_failure' : 'certificate_required';
    expect(await endOf(moment, moment.client.encode(moment.flight))).toBe(alert);
  });

  test('a certificate that is none, or an empty one, is refused', async () => {
    const none = await atAnswer({
      version,
      certificate: { ...certificate, chain: [Buffer.from('not a certificate')] },
    });
    expect(await endOf(none, none.client.encode(none.flight))).toBe('bad_certificate');
    const empty = await atAnswer({ version });
    const entry = version === '1.2' ? vector24() : Buffer.concat([vector24(), vector16()]);
    const body = version === '1.2' ? vector24(entry) : Buffer.concat([vector8(), vector24(entry)]);
    const parts = withBody(empty.flight, messageTypes.certificate, () => body);
    expect(await endOf(empty, empty.client.encode(parts))).toBe('decode_error');
  });

  test('a CertificateVerify by another key, or over other bytes, is a decrypt_error', async () => {
    const other = { chain: certificate.chain, privateKey: otherKey };
    const byOther = await atAnswer({ version, certificate: other });
    expect(await endOf(byOther, byOther.client.encode(byOther.flight))).toBe('decrypt_error');

    const changed = await atAnswer({ version });
    const parts = withBody(changed.flight, messageTypes.certificateVerify, (body) => {
      body[body.length - 1] = (body.at(-1) ?? 0) ^ 1;
      return body;
    });
    expect(await endOf(changed, changed.client.encode(parts))).toBe('decrypt_error');
  });

  test('a CertificateVerify by a scheme that does not fit is an illegal_parameter', async () => {
    const sha1 = 0x0203;
    const schemes = [sha1, 0x0804, 0x0401, 0x0807, 0x0000, 0xffff];
    if (version === '1.3') schemes.push(0x0503); // binds another curve
    for (const scheme of schemes) {
      const moment = await atAnswer({ version });
      const parts = withBody(moment.flight, messageTypes.certificateVerify, (body) => {
        body.writeUInt16BE(scheme);
        return body;
      });
      expect(await endOf(moment, moment.client.encode(parts))).toBe('illegal_parameter');
    }
    const pkcs1 = await atAnswer({ version, certificate: rsaCertificate });
    const parts = withBody(pkcs1.flight, messageTypes.certificateVerify, (body) => {
      body.writeUInt16BE(0x0401);
      return body;
    });
    const alert = version === '1.2' ? 'decrypt_error' : 'illegal_parameter';
    expect(await endOf(pkcs1, pkcs1.client.encode(parts))).toBe(alert);
  });

  test('a Finished of another length is a decode_error, one with other bytes a decrypt_error', async () => {
    for (const length of [0, 1, 11, 13, 31, 33, 48, 64]) {
      const moment = await atAnswer({ version });
      const parts = withBody(moment.flight, messageTypes.finished, () => Buffer.alloc(length));
      expect(await endOf(moment, moment.client.encode(parts))).toBe('decode_error');
    }
    for (const bit of [0, 7, 40, 95]) {
      const moment = await atAnswer({ version });
      const parts = withBody(moment.flight, messageTypes.finished, (body) => {
        body[bit >> 3] = (body[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        return body;
      });
      expect(await endOf(moment, moment.client.encode(parts))).toBe('decrypt_error');
    }
  });

  test('empty handshake records and alerts are refused at once', async () => {
    for (const [type, alert] of [
      [22, 'unexpected_message'],
      [21, 'decode_error'],
    ] as const) {
      const start = await atStart({ version });
      const empty: Part = { kind: 'content', type, content: Buffer.alloc(0) };
      expect(await endOf(start, start.client.encode([empty]))).toBe(alert);
      const answer = await atAnswer({ version });
      const parts = [...untilKeys(answer.flight), empty];
      expect(await endOf(answer, answer.client.encode(parts))).toBe(alert);
    }
  });

  test('a flood of empty data changes nothing', async () => {
    const { client, connection } = await whenOpen({ version });
    const flood = Array.from({ length: 1000 }, () => dataPart(Buffer.alloc(0)));
    const progress = await say(connection, client.encode(flood));
    expect(progress).toMatchObject({
      kind: 'open',
      output: Buffer.alloc(0),
      data: Buffer.alloc(0),
    });
    const data = await say(
      progress.connection,
      client.encode([dataPart(Buffer.from('still here'))]),
    );
    expect(data).toMatchObject({ kind: 'open', data: Buffer.from('still here') });
  });

  test('a flood of warnings ends the handshake', async () => {
    const userCanceled = alertPart(1, 90);
    const moment = await atStart({ version });
    const flood = Array.from({ length: 1000 }, () => userCanceled);
    expect(await endOf(moment, moment.client.encode(flood))).toBe('unexpected_message');
  });

  test('a fatal alert of the client ends the connection, and is reported', async () => {
    for (const [number, alert] of [
      [48, 'unknown_ca'],
      [40, 'handshake_failure'],
      [0, 'close_notify'],
      [255, 'handshake_failure'], // a number that nobody knows
    ] as const) {
      for (const begin of [atStart, atAnswer, whenOpen]) {
        const { client, connection } = await begin({ version });
        const progress = await say(connection, client.encode([alertPart(2, number)]));
        const output = Buffer.alloc(0);
        expect(progress).toMatchObject({ kind: 'failed', from: 'client', alert, output });
      }
    }
  });

  test('a ChangeCipherSpec that is none, or before anything was said, is an unexpected_message', async () => {
    const start = await atStart({ version });
    expect(await endOf(start, start.client.encode([changeCipherSpecPart]))).toBe(
      'unexpected_message',
    );
    for (const content of [Buffer.alloc(0), uint8(0), uint8(2), Buffer.of(1, 1)]) {
      const answer = await atAnswer({ version });
      const broken: Part = { kind: 'content', type: 20, content };
      expect(await endOf(answer, answer.client.encode([broken]))).toBe('unexpected_message');
    }
    const open = await whenOpen({ version });
    expect(await endOf(open, open.client.encode([changeCipherSpecPart]))).toBe(
      'unexpected_message',
    );
  });

  test('a handshake message on an open connection is an unexpected_message', async () => {
    for (const type of [0, 2, 4, 5, 11, 13, 15, 16, 20]) {
      const moment = await whenOpen({ version });
      const bytes = moment.client.encode([message(type, Buffer.alloc(32))]);
      expect(await endOf(moment, bytes)).toBe('unexpected_message');
    }
  });

  test('a key that is none is an illegal_parameter', async () => {
    for (const group of ['x25519', 'secp256r1'] as const) {
      for (const forge of [zeros, notOnCurve, cutByOne]) {
        expect(await endWithForgedKey(version, group, forge)).toBe('illegal_parameter');
      }
    }
  });
});

const otherKey = identityOf(authority.issue({ commonName: 'mallory', usage: 'client' })).privateKey;

const zeros = (key: Buffer) => Buffer.alloc(key.length);
const cutByOne = (key: Buffer) => key.subarray(1);
/** For X25519 every string is a key: then one of small order. */
const notOnCurve = (key: Buffer) =>
  key.length === 32
    ? Buffer.concat([uint8(1), Buffer.alloc(31)])
    : Buffer.concat([uint8(4), Buffer.alloc(key.length - 1, 1)]);

async function endWithForgedKey(
  version: Version,
  group: 'x25519' | 'secp256r1',
  forge: (key: Buffer) => Buffer,
): Promise<string> {
  if (version === '1.3') {
    const moment = await atStart({
      version,
      groups: [group],
      extensions(extensions) {
        const share = extensions.get(extensionTypes.keyShare) ?? Buffer.alloc(0);
        const forged = forge(share.subarray(6));
        const entry = Buffer.concat([share.subarray(2, 4), vector16(forged)]);
        extensions.set(extensionTypes.keyShare, vector16(entry));
      },
    });
    return endOf(moment, moment.client.encode(moment.flight));
  }
  // P-256 comes along for the sake of the server's certificate.
  const groups = group === 'x25519' ? [group, 'secp256r1' as const] : [group];
  const moment = await atAnswer({ version, groups });
  const parts = withBody(moment.flight, messageTypes.clientKeyExchange, (body) =>
    vector8(forge(body.subarray(1))),
  );
  return endOf(moment, moment.client.encode(parts));
}

describe('TLS 1.2 alone', () => {
  const version = '1.2';

  test('a ChangeCipherSpec before the keys are agreed on is an unexpected_message', async () => {
    // CVE-2014-0224. At every place but the one right before Finished.
    const { flight } = await atAnswer({ version });
    for (let index = 0; index < at(flight, 1); index += 1) {
      const moment = await atAnswer({ version });
      const parts = moment.flight.slice(0, index);
      const bytes = moment.client.encode([...parts, changeCipherSpecPart]);
      expect(await endOf(moment, bytes)).toBe('unexpected_message');
    }
  });

  test('a Finished that nobody has protected does not count', async () => {
    const moment = await atAnswer({ version });
    const parts = moment.flight.filter((part) => part.kind === 'content');
    expect(await endOf(moment, moment.client.encode(parts))).toBe('bad_record_mac');
    const withoutSpec = await atAnswer({ version });
    const plain = withoutSpec.flight.filter((part) => part.kind === 'content' && part.type === 22);
    expect(await endOf(withoutSpec, withoutSpec.client.encode(plain))).toBe('unexpected_message');
  });

  test('a message that goes on beyond the change of keys is an unexpected_message', async () => {
    const moment = await atAnswer({ version });
    const spec = moment.flight.findIndex((part) => part.kind === 'content' && part.type === 20);
    const begun: Part = { kind: 'content', type: 22, content: uint8(messageTypes.finished) };
    const parts = moment.flight.toSpliced(spec, 0, begun);
    expect(await endOf(moment, moment.client.encode(parts))).toBe('unexpected_message');
  });

  test('a wish to renegotiate is declined, and the connection goes on', async () => {
    const { client, connection } = await whenOpen({ version });
    const hello = createTestClient({ version }).hello();
    const declined = await say(connection, client.encode(hello));
    expect(declined.kind).toBe('open');
    if (declined.kind === 'open') client.receive(declined.output);
    expect(client.received.alerts).toEqual([{ level: 1, name: 'no_renegotiation' }]);
    const after = await say(declined.connection, client.encode([dataPart(Buffer.from('on'))]));
    expect(after).toMatchObject({ kind: 'open', data: Buffer.from('on') });
  });

  test.each<[string, (extensions: Map<number, Buffer>) => void, AlertName]>([
    [
      'no extended master secret',
      (extensions) => extensions.delete(extensionTypes.extendedMasterSecret),
      'handshake_failure',
    ],
    [
      'a renegotiation that is none',
      (extensions) => extensions.set(extensionTypes.renegotiationInfo, vector8(Buffer.alloc(12))),
      'handshake_failure',
    ],
    [
      'no signature algorithms',
      (extensions) => extensions.delete(extensionTypes.signatureAlgorithms),
      'handshake_failure',
    ],
    [
      'signatures by SHA-1 alone',
      (extensions) =>
        extensions.set(
          extensionTypes.signatureAlgorithms,
          vector16(uint16(0x0203), uint16(0x0201)),
        ),
      'handshake_failure',
    ],
    [
      'compressed points alone',
      (extensions) => extensions.set(extensionTypes.ecPointFormats, vector8(uint8(1), uint8(2))),
      'illegal_parameter',
    ],
    [
      'no common group',
      (extensions) => extensions.set(extensionTypes.supportedGroups, vector16(uint16(0x001e))),
      'handshake_failure',
    ],
  ])('%s is refused', async (_name, extensions, alert) => {
    const moment = await atStart({ version, extensions });
    expect(await endOf(moment, moment.client.encode(moment.flight))).toBe(alert);
  });

  test('a client is warned when it could do better', async () => {
    const { client } = await atAnswer({ version });
    expect(client.sawDowngrade()).toBe(true);
  });
});

describe('TLS 1.3 alone', () => {
  const version = '1.3';

  test('a ChangeCipherSpec within the handshake means nothing, but not a thousand of them', async () => {
    const moment = await atAnswer({ version });
    const parts = [changeCipherSpecPart, ...moment.flight];
    const progress = await say(moment.connection, moment.client.encode(parts));
    expect(progress.kind).toBe('open');
    const flooded = await atAnswer({ version });
    const flood = Array.from({ length: 1000 }, () => changeCipherSpecPart);
    expect(await endOf(flooded, flooded.client.encode(flood))).toBe('unexpected_message');
  });

  test('a wish to renegotiate is an unexpected_message', async () => {
    const moment = await whenOpen({ version });
    const hello = createTestClient({ version }).hello();
    expect(await endOf(moment, moment.client.encode(hello))).toBe('unexpected_message');
  });

  test('after a HelloRetryRequest the second ClientHello must bring what was asked for', async () => {
    const honest = await atAnswer({ version, withoutKeyShare: true });
    expect(honest.client.received.messages).toEqual([messageTypes.serverHello]);
    const progress = await say(honest.connection, honest.client.encode(honest.flight));
    expect(progress.kind).toBe('handshaking');
    if (progress.kind === 'handshaking') honest.client.receive(progress.output);
    const end = await say(progress.connection, honest.client.encode(honest.client.answer()));
    expect(end.kind).toBe('open');

    const stubborn = await atAnswer({ version, withoutKeyShare: true });
    const same = createTestClient({ version, withoutKeyShare: true }).hello();
    expect(await endOf(stubborn, stubborn.client.encode(same))).toBe('illegal_parameter');
  });
});

/** What an honest client says before its keys change, and the change. */
function untilKeys(flight: readonly Part[]): Part[] {
  const keys = flight.findIndex((part) => part.kind === 'keys');
  return flight.slice(0, keys + 1);
}

function lastRecordOffset(bytes: Buffer): number {
  let last = 0;
  for (let offset = 0; offset < bytes.length; offset += 5 + bytes.readUInt16BE(offset + 3))
    last = offset;
  return last;
}

/** Of a ClientHello. */
function repeatLastExtension(body: Buffer): Buffer {
  const sessionId = 34;
  const suites = sessionId + 1 + body.readUInt8(sessionId);
  const compression = suites + 2 + body.readUInt16BE(suites);
  const start = compression + 1 + body.readUInt8(compression);
  let last = start + 2;
  for (let offset = last; offset < body.length; offset += 4 + body.readUInt16BE(offset + 2))
    last = offset;
  const extensions = Buffer.concat([body.subarray(start + 2), body.subarray(last)]);
  return Buffer.concat([body.subarray(0, start), vector16(extensions)]);
}
