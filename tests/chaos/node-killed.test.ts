// Promise 3 on one real process: a SIGKILL and a restart every five seconds for a minute.

import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { startEvergate } from '../servers/evergate.ts';
import { desiredState, findDifferences, startTraffic, until } from './traffic.ts';

const RUN_MS = 60_000;
const LIFE_MS = 5_000;

test('a minute of kills and restarts loses nothing acknowledged and counts nothing twice', async () => {
  let node = await startEvergate({
    apply: desiredState,
    environment: { EVERGATE_RADIUS_RATE_LIMIT_PER_MINUTE: '0' },
  });
  const traffic = await startTraffic({ nodes: () => [node] });
  const endMs = performance.now() + RUN_MS;
  let kills = 0;
  while (performance.now() < endMs) {
    await sleep(LIFE_MS);
    await node.process.kill();
    kills++;
    node = await startEvergate(node.again);
  }
  const ledger = await traffic.stop();
  await until('the journal is empty', async () => {
    return (await node.metric('evergate_journal_pending_records')) === 0;
  });

  const differences = await findDifferences(ledger, (path) => node.api(path));
  await node[Symbol.asyncDispose]();

  expect(differences).toEqual([]);
  expect(ledger.wrong).toEqual([]);
  expect(kills).toBeGreaterThanOrEqual(5);
  expect(ledger.acknowledgedRecords).toBeGreaterThan(500);
  expect(ledger.logins.accepted).toBeGreaterThan(100);
}, 240_000);
