// The data of an EAP packet that carries TLS: flags, version, lengths, a fragment. RFC 5216 §3.1,
// RFC 5281 §9.1, PEAP the same, TEAP with outer TLVs (RFC 9930 §4.1). Cutting and joining: tls-transport.ts.

export type TlsPacket = {
  /** The low three bits; EAP-TLS has none and sends zero. */
  version: number;
  isStart: boolean;
  hasMore: boolean;
  /** How long the whole message is, fragments joined, where the packet says so. */
  totalBytes?: number;
  /** How many bytes at the end of the whole message are TEAP's outer TLVs. */
  outerTlvBytes?: number;
  data: Buffer;
};

const Flag = { Length: 0x80, More: 0x40, Start: 0x20, OuterTlvs: 0x10 } as const;
const VERSION_BITS = 0x07;
export const FLAGS_BYTES = 1;
export const LENGTH_BYTES = 4;

/**
 * Undefined when it is cut off. Only TEAP has outer TLVs: elsewhere that bit is reserved, to be ignored.
 */
export function parseTlsPacket(
  bytes: Buffer,
  options: { hasOuterTlvs: boolean },
): TlsPacket | undefined {
  const flags = bytes[0];
  if (flags === undefined) return undefined;
  const saysTotal = (flags & Flag.Length) !== 0;
  const saysOuterTlvs = options.hasOuterTlvs && (flags & Flag.OuterTlvs) !== 0;
  const headerBytes =
    FLAGS_BYTES + (saysTotal ? LENGTH_BYTES : 0) + (saysOuterTlvs ? LENGTH_BYTES : 0);
  if (bytes.length < headerBytes) return undefined;
  return {
    version: flags & VERSION_BITS,
    isStart: (flags & Flag.Start) !== 0,
    hasMore: (flags & Flag.More) !== 0,
    ...(saysTotal ? { totalBytes: bytes.readUInt32BE(FLAGS_BYTES) } : {}),
    ...(saysOuterTlvs ? { outerTlvBytes: bytes.readUInt32BE(headerBytes - LENGTH_BYTES) } : {}),
    data: bytes.subarray(headerBytes),
  };
}

export function encodeTlsPacket(packet: TlsPacket): Buffer {
  const { version, isStart, hasMore, totalBytes, outerTlvBytes, data } = packet;
  const flags =
    (totalBytes === undefined ? 0 : Flag.Length) |
    (hasMore ? Flag.More : 0) |
    (isStart ? Flag.Start : 0) |
    (outerTlvBytes === undefined ? 0 : Flag.OuterTlvs) |
    version;
  return Buffer.concat([
    Buffer.of(flags),
    totalBytes === undefined ? NOTHING : uint32(totalBytes),
    outerTlvBytes === undefined ? NOTHING : uint32(outerTlvBytes),
    data,
  ]);
}

/** What confirms a fragment, or a flight that wants no other answer. */
export function isAcknowledgement(packet: TlsPacket): boolean {
  return packet.data.length === 0 && !packet.hasMore && !packet.isStart;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(LENGTH_BYTES);
  bytes.writeUInt32BE(value);
  return bytes;
}

const NOTHING = Buffer.alloc(0);
