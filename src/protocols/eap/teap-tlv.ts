// What TEAP says: type-length-value objects, inside the tunnel and beside its first two messages.
// RFC 9930 §4.2, §4.3. PACs, certificate enrolment and trusted roots are not offered: a PAC TLV is
// only recognised so that it can be ignored or refused. What a message means belongs to teap.ts.

export type TeapTlv =
  | { kind: 'authority-id'; id: Buffer }
  | { kind: 'identity-type'; type: number }
  | { kind: 'result'; status: number }
  | { kind: 'intermediate-result'; status: number }
  | { kind: 'nak'; vendorId: number; type: number }
  | { kind: 'error'; code: number }
  | { kind: 'vendor-specific'; isMandatory: boolean; vendorId: number; data: Buffer }
  | { kind: 'request-action'; status: number; action: number; tlvs: Buffer }
  | { kind: 'eap-payload'; eap: Buffer }
  | ({ kind: 'crypto-binding' } & CryptoBinding)
  | { kind: 'password-request'; prompt: string }
  | { kind: 'password-response'; username: string; password: Buffer }
  /** Of a type that is not among the above. */
  | { kind: 'other'; type: number; isMandatory: boolean; value: Buffer };

export type TlvOf<K extends TeapTlv['kind']> = Extract<TeapTlv, { kind: K }>;

export type CryptoBinding = {
  version: number;
  receivedVersion: number;
  /** Which of the two codes are there: `BindingMacs`. */
  macs: number;
  subType: number;
  /** 32 bytes. */
  nonce: Buffer;
  /** 20 bytes each, zeros where there is none. */
  emskMac: Buffer;
  mskMac: Buffer;
};

export const Status = { Success: 1, Failure: 2 } as const;
export const IdentityType = { User: 1, Machine: 2 } as const;
export const BindingMacs = { Emsk: 1, Msk: 2, Both: 3 } as const;
export const BindingSubType = { Request: 0, Response: 1 } as const;

/** Below 1000: information. From 1000: warnings. From 2000: the end. RFC 9930 §4.2.6. */
export const TeapError = {
  InnerMethodError: 1001,
  UnspecifiedAuthenticationFailure: 1003,
  ClientCertificateRejected: 1020,
  InnerMethodNotSupported: 1032,
  TunnelCompromise: 2001,
  UnexpectedTlvs: 2002,
  BindingInvalid: 2003,
  BindingWithoutMskMac: 2004,
  BindingMskMacWrong: 2005,
  BindingWithoutEmskMac: 2006,
  BindingEmskMacWrong: 2007,
} as const;

export const TlvType = {
  AuthorityId: 1,
  IdentityType: 2,
  Result: 3,
  Nak: 4,
  Error: 5,
  ChannelBinding: 6,
  VendorSpecific: 7,
  RequestAction: 8,
  EapPayload: 9,
  IntermediateResult: 10,
  Pac: 11,
  CryptoBinding: 12,
  PasswordRequest: 13,
  PasswordResponse: 14,
} as const;

const HEADER_BYTES = 4;
const MANDATORY = 0x8000;
const TYPE_MASK = 0x3fff;
export const NONCE_BYTES = 32;
export const MAC_BYTES = 20;
const CRYPTO_BINDING_BYTES = 4 + NONCE_BYTES + 2 * MAC_BYTES;

export function encodeTlvs(tlvs: readonly TeapTlv[]): Buffer {
  return Buffer.concat(tlvs.map(encodeTlv));
}

/**
 * Undefined when the bytes do not divide into TLVs. One whose content is broken is left out, as if it
 * had not been sent. RFC 9930 §4.2.1.
 */
export function parseTlvs(bytes: Buffer): TeapTlv[] | undefined {
  const tlvs: TeapTlv[] = [];
  for (let at = 0; at < bytes.length;) {
    if (bytes.length - at < HEADER_BYTES) return undefined;
    const head = bytes.readUInt16BE(at);
    const end = at + HEADER_BYTES + bytes.readUInt16BE(at + 2);
    if (end > bytes.length) return undefined;
    const value = bytes.subarray(at + HEADER_BYTES, end);
    const tlv = parseValue(head & TYPE_MASK, (head & MANDATORY) !== 0, value);
    if (tlv !== undefined) tlvs.push(tlv);
    at = end;
  }
  return tlvs;
}

/** What the codes are computed over: the whole TLV, with zeros in their place. RFC 9930 §6.3. */
export function encodeWithoutMacs(binding: CryptoBinding): Buffer {
  const none = Buffer.alloc(MAC_BYTES);
  return encodeTlv({ ...binding, kind: 'crypto-binding', emskMac: none, mskMac: none });
}

