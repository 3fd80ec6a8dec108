import { expect, test } from 'vitest';
import type { Grant } from '../../domain/access.ts';
import { ROUTER_VENDORS } from '../../domain/router.ts';
import type { RouterVendor } from '../../domain/router.ts';
import { findInteger, findVendorAttribute, parsePacket } from '../../protocols/radius/packet.ts';
import type { Packet } from '../../protocols/radius/packet.ts';
import { createReplyWriter } from '../../protocols/radius/reply.ts';
import { request, secret } from '../../../tests/simulation/packets.ts';
import { writeGrant } from './reply-attributes.ts';

const unlimited: Grant = {
  kind: 'accept',
  sessionSeconds: undefined,
  remainingBytes: undefined,
  uploadBitsPerSecond: undefined,
  downloadBitsPerSecond: undefined,
  devices: undefined,
  interimSeconds: 600,
};
const GIB = 2 ** 30;

function accept(vendor: RouterVendor, grant: Partial<Grant>): Packet {
  const writer = createReplyWriter();
  writer.begin(
    2,
    request(() => undefined),
    true,
  );
  writeGrant(writer, { ...unlimited, ...grant }, vendor);
  const packet = parsePacket(writer.finish(secret));
  if (packet.kind !== 'packet') throw new Error(packet.reason);
  return packet;
}

function vendorText(packet: Packet, vendor: number, type: number): string | undefined {
  return findVendorAttribute(packet, vendor, type)?.toString();
}

function vendorInteger(packet: Packet, vendor: number, type: number): number | undefined {
  return findVendorAttribute(packet, vendor, type)?.readUInt32BE();
}

test.each(ROUTER_VENDORS)('every %s router is told the time left and when to report', (vendor) => {
  const packet = accept(vendor, { sessionSeconds: 3_600 });
  expect(findInteger(packet, 27)).toBe(3_600);
  expect(findInteger(packet, 85)).toBe(600);
});

test.each(ROUTER_VENDORS)('a %s router is told of no limit that there is not', (vendor) => {
  const packet = accept(vendor, {});
  expect(findInteger(packet, 27)).toBeUndefined();
  for (const [id, type] of [
    [14_988, 8],
    [14_988, 17],
    [14_122, 7],
    [14_122, 8],
    [14_559, 3],
  ] as const) {
    expect(findVendorAttribute(packet, id, type)).toBeUndefined();
  }
});

test('more than 136 years are as many as fit', () => {
  expect(findInteger(accept('generic', { sessionSeconds: 2 ** 33 }), 27)).toBe(0xffff_ffff);
});

test.each([
  [2_000_000, 10_000_000, '2M/10M'],
  [512_000, 1_500_000, '512k/1500k'],
  [1_234_567, undefined, '1234567/0'],
  [undefined, 64_000, '0/64k'],
])('MikroTik reads an upload of %j and a download of %j as %s', (up, down, text) => {
  const rates = { uploadBitsPerSecond: up, downloadBitsPerSecond: down };
  expect(vendorText(accept('mikrotik', rates), 14_988, 8)).toBe(text);
});

test.each([
  ['mikrotik', 14_988, 17, 18],
  ['chillispot', 14_559, 3, 23],
] as const)('%s counts what is left in bytes and Gigawords', (vendor, id, low, high) => {
  const packet = accept(vendor, { remainingBytes: 9 * GIB + 5 });
  expect(vendorInteger(packet, id, low)).toBe(GIB + 5);
  expect(vendorInteger(packet, id, high)).toBe(2);
});

test.each(['generic', 'cisco', 'ruckus', 'aruba', 'ubiquiti', 'chillispot'] as const)(
  '%s reads the WISPr bandwidths in bits per second',
  (vendor) => {
    const rates = { uploadBitsPerSecond: 2_000_000, downloadBitsPerSecond: 10_000_000_000 };
    const packet = accept(vendor, rates);
    expect(vendorInteger(packet, 14_122, 7)).toBe(2_000_000);
    expect(vendorInteger(packet, 14_122, 8)).toBe(0xffff_ffff); // 10 Gbit/s do not fit
  },
);
