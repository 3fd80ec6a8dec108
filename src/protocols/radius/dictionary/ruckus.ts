// Ruckus's attributes, from the SmartZone and ZoneDirector RADIUS references.

import type { DictionaryTable } from '../dictionary.ts';

export const RUCKUS_VENDOR_ID = 25053;

export const ruckus: DictionaryTable = {
  vendor: { name: 'Ruckus', id: RUCKUS_VENDOR_ID },
  attributes: {
    'Ruckus-User-Groups': [1, 'string'],
    'Ruckus-Sta-RSSI': [2, 'integer'],
    'Ruckus-SSID': [3, 'string'],
    'Ruckus-Wlan-Id': [4, 'integer'],
    'Ruckus-Location': [5, 'string'],
    'Ruckus-Grace-Period': [6, 'integer'],
    'Ruckus-SCG-CBlade-IP': [7, 'integer'],
    'Ruckus-SCG-DBlade-IP': [8, 'integer'],
    'Ruckus-VLAN-ID': [9, 'integer'],
    'Ruckus-Sta-Expiration': [10, 'integer'],
    'Ruckus-Sta-UUID': [11, 'string'],
    'Ruckus-Accept-Enhancement-Reason': [12, 'integer'],
    'Ruckus-Sta-Inner-Id': [13, 'string'],
    'Ruckus-BSSID': [14, 'octets'],
    'Ruckus-Session-Type': [125, 'integer'],
    'Ruckus-Accounting-Status': [126, 'integer'],
    'Ruckus-Zone-Id': [127, 'string'],
    'Ruckus-Auth-Server-Id': [128, 'string'],
    'Ruckus-Utp-Id': [129, 'string'],
    'Ruckus-Wispr-Redirect-Policy': [132, 'string'],
    'Ruckus-Eth-Profile-Id': [133, 'integer'],
    'Ruckus-Zone-Name': [134, 'string'],
    'Ruckus-Wlan-Name': [135, 'string'],
    'Ruckus-AP-Roamed': [136, 'integer'],
    'Ruckus-Client-Host-Name': [138, 'string'],
    'Ruckus-Client-Os-Type': [139, 'string'],
    'Ruckus-Client-Os-Class': [140, 'string'],
    'Ruckus-Vlan-Pool': [141, 'string'],
    'Ruckus-Dpsk': [142, 'octets'],
    'Ruckus-CP-Token': [143, 'string'],
    'Ruckus-Max-DL-UL-Quota': [144, 'integer'],
    'Ruckus-Traffic-Class-Attribute-Ids': [145, 'string'],
    'Ruckus-TC-Attr-Ids-With-Quota': [146, 'tlv'],
    'Ruckus-TC-Name-Quota': ['146.1', 'string'],
    'Ruckus-TC-Quota': ['146.2', 'octets'],
  },
};
