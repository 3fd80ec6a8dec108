import { expect, test } from 'vitest';
import type { AccountingRecord } from '../../domain/accounting.ts';
import type { Credential } from '../../domain/subscriber.ts';
import { virtualRuntime } from '../../../tests/simulation/virtual-runtime.ts';
import { createSeatKeeper } from './seat-keeper.ts';

const credential: Credential = {
  kind: 'subscriber',
  id: '1',
  username: 'alice',
  password: Buffer.from('wonderland'),
  disabled: false,
  plan: {
    id: 'p',
    name: 'hour',
    durationSeconds: 3_600,
    dataBytes: 1_000_000,
    uploadBitsPerSecond: undefined,
    downloadBitsPerSecond: undefined,
    price: undefined,
    devices: undefined,
  },
  activatedAtMs: undefined,
  expiresAtMs: undefined,
  usedSeconds: 3_000,
  usedBytes: 0,
};

function follow(stop: Partial<AccountingRecord>): string[] {
  const refreshed: string[] = [];
  const keeper = createSeatKeeper({
    seats: {
      reserve: () => Promise.resolve(true),
      hold: () => Promise.resolve(),
      release: () => Promise.resolve(),
    },
    credentials: {
      find: () => credential,
      peek: () => credential,
      forget: () => undefined,
      forgetAll: () => undefined,
      refresh: (username) => void refreshed.push(username),
      refreshAll: () => undefined,
      size: 1,
    },
    listOpenSessions: () => Promise.resolve([]),
    runtime: virtualRuntime(),
  });
  keeper.follow({ kind: 'stop', username: 'alice', ...stop } as AccountingRecord);
  return refreshed;
}

test.each([
  ['a hundredth of the time that was left', { sessionSeconds: 7 }],
  ['a hundredth of the data', { sessionSeconds: 1, inputOctets: 6_000, outputOctets: 5_000 }],
])('a session that took more than %s is known at the next login', (_, used) => {
  expect(follow(used)).toEqual(['alice']);
});

test('a session that took next to nothing need not be', () => {
  expect(follow({ sessionSeconds: 6, inputOctets: 4_000, outputOctets: 5_000 })).toEqual([]);
});