function encodeTlv(tlv: TeapTlv): Buffer {
  switch (tlv.kind) {
    case 'authority-id':
      return encode(TlvType.AuthorityId, false, tlv.id);
    case 'identity-type':
      return encode(TlvType.IdentityType, true, uint16(tlv.type));
    case 'result':
      return encode(TlvType.Result, true, uint16(tlv.status));
    case 'intermediate-result':
      return encode(TlvType.IntermediateResult, true, uint16(tlv.status));
    case 'nak':
      return encode(TlvType.Nak, true, uint32(tlv.vendorId), uint16(tlv.type));
    case 'error':
      return encode(TlvType.Error, true, uint32(tlv.code));
    case 'vendor-specific':
      return encode(TlvType.VendorSpecific, tlv.isMandatory, uint32(tlv.vendorId), tlv.data);
    case 'request-action':
      return encode(TlvType.RequestAction, true, Buffer.of(tlv.status, tlv.action), tlv.tlvs);
    case 'eap-payload':
      return encode(TlvType.EapPayload, true, tlv.eap);
    case 'crypto-binding': {
      const { version, receivedVersion, macs, subType } = tlv;
      const head = Buffer.of(0, version, receivedVersion, (macs << 4) | subType);
      return encode(TlvType.CryptoBinding, true, head, tlv.nonce, tlv.emskMac, tlv.mskMac);
    }
    case 'password-request':
      return encode(TlvType.PasswordRequest, true, Buffer.from(tlv.prompt));
    case 'password-response': {
      const username = Buffer.from(tlv.username);
      const lengths = [username, tlv.password].map(({ length }) => Buffer.of(length));
      const [userBytes = Buffer.alloc(0), passBytes = Buffer.alloc(0)] = lengths;
      return encode(TlvType.PasswordResponse, true, userBytes, username, passBytes, tlv.password);
    }
    case 'other':
      return encode(tlv.type, tlv.isMandatory, tlv.value);
  }
}

function parseValue(type: number, isMandatory: boolean, value: Buffer): TeapTlv | undefined {
  switch (type) {
    case TlvType.AuthorityId:
      return { kind: 'authority-id', id: value };
    case TlvType.IdentityType:
      return value.length === 2 ? { kind: 'identity-type', type: value.readUInt16BE() } : undefined;
    case TlvType.Result:
      return value.length === 2 ? { kind: 'result', status: value.readUInt16BE() } : undefined;
    case TlvType.IntermediateResult:
      // Optional TLVs may follow the status; none is defined.
      return value.length >= 2
        ? { kind: 'intermediate-result', status: value.readUInt16BE() }
        : undefined;
    case TlvType.Nak:
      return value.length >= 6
        ? { kind: 'nak', vendorId: value.readUInt32BE(), type: value.readUInt16BE(4) }
        : undefined;
    case TlvType.Error:
      return value.length === 4 ? { kind: 'error', code: value.readUInt32BE() } : undefined;
    case TlvType.VendorSpecific:
      if (value.length < 4) return undefined;
      return {
        kind: 'vendor-specific',
        isMandatory,
        vendorId: value.readUInt32BE(),
        data: value.subarray(4),
      };
    case TlvType.RequestAction:
      if (value.length < 2) return undefined;
      return {
        kind: 'request-action',
        status: value.readUInt8(0),
        action: value.readUInt8(1),
        tlvs: value.subarray(2),
      };
    case TlvType.EapPayload:
      return parseEapPayload(value);
    case TlvType.CryptoBinding:
      return parseCryptoBinding(value);
    case TlvType.PasswordRequest:
      return { kind: 'password-request', prompt: value.toString() };
    case TlvType.PasswordResponse:
      return parsePasswordResponse(value);
    default:
      return { kind: 'other', type, isMandatory, value };
  }
}

/** The EAP packet says how long it is; optional TLVs may follow it, and none is defined. */
function parseEapPayload(value: Buffer): TeapTlv | undefined {
  if (value.length < 4) return undefined;
  const length = value.readUInt16BE(2);
  return length >= 4 && length <= value.length
    ? { kind: 'eap-payload', eap: value.subarray(0, length) }
    : undefined;
}

function parseCryptoBinding(value: Buffer): TeapTlv | undefined {
  if (value.length !== CRYPTO_BINDING_BYTES) return undefined;
  const macs = 4 + NONCE_BYTES;
  return {
    kind: 'crypto-binding',
    version: value.readUInt8(1),
    receivedVersion: value.readUInt8(2),
    macs: value.readUInt8(3) >>> 4,
    subType: value.readUInt8(3) & 0x0f,
    nonce: value.subarray(4, macs),
    emskMac: value.subarray(macs, macs + MAC_BYTES),
    mskMac: value.subarray(macs + MAC_BYTES),
  };
}

/** Neither the name nor the password may be empty. RFC 9930 §4.2.15. */
function parsePasswordResponse(value: Buffer): TeapTlv | undefined {
  const userEnd = 1 + (value[0] ?? 0);
  const passStart = userEnd + 1;
  const passEnd = passStart + (value[userEnd] ?? 0);
  if (userEnd === 1 || passEnd === passStart || passEnd !== value.length) return undefined;
  return {
    kind: 'password-response',
    username: value.toString('utf8', 1, userEnd),
    password: value.subarray(passStart, passEnd),
  };
}

function encode(type: number, isMandatory: boolean, ...parts: readonly Buffer[]): Buffer {
  const value = Buffer.concat(parts);
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16BE(type | (isMandatory ? MANDATORY : 0), 0);
  header.writeUInt16BE(value.length, 2);
  return Buffer.concat([header, value]);
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
