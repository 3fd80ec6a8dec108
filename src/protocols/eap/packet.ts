// The EAP packet. RFC 3748 §4. How it travels in RADIUS (EAP-Message) belongs to radius/.

export const EapCode = { Request: 1, Response: 2, Success: 3, Failure: 4 } as const;

export const EapType = {
  Identity: 1,
  Notification: 2,
  Nak: 3,
  Md5Challenge: 4,
  Gtc: 6,
  Tls: 13,
  Ttls: 21,
  Peap: 25,
  MsChapV2: 26,
  Teap: 55,
  Expanded: 254,
} as const;

const HEADER_BYTES = 4;

export type EapPacket = {
  readonly kind: 'eap';
  readonly code: number;
  readonly identifier: number;
  /** 0 in Success and Failure, which have none. */
  readonly type: number;
  /** What follows the type. A view. */
  readonly data: Buffer;
};

export type MalformedEap = {
  readonly kind: 'malformed';
  readonly reason: 'too-short' | 'bad-length' | 'unknown-code';
};

/** Never throws. Bytes beyond the packet's own length are padding and ignored. RFC 3748 §4.1. */
export function parseEap(bytes: Buffer): EapPacket | MalformedEap {
  if (bytes.length < HEADER_BYTES) return { kind: 'malformed', reason: 'too-short' };
  const code = bytes.readUInt8(0);
  const identifier = bytes.readUInt8(1);
  const length = bytes.readUInt16BE(2);
  if (length < HEADER_BYTES || length > bytes.length) {
    return { kind: 'malformed', reason: 'bad-length' };
  }
  switch (code) {
    case EapCode.Success:
    case EapCode.Failure:
      return { kind: 'eap', code, identifier, type: 0, data: bytes.subarray(length, length) };
    case EapCode.Request:
    case EapCode.Response:
      if (length === HEADER_BYTES) return { kind: 'malformed', reason: 'too-short' };
      return {
        kind: 'eap',
        code,
        identifier,
        type: bytes.readUInt8(HEADER_BYTES),
        data: bytes.subarray(HEADER_BYTES + 1, length),
      };
    default:
      return { kind: 'malformed', reason: 'unknown-code' };
  }
}

export function encodeEapRequest(identifier: number, type: number, data: Uint8Array): Buffer {
  return encode(EapCode.Request, identifier, type, data);
}

export function encodeEapResponse(identifier: number, type: number, data: Uint8Array): Buffer {
  return encode(EapCode.Response, identifier, type, data);
}

/** The identifier is that of the response it ends with. RFC 3748 §4.2. */
export function encodeEapSuccess(identifier: number): Buffer {
  return Buffer.of(EapCode.Success, identifier, 0, HEADER_BYTES);
}

export function encodeEapFailure(identifier: number): Buffer {
  return Buffer.of(EapCode.Failure, identifier, 0, HEADER_BYTES);
}

function encode(code: number, identifier: number, type: number, data: Uint8Array): Buffer {
  const length = HEADER_BYTES + 1 + data.length;
  const bytes = Buffer.allocUnsafe(length);
  bytes.writeUInt8(code, 0);
  bytes.writeUInt8(identifier, 1);
  bytes.writeUInt16BE(length, 2);
  bytes.writeUInt8(type, HEADER_BYTES);
  bytes.set(data, HEADER_BYTES + 1);
  return bytes;
}
