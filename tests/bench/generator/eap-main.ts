// The load of logins by EAP-TLS as a process of its own: flags in, one line of JSON out, as main.ts.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createSystemRuntime } from '../../../src/runtime/system-runtime.ts';
import { createTlsContext } from '../../../src/services/client/tls-client.ts';
import { CLIENT_CERTIFICATES } from '../eap-certificates.ts';
import { runEapLoad } from './eap.ts';
import { createWatch } from './watch.ts';

const { values } = parseArgs({
  options: {
    'auth-port': { type: 'string', default: '1812' },
    secret: { type: 'string', default: 'testing123' },
    certificates: { type: 'string', default: '.' },
    'max-version': { type: 'string', default: '1.3' },
    devices: { type: 'string', default: '24' },
    think: { type: 'string', default: '10' },
    resume: { type: 'boolean', default: false },
    'warm-up': { type: 'string', default: '1' },
    duration: { type: 'string', default: '5' },
    timeout: { type: 'string', default: '5' },
    watch: { type: 'string', default: '' },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) {
  console.log(`Logins by EAP-TLS. One line of JSON on standard output.
  --auth-port 1812 --secret testing123
  --certificates .         a directory with ca.pem, user0.pem, user0.key, …
  --max-version 1.3        or 1.2
  --devices 24 --think 10  so many at a time, and their pause in milliseconds
  --resume                 short handshakes, after the first one of each device
  --warm-up 1 --duration 5 --timeout 5     seconds
  --watch PID[,PID]        report processor time and memory of these and their children`);
  process.exit(0);
}

const read = (name: string) => readFileSync(join(values.certificates, name), 'utf8');
const authorities = read('ca.pem');
const maxVersion = values['max-version'] === '1.2' ? '1.2' : '1.3';
const contexts = Array.from({ length: CLIENT_CERTIFICATES }, (_, user) => {
  const username = `user${user}`;
  const own = { certificate: read(`${username}.pem`), key: read(`${username}.key`) };
  return { username, context: createTlsContext({ authorities, ...own, maxVersion }) };
});
const watch = createWatch(values.watch === '' ? [] : values.watch.split(',').map(Number));
const runtime = createSystemRuntime({
  log: { level: 'silent', format: 'json' },
  fields: {},
  engine: 'auto',
  processMetrics: false,
});

const result = await runEapLoad(
  {
    authPort: Number(values['auth-port']),
    secret: values.secret,
    contexts,
    devices: Number(values.devices),
    thinkMs: Number(values.think),
    resumes: values.resume,
    warmUpMs: Number(values['warm-up']) * 1000,
    durationMs: Number(values.duration) * 1000,
    timeoutMs: Number(values.timeout) * 1000,
    onBegin: () => watch.begin(),
    onEnd: () => watch.end(),
  },
  runtime,
);
console.log(JSON.stringify({ ...result, ...watch.usage(result.replies, result.seconds) }));
process.exit(0); // what OpenSSL still holds open does not matter any more
