// A plan is what a subscriber bought: how long, how much, how fast, on how many devices.

import type { Money } from './money.ts';

export type Plan = {
  id: string;
  name: string;
  /** Time online that the plan pays for, in seconds; undefined is unlimited. */
  durationSeconds: number | undefined;
  /** Bytes in both directions together; undefined is unlimited. */
  dataBytes: number | undefined;
  /** Bits per second, upload (from the subscriber) and download; undefined is unlimited. */
  uploadBitsPerSecond: number | undefined;
  downloadBitsPerSecond: number | undefined;
  price: Money | undefined;
  /** Devices online at once; undefined is unlimited. */
  devices: number | undefined;
};
