// The load generator as a process of its own, so that it can be pinned to another core than the
// server: flags in, one line of JSON out. `--help` lists the flags.

import { parseArgs } from 'node:util';
import { systemNetwork } from '../../../src/runtime/udp/network.ts';
import type { LoadResult } from './load.ts';
import { runLoad } from './load.ts';
import type { Usage } from './watch.ts';
import { createWatch } from './watch.ts';

/** What the line of JSON holds. */
export type LoadReport = LoadResult & Usage;

const { values } = parseArgs({
  options: {
    host: { type: 'string', default: '127.0.0.1' },
    'auth-port': { type: 'string', default: '1812' },
    'acct-port': { type: 'string', default: '1813' },
    secret: { type: 'string', default: 'testing123' },
    mode: { type: 'string', default: 'pap' },
    users: { type: 'string', default: '10000' },
    bad: { type: 'string', default: '0' },
    ports: { type: 'string', default: '4' },
    outstanding: { type: 'string', default: '128' },
    rate: { type: 'string', default: '0' },
    'warm-up': { type: 'string', default: '1' },
    duration: { type: 'string', default: '5' },
    timeout: { type: 'string', default: '3' },
    sessions: { type: 'string', default: '5000' },
    interims: { type: 'string', default: '1' },
    watch: { type: 'string', default: '' },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) {
  console.log(`A RADIUS load generator. One line of JSON on standard output.
  --host 127.0.0.1 --auth-port 1812 --acct-port 1813 --secret testing123
  --mode pap|acct|mix      logins, accounting, or half of each
  --users 10000            user0 … with the passwords pass0 …
  --bad 0                  share of logins with a wrong password
  --ports 4                source ports for each kind of request
  --outstanding 128        closed loop: requests on their way at a time
  --rate 0                 open loop: requests per second instead
  --warm-up 1 --duration 5 --timeout 3     seconds
  --sessions 5000 --interims 1             accounting: sessions open, interim records in each
  --watch PID[,PID]        report processor time and memory of these and their children`);
  process.exit(0);
}

const acctShares: Record<string, number> = { pap: 0, mix: 0.5, acct: 1 };
const acctShare = acctShares[values.mode];
if (acctShare === undefined) {
  console.error(`--mode is ${values.mode}, and pap, acct and mix are possible.`);
  process.exit(2);
}

const watch = createWatch(values.watch === '' ? [] : values.watch.split(',').map(Number));
const result = await runLoad(systemNetwork(), {
  host: values.host,
  authPort: Number(values['auth-port']),
  acctPort: Number(values['acct-port']),
  secret: values.secret,
  users: Number(values.users),
  acctShare,
  badShare: Number(values.bad),
  ports: Number(values.ports),
  outstanding: Number(values.outstanding),
  rate: Number(values.rate),
  warmUpMs: Number(values['warm-up']) * 1000,
  durationMs: Number(values.duration) * 1000,
  timeoutMs: Number(values.timeout) * 1000,
  openSessions: Number(values.sessions),
  interims: Number(values.interims),
  onBegin: () => watch.begin(),
  onEnd: () => watch.end(),
});

const report: LoadReport = { ...result, ...watch.usage(result.replies, result.seconds) };
console.log(JSON.stringify(report));
