// A ClientHello that is as it should be, and what may be wrong with one.

import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseClientHello } from './client-hello.ts';
import { extensionTypes } from './handshake.ts';
import { TlsAlert, uint16, uint32, uint8, vector16, vector8 } from './wire.ts';

type Extensions = readonly (readonly [number, Buffer])[];

function hello(extensions?: Extensions, suites: readonly number[] = [0x1301]): Buffer {
  return Buffer.concat([
    uint16(0x0303),
    randomBytes(32),
    vector8(Buffer.from('session')),
    vector16(...suites.map(uint16)),
    vector8(uint8(0)),
    ...(extensions ? [vector16(...extensions.map(extension))] : []),
  ]);
}

const extension = ([type, data]: readonly [number, Buffer]) =>
  Buffer.concat([uint16(type), vector16(data)]);
const list16 = (...values: readonly number[]) => vector16(...values.map(uint16));
const share = (group: number) => Buffer.concat([uint16(group), vector16(Buffer.alloc(32, 1))]);
const identity = Buffer.concat([vector16(Buffer.from('ticket')), uint32(7)]);
const psk = Buffer.concat([vector16(identity), vector16(vector8(Buffer.alloc(32)))]);

const whole: Extensions = [
  [extensionTypes.serverName, vector16(uint8(0), vector16(Buffer.from('radius.example')))],
  [extensionTypes.maxFragmentLength, uint8(2)],
  [extensionTypes.supportedGroups, list16(0x1d, 0x17)],
  [extensionTypes.ecPointFormats, vector8(uint8(0))],
  [extensionTypes.signatureAlgorithms, list16(0x0403)],
  [extensionTypes.signatureAlgorithmsCert, list16(0x0804)],
  [extensionTypes.extendedMasterSecret, Buffer.alloc(0)],
  [extensionTypes.recordSizeLimit, uint16(1000)],
  [extensionTypes.sessionTicket, Buffer.from('old ticket')],
  [extensionTypes.supportedVersions, vector8(uint16(0x0304), uint16(0x0303))],
  [extensionTypes.cookie, vector16(Buffer.from('cookie'))],
  [extensionTypes.pskKeyExchangeModes, vector8(uint8(1))],
  [extensionTypes.keyShare, vector16(share(0x1d))],
  [extensionTypes.renegotiationInfo, vector8()],
  [0x1a1a, Buffer.from('grease')],
  [extensionTypes.preSharedKey, psk],
];

test('everything that it says is read', () => {
  const body = hello(whole, [0x1301, 0x5600]);
  const { random, preSharedKeys, extensions, ...said } = parseClientHello(body);
  expect(random).toEqual(body.subarray(2, 34));
  expect([...extensions]).toEqual(whole.map(([type]) => type));
  expect(said).toEqual({
    legacyVersion: 0x0303,
    sessionId: Buffer.from('session'),
    cipherSuites: [0x1301, 0x5600],
    compressionMethods: Buffer.from([0]),
    serverName: 'radius.example',
    maxFragmentBytes: 1024,
    groups: [0x1d, 0x17],
    pointFormats: Buffer.from([0]),
    signatureAlgorithms: [0x0403],
    certificateSignatureAlgorithms: [0x0804],
    extendedMasterSecret: true,
    recordSizeLimit: 1000,
    sessionTicket: Buffer.from('old ticket'),
    supportedVersions: [0x0304, 0x0303],
    cookie: Buffer.from('cookie'),
    pskModes: Buffer.from([1]),
    keyShares: [{ group: 0x1d, publicKey: Buffer.alloc(32, 1) }],
    renegotiationInfo: Buffer.alloc(0),
    offersEarlyData: false,
    isFallback: true,
  });
  expect(preSharedKeys?.identities).toEqual([
    { identity: Buffer.from('ticket'), obfuscatedAge: 7 },
  ]);
  expect(preSharedKeys?.binders).toEqual([Buffer.alloc(32)]);
  expect(preSharedKeys?.vouchedBytes).toBe(4 + body.length - 35);
});

