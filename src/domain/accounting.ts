// What a router reported about a session, as one plain value. RFC 2866, RFC 2869 §5.
// Counters are cumulative: a record states the total so far, so a repeated one adds nothing.

export type AccountingRecord = {
  kind: 'start' | 'interim' | 'stop';
  /** 16 bytes as a UUID string: the hash of what makes a session unique (see sessionKey). */
  sessionKey: string;
  routerId: string;
  siteId: string;
  acctSessionId: string;
  multiSessionId: string | undefined;
  username: string;
  callingStationId: string | undefined;
  calledStationId: string | undefined;
  nasIdentifier: string | undefined;
  nasIpAddress: string | undefined;
  nasPort: number | undefined;
  nasPortId: string | undefined;
  framedIpAddress: string | undefined;
  framedIpv6Prefix: string | undefined;
  /** When it happened at the router, by our clock, clamped to what is possible. */
  occurredAtMs: number;
  receivedAtMs: number;
  /** Totals since the session began; octets include the Gigawords. Undefined: the record did not say. */
  sessionSeconds: number | undefined;
  inputOctets: number | undefined;
  outputOctets: number | undefined;
  inputPackets: number | undefined;
  outputPackets: number | undefined;
  terminateCause: number | undefined;
};

/** Accounting-On or Accounting-Off: every session of the router from before this moment is over. */
export type RouterRestart = {
  kind: 'router-restart';
  routerId: string;
  nasIdentifier: string | undefined;
  nasIpAddress: string | undefined;
  occurredAtMs: number;
  receivedAtMs: number;
};

export type AccountingFact = AccountingRecord | RouterRestart;
