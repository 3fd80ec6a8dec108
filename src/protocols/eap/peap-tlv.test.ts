import { assert, property, uint8Array } from 'fast-check';
import { expect, test } from 'vitest';
import { bindingKeys, bindingMac, isBound } from './peap-binding.ts';
import { BindingSubType, encodeResultRequest, parseResultResponse } from './peap-tlv.ts';

/** A client answers with the same TLVs. */
function asResponse(request: Buffer): Buffer {
  const response = Buffer.from(request);
  response[0] = 2;
  return response;
}

test.each([true, false])('a Result TLV says success or failure: %s', (isSuccess) => {
  const response = asResponse(encodeResultRequest(7, { isSuccess }));
  expect(parseResultResponse(response)).toEqual({ isSuccess });
});

test('the proof of the binding holds for its keys and its bytes alone', () => {
  const tunnelKey = Buffer.alloc(64, 1);
  const { macKey } = bindingKeys(tunnelKey, Buffer.alloc(32, 2));
  const asked = { subType: BindingSubType.Response, nonce: Buffer.alloc(32, 3) };
  const binding = { ...asked, mac: bindingMac(macKey, asked) };
  const parsed = parseResultResponse(
    asResponse(encodeResultRequest(7, { isSuccess: true, binding })),
  );
  expect(parsed).toEqual({ isSuccess: true, binding });
  expect(isBound(macKey, binding)).toBe(true);
  expect(isBound(macKey, { ...binding, nonce: Buffer.alloc(32, 4) })).toBe(false);
  expect(isBound(bindingKeys(tunnelKey, Buffer.alloc(32, 9)).macKey, binding)).toBe(false);
  expect(isBound(bindingKeys(tunnelKey, undefined).macKey, binding)).toBe(false);
});

test('cut off anywhere, it is refused or says less, and never throws', () => {
  const binding = { subType: 1, nonce: Buffer.alloc(32), mac: Buffer.alloc(20) };
  const whole = asResponse(encodeResultRequest(7, { isSuccess: true, binding }));
  for (let length = 0; length < whole.length; length++) {
    const cut = Buffer.from(whole.subarray(0, length));
    if (length >= 4) cut.writeUInt16BE(length, 2);
    expect(parseResultResponse(cut)?.binding).toBeUndefined();
  }
  assert(
    property(uint8Array({ maxLength: 80 }), (bytes) => {
      parseResultResponse(Buffer.from(bytes));
    }),
  );
});
