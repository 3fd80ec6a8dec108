import { describe, expect, test } from 'vitest';
import type { AccountingRecord } from '../../domain/accounting.ts';
import type { RequestWriter } from '../../protocols/radius/request.ts';
import { accountingRequest } from '../../../tests/simulation/packets.ts';
import { parseAccounting } from './accounting-packet.ts';

const router = { id: 'router-1', siteId: 'site-1' };
const NOW_MS = Date.UTC(2026, 10, 20, 12);
const now = Math.floor(NOW_MS / 1000);
const DAY_SECONDS = 86_400;

const STATUS = 40;
const DELAY = 41;
const SESSION_ID = 44;
const EVENT_TIMESTAMP = 55;

function parse(write: (writer: RequestWriter) => void) {
  return parseAccounting(accountingRequest(write), router, NOW_MS);
}

function parseRecord(
  write: (writer: RequestWriter) => void,
  status: 'start' | 'stop' | 'interim' = 'interim',
): AccountingRecord {
  const parsed = parse((writer) => {
    writer.integer(STATUS, { start: 1, stop: 2, interim: 3 }[status]);
    writer.text(SESSION_ID, '0001');
    write(writer);
  });
  if (parsed.kind !== 'fact' || parsed.fact.kind === 'router-restart') throw new Error(parsed.kind);
  return parsed.fact;
}

test('a Stop with all it can say', () => {
  const record = parseRecord((writer) => {
    writer.text(1, 'alice');
    writer.address(4, '192.0.2.1');
    writer.integer(5, 4_294_967_295);
    writer.address(8, '10.5.0.7');
    writer.text(30, '02-00-00-00-00-01:cafe');
    writer.text(31, '02-00-00-00-00-02');
    writer.text(32, 'r1');
    writer.integer(42, 5);
    writer.integer(43, 6);
    writer.integer(46, 60);
    writer.integer(47, 7);
    writer.integer(48, 8);
    writer.integer(49, 4);
    writer.text(50, 'multi');
    writer.integer(52, 1);
    writer.integer(53, 2);
    writer.text(87, 'ether1');
    writer.bytes(97, Buffer.from('003820010db8000000', 'hex'));
  }, 'stop');
  expect(record).toMatchObject({
    kind: 'stop',
    routerId: 'router-1',
    siteId: 'site-1',
    acctSessionId: '0001',
    multiSessionId: 'multi',
    username: 'alice',
    callingStationId: '02-00-00-00-00-02',
    calledStationId: '02-00-00-00-00-01:cafe',
    nasIdentifier: 'r1',
    nasIpAddress: '192.0.2.1',
    nasPort: 4_294_967_295,
    nasPortId: 'ether1',
    framedIpAddress: '10.5.0.7',
    framedIpv6Prefix: '2001:db8:0:0:0:0:0:0/56',
    occurredAtMs: NOW_MS,
    receivedAtMs: NOW_MS,
    sessionSeconds: 60,
    inputOctets: 2 ** 32 + 5,
    outputOctets: 2 * 2 ** 32 + 6,
    inputPackets: 7,
    outputPackets: 8,
    terminateCause: 4,
  });
});

describe('octets', () => {
  test('without Gigawords are the low half, Gigawords alone the high one', () => {
    const record = parseRecord((writer) => {
      writer.integer(42, 4_294_967_295);
      writer.integer(53, 3);
    });
    expect(record.inputOctets).toBe(4_294_967_295);
    expect(record.outputOctets).toBe(3 * 2 ** 32);
  });

  test('that were not reported are undefined, not 0', () => {
    const { inputOctets, outputOctets } = parseRecord(() => undefined);
    expect([inputOctets, outputOctets]).toEqual([undefined, undefined]);
  });
});

