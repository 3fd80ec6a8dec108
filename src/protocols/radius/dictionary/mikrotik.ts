// MikroTik's attributes, from the RouterOS manual. Rate-Limit counts from the router: rx is what the
// subscriber uploads. Limits have 32 bits; the Gigawords attributes hold the rest.

import type { DictionaryTable } from '../dictionary.ts';

export const MIKROTIK_VENDOR_ID = 14988;

/** The numbers that the server itself writes. */
export const MikrotikType = {
  RecvLimit: 1,
  XmitLimit: 2,
  Group: 3,
  RateLimit: 8,
  RecvLimitGigawords: 14,
  XmitLimitGigawords: 15,
  TotalLimit: 17,
  TotalLimitGigawords: 18,
  AddressList: 19,
} as const;

export const mikrotik: DictionaryTable = {
  vendor: { name: 'Mikrotik', id: MIKROTIK_VENDOR_ID },
  attributes: {
    'Mikrotik-Recv-Limit': [1, 'integer'],
    'Mikrotik-Xmit-Limit': [2, 'integer'],
    'Mikrotik-Group': [3, 'string'],
    'Mikrotik-Wireless-Forward': [4, 'integer'],
    'Mikrotik-Wireless-Skip-Dot1x': [5, 'integer'],
    'Mikrotik-Wireless-Enc-Algo': [6, 'integer'],
    'Mikrotik-Wireless-Enc-Key': [7, 'string'],
    'Mikrotik-Rate-Limit': [8, 'string'],
    'Mikrotik-Realm': [9, 'string'],
    'Mikrotik-Host-IP': [10, 'ipaddr'],
    'Mikrotik-Mark-Id': [11, 'string'],
    'Mikrotik-Advertise-URL': [12, 'string'],
    'Mikrotik-Advertise-Interval': [13, 'integer'],
    'Mikrotik-Recv-Limit-Gigawords': [14, 'integer'],
    'Mikrotik-Xmit-Limit-Gigawords': [15, 'integer'],
    'Mikrotik-Wireless-PSK': [16, 'string'],
    'Mikrotik-Total-Limit': [17, 'integer'],
    'Mikrotik-Total-Limit-Gigawords': [18, 'integer'],
    'Mikrotik-Address-List': [19, 'string'],
    'Mikrotik-Wireless-MPKey': [20, 'string'],
    'Mikrotik-Wireless-Comment': [21, 'string'],
    'Mikrotik-Delegated-IPv6-Pool': [22, 'string'],
    'Mikrotik-DHCP-Option-Set': [23, 'string'],
    'Mikrotik-DHCP-Option-Param-STR1': [24, 'string'],
    'Mikrotik-DHCP-Option-Param-STR2': [25, 'string'],
    'Mikrotik-Wireless-VLANID': [26, 'integer'],
    'Mikrotik-Wireless-VLANID-Type': [27, 'integer'],
    'Mikrotik-Wireless-Minsignal': [28, 'string'],
    'Mikrotik-Wireless-Maxsignal': [29, 'string'],
    'Mikrotik-Switching-Filter': [30, 'string'],
  },
  values: {
    'Mikrotik-Wireless-Enc-Algo': {
      'No-encryption': 0,
      '40-bit-WEP': 1,
      '104-bit-WEP': 2,
      'AES-CCM': 3,
      TKIP: 4,
    },
    'Mikrotik-Wireless-VLANID-Type': { '802.1q': 0, '802.1ad': 1 },
  },
};
