// A device over a TLS connection that is only pretended: what is in the packets, and when a server is believed.

import { describe, expect, test } from 'vitest';
import {
  EapType,
  encodeEapFailure,
  encodeEapRequest,
  encodeEapSuccess,
  parseEap,
} from '../packet.ts';
import { encodeTlsPacket, parseTlsPacket } from '../tls-packets.ts';
import type { TlsPacket } from '../tls-packets.ts';
import type { DeviceAnswer, EapDevice } from './device.ts';
import { createEapTlsDevice } from './eap-tls.ts';
import type { TlsClientProgress } from './tls-device.ts';

const NOTHING = Buffer.alloc(0);
const START = { isStart: true };

/** Says `script` one by one, and keeps what it heard. */
function pretendedTls(...script: TlsClientProgress[]) {
  const heard: string[] = [];
  return {
    heard,
    receive(bytes: Buffer) {
      heard.push(bytes.toString());
      return Promise.resolve(script.shift() ?? handshaking('?'));
    },
    send: (data: Buffer) => Promise.resolve(Buffer.concat([Buffer.from('sealed '), data])),
    exportKey: (label: string, length: number, context?: Buffer) =>
      Buffer.alloc(length, `${label}${context?.toString('hex') ?? ''}|`),
  };
}

function handshaking(output: string): TlsClientProgress {
  return { kind: 'handshaking', output: Buffer.from(output) };
}

function open(version: '1.2' | '1.3', data: Buffer, output = ''): TlsClientProgress {
  const facts = { version, isResumed: false };
  return { kind: 'open', output: Buffer.from(output), data, facts };
}

function request(part: Partial<TlsPacket>, identifier = 7, type: number = EapType.Tls): Buffer {
  const plain = { version: 0, isStart: false, hasMore: false, data: NOTHING };
  return encodeEapRequest(identifier, type, encodeTlsPacket({ ...plain, ...part }));
}

async function partOf(answer: DeviceAnswer | Promise<DeviceAnswer>): Promise<TlsPacket> {
  const said = await answer;
  if (said.kind !== 'response') throw new Error(`the device says ${said.kind}`);
  const eap = parseEap(said.eap);
  const part = eap.kind === 'eap' ? parseTlsPacket(eap.data, { hasOuterTlvs: false }) : undefined;
  if (part === undefined) throw new Error('the device says nothing that can be read');
  return part;
}

function deviceOver(tls: ReturnType<typeof pretendedTls>, maxPacketBytes?: number): EapDevice {
  const size = maxPacketBytes === undefined ? {} : { maxPacketBytes };
  return createEapTlsDevice({ identity: 'alice', tls, ...size });
}

describe('a message', () => {
  test('of the device travels in fragments, each acknowledged, the length on the first', async () => {
    const device = deviceOver(pretendedTls(handshaking('a'.repeat(25))), 20);
    const first = await partOf(device.answer(request(START)));
    expect(first).toMatchObject({
      totalBytes: 25,
      hasMore: true,
      data: Buffer.from('a'.repeat(10)),
    });
    const second = await partOf(device.answer(request({}, 8)));
    expect(second).toMatchObject({ hasMore: true, data: Buffer.from('a'.repeat(10)) });
    expect(second.totalBytes).toBeUndefined();
    expect(await partOf(device.answer(request({}, 9)))).toMatchObject({
      hasMore: false,
      data: Buffer.from('aaaaa'),
    });
  });

  test('of the server is put together, each fragment acknowledged', async () => {
    const tls = pretendedTls(handshaking('hello'), handshaking('done'));
    const device = deviceOver(tls);
    await device.answer(request(START));
    const fragment = { hasMore: true, totalBytes: 6, data: Buffer.from('abc') };
    expect(await partOf(device.answer(request(fragment)))).toMatchObject({ data: NOTHING });
    expect(await partOf(device.answer(request({ data: Buffer.from('def') })))).toMatchObject({
      data: Buffer.from('done'),
    });
    expect(tls.heard).toEqual(['', 'abcdef']);
  });
});

