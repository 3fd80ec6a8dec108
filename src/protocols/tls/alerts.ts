// The numbers of alerts. RFC 8446 §6, RFC 5246 §7.2. What to do about an alert belongs to server.ts.

import type { AlertName } from './engine.ts';

const numbers: Readonly<Record<AlertName, number>> = {
  close_notify: 0,
  unexpected_message: 10,
  bad_record_mac: 20,
  record_overflow: 22,
  handshake_failure: 40,
  bad_certificate: 42,
  unsupported_certificate: 43,
  certificate_revoked: 44,
  certificate_expired: 45,
  certificate_unknown: 46,
  illegal_parameter: 47,
  unknown_ca: 48,
  access_denied: 49,
  decode_error: 50,
  decrypt_error: 51,
  protocol_version: 70,
  insufficient_security: 71,
  internal_error: 80,
  inappropriate_fallback: 86,
  user_canceled: 90,
  no_renegotiation: 100,
  missing_extension: 109,
  unsupported_extension: 110,
  unrecognized_name: 112,
  bad_certificate_status_response: 113,
  unknown_psk_identity: 115,
  certificate_required: 116,
  no_application_protocol: 120,
};

const names = new Map(
  Object.entries(numbers).map(([name, number]) => [number, name as AlertName] as const),
);

export const WARNING = 1;
export const FATAL = 2;

/** The two bytes of an alert message. Only these three do not end the connection at once. */
export function encodeAlert(alert: AlertName): Buffer {
  const isWarning =
    alert === 'close_notify' || alert === 'user_canceled' || alert === 'no_renegotiation';
  return Buffer.from([isWarning ? WARNING : FATAL, numbers[alert]]);
}

/** Undefined: a number that nobody should use any more. */
export function alertName(number: number): AlertName | undefined {
  return names.get(number);
}
