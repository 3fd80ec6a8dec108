import { expect, test } from 'vitest';
import type { AccountingRecord } from '../../domain/accounting.ts';
import { foldFromStart } from './session-folding.ts';

function record(kind: AccountingRecord['kind'], atMs: number, octets?: number): AccountingRecord {
  return {
    kind,
    sessionKey: '01234567-89ab-cdef-0123-456789abcdef',
    routerId: 'r',
    siteId: 's',
    acctSessionId: 'a',
    multiSessionId: undefined,
    username: 'alice',
    callingStationId: undefined,
    calledStationId: undefined,
    nasIdentifier: undefined,
    nasIpAddress: undefined,
    nasPort: undefined,
    nasPortId: undefined,
    framedIpAddress: undefined,
    framedIpv6Prefix: undefined,
    occurredAtMs: atMs,
    receivedAtMs: atMs,
    sessionSeconds: octets === undefined ? undefined : atMs / 1000,
    inputOctets: octets,
    outputOctets: octets,
    inputPackets: undefined,
    outputPackets: undefined,
    terminateCause: kind === 'stop' ? 1 : undefined,
  };
}

test('a session that is all there becomes one row', () => {
  const records = [record('start', 0), record('interim', 10_000, 5), record('stop', 20_000, 9)];
  expect(foldFromStart(records)).toMatchObject({
    kind: 'stop',
    occurredAtMs: 20_000,
    beganAtMs: 0,
    countingSinceMs: 0,
    inputOctets: 9,
    inputPackets: undefined,
    terminateCause: 1,
  });
});

test.each([
  ['one record', [record('start', 0)]],
  ['a session whose Start is not there', [record('interim', 10_000, 5), record('stop', 20_000, 9)]],
  [
    'counters that were reset',
    [record('start', 0), record('interim', 10_000, 5), record('stop', 20_000, 2)],
  ],
  [
    'news from after the Stop',
    [record('start', 0), record('stop', 10_000, 5), record('interim', 20_000, 9)],
  ],
])('%s is merged record by record', (_, records) => {
  expect(foldFromStart(records)).toBeUndefined();
});
