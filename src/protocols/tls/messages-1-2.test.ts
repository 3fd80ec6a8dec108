import { expect, test } from 'vitest';
import {
  encodeCertificate,
  encodeCertificateRequest,
  encodeKeyParameters,
  readCertificate,
  readCertificateVerify,
  readClientKeyExchange,
} from './messages-1-2.ts';
import { uint16, vector16, vector24, vector8 } from './wire.ts';

const damaged = expect.objectContaining({ alert: 'decode_error' });

test('a chain is read as it was written', () => {
  const chain = [Buffer.from('leaf'), Buffer.from('authority')];
  expect(readCertificate(encodeCertificate(chain))).toEqual(chain);
  expect(readCertificate(encodeCertificate([]))).toEqual([]);
});

test('an empty certificate, or more than the list, is damaged', () => {
  expect(() => readCertificate(vector24(vector24()))).toThrow(damaged);
  expect(() => readCertificate(Buffer.concat([vector24(), Buffer.of(0)]))).toThrow(damaged);
  expect(() => readCertificate(Buffer.of(0, 0, 9, 0))).toThrow(damaged);
});

test('a key and a signature are read to their last byte', () => {
  const key = Buffer.alloc(32, 5);
  expect(readClientKeyExchange(vector8(key))).toEqual(key);
  expect(() => readClientKeyExchange(vector8())).toThrow(damaged);
  expect(() => readClientKeyExchange(Buffer.concat([vector8(key), key]))).toThrow(damaged);

  const verify = Buffer.concat([uint16(0x0403), vector16(Buffer.from('signature'))]);
  expect(readCertificateVerify(verify)).toEqual({
    code: 0x0403,
    signature: Buffer.from('signature'),
  });
  expect(() => readCertificateVerify(verify.subarray(0, -1))).toThrow(damaged);
});

test('the parameters of a key name its curve', () => {
  expect(encodeKeyParameters('x25519', Buffer.of(1, 2)).toString('hex')).toBe('03001d020102');
});

test('a request for a certificate names its kinds, its signatures and the authorities', () => {
  const name = Buffer.from('3000', 'hex');
  const request = encodeCertificateRequest([name, name]).toString('hex');
  expect(request.startsWith('024001')).toBe(true);
  expect(request.endsWith('00080002300000023000')).toBe(true);
  expect(request).not.toContain('0203'); // ECDSA with SHA-1
  expect(encodeCertificateRequest([]).subarray(-2)).toEqual(Buffer.of(0, 0));
});
