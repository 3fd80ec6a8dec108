// Writes a request as a client does: a router, a simulator, or we ourselves when we disconnect a
// session. RFC 2865 §4.1, RFC 2866 §4.1, RFC 5176 §2.3, RFC 5997 §3. By name: see attributes.ts.

import { fillAuthenticator, fillMessageAuthenticator, isSignedRequest } from './authenticator.ts';
import type { Secret } from './authenticator.ts';
import { createScratchWriter } from './attribute-writer.ts';
import type { AttributeWriter } from './attribute-writer.ts';
import { HEADER_BYTES, PacketCode } from './packet.ts';

/** Like a ReplyWriter: one for all, `begin` to `finish` in one turn. */
export type RequestWriter = AttributeWriter & {
  /**
   * `authenticator`: 16 random bytes for Access-Request and Status-Server, which also need it to
   * hide passwords. For Accounting, Disconnect and CoA it is computed, and what is given is ignored.
   */
  begin(
    code: number,
    identifier: number,
    authenticator: Uint8Array,
    withMessageAuthenticator: boolean,
  ): void;
  /** Undefined when it did not fit into 4096 bytes, or an address was no address. */
  finish(secret: Secret): Buffer | undefined;
};

export function createRequestWriter(): RequestWriter {
  const writer = createScratchWriter();
  const { scratch } = writer;
  let hasMessageAuthenticator = false;

  return {
    bytes: writer.bytes,
    text: writer.text,
    integer: writer.integer,
    address: writer.address,
    vendorBytes: writer.vendorBytes,
    vendorText: writer.vendorText,
    vendorInteger: writer.vendorInteger,
    eapMessage: writer.eapMessage,
    copyProxyStates: writer.copyProxyStates,

    begin(code, identifier, authenticator, withMessageAuthenticator) {
      // A Status-Server without it would be ignored. RFC 5997 §3.
      hasMessageAuthenticator = withMessageAuthenticator || code === PacketCode.StatusServer;
      writer.restart(hasMessageAuthenticator);
      scratch[0] = code;
      scratch[1] = identifier;
      scratch.fill(0, 4, HEADER_BYTES);
      if (!isSignedRequest(code)) scratch.set(authenticator.subarray(0, 16), 4);
    },

    finish(secret) {
      if (writer.isTooBig) return undefined;
      const { length } = writer;
      scratch[2] = length >>> 8;
      scratch[3] = length;
      if (hasMessageAuthenticator) fillMessageAuthenticator(scratch, length, HEADER_BYTES, secret);
      if (isSignedRequest(scratch[0] as number)) fillAuthenticator(scratch, length, secret);
      return Buffer.from(scratch.subarray(0, length));
    },
  };
}
