// The attribute-value pairs of EAP-TTLS: Diameter's form, RADIUS's numbers. RFC 5281 §10. What they mean
// belongs to ttls.ts.

export type Avp = {
  code: number;
  /** 0: none; then `code` is a RADIUS attribute. */
  vendor: number;
  /** Whoever does not know it must refuse. */
  isMandatory: boolean;
  data: Buffer;
};

const Flag = { Vendor: 0x80, Mandatory: 0x40 } as const;
const HEADER_BYTES = 8;
const VENDOR_BYTES = 4;
const ALIGNMENT_BYTES = 4;

/** Undefined when anything of it is cut off or has an impossible length. */
export function parseAvps(bytes: Buffer): Avp[] | undefined {
  const avps: Avp[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (at + HEADER_BYTES > bytes.length) return undefined;
    const flags = bytes.readUInt8(at + 4);
    const hasVendor = (flags & Flag.Vendor) !== 0;
    const headerBytes = HEADER_BYTES + (hasVendor ? VENDOR_BYTES : 0);
    const length = bytes.readUIntBE(at + 5, 3);
    if (length < headerBytes || at + length > bytes.length) return undefined;
    avps.push({
      code: bytes.readUInt32BE(at),
      vendor: hasVendor ? bytes.readUInt32BE(at + HEADER_BYTES) : 0,
      isMandatory: (flags & Flag.Mandatory) !== 0,
      data: bytes.subarray(at + headerBytes, at + length),
    });
    at += aligned(length); // clients forget the padding of the last one, which is no harm
  }
  return avps;
}

export function encodeAvps(avps: readonly Avp[]): Buffer {
  return Buffer.concat(avps.map((avp) => encodeAvp(avp)));
}

function encodeAvp({ code, vendor, isMandatory, data }: Avp): Buffer {
  const headerBytes = HEADER_BYTES + (vendor === 0 ? 0 : VENDOR_BYTES);
  const length = headerBytes + data.length;
  const bytes = Buffer.alloc(aligned(length));
  bytes.writeUInt32BE(code, 0);
  bytes.writeUInt8((vendor === 0 ? 0 : Flag.Vendor) | (isMandatory ? Flag.Mandatory : 0), 4);
  bytes.writeUIntBE(length, 5, 3);
  if (vendor !== 0) bytes.writeUInt32BE(vendor, HEADER_BYTES);
  bytes.set(data, headerBytes);
  return bytes;
}

function aligned(length: number): number {
  return Math.ceil(length / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
}
