// What is measured, against whom, and what we promised. Ratios compare processor time per request
// with the first contender of the same scenario and the same round.

import type { Contender } from './contenders.ts';
import {
  bareResponder,
  evergate,
  evergateEapTls,
  freeradiusEapTls,
  freeradiusFiles,
  freeradiusSql,
} from './contenders.ts';

export type Scenario = {
  name: string;
  title: string;
  mode: 'pap' | 'acct' | 'mix' | 'eap-tls';
  /** Requests per second; without it, as many as the server can do. */
  rate?: number;
  /** The first is what the others are compared with. */
  contenders: Entry[];
};

export type Entry = {
  contender: Contender;
  /** How many times less processor time per request than the first contender, at least. */
  timesFewerCpu?: number;
  /** At fixed rates: p50 and p99 at most so many times those of the first contender. */
  latencyAtMost?: { p50: number; p99: number };
  /** At fixed rates: p95 at most so many microseconds above that of the first contender. */
  addedP95Microseconds?: number;
  /** The least share of credential look-ups that never leave the node. */
  cacheHitShare?: number;
};

const DGRAM = { EVERGATE_RADIUS_ENGINE: 'dgram' };
const JOURNAL = { EVERGATE_ACCOUNTING_DURABILITY: 'journal' };
const PORTABLE = { engine: 'portable', maxVersion: '1.3' } as const;
const NO_CREDENTIAL_CACHE = { EVERGATE_ACCESS_CREDENTIAL_MAX_AGE: '0' };

export const SCENARIOS: Scenario[] = [
  {
    name: 'pap',
    title: 'Logins (PAP), everything in memory',
    mode: 'pap',
    contenders: [
      { contender: freeradiusFiles },
      { contender: evergate('Evergate, batched'), timesFewerCpu: 2.2 },
      { contender: evergate('Evergate, dgram', { environment: DGRAM }), timesFewerCpu: 1.4 },
      { contender: bareResponder },
    ],
  },
  {
    name: 'accounting',
    title: 'Accounting, answered when durable',
    mode: 'acct',
    contenders: [
      { contender: freeradiusSql },
      { contender: evergate('Evergate, database'), timesFewerCpu: 7 },
      { contender: evergate('Evergate, journal', { environment: JOURNAL }), timesFewerCpu: 15 },
      // Without limits nothing has to be read again when a session ends.
      { contender: evergate('Evergate, database, unlimited plan', { isUnlimited: true }) },
    ],
  },
  {
    name: 'mix',
    title: 'Logins from the database and durable accounting, half and half',
    mode: 'mix',
    contenders: [
      { contender: freeradiusSql },
      { contender: evergate('Evergate'), timesFewerCpu: 7 },
      {
        contender: evergate('Evergate, each login asks the database', {
          environment: NO_CREDENTIAL_CACHE,
        }),
      },
    ],
  },
  {
    name: 'pap-rate',
    title: 'Logins (PAP) in memory at 10,000 per second',
    mode: 'pap',
    rate: 10_000,
    contenders: [
      { contender: freeradiusFiles },
      { contender: evergate('Evergate, batched'), latencyAtMost: { p50: 1, p99: 2 } },
    ],
  },
  {
    name: 'accounting-rate',
    title: 'Durable accounting at 1,500 per second',
    mode: 'acct',
    rate: 1500,
    contenders: [
      { contender: freeradiusSql },
      { contender: evergate('Evergate, database'), latencyAtMost: { p50: 1, p99: 2 } },
    ],
  },
  {
    name: 'redis',
    title: 'Logins with seats at 5,000 per second: shared state in memory and in Redis',
    mode: 'pap',
    rate: 5000,
    contenders: [
      { contender: evergate('Evergate, memory', { devices: 3 }) },
      {
        contender: evergate('Evergate, Redis', { devices: 3, redis: true }),
        addedP95Microseconds: 2000,
        cacheHitShare: 0.95,
      },
    ],
  },
  eapTls('eap-tls', '1.3'),
  eapTls('eap-tls-1.2', '1.2'),
  {
    name: 'eap-tls-resumed',
    title: 'Logins by EAP-TLS 1.3 with the ticket of an earlier one',
    mode: 'eap-tls',
    contenders: [
      { contender: evergateEapTls('Evergate, portable, full', PORTABLE) },
      {
        contender: evergateEapTls('Evergate, portable, resumed', { ...PORTABLE, resumes: true }),
        timesFewerCpu: 2,
      },
    ],
  },
];

/** Full handshakes with P-256 certificates on both sides. */
function eapTls(name: string, maxVersion: '1.2' | '1.3'): Scenario {
  return {
    name,
    title: `Logins by EAP-TLS ${maxVersion}, full handshakes`,
    mode: 'eap-tls',
    contenders: [
      { contender: freeradiusEapTls('FreeRADIUS', { maxVersion }) },
      {
        contender: evergateEapTls('Evergate, portable', { engine: 'portable', maxVersion }),
        timesFewerCpu: 0.9,
      },
      {
        contender: evergateEapTls('Evergate, native', { engine: 'native', maxVersion }),
        timesFewerCpu: 1.2,
      },
    ],
  };
}
