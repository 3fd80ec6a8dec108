// Ubiquiti's attributes. UniFi mostly uses those of WISPr and RFC 3580; its own are not in a public
// manual, and these two are what access points from firmware 4.0.59 were seen to understand.

import type { DictionaryTable } from '../dictionary.ts';

export const UBIQUITI_VENDOR_ID = 41112;

export const ubiquiti: DictionaryTable = {
  vendor: { name: 'Ubiquiti', id: UBIQUITI_VENDOR_ID },
  attributes: {
    'UBNT-Data-Rate-DL': [1, 'integer'],
    'UBNT-Data-Rate-UL': [3, 'integer'],
  },
};
