// Which device is this? Seats are counted per device, so that a phone that logs in twice holds one.
//
// Routers name devices in many ways (RFC 3580 §3.21 asks for 00-10-A4-23-19-C0, MikroTik sends
// colons, others nothing). A router that names neither a station nor a port leaves the device
// anonymous; its Accounting-Start then says which session it became.

/** `00:10:a4:23:19:c0` and `0010.A423.19C0` are the same station; anything else is kept as it is. */
export function normalizeStation(stationId: string): string {
  const digits = stationId.replaceAll(/[-:.\s]/g, '').toLowerCase();
  return /^[0-9a-f]{12}$/.test(digits) ? digits : stationId.trim().toLowerCase();
}

export type Device = {
  /** What holds the seat. */
  identity: string;
  isAnonymous: boolean;
};

export function identifyDevice(facts: {
  callingStationId: string | undefined;
  nasPortId: string | undefined;
  nasPort: number | undefined;
  routerId: string;
}): Device {
  if (facts.callingStationId !== undefined && facts.callingStationId !== '') {
    return { identity: normalizeStation(facts.callingStationId), isAnonymous: false };
  }
  const port = facts.nasPortId ?? facts.nasPort;
  if (port !== undefined) {
    return { identity: `${facts.routerId}/${String(port)}`, isAnonymous: false };
  }
  return { identity: facts.routerId, isAnonymous: true };
}
