// What makes a request the same request, wherever it arrives. RFC 5080 §2.2.2.

import type { Packet } from '../../protocols/radius/packet.ts';

/** Source address and port, code, identifier and authenticator, as text for a key. */
export function fingerprint(packet: Packet, path: Buffer): string {
  const bytes = Buffer.allocUnsafe(36);
  path.copy(bytes, 0, 0, 18);
  packet.bytes.copy(bytes, 18, 0, 2);
  packet.bytes.copy(bytes, 20, 4, 20);
  return bytes.toString('base64url');
}
