// How the messages of a TLS 1.3 handshake look: those we write and those we read. RFC 8446 §4.
// What belongs in them is handshake-1-3.ts; the ClientHello is client-hello.ts.

import { createHash } from 'node:crypto';
import type { CipherSuite } from './cipher-suites.ts';
import type { ClientHello } from './client-hello.ts';
import { extensionTypes, messageTypes } from './handshake.ts';
import { schemesFor } from './signatures.ts';
import { TLS_1_2, TLS_1_3 } from './version.ts';
import {
  TlsAlert,
  createReader,
  uint16,
  uint32,
  uint8,
  vector16,
  vector24,
  vector8,
} from './wire.ts';

/** A ServerHello with this random is a HelloRetryRequest. §4.1.3. */
const RETRY_RANDOM = createHash('sha256').update('HelloRetryRequest').digest();

export function encodeServerHello(
  hello: ClientHello,
  suite: CipherSuite,
  serverRandom: Buffer,
  share: { group: number; publicKey: Buffer },
  pskIndex: number | undefined,
): Buffer {
  return serverHello(hello, suite, serverRandom, [
    extension(extensionTypes.keyShare, uint16(share.group), vector16(share.publicKey)),
    ...(pskIndex === undefined ? [] : [extension(extensionTypes.preSharedKey, uint16(pskIndex))]),
  ]);
}

/** Asks for a share of this group. */
export function encodeRetryRequest(hello: ClientHello, suite: CipherSuite, group: number): Buffer {
  return serverHello(hello, suite, RETRY_RANDOM, [
    extension(extensionTypes.keyShare, uint16(group)),
  ]);
}

function serverHello(
  { sessionId }: ClientHello,
  suite: CipherSuite,
  random: Buffer,
  extensions: readonly Buffer[],
): Buffer {
  return Buffer.concat([
    uint16(TLS_1_2),
    random,
    vector8(sessionId),
    uint16(suite.id),
    uint8(0),
    vector16(extension(extensionTypes.supportedVersions, uint16(TLS_1_3)), ...extensions),
  ]);
}

/** Stands for the first ClientHello in a transcript with two. §4.4.1. */
export function encodeMessageHash(hashOfHello: Buffer): Buffer {
  return Buffer.concat([uint8(messageTypes.messageHash), vector24(hashOfHello)]);
}

/** `authorities`: distinguished names in DER. */
export function encodeCertificateRequest(authorities: readonly Buffer[]): Buffer {
  const extensions = [signatureAlgorithms];
  if (authorities.length > 0) {
    const names = authorities.map((name) => vector16(name));
    extensions.push(extension(extensionTypes.certificateAuthorities, vector16(...names)));
  }
  return Buffer.concat([vector8(), vector16(...extensions)]);
}

const signatureAlgorithms = extension(
  extensionTypes.signatureAlgorithms,
  vector16(...schemesFor('1.3').map(({ code }) => uint16(code))),
);

export function encodeCertificate(chain: readonly Buffer[]): Buffer {
  const entries = chain.map((certificate) =>
    Buffer.concat([vector24(certificate), vector16() /* extensions */]),
  );
  return Buffer.concat([vector8(), vector24(...entries)]);
}

export function encodeCertificateVerify(schemeCode: number, signature: Buffer): Buffer {
  return Buffer.concat([uint16(schemeCode), vector16(signature)]);
}

export function encodeNewSessionTicket(ticket: {
  lifetimeSeconds: number;
  ageAdd: Buffer;
  nonce: Buffer;
  ticket: Buffer;
}): Buffer {
  return Buffer.concat([
    uint32(ticket.lifetimeSeconds),
    ticket.ageAdd,
    vector8(ticket.nonce),
    vector16(ticket.ticket),
    vector16(), // extensions: no early data
  ]);
}

/** DER, the client's own certificate first. Empty: it has none. */
export function readCertificate(body: Buffer): Buffer[] {
  const reader = createReader(body, 'Certificate');
  if (reader.vector8().length > 0)
    throw new TlsAlert('illegal_parameter', 'Certificate answers a request that was not made');
  const entries = createReader(reader.vector24(), 'the list in Certificate');
  reader.end();
  const chain: Buffer[] = [];
  while (!entries.isAtEnd()) {
    chain.push(entries.vector24({ min: 1 }));
    const extensions = entries.vector16();
    // Only what the CertificateRequest has named may be there, which is nothing.
    if (extensions.length > 0)
      throw new TlsAlert('unsupported_extension', 'a certificate has extensions in the message');
  }
  return chain;
}

export function readCertificateVerify(body: Buffer): { code: number; signature: Buffer } {
  const reader = createReader(body, 'CertificateVerify');
  const code = reader.uint16();
  const signature = reader.vector16();
  reader.end();
  return { code, signature };
}

/** What a CertificateVerify signs. §4.4.3. */
export function signedContent(side: 'client' | 'server', transcriptHash: Buffer): Buffer {
  const purpose = `TLS 1.3, ${side} CertificateVerify`;
  return Buffer.concat([
    Buffer.alloc(64, ' '),
    Buffer.from(`${purpose}\0`, 'latin1'),
    transcriptHash,
  ]);
}

function extension(type: number, ...data: readonly Buffer[]): Buffer {
  return Buffer.concat([uint16(type), vector16(...data)]);
}