describe('success', () => {
  test('is believed after the promise of TLS 1.3, with the key of the connection', async () => {
    const device = deviceOver(
      pretendedTls(handshaking('hello'), open('1.3', NOTHING, 'fin'), open('1.3', Buffer.of(0))),
    );
    await device.answer(request(START));
    expect(await partOf(device.answer(request({})))).toMatchObject({ data: Buffer.from('fin') });
    expect(await partOf(device.answer(request({})))).toMatchObject({ data: NOTHING });
    expect(await device.answer(encodeEapSuccess(9))).toEqual({
      kind: 'success',
      msk: Buffer.alloc(64, 'EXPORTER_EAP_TLS_Key_Material0d|'),
    });
  });

  test('is believed after the handshake of TLS 1.2', async () => {
    const device = deviceOver(pretendedTls(handshaking('hello'), open('1.2', NOTHING)));
    await device.answer(request(START));
    await device.answer(request({}));
    expect(await device.answer(encodeEapSuccess(9))).toEqual({
      kind: 'success',
      msk: Buffer.alloc(64, 'client EAP encryption|'),
    });
  });

  test.each([
    ['at the beginning', []],
    ['in the middle of the handshake', [request(START)]],
    ['before the promise of TLS 1.3', [request(START), request({})]],
  ])('%s is not believed', async (_when, packets) => {
    const device = deviceOver(pretendedTls(handshaking('hello'), open('1.3', NOTHING, 'fin')));
    for (const packet of packets) await device.answer(packet);
    expect(await device.answer(encodeEapSuccess(9))).toMatchObject({
      kind: 'distrust',
      distrust: { kind: 'protocol' },
    });
  });
});

test('another method is declined, and a failure after that says which it was', async () => {
  const device = deviceOver(pretendedTls());
  const answer = await device.answer(encodeEapRequest(5, EapType.Md5Challenge, Buffer.alloc(17)));
  if (answer.kind !== 'response') throw new Error('no Nak');
  expect(parseEap(answer.eap)).toMatchObject({
    identifier: 5,
    type: EapType.Nak,
    data: Buffer.of(EapType.Tls),
  });
  expect(await device.answer(encodeEapFailure(5))).toEqual({
    kind: 'failure',
    refusal: { kind: 'method-not-offered', offered: EapType.Md5Challenge },
  });
});

test('an alert of the server is acknowledged, and explains the failure', async () => {
  const device = deviceOver(
    pretendedTls(handshaking('hello'), { kind: 'refused', alert: 'unknown_ca' }),
  );
  await device.answer(request(START));
  expect(await partOf(device.answer(request({ data: Buffer.of(1) })))).toMatchObject({
    data: NOTHING,
  });
  expect(await device.answer(encodeEapFailure(9))).toEqual({
    kind: 'failure',
    refusal: { kind: 'alert', alert: 'unknown_ca' },
  });
});

test('a server that the device does not trust is told so', async () => {
  const distrust = { kind: 'certificate', detail: 'it has expired' } as const;
  const device = deviceOver(
    pretendedTls(handshaking('hello'), {
      kind: 'distrust',
      output: Buffer.from('alert'),
      distrust,
    }),
  );
  await device.answer(request(START));
  const answer = await device.answer(request({}));
  expect(answer).toMatchObject({ kind: 'distrust', distrust });
  expect(answer.kind === 'distrust' && answer.eap?.subarray(-5).toString()).toBe('alert');
});

test.each([
  ['a packet that is cut off', Buffer.of(1, 2, 0)],
  ['a response', Buffer.of(2, 1, 0, 5, 1)],
  ['a fragment before the Start', request({ data: Buffer.from('x') })],
  ['TLS flags that are cut off', encodeEapRequest(1, EapType.Tls, Buffer.of(0x80, 0))],
])('%s is what no server says', async (_name, packet) => {
  expect(await deviceOver(pretendedTls()).answer(packet)).toMatchObject({ kind: 'distrust' });
});

test('a name and a notification are answered', async () => {
  const device = deviceOver(pretendedTls());
  expect(parseEap(device.identity)).toMatchObject({ type: 1, data: Buffer.from('alice') });
  const asked = await device.answer(encodeEapRequest(3, EapType.Identity, NOTHING));
  expect(asked.kind === 'response' && parseEap(asked.eap)).toMatchObject({
    identifier: 3,
    data: Buffer.from('alice'),
  });
  const told = await device.answer(encodeEapRequest(4, EapType.Notification, Buffer.from('hi')));
  expect(told.kind === 'response' && parseEap(told.eap)).toMatchObject({ type: 2, data: NOTHING });
});
