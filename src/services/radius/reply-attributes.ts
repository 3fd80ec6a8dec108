// The terms of a grant in the words each vendor's routers understand.
// RFC 2865 §5.27, RFC 2869 §5.16; MikroTik and WISPr by their manuals (rx is the subscriber's upload).

import type { Grant } from '../../domain/access.ts';
import type { RouterVendor } from '../../domain/router.ts';
import type { ReplyWriter } from '../../protocols/radius/reply.ts';

const SESSION_TIMEOUT = 27;
const ACCT_INTERIM_INTERVAL = 85;
const MIKROTIK = { vendor: 14988, rateLimit: 8, totalLimit: 17, totalLimitGigawords: 18 } as const;
const WISPR = { vendor: 14122, bandwidthMaxUp: 7, bandwidthMaxDown: 8 } as const;
const CHILLISPOT = { vendor: 14559, maxTotalOctets: 3, maxTotalGigawords: 23 } as const;

const MAX_UINT32 = 0xffff_ffff;

export function writeGrant(writer: ReplyWriter, grant: Grant, vendor: RouterVendor) {
  if (grant.sessionSeconds !== undefined) {
    writer.integer(SESSION_TIMEOUT, Math.min(grant.sessionSeconds, MAX_UINT32));
  }
  writer.integer(ACCT_INTERIM_INTERVAL, grant.interimSeconds);

  const { uploadBitsPerSecond: up, downloadBitsPerSecond: down, remainingBytes } = grant;
  switch (vendor) {
    case 'mikrotik':
      if (up !== undefined || down !== undefined) {
        writer.vendorText(MIKROTIK.vendor, MIKROTIK.rateLimit, `${rate(up)}/${rate(down)}`);
      }
      if (remainingBytes !== undefined) {
        const { vendor: id, totalLimit, totalLimitGigawords } = MIKROTIK;
        writer.vendorInteger(id, totalLimit, remainingBytes % 2 ** 32);
        writer.vendorInteger(id, totalLimitGigawords, Math.floor(remainingBytes / 2 ** 32));
      }
      return;
    case 'chillispot':
      writeWisprRate(writer, up, down);
      if (remainingBytes !== undefined) {
        const { vendor: id, maxTotalOctets, maxTotalGigawords } = CHILLISPOT;
        writer.vendorInteger(id, maxTotalOctets, remainingBytes % 2 ** 32);
        writer.vendorInteger(id, maxTotalGigawords, Math.floor(remainingBytes / 2 ** 32));
      }
      return;
    case 'generic':
    case 'cisco':
    case 'ruckus':
    case 'aruba':
    case 'ubiquiti':
      writeWisprRate(writer, up, down);
      return;
  }
}

function writeWisprRate(writer: ReplyWriter, up: number | undefined, down: number | undefined) {
  const { vendor, bandwidthMaxUp, bandwidthMaxDown } = WISPR;
  if (up !== undefined) writer.vendorInteger(vendor, bandwidthMaxUp, Math.min(up, MAX_UINT32));
  if (down !== undefined) {
    writer.vendorInteger(vendor, bandwidthMaxDown, Math.min(down, MAX_UINT32));
  }
}

/** RouterOS reads 2M and 512k; 0 is unlimited. */
function rate(bitsPerSecond: number | undefined): string {
  if (bitsPerSecond === undefined) return '0';
  if (bitsPerSecond % 1_000_000 === 0) return `${String(bitsPerSecond / 1_000_000)}M`;
  if (bitsPerSecond % 1_000 === 0) return `${String(bitsPerSecond / 1_000)}k`;
  return String(bitsPerSecond);
}
