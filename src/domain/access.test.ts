import { describe, expect, test } from 'vitest';
import { decideAccess, INTERIM_SECONDS } from './access.ts';
import type { Credential } from './subscriber.ts';
import type { Plan } from './plan.ts';

const NOW_MS = Date.UTC(2026, 10, 20);

const plan: Plan = {
  id: 'p1',
  name: 'hour',
  durationSeconds: 3600,
  dataBytes: 1_000_000,
  uploadBitsPerSecond: 2_000_000,
  downloadBitsPerSecond: 10_000_000,
  price: undefined,
  devices: 2,
};

function credential(changes: Partial<Credential> = {}): Credential {
  return {
    kind: 'subscriber',
    id: 's1',
    username: 'alice',
    password: Buffer.from('wonderland'),
    disabled: false,
    plan,
    activatedAtMs: undefined,
    expiresAtMs: undefined,
    usedSeconds: 0,
    usedBytes: 0,
    ...changes,
  };
}

describe('a login is granted on the terms of its plan', () => {
  test('a fresh plan gives all it has', () => {
    expect(decideAccess(credential(), NOW_MS)).toEqual({
      kind: 'accept',
      sessionSeconds: 3600,
      remainingBytes: 1_000_000,
      uploadBitsPerSecond: 2_000_000,
      downloadBitsPerSecond: 10_000_000,
      devices: 2,
      interimSeconds: INTERIM_SECONDS,
    });
  });

  test('without a plan there is no limit', () => {
    expect(decideAccess(credential({ plan: undefined }), NOW_MS)).toMatchObject({
      kind: 'accept',
      sessionSeconds: undefined,
      remainingBytes: undefined,
      devices: undefined,
    });
  });

  test('what is used up is not given again', () => {
    const used = credential({ usedSeconds: 3000, usedBytes: 400_000 });
    expect(decideAccess(used, NOW_MS)).toMatchObject({
      sessionSeconds: 600,
      remainingBytes: 600_000,
    });
  });

  test('the session ends when the subscriber expires, if that is earlier', () => {
    const expiring = credential({ expiresAtMs: NOW_MS + 90_500 });
    expect(decideAccess(expiring, NOW_MS)).toMatchObject({ sessionSeconds: 91 });
  });
});

describe('a login is refused with its reason', () => {
  test.each([
    ['a disabled subscriber', { disabled: true }, 'disabled'],
    ['one whose time has come', { expiresAtMs: NOW_MS }, 'expired'],
    ['time used up', { usedSeconds: 3600 }, 'time-used-up'],
    ['time overdrawn', { usedSeconds: 9999 }, 'time-used-up'],
    ['data used up', { usedBytes: 1_000_000 }, 'data-used-up'],
  ] as const)('%s', (_, changes, reason) => {
    expect(decideAccess(credential(changes), NOW_MS)).toEqual({ kind: 'reject', reason });
  });
});
