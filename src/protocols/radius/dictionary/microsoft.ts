// Microsoft's attributes: RFC 2548, and MS-RNAP of the Windows protocol documentation.

import type { DictionaryTable } from '../dictionary.ts';

export const MICROSOFT_VENDOR_ID = 311;

/** The numbers that the server itself reads and writes. */
export const MicrosoftType = {
  ChapResponse: 1,
  ChapError: 2,
  MppeEncryptionPolicy: 7,
  MppeEncryptionTypes: 8,
  ChapChallenge: 11,
  ChapMppeKeys: 12,
  MppeSendKey: 16,
  MppeRecvKey: 17,
  Chap2Response: 25,
  Chap2Success: 26,
} as const;

export const microsoft: DictionaryTable = {
  vendor: { name: 'Microsoft', id: MICROSOFT_VENDOR_ID },
  attributes: {
    'MS-CHAP-Response': [1, 'octets'],
    'MS-CHAP-Error': [2, 'string'],
    'MS-CHAP-CPW-1': [3, 'octets'],
    'MS-CHAP-CPW-2': [4, 'octets'],
    'MS-CHAP-LM-Enc-PW': [5, 'octets'],
    'MS-CHAP-NT-Enc-PW': [6, 'octets'],
    'MS-MPPE-Encryption-Policy': [7, 'integer'],
    'MS-MPPE-Encryption-Types': [8, 'integer'],
    'MS-RAS-Vendor': [9, 'integer'],
    'MS-CHAP-Domain': [10, 'string'],
    'MS-CHAP-Challenge': [11, 'octets'],
    'MS-CHAP-MPPE-Keys': [12, 'octets', 'hidden'],
    'MS-BAP-Usage': [13, 'integer'],
    'MS-Link-Utilization-Threshold': [14, 'integer'],
    'MS-Link-Drop-Time-Limit': [15, 'integer'],
    'MS-MPPE-Send-Key': [16, 'octets', 'salted'],
    'MS-MPPE-Recv-Key': [17, 'octets', 'salted'],
    'MS-RAS-Version': [18, 'string'],
    'MS-Old-ARAP-Password': [19, 'octets'],
    'MS-New-ARAP-Password': [20, 'octets'],
    'MS-ARAP-PW-Change-Reason': [21, 'integer'],
    'MS-Filter': [22, 'octets'],
    'MS-Acct-Auth-Type': [23, 'integer'],
    'MS-Acct-EAP-Type': [24, 'integer'],
    'MS-CHAP2-Response': [25, 'octets'],
    'MS-CHAP2-Success': [26, 'octets'],
    'MS-CHAP2-CPW': [27, 'octets'],
    'MS-Primary-DNS-Server': [28, 'ipaddr'],
    'MS-Secondary-DNS-Server': [29, 'ipaddr'],
    'MS-Primary-NBNS-Server': [30, 'ipaddr'],
    'MS-Secondary-NBNS-Server': [31, 'ipaddr'],
    'MS-RAS-Client-Name': [34, 'string'],
    'MS-RAS-Client-Version': [35, 'string'],
    'MS-User-IPv4-Address': [61, 'ipaddr'],
    'MS-User-IPv6-Address': [62, 'ipv6addr'],
  },
  values: {
    'MS-MPPE-Encryption-Policy': { 'Encryption-Allowed': 1, 'Encryption-Required': 2 },
    'MS-MPPE-Encryption-Types': {
      'RC4-40bit-Allowed': 2,
      'RC4-128bit-Allowed': 4,
      'RC4-40or128-bit-Allowed': 6,
    },
    'MS-BAP-Usage': { 'Not-Allowed': 0, Allowed: 1, Required: 2 },
    'MS-ARAP-PW-Change-Reason': {
      'Just-Change-Password': 1,
      'Expired-Password': 2,
      'Admin-Requires-Password-Change': 3,
      'Password-Too-Short': 4,
    },
    'MS-Acct-Auth-Type': { PAP: 1, CHAP: 2, 'MS-CHAP-1': 3, 'MS-CHAP-2': 4, EAP: 5 },
    'MS-Acct-EAP-Type': { MD5: 4, OTP: 5, 'Generic-Token-Card': 6, TLS: 13 },
  },
};
