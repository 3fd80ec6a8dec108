// A secret box for what lives for minutes and is sealed thousands of times a second: conversations,
// TLS sessions, what nodes say to each other. Its keys follow from the cluster's key, the purpose and the
// day, so none is used for so many random nonces that two could be the same (NIST SP 800-38D §8.3: 2^32).

import { createHmac } from 'node:crypto';
import { createSecretBox } from './secret-box.ts';
import type { SecretBox, SecretKeys } from './secret-box.ts';

const PERIOD_MS = 24 * 3_600_000;

/** What was sealed opens for at least one period more, and the clocks of nodes may differ. */
export function createRotatingBox(
  clusterKeys: SecretKeys,
  purpose: string,
  clock: { nowMs(): number },
): SecretBox {
  const derive = (key: Uint8Array, period: number) =>
    createHmac('sha256', key).update(`evergate ${purpose} ${period}`).digest();
  let current: { period: number; box: SecretBox } | undefined;

  /** Seals with the key of this period; opens what was sealed in the one before and the one after too. */
  function boxOf(period: number): SecretBox {
    if (current?.period === period) return current.box;
    const [newest, ...older] = clusterKeys;
    const neighbours = [period - 1, period + 1].map((other) => derive(newest, other));
    const others = older.flatMap((key) =>
      [period - 1, period, period + 1].map((other) => derive(key, other)),
    );
    const box = createSecretBox([derive(newest, period), ...neighbours, ...others]);
    current = { period, box };
    return box;
  }

  const present = () => boxOf(Math.floor(clock.nowMs() / PERIOD_MS));
  return {
    seal: (secret, context) => present().seal(secret, context),
    open: (box, context) => present().open(box, context),
  };
}