test('an old client says less, and may say that it renegotiates by a cipher suite', () => {
  const said = parseClientHello(hello(undefined, [0xc02b, 0x00ff]));
  expect(said).toMatchObject({ renegotiationInfo: Buffer.alloc(0), extendedMasterSecret: false });
  expect(said.supportedVersions).toBeUndefined();
});

const groups = [extensionTypes.supportedGroups, list16(0x1d)] as const;
const seventeen = Array.from({ length: 17 }, (_, i) => 0x1000 + i);

test.each<[string, Extensions, string]>([
  ['an extension twice', [groups, groups], 'illegal_parameter'],
  ['something behind its binders', [...whole.slice(-1), groups], 'illegal_parameter'],
  [
    'a share of a group that it has not',
    [groups, [extensionTypes.keyShare, vector16(share(0x17))]],
    'illegal_parameter',
  ],
  [
    'more shares than anybody has groups',
    [
      [extensionTypes.supportedGroups, list16(...seventeen)],
      [extensionTypes.keyShare, vector16(...seventeen.map(share))],
    ],
    'illegal_parameter',
  ],
  [
    'two shares of one group',
    [groups, [extensionTypes.keyShare, vector16(share(0x1d), share(0x1d))]],
    'illegal_parameter',
  ],
  [
    'more binders than tickets',
    [
      [
        extensionTypes.preSharedKey,
        Buffer.concat([
          vector16(identity),
          vector16(vector8(Buffer.alloc(32)), vector8(Buffer.alloc(32))),
        ]),
      ],
    ],
    'illegal_parameter',
  ],
  [
    'records that are too small',
    [[extensionTypes.recordSizeLimit, uint16(63)]],
    'illegal_parameter',
  ],
  [
    'a fragment length that is none',
    [[extensionTypes.maxFragmentLength, uint8(5)]],
    'illegal_parameter',
  ],
  ['no versions', [[extensionTypes.supportedVersions, vector8()]], 'decode_error'],
  [
    'half a version',
    [[extensionTypes.supportedVersions, vector8(Buffer.alloc(3))]],
    'decode_error',
  ],
  ['no groups', [[extensionTypes.supportedGroups, vector16()]], 'decode_error'],
  ['more than groups', [[groups[0], Buffer.concat([groups[1], uint8(0)])]], 'decode_error'],
  ['something in an empty extension', [[extensionTypes.earlyData, uint8(0)]], 'decode_error'],
  [
    'a short binder',
    [
      [
        extensionTypes.preSharedKey,
        Buffer.concat([vector16(identity), vector16(vector8(Buffer.alloc(31)), uint8(0))]),
      ],
    ],
    'decode_error',
  ],
])('one with %s is refused', (_name, extensions, alert) => {
  expect(alertOf(hello(extensions))).toBe(alert);
});

test('one that is cut anywhere, or goes on, is a decode_error', () => {
  const body = hello(whole);
  const withoutExtensions = 2 + 32 + 8 + 4 + 2;
  for (let length = 0; length < body.length; length += 1) {
    if (length === withoutExtensions) continue; // an old client may end here
    expect(alertOf(body.subarray(0, length))).toBe('decode_error');
  }
  expect(alertOf(Buffer.concat([body, uint8(0)]))).toBe('decode_error');
});

test('whatever comes in is read or refused, and nothing else happens', () => {
  const body = hello(whole);
  const changes = fc.array(fc.tuple(fc.nat(body.length - 1), fc.nat(255)), { maxLength: 8 });
  fc.assert(
    fc.property(changes, (list) => {
      const changed = Buffer.from(body);
      for (const [place, value] of list) changed[place] = value;
      expect(['nothing', 'decode_error', 'illegal_parameter']).toContain(alertOf(changed));
    }),
    { numRuns: 2_000 },
  );
});

function alertOf(body: Buffer): string {
  try {
    parseClientHello(body);
  } catch (error) {
    if (error instanceof TlsAlert) return error.alert;
    throw error;
  }
  return 'nothing';
}
