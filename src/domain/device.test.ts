import { expect, test } from 'vitest';
import { identifyDevice, normalizeStation } from './device.ts';

const nothing = { callingStationId: undefined, nasPortId: undefined, nasPort: undefined };

test.each([
  '00-10-A4-23-19-C0',
  '00:10:a4:23:19:c0',
  '0010.A423.19C0',
  '0010A42319C0',
  ' 00 10 a4 23 19 c0 ',
])('%j is the station 0010a42319c0', (written) => {
  expect(normalizeStation(written)).toBe('0010a42319c0');
});

test.each([
  ['+256 700 000000', '+256 700 000000'],
  [' Guest-7 ', 'guest-7'],
  ['00:10:a4:23:19', '00:10:a4:23:19'],
])('%j, which is no MAC address, stays %j', (written, kept) => {
  expect(normalizeStation(written)).toBe(kept);
});

test('a device is its station, else its port at the router, else anonymous', () => {
  const atRouter = { ...nothing, routerId: 'r1' };
  const station = { ...atRouter, callingStationId: '00:10:A4:23:19:C0', nasPort: 5 };
  expect(identifyDevice(station)).toEqual({ identity: '0010a42319c0', isAnonymous: false });
  expect(identifyDevice({ ...atRouter, nasPortId: 'ether1', nasPort: 5 })).toEqual({
    identity: 'r1/ether1',
    isAnonymous: false,
  });
  expect(identifyDevice({ ...atRouter, callingStationId: '', nasPort: 0 })).toEqual({
    identity: 'r1/0',
    isAnonymous: false,
  });
  expect(identifyDevice(atRouter)).toEqual({ identity: 'r1', isAnonymous: true });
});
