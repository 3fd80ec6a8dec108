// Identity: who the subscriber says it is. RFC 3748 §5.1. With a tunnel method this is only the
// outer name, so what the method returns in the end counts, not this.

import { EapType, encodeEapRequest } from './packet.ts';
import type { EapPacket } from './packet.ts';

export function encodeIdentityRequest(identifier: number): Buffer {
  return encodeEapRequest(identifier, EapType.Identity, Buffer.alloc(0));
}

/** A NUL ends the displayable part; what follows are options for the network. */
export function identityOf(response: EapPacket): string {
  const end = response.data.indexOf(0);
  return response.data.toString('utf8', 0, end === -1 ? undefined : end);
}
