// Attributes of the Wi-Fi Alliance's "Best Current Practices for WISP Roaming". Bandwidth is in bit/s,
// up and down as the subscriber sees it; Session-Terminate-Time is an ISO 8601 text.

import type { DictionaryTable } from '../dictionary.ts';

export const WISPR_VENDOR_ID = 14122;

/** The numbers that the server itself writes. */
export const WisprType = {
  RedirectionUrl: 4,
  BandwidthMaxUp: 7,
  BandwidthMaxDown: 8,
  SessionTerminateTime: 9,
} as const;

export const wispr: DictionaryTable = {
  vendor: { name: 'WISPr', id: WISPR_VENDOR_ID },
  attributes: {
    'WISPr-Location-ID': [1, 'string'],
    'WISPr-Location-Name': [2, 'string'],
    'WISPr-Logoff-URL': [3, 'string'],
    'WISPr-Redirection-URL': [4, 'string'],
    'WISPr-Bandwidth-Min-Up': [5, 'integer'],
    'WISPr-Bandwidth-Min-Down': [6, 'integer'],
    'WISPr-Bandwidth-Max-Up': [7, 'integer'],
    'WISPr-Bandwidth-Max-Down': [8, 'integer'],
    'WISPr-Session-Terminate-Time': [9, 'string'],
    'WISPr-Session-Terminate-End-Of-Day': [10, 'string'],
    'WISPr-Billing-Class-Of-Service': [11, 'string'],
  },
};
