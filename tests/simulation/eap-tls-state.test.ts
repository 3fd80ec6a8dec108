// Promise 4, over TLS, while the shared state is away, slow, deaf, out of some nodes' reach, or forgets. What
// must always hold is eap-tls-logins.ts; here is how much may be lost, and when nothing may.

import { expect, test } from 'vitest';
import type { TestContext } from 'vitest';
import { logInDuring, newTally } from './eap-tls-logins.ts';
import type { LoginsOptions, Tally } from './eap-tls-logins.ts';
import { complaintsFrom } from './seeds.ts';

const IN_ROUNDS = { before: 0.03, after: 0.03 };
const UNREACHABLE = { stateOutages: true, stateLinks: true };
const NETWORK = { pauses: true, links: true, peerLinks: true };

async function tallyOf(
  { annotate }: TestContext,
  worlds: number,
  options: Omit<LoginsOptions, 'failover'>,
): Promise<Tally> {
  const tally = newTally();
  const failover = (seed: number) => (seed % 2 === 0 ? 'same-bytes' : 'new-identity');
  const complaints = await complaintsFrom(worlds, (seed) =>
    logInDuring(seed, { failover: failover(seed), ...options }, tally),
  );
  expect(complaints).toEqual([]);
  await annotate(JSON.stringify(tally));
  return tally;
}

/** As a share of the right ones. */
function lostIn({ lost, right }: Tally): number {
  return Object.values(lost).reduce((sum, count) => sum + count, 0) / right;
}

test('no login is lost while the shared state is out of reach, and no node dies', async (context) => {
  const tally = await tallyOf(context, 60, { troubles: { ...UNREACHABLE, ...NETWORK } });
  expect(tally.lost).toEqual(newTally().lost);
});

test('few logins are lost when nodes die while the shared state is out of reach', async (context) => {
  const tally = await tallyOf(context, 60, {
    troubles: { ...UNREACHABLE, ...NETWORK, crashes: 'one-at-a-time' },
    roundCrashes: IN_ROUNDS,
  });
  expect(lostIn(tally)).toBeLessThan(0.08);
});

test('hardly any login is lost when a failover of the shared state loses the last writes', async (context) => {
  const tally = await tallyOf(context, 60, { troubles: { failovers: true, pauses: true } });
  expect(lostIn(tally)).toBeLessThan(0.01);
});

test('few logins are lost when everything goes wrong', async (context) => {
  const tally = await tallyOf(context, 60, {
    troubles: {
      ...UNREACHABLE,
      ...NETWORK,
      state: true,
      failovers: true,
      crashes: true,
      stops: true,
    },
    roundCrashes: IN_ROUNDS,
  });
  expect(lostIn(tally)).toBeLessThan(0.15);
});
