// The terms of a grant in the words each vendor's routers understand.
// RFC 2865 §5.27, RFC 2869 §5.16; MikroTik and WISPr by their manuals (rx is the subscriber's upload).

import type { Grant } from '../../domain/access.ts';
import type { RouterVendor } from '../../domain/router.ts';
import {
  CHILLISPOT_VENDOR_ID,
  ChillispotType,
} from '../../protocols/radius/dictionary/chillispot.ts';
import { MIKROTIK_VENDOR_ID, MikrotikType } from '../../protocols/radius/dictionary/mikrotik.ts';
import { WISPR_VENDOR_ID, WisprType } from '../../protocols/radius/dictionary/wispr.ts';
import type { ReplyWriter } from '../../protocols/radius/reply.ts';

const SESSION_TIMEOUT = 27;
const ACCT_INTERIM_INTERVAL = 85;
const CHILLISPOT_MAX_TOTAL_GIGAWORDS = 23;

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
        writer.vendorText(MIKROTIK_VENDOR_ID, MikrotikType.RateLimit, `${rate(up)}/${rate(down)}`);
      }
      if (remainingBytes !== undefined) {
        const { TotalLimit, TotalLimitGigawords } = MikrotikType;
        writer.vendorInteger(MIKROTIK_VENDOR_ID, TotalLimit, remainingBytes % 2 ** 32);
        writer.vendorInteger(
          MIKROTIK_VENDOR_ID,
          TotalLimitGigawords,
          Math.floor(remainingBytes / 2 ** 32),
        );
      }
      return;
    case 'chillispot':
      writeWisprRate(writer, up, down);
      if (remainingBytes !== undefined) {
        const { MaxTotalOctets } = ChillispotType;
        writer.vendorInteger(CHILLISPOT_VENDOR_ID, MaxTotalOctets, remainingBytes % 2 ** 32);
        writer.vendorInteger(
          CHILLISPOT_VENDOR_ID,
          CHILLISPOT_MAX_TOTAL_GIGAWORDS,
          Math.floor(remainingBytes / 2 ** 32),
        );
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
  const { BandwidthMaxUp, BandwidthMaxDown } = WisprType;
  if (up !== undefined)
    writer.vendorInteger(WISPR_VENDOR_ID, BandwidthMaxUp, Math.min(up, MAX_UINT32));
  if (down !== undefined) {
    writer.vendorInteger(WISPR_VENDOR_ID, BandwidthMaxDown, Math.min(down, MAX_UINT32));
  }
}

/** RouterOS reads 2M and 512k; 0 is unlimited. */
function rate(bitsPerSecond: number | undefined): string {
  if (bitsPerSecond === undefined) return '0';
  if (bitsPerSecond % 1_000_000 === 0) return `${String(bitsPerSecond / 1_000_000)}M`;
  if (bitsPerSecond % 1_000 === 0) return `${String(bitsPerSecond / 1_000)}k`;
  return String(bitsPerSecond);
}
