// The load of logins by EAP-TLS: many devices that log in, think and log in again. How long they think is
// random: devices that all come back at once would fall into step with the server, and wait together.
// Every login is checked: accepted, and with the keys that the device has derived.

import { performance } from 'node:perf_hooks';
import type { SecureContext } from 'node:tls';
import type { Runtime } from '../../../src/runtime/runtime.ts';
import { createEapDevice } from '../../../src/services/client/eap-device.ts';
import { tryEapLogin } from '../../../src/services/client/eap-login.ts';
import { createRadiusClient } from '../../../src/services/client/radius-client.ts';
import type { RadiusClient } from '../../../src/services/client/radius-client.ts';
import { createTlsClient } from '../../../src/services/client/tls-client.ts';
import type { LoadResult } from './load.ts';
import { createLatencies } from './latencies.ts';

export type EapLoadOptions = {
  authPort: number;
  secret: string;
  /** Each device has one of these, and so one certificate. */
  contexts: readonly { username: string; context: SecureContext }[];
  devices: number;
  /** On average, between two logins of a device. */
  thinkMs: number;
  /** With what the last login of this device has earned. */
  resumes: boolean;
  warmUpMs: number;
  durationMs: number;
  timeoutMs: number;
  onBegin: () => void;
  onEnd: () => void;
};

export type EapLoadResult = LoadResult & {
  /** Packets of the device in one login. */
  roundsPerLogin: number;
  /** The share of logins with a short handshake. */
  resumedShare: number;
};

/** RADIUS has 256 identifiers for each socket. */
const DEVICES_PER_SOCKET = 32;

export async function runEapLoad(
  options: EapLoadOptions,
  runtime: Runtime,
): Promise<EapLoadResult> {
  const { clock, random } = runtime;
  await using opened = new AsyncDisposableStack();
  const clients: RadiusClient[] = [];
  for (let i = 0; i * DEVICES_PER_SOCKET < options.devices; i++) {
    const { secret, timeoutMs } = options;
    const settings = { address: '127.0.0.1', secret, timeoutMs, retransmitAfterMs: 1_000 };
    clients.push(opened.use(await createRadiusClient(settings, runtime)));
  }
  const latencies = createLatencies();
  const counts = { replies: 0, accepts: 0, rejects: 0, rounds: 0, resumed: 0 };
  const faults = { lost: 0, bad: 0, wrong: 0 };
  let isMeasuring = false;
  let isOver = false;

  async function live(number: number): Promise<void> {
    const client = clients[Math.floor(number / DEVICES_PER_SOCKET)];
    const identity = options.contexts[number % options.contexts.length];
    if (client === undefined || identity === undefined) return;
    let session: Buffer | undefined;
    while (!isOver) {
      await clock.sleep(-Math.log(1 - random.fraction()) * options.thinkMs);
      const earned = await logIn(client, number, identity, session);
      // A resumed login earns no other ticket; the first one serves as long as it lives.
      if (options.resumes) session = earned ?? session;
    }
  }

  async function logIn(
    client: RadiusClient,
    number: number,
    { username, context }: { username: string; context: SecureContext },
    session?: Buffer,
  ): Promise<Buffer | undefined> {
    const startedMs = performance.now();
    const resuming = session === undefined ? {} : { session };
    using tls = createTlsClient({ context, isServerChecked: true, ...resuming }, clock);
    const credentials = { username, password: '', identity: username };
    const device = createEapDevice('tls', credentials, tls, random);
    const outcome = await tryEapLogin(client, options.authPort, {
      device,
      identity: username,
      place: {
        nasIdentifier: 'bench',
        nasIpAddress: '127.0.0.1',
        calledStationId: '02-00-00-00-00-00:bench',
        callingStationId: `02-00-00-00-00-${number.toString(16).padStart(2, '0')}`,
      },
    });
    if (outcome.kind === 'silence' || outcome.kind === 'busy') faults.lost++;
    else if (outcome.kind !== 'accepted') faults.wrong++;
    else if (outcome.keys !== 'same') faults.bad++;
    if (isMeasuring && outcome.kind === 'accepted') {
      latencies.record((performance.now() - startedMs) * 1000);
      counts.replies++;
      counts.accepts++;
      counts.rounds += outcome.rounds;
      if (tls.facts()?.isResumed === true) counts.resumed++;
    }
    return tls.session();
  }

  const lives = Array.from({ length: options.devices }, (_, number) => live(number));
  await clock.sleep(options.warmUpMs);
  options.onBegin();
  const beganMs = performance.now();
  isMeasuring = true;
  await clock.sleep(options.durationMs);
  isMeasuring = false;
  const seconds = (performance.now() - beganMs) / 1000;
  options.onEnd();
  isOver = true;
  await Promise.all(lives);

  const { rounds, resumed, ...answered } = counts;
  return {
    engine: 'eap',
    seconds,
    sent: counts.replies,
    ...answered,
    acctResponses: 0,
    ...faults,
    unasked: 0,
    skipped: 0,
    requestsPerSecond: counts.replies / seconds,
    latencyMicroseconds: {
      p50: latencies.percentile(0.5),
      p95: latencies.percentile(0.95),
      p99: latencies.percentile(0.99),
    },
    acknowledged: { starts: 0, interims: 0, stops: 0 },
    roundsPerLogin: rounds / Math.max(1, counts.replies),
    resumedShare: resumed / Math.max(1, counts.replies),
  };
}
