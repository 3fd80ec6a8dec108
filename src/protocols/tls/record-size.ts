// Clients with little memory ask for small records: record_size_limit (RFC 8449), or max_fragment_length
// (RFC 6066 §4), which counts only where the first is not asked for. For both versions.

import type { ClientHello } from './client-hello.ts';
import { extensionTypes } from './handshake.ts';
import { MAX_PLAINTEXT_BYTES } from './records.ts';
import { uint16, uint8, vector16 } from './wire.ts';

export type RecordSize = {
  /** For `connection.maxPlaintextBytes`. */
  maxPlaintextBytes: number;
  /** Our answer, for EncryptedExtensions or ServerHello. */
  extension: Buffer;
};

/** Undefined: the client asks for nothing. */
export function agreeOnRecordSize(
  hello: ClientHello,
  version: '1.2' | '1.3',
): RecordSize | undefined {
  // TLS 1.3 counts the type inside a record as well.
  const typeBytes = version === '1.3' ? 1 : 0;
  if (hello.recordSizeLimit !== undefined) {
    const ours = uint16(MAX_PLAINTEXT_BYTES + typeBytes);
    return {
      maxPlaintextBytes: Math.min(hello.recordSizeLimit - typeBytes, MAX_PLAINTEXT_BYTES),
      extension: Buffer.concat([uint16(extensionTypes.recordSizeLimit), vector16(ours)]),
    };
  }
  if (hello.maxFragmentBytes !== undefined) {
    const code = uint8(Math.log2(hello.maxFragmentBytes) - 8);
    return {
      maxPlaintextBytes: hello.maxFragmentBytes,
      extension: Buffer.concat([uint16(extensionTypes.maxFragmentLength), vector16(code)]),
    };
  }
  return undefined;
}
