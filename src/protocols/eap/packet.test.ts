import { assert, boolean, nat, property, uint8Array } from 'fast-check';
import { expect, test } from 'vitest';
import {
  EapCode,
  encodeEapFailure,
  encodeEapRequest,
  encodeEapResponse,
  encodeEapSuccess,
  parseEap,
} from './packet.ts';

test('what is encoded is parsed again', () => {
  assert(
    property(
      nat(255),
      nat(255),
      uint8Array({ maxLength: 1500 }),
      boolean(),
      (identifier, type, data, isRequest) => {
        const encode = isRequest ? encodeEapRequest : encodeEapResponse;
        expect(parseEap(encode(identifier, type, data))).toEqual({
          kind: 'eap',
          code: isRequest ? EapCode.Request : EapCode.Response,
          identifier,
          type,
          data: Buffer.from(data),
        });
      },
    ),
  );
});

test('Success and Failure have four bytes and no type', () => {
  expect(encodeEapSuccess(9)).toEqual(Buffer.of(3, 9, 0, 4));
  expect(parseEap(encodeEapFailure(9))).toMatchObject({ code: 4, identifier: 9, type: 0 });
});

test('bytes behind the packet are ignored', () => {
  const padded = Buffer.concat([encodeEapResponse(1, 4, Buffer.of(7)), Buffer.alloc(10)]);
  expect(parseEap(padded)).toMatchObject({ data: Buffer.of(7) });
});

test.each([
  ['nothing', [], 'too-short'],
  ['half a header', [1, 2, 0], 'too-short'],
  ['a length below the header', [1, 2, 0, 3, 1], 'bad-length'],
  ['a length beyond the bytes', [1, 2, 0, 6, 1], 'bad-length'],
  ['a request without a type', [1, 2, 0, 4], 'too-short'],
  ['an unknown code', [5, 2, 0, 5, 1], 'unknown-code'],
])('%s is malformed', (_name, bytes, reason) => {
  expect(parseEap(Buffer.from(bytes))).toEqual({ kind: 'malformed', reason });
});
