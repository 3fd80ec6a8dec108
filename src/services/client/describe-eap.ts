// Why a login by EAP ended, in words for whoever tries it: what the server's alert means, and what the
// device did not like. RFC 8446 §6, RFC 5246 §7.2.

import type { Distrust, Refusal } from '../../protocols/eap/device/device.ts';
import type { AlertName } from '../../protocols/tls/engine.ts';

/** Undefined: the server has given no reason. */
export function describeRefusal(refusal: Refusal, method: string): string | undefined {
  switch (refusal.kind) {
    case 'method-not-offered': {
      const offered = TYPE_NAMES[refusal.offered ?? 0];
      const instead = offered === undefined ? '' : `; it offered ${offered}`;
      return `the server does not offer ${method}${instead}. EAP over TLS needs radius.eap.certificate and radius.eap.key, tls also radius.eap.client_ca`;
    }
    case 'alert': {
      const { alert } = refusal;
      if (alert === undefined) return 'the server ended TLS with an alert that has no name';
      const meaning = MEANINGS[alert];
      return `the server ended TLS with the alert ${alert}${meaning === undefined ? '' : `: ${meaning}`}`;
    }
    case 'wrong-password':
      return 'the server says inside the tunnel that name or password is wrong';
    case 'unexplained':
      return undefined;
  }
}

export function describeDistrust(distrust: Distrust): string {
  switch (distrust.kind) {
    case 'certificate':
      return `the certificate of the server was refused: ${distrust.detail}. No password was sent`;
    case 'tls':
      return `TLS with the server failed: ${distrust.detail}`;
    case 'protocol':
      return `the server does what it should not: ${distrust.detail}`;
  }
}

const TYPE_NAMES: Readonly<Record<number, string>> = {
  4: 'md5',
  6: 'gtc',
  13: 'tls',
  21: 'ttls',
  25: 'peap',
  26: 'mschapv2',
  55: 'teap',
};

const MEANINGS: Partial<Record<AlertName, string>> = {
  access_denied: 'the certificate is valid, but belongs to no subscriber',
  bad_certificate: 'it cannot read the certificate, or its signature is wrong',
  certificate_expired: 'the certificate has expired, or is not valid yet',
  certificate_required: 'it wants a certificate: --certificate and --key',
  certificate_revoked: 'the certificate has been revoked',
  certificate_unknown: 'it does not accept the certificate',
  close_notify: 'it closed the connection',
  decrypt_error: 'the key does not fit the certificate',
  handshake_failure: 'no cipher, curve or kind of key in common, or a certificate is missing',
  internal_error: 'something failed on the server; its log says what',
  protocol_version: 'no version of TLS in common',
  unknown_ca: 'the certificate comes from none of its authorities (radius.eap.client_ca)',
  unsupported_certificate:
    'the certificate is not for clients, or its kind of key is not supported',
};
