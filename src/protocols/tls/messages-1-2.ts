// How the messages of a TLS 1.2 handshake look: those we write and those we read. RFC 5246 §7.4, RFC 8422
// §5. What belongs in them is handshake-1-2.ts; the ClientHello is client-hello.ts.

import type { CipherSuite } from './cipher-suites.ts';
import type { ClientHello } from './client-hello.ts';
import { extensionTypes } from './handshake.ts';
import { type Group, groups } from './key-exchange.ts';
import { type SignatureScheme, schemesFor } from './signatures.ts';
import { TLS_1_2 } from './version.ts';
import { createReader, uint16, uint8, vector16, vector24, vector8 } from './wire.ts';

const NO_COMPRESSION = 0;
const UNCOMPRESSED_POINTS = 0;
const NAMED_CURVE = 3;
const ECDSA_SIGN = 64;
const RSA_SIGN = 1;

/** Only what the client has named may be in here. RFC 5246 §7.4.1.4. */
export function encodeServerHello(
  hello: ClientHello,
  suite: CipherSuite,
  serverRandom: Buffer,
  sessionId: Buffer,
  recordSize: Buffer | undefined,
): Buffer {
  const extensions = [extension(extensionTypes.extendedMasterSecret, Buffer.alloc(0))];
  if (hello.renegotiationInfo !== undefined)
    extensions.push(extension(extensionTypes.renegotiationInfo, vector8()));
  if (hello.pointFormats !== undefined)
    extensions.push(extension(extensionTypes.ecPointFormats, vector8(uint8(UNCOMPRESSED_POINTS))));
  if (recordSize !== undefined) extensions.push(recordSize);
  return Buffer.concat([
    uint16(TLS_1_2),
    serverRandom,
    vector8(sessionId),
    uint16(suite.id),
    uint8(NO_COMPRESSION),
    vector16(...extensions),
  ]);
}

export function encodeCertificate(chain: readonly Buffer[]): Buffer {
  return vector24(...chain.map((certificate) => vector24(certificate)));
}

/** ServerECDHParams. */
export function encodeKeyParameters(group: Group, publicKey: Buffer): Buffer {
  return Buffer.concat([uint8(NAMED_CURVE), uint16(groups[group].code), vector8(publicKey)]);
}

/** DigitallySigned. */
export function encodeSigned({ code }: SignatureScheme, signature: Buffer): Buffer {
  return Buffer.concat([uint16(code), vector16(signature)]);
}

/** `authorities`: distinguished names in DER; none means any. */
export function encodeCertificateRequest(authorities: readonly Buffer[]): Buffer {
  return Buffer.concat([
    vector8(uint8(ECDSA_SIGN), uint8(RSA_SIGN)),
    vector16(...schemesFor('1.2').map(({ code }) => uint16(code))),
    vector16(...authorities.map((name) => vector16(name))),
  ]);
}

/** DER, the client's own certificate first. Empty: it has none. */
export function readCertificate(body: Buffer): Buffer[] {
  const reader = createReader(body, 'Certificate');
  const list = createReader(reader.vector24(), 'the list in Certificate');
  reader.end();
  const chain: Buffer[] = [];
  while (!list.isAtEnd()) chain.push(list.vector24({ min: 1 }));
  return chain;
}

/** The public key of the client. */
export function readClientKeyExchange(body: Buffer): Buffer {
  const reader = createReader(body, 'ClientKeyExchange');
  const publicKey = reader.vector8({ min: 1 });
  reader.end();
  return publicKey;
}

export function readCertificateVerify(body: Buffer): { code: number; signature: Buffer } {
  const reader = createReader(body, 'CertificateVerify');
  const code = reader.uint16();
  const signature = reader.vector16();
  reader.end();
  return { code, signature };
}

function extension(type: number, data: Buffer): Buffer {
  return Buffer.concat([uint16(type), vector16(data)]);
}
