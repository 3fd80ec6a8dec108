// Aruba's attributes, from the ArubaOS user guide.

import type { DictionaryTable } from '../dictionary.ts';

export const ARUBA_VENDOR_ID = 14823;

/** The numbers that the server itself writes. */
export const ArubaType = { UserRole: 1, UserVlan: 2 } as const;

export const aruba: DictionaryTable = {
  vendor: { name: 'Aruba', id: ARUBA_VENDOR_ID },
  attributes: {
    'Aruba-User-Role': [1, 'string'],
    'Aruba-User-Vlan': [2, 'integer'],
    'Aruba-Priv-Admin-User': [3, 'integer'],
    'Aruba-Admin-Role': [4, 'string'],
    'Aruba-Essid-Name': [5, 'string'],
    'Aruba-Location-Id': [6, 'string'],
    'Aruba-Port-Identifier': [7, 'string'],
    'Aruba-MMS-User-Template': [8, 'string'],
    'Aruba-Named-User-Vlan': [9, 'string'],
    'Aruba-AP-Group': [10, 'string'],
    'Aruba-Framed-IPv6-Address': [11, 'string'],
    'Aruba-Device-Type': [12, 'string'],
    'Aruba-No-DHCP-Fingerprint': [14, 'integer'],
    'Aruba-CPPM-Role': [23, 'string'],
    'Aruba-AirGroup-User-Name': [24, 'string'],
    'Aruba-AirGroup-Shared-User': [25, 'string'],
    'Aruba-AirGroup-Shared-Role': [26, 'string'],
    'Aruba-AirGroup-Device-Type': [27, 'integer'],
    'Aruba-AP-IP-Address': [34, 'ipaddr'],
    'Aruba-User-Group': [36, 'string'],
    'Aruba-Port-Bounce-Host': [40, 'integer'],
    'Aruba-Captive-Portal-URL': [43, 'string'],
    'Aruba-MPSK-Passphrase': [44, 'octets', 'salted'],
    'Aruba-NAS-Filter-Rule': [51, 'string'],
    'Aruba-AP-MAC-Address': [60, 'string'],
    'Aruba-Device-MAC-Address': [61, 'string'],
  },
  values: {
    'Aruba-AirGroup-Device-Type': {
      'Personal-Device': 1,
      'Shared-Device': 2,
      'Deleted-Device': 3,
    },
  },
};
