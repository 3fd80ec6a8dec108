// Promise 4, over TLS: every packet goes to a node of its own, nodes die in the middle of a conversation and
// of a round, and while the shared state is well every login ends as it should. What must always hold is
// eap-tls-logins.ts.

import { expect, test } from 'vitest';
import { logInDuring, newTally } from './eap-tls-logins.ts';
import { complaintsFrom } from './seeds.ts';

const IN_ROUNDS = { before: 0.03, after: 0.03 };

test.for(['same-bytes', 'new-identity'] as const)(
  'a login over TLS ends as it should although each packet meets another node, and nodes die (%s)',
  async (failover, { annotate }) => {
    const tally = newTally();
    const troubles = { crashes: true, stops: true, pauses: true, links: true, peerLinks: true };
    const options = { failover, troubles, roundCrashes: IN_ROUNDS };
    expect(await complaintsFrom(60, (seed) => logInDuring(seed, options, tally))).toEqual([]);
    await annotate(JSON.stringify(tally));
    expect(tally.lost).toEqual(newTally().lost);
    expect(tally.crashesInRounds).toBeGreaterThan(tally.worlds);
    expect(tally.madeElsewhere, 'no round was worked out twice').toBeGreaterThan(0);
    expect(tally.resumed, 'no login was resumed').toBeGreaterThan(0);
  },
);

test.each([
  ['without atomic steps', { state: 'not-atomic', engine: 'fresh-tickets' }, {}],
  ['that not all nodes see', { engine: 'fresh-tickets' }, { stateLinks: true }],
] as const)(
  'chance in a round would be noticed with a shared state %s',
  async (_, flaws, troubles) => {
    const options = {
      failover: 'same-bytes',
      troubles: { pauses: true, ...troubles },
      flaws,
    } as const;
    const complaints: string[] = [];
    const isNoticed = () => complaints.some((each) => each.includes('two texts left'));
    for (let seed = 1; seed <= 60 && !isNoticed(); seed++) {
      complaints.push(...(await logInDuring(seed, options, newTally())));
    }
    expect(complaints).toContainEqual(expect.stringMatching(/two texts left under one key/));
  },
);
