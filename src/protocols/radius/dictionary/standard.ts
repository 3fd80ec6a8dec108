// The dictionary we come with: RFCs and the vendors whose routers we know.

import { createDictionary } from '../dictionary.ts';
import { aruba } from './aruba.ts';
import { chillispot } from './chillispot.ts';
import { cisco } from './cisco.ts';
import { microsoft } from './microsoft.ts';
import { mikrotik } from './mikrotik.ts';
import { rfc } from './rfc.ts';
import { ruckus } from './ruckus.ts';
import { ubiquiti } from './ubiquiti.ts';
import { wispr } from './wispr.ts';

export const standardTables = [
  rfc,
  microsoft,
  mikrotik,
  wispr,
  cisco,
  ruckus,
  aruba,
  ubiquiti,
  chillispot,
] as const;

export const standardDictionary = createDictionary(standardTables);
