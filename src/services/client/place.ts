// Where a subscriber is, as a router says it in every request: which router, which access point,
// which device. RFC 2865 §5, RFC 3580 §3.20 and §3.21 for the form of the station ids.

import type { RequestWriter } from '../../protocols/radius/request.ts';

export type Place = {
  nasIdentifier: string;
  nasIpAddress: string;
  /** `02-00-00-00-00-01:cafe`: the access point and its network. */
  calledStationId: string;
  /** The MAC address of the device. */
  callingStationId: string;
};

const NAS_IP_ADDRESS = 4;
const SERVICE_TYPE = { type: 6, login: 1 } as const;
const CALLED_STATION_ID = 30;
const CALLING_STATION_ID = 31;
const NAS_IDENTIFIER = 32;
const NAS_PORT_TYPE = { type: 61, wireless80211: 19 } as const;

export function writePlace(writer: RequestWriter, place: Place): void {
  writer.text(NAS_IDENTIFIER, place.nasIdentifier);
  writer.address(NAS_IP_ADDRESS, place.nasIpAddress);
  writer.text(CALLED_STATION_ID, place.calledStationId);
  writer.text(CALLING_STATION_ID, place.callingStationId);
  writer.integer(SERVICE_TYPE.type, SERVICE_TYPE.login);
  writer.integer(NAS_PORT_TYPE.type, NAS_PORT_TYPE.wireless80211);
}

/** Locally administered, so that it is nobody's: `02-00-00-00-01-00` is number 256. */
export function macAddress(number: number): string {
  const bytes = Buffer.alloc(6);
  bytes.writeUIntBE(number, 1, 5);
  bytes[0] = 0x02;
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0').toUpperCase()).join('-');
}