describe('when it happened', () => {
  const at = (write: (writer: RequestWriter) => void) => parseRecord(write).occurredAtMs - NOW_MS;

  test.each([
    ['nothing said: at its arrival', undefined, undefined, 0],
    ['Acct-Delay-Time before its arrival', undefined, 30, -30_000],
    ['at Event-Timestamp', now - 90, undefined, -90_000],
    ['Event-Timestamp wins, and the delay is not added', now - 90, 60, -90_000],
    ['a clock a little ahead: at its arrival', now + 200, undefined, 0],
    ['a clock far ahead is not believed', now + 3_600, 10, -10_000],
    ['1970 is not believed', 5, 10, -10_000],
    ['29 days ago is believed', now - 29 * DAY_SECONDS, undefined, -29 * DAY_SECONDS * 1000],
    ['31 days ago is not', now - 31 * DAY_SECONDS, undefined, 0],
    ['an absurd delay is not believed', undefined, 4_294_967_295, 0],
  ])('%s', (_name, timestamp, delay, expectedMs) => {
    const ms = at((writer) => {
      if (timestamp !== undefined) writer.integer(EVENT_TIMESTAMP, timestamp);
      if (delay !== undefined) writer.integer(DELAY, delay);
    });
    expect(ms).toBe(expectedMs);
  });
});

describe('a Framed-IPv6-Prefix', () => {
  const prefix = (hex: string) =>
    parseRecord((writer) => writer.bytes(97, Buffer.from(hex, 'hex'))).framedIpv6Prefix;

  test.each([
    [
      'with bits behind the prefix loses them',
      '003020010db8ffffffff',
      '2001:db8:ffff:0:0:0:0:0/48',
    ],
    ['of length 0', '0000', '0:0:0:0:0:0:0:0/0'],
    ['of 129 bits is left out', '008120010db8', undefined],
    ['of 19 bytes is left out', `0080${'00'.repeat(17)}`, undefined],
    ['of one byte is left out', '00', undefined],
  ])('%s', (_name, hex, expected) => {
    expect(prefix(hex)).toBe(expected);
  });
});

test('an address that has not four bytes is left out', () => {
  const record = parseRecord((writer) => {
    writer.bytes(8, Buffer.of(10, 5, 0));
    writer.bytes(4, Buffer.alloc(16));
  });
  expect([record.framedIpAddress, record.nasIpAddress]).toEqual([undefined, undefined]);
});

describe('the session key', () => {
  const key = (write: (writer: RequestWriter) => void) => parseRecord(write).sessionKey;
  const first = key((writer) => writer.text(1, 'alice'));

  test('stays the same while counters and addresses change', () => {
    const again = key((writer) => {
      writer.text(1, 'alice');
      writer.integer(42, 99);
      writer.address(8, '10.5.0.7');
    });
    expect(again).toBe(first);
    expect(first).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  });

  test.each([
    ['another subscriber', 1, 'bob'],
    ['another device', 31, '02-00-00-00-00-02'],
    ['another login, where Class is echoed', 25, 'class'],
  ])('differs with %s', (_name, type, value) => {
    expect(key((writer) => writer.text(type, value))).not.toBe(first);
  });

  test('differs between routers', () => {
    const packet = accountingRequest((writer) => {
      writer.integer(STATUS, 1);
      writer.text(SESSION_ID, '0001');
      writer.text(1, 'alice');
    });
    const elsewhere = parseAccounting(packet, { ...router, id: 'router-2' }, NOW_MS);
    expect(elsewhere).not.toMatchObject({ fact: { sessionKey: first } });
  });
});

describe('what is no record of a session', () => {
  test.each([
    ['Accounting-On', 7],
    ['Accounting-Off', 8],
  ])('%s is a restart of the router', (_name, status) => {
    const parsed = parse((writer) => {
      writer.integer(STATUS, status);
      writer.text(32, 'r1');
      writer.integer(DELAY, 5);
    });
    expect(parsed).toEqual({
      kind: 'fact',
      fact: {
        kind: 'router-restart',
        routerId: 'router-1',
        nasIdentifier: 'r1',
        nasIpAddress: undefined,
        occurredAtMs: NOW_MS - 5_000,
        receivedAtMs: NOW_MS,
      },
    });
  });

  test('an unknown status and a record without Acct-Session-Id are answered and not stored', () => {
    const unknown = parse((writer) => writer.integer(STATUS, 9));
    expect(unknown).toEqual({ kind: 'nothing-to-store', reason: 'unknown-status-type' });
    const nameless = parse((writer) => writer.integer(STATUS, 1));
    expect(nameless).toEqual({ kind: 'nothing-to-store', reason: 'no-session-id' });
  });

  test('without a status it is discarded', () => {
    const parsed = parse((writer) => writer.text(SESSION_ID, '0001'));
    expect(parsed).toEqual({ kind: 'discard', reason: 'no-status-type' });
  });
});
