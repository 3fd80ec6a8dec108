// Writes the answer to a request: header, attributes, Message-Authenticator, Response Authenticator.
// RFC 2865 §4, RFC 3579 §3.2; Message-Authenticator comes first as CVE-2024-3596 asks for.
// What the answer is has been decided elsewhere.

import { fillAuthenticator, fillMessageAuthenticator } from './authenticator.ts';
import type { Secret } from './authenticator.ts';
import { createScratchWriter } from './attribute-writer.ts';
import type { AttributeWriter } from './attribute-writer.ts';
import { HEADER_BYTES, PacketCode } from './packet.ts';
import type { Packet } from './packet.ts';

/**
 * One writer serves all replies of a process, one after another: `begin` to `finish` must happen in
 * one turn, without an await between.
 */
export type ReplyWriter = AttributeWriter & {
  begin(code: number, request: Packet, withMessageAuthenticator: boolean): void;
  /**
   * A fresh Buffer with the signed reply. An answer that does not fit is never sent in part, as it
   * could lack the very attribute that limits the session: Access-Accept and Access-Challenge become
   * an Access-Reject, and any answer keeps its Proxy-States alone.
   */
  finish(secret: Secret): Buffer;
  /** Whether something did not fit, an address was no address, or the last `finish` had to give up on it. */
  readonly isTooBig: boolean;
};

export function createReplyWriter(): ReplyWriter {
  const writer = createScratchWriter();
  const { scratch } = writer;
  let request: Packet | undefined;
  let hasMessageAuthenticator = false;
  let wasTooBig = false;

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
    get isTooBig() {
      return wasTooBig || writer.isTooBig;
    },

    begin(code, toRequest, withMessageAuthenticator) {
      request = toRequest;
      hasMessageAuthenticator = withMessageAuthenticator;
      wasTooBig = false;
      writer.restart(withMessageAuthenticator);
      scratch[0] = code;
      scratch[1] = toRequest.identifier;
      // The request's authenticator stands in the header until the reply's own replaces it.
      toRequest.bytes.copy(scratch, 4, 4, HEADER_BYTES);
    },

    finish(secret) {
      if (writer.isTooBig) {
        wasTooBig = true;
        writer.restart(hasMessageAuthenticator);
        scratch[0] = withoutAttributes(scratch[0] as number);
        if (request !== undefined) writer.copyProxyStates(request);
      }
      const { length } = writer;
      scratch[2] = length >>> 8;
      scratch[3] = length;
      if (hasMessageAuthenticator) fillMessageAuthenticator(scratch, length, HEADER_BYTES, secret);
      fillAuthenticator(scratch, length, secret);
      request = undefined;

      const reply = Buffer.allocUnsafe(length);
      scratch.copy(reply, 0, 0, length);
      return reply;
    },
  };
}

function withoutAttributes(code: number): number {
  return code === PacketCode.AccessAccept || code === PacketCode.AccessChallenge
    ? PacketCode.AccessReject
    : code;
}
