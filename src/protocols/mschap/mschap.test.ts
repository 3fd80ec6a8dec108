import { describe, expect, test } from 'vitest';
import { md4 } from './md4.ts';
import { mppeKeys, mppeMasterKey } from './mppe.ts';
import { challengeResponse, ntHash } from './nt-response.ts';
import { verifyMsChapV1 } from './mschapv1.ts';
import {
  challengeHash,
  createMsChapV2Response,
  msChapErrorAttribute,
  msChapFailure,
  parseMsChap2Response,
  verifyMsChapV2,
} from './mschapv2.ts';

const hex = (text: string) => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');

describe('MD4 gives the digests of RFC 1320 §A.5', () => {
  test.each([
    ['', '31d6cfe0d16ae931b73c59d7e0c089c0'],
    ['a', 'bde52cb31de33e46245e05fbdbd6fb24'],
    ['abc', 'a448017aaf21d8525fc10ae87aa6729d'],
    ['message digest', 'd9130a8164549fe818874806e1c7014b'],
    ['abcdefghijklmnopqrstuvwxyz', 'd79e1c308aa5bbcdeea8ed63df412da9'],
    [
      'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789',
      '043f8582f241db351ce627e153e7f0e4',
    ],
    [
      '12345678901234567890123456789012345678901234567890123456789012345678901234567890',
      'e33b4ddc9c38f2199c3e7b164fcc0536',
    ],
  ])('%j', (message, digest) => {
    expect(md4(Buffer.from(message)).toString('hex')).toBe(digest);
  });
});

describe('the example of RFC 2759 §9.2 and RFC 3079 §3.5', () => {
  const example = {
    username: 'User',
    password: Buffer.from('clientPass'),
    authenticatorChallenge: hex('5B5D7C7D7B3F2F3E3C2C602132262628'),
    peerChallenge: hex('21402324255E262A28295F2B3A337C7E'),
    ntResponse: hex('82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF'),
    ident: 7,
  };
  const hash = hex('44EBBA8D5312B8D611474411F56989AE');
  const hashHash = hex('41C00C584BD2D91C4017A2A12FA59F3F');

  test('challenge hash, NT hash and NT-Response', () => {
    expect(challengeHash(example)).toEqual(hex('D02E4386BCE91226'));
    expect(ntHash(example.password)).toEqual(hash);
    expect(md4(hash)).toEqual(hashHash);
    expect(challengeResponse(hex('D02E4386BCE91226'), hash)).toEqual(example.ntResponse);
  });

  test('the authenticator response', () => {
    expect(verifyMsChapV2(example)).toMatchObject({
      kind: 'ok',
      success: 'S=407A5589115FD0D6209F510FE9C04566932CDA56',
      successAttribute: Buffer.from('\u0007S=407A5589115FD0D6209F510FE9C04566932CDA56'),
    });
  });

  test('the MPPE master key and the send key', () => {
    expect(mppeMasterKey(hashHash, example.ntResponse)).toEqual(
      hex('FDECE3717A8C838CB388E527AE3CDD31'),
    );
    expect(mppeKeys(hashHash, example.ntResponse).sendKey).toEqual(
      hex('8B7CDC149B993A1BA118CB153F56DCCB'),
    );
  });

  test('a domain before the name does not count', () => {
    expect(verifyMsChapV2({ ...example, username: 'CAFE\\User' }).kind).toBe('ok');
  });

  test('another password, name, challenge or length is a mismatch', () => {
    const wrong = [
      { password: Buffer.from('clientpass') },
      { username: 'user' },
      { authenticatorChallenge: Buffer.alloc(16) },
      { ntResponse: example.ntResponse.subarray(1) },
      { ntResponse: Buffer.alloc(0) },
    ];
    for (const change of wrong) {
      expect(verifyMsChapV2({ ...example, ...change })).toEqual({ kind: 'mismatch' });
    }
  });

  test('the client computes what the server expects', () => {
    const response = createMsChapV2Response(example);
    expect(response.ntResponse).toEqual(example.ntResponse);
    expect(response.expectedSuccess).toBe('S=407A5589115FD0D6209F510FE9C04566932CDA56');
    expect(parseMsChap2Response(response.responseAttribute)).toEqual({
      ident: 7,
      peerChallenge: example.peerChallenge,
      ntResponse: example.ntResponse,
    });
  });
});

test('a password outside ASCII is hashed as UTF-16LE', () => {
  const password = Buffer.from('mật khẩu ☕ 😀');
  expect(ntHash(password)).toEqual(md4(Buffer.from('mật khẩu ☕ 😀', 'utf16le')));
  const challenges = {
    username: 'chị Hoa',
    password,
    authenticatorChallenge: Buffer.alloc(16, 1),
    peerChallenge: Buffer.alloc(16, 2),
    ident: 1,
  };
  const { ntResponse, expectedSuccess, sendKey } = createMsChapV2Response(challenges);
  expect(verifyMsChapV2({ ...challenges, ntResponse })).toMatchObject({
    kind: 'ok',
    success: expectedSuccess,
    sendKey,
  });
});

test('a response of another length is not taken apart', () => {
  expect(parseMsChap2Response(Buffer.alloc(49))).toBeUndefined();
  expect(parseMsChap2Response(Buffer.alloc(51))).toBeUndefined();
});

test('a refusal names the error, forbids a retry and carries the challenge', () => {
  const failure = msChapFailure(Buffer.alloc(16, 0xab), 'No');
  expect(failure).toBe('E=691 R=0 C=ABABABABABABABABABABABABABABABAB V=3 M=No');
  expect(msChapErrorAttribute(9, failure)[0]).toBe(9);
});

describe('MS-CHAP version 1', () => {
  // RFC 2433 has no complete example; this challenge response is that of RFC 2759 §9.2 above.
  const challenge = hex('D02E4386BCE91226');
  const response = Buffer.concat([
    Buffer.of(0, 1),
    Buffer.alloc(24),
    hex('82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF'),
  ]);
  const password = Buffer.from('clientPass');

  test('accepts the NT response and gives the keys', () => {
    const result = verifyMsChapV1({ password, challenge, response });
    expect(result).toEqual({
      kind: 'ok',
      mppeKeys: hex(`0000000000000000 41C00C584BD2D91C4017A2A12FA59F3F 0000000000000000`),
    });
  });

  test('refuses a wrong password, a LAN Manager response and a short one', () => {
    const lanManager = Buffer.from(response);
    lanManager[1] = 0;
    expect(verifyMsChapV1({ password: Buffer.from('x'), challenge, response }).kind).toBe(
      'mismatch',
    );
    expect(verifyMsChapV1({ password, challenge, response: lanManager }).kind).toBe('mismatch');
    expect(verifyMsChapV1({ password, challenge, response: response.subarray(0, 26) }).kind).toBe(
      'mismatch',
    );
  });
});
