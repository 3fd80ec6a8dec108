// ChilliSpot's attributes, which CoovaChilli and many hotspot images still use. Bandwidth is in
// kbit/s; input is what the subscriber uploads.

import type { DictionaryTable } from '../dictionary.ts';

export const CHILLISPOT_VENDOR_ID = 14559;

/** The numbers that the server itself writes. */
export const ChillispotType = {
  MaxInputOctets: 1,
  MaxOutputOctets: 2,
  MaxTotalOctets: 3,
  BandwidthMaxUp: 4,
  BandwidthMaxDown: 5,
} as const;

export const chillispot: DictionaryTable = {
  vendor: { name: 'ChilliSpot', id: CHILLISPOT_VENDOR_ID },
  attributes: {
    'ChilliSpot-Max-Input-Octets': [1, 'integer'],
    'ChilliSpot-Max-Output-Octets': [2, 'integer'],
    'ChilliSpot-Max-Total-Octets': [3, 'integer'],
    'ChilliSpot-Bandwidth-Max-Up': [4, 'integer'],
    'ChilliSpot-Bandwidth-Max-Down': [5, 'integer'],
    'ChilliSpot-Config': [6, 'string'],
    'ChilliSpot-Lang': [7, 'string'],
    'ChilliSpot-Version': [8, 'string'],
    'ChilliSpot-OriginalURL': [9, 'string'],
    'ChilliSpot-Acct-View-Point': [10, 'integer'],
    'ChilliSpot-Require-UAM': [11, 'string'],
    'ChilliSpot-Require-Splash': [12, 'string'],
    'ChilliSpot-Route-To-Interface': [13, 'string'],
    'ChilliSpot-Config-Url': [14, 'string'],
    'ChilliSpot-Max-Input-Gigawords': [21, 'integer'],
    'ChilliSpot-Max-Output-Gigawords': [22, 'integer'],
    'ChilliSpot-Max-Total-Gigawords': [23, 'integer'],
    'ChilliSpot-UAM-Allowed': [100, 'string'],
    'ChilliSpot-MAC-Allowed': [101, 'string'],
    'ChilliSpot-Interval': [102, 'integer'],
  },
};
