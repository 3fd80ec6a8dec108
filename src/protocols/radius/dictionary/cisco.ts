// Cisco's attributes, from the IOS security configuration guide. Nearly all of today's functions are
// texts `name=value` in Cisco-AVPair.

import type { DictionaryTable } from '../dictionary.ts';

export const CISCO_VENDOR_ID = 9;

/** The numbers that the server itself writes. */
export const CiscoType = {
  AvPair: 1,
  AccountInfo: 250,
  ServiceInfo: 251,
  CommandCode: 252,
} as const;

export const cisco: DictionaryTable = {
  vendor: { name: 'Cisco', id: CISCO_VENDOR_ID },
  attributes: {
    'Cisco-AVPair': [1, 'string'],
    'Cisco-NAS-Port': [2, 'string'],
    'Cisco-Policy-Up': [37, 'string'],
    'Cisco-Policy-Down': [38, 'string'],
    'Cisco-Service-Name': [51, 'string'],
    'Cisco-Parent-Session-Id': [52, 'string'],
    'Cisco-Sub-QoS-Pol-In': [55, 'string'],
    'Cisco-Sub-QoS-Pol-Out': [56, 'string'],
    'Cisco-In-ACL': [57, 'string'],
    'Cisco-Out-ACL': [58, 'string'],
    'Cisco-Sub-Activate-Service': [60, 'string'],
    'Cisco-IPv6-In-ACL': [61, 'string'],
    'Cisco-IPv6-Out-ACL': [62, 'string'],
    'Cisco-Sub-Deactivate-Service': [63, 'string'],
    'Cisco-Multilink-ID': [187, 'integer'],
    'Cisco-Num-In-Multilink': [188, 'integer'],
    'Cisco-Maximum-Time': [194, 'integer'],
    'Cisco-Disconnect-Cause': [195, 'integer'],
    'Cisco-Account-Info': [250, 'string'],
    'Cisco-Service-Info': [251, 'string'],
    'Cisco-Command-Code': [252, 'string'],
    'Cisco-Control-Info': [253, 'string'],
  },
};
