// Simultaneous use on a real process: seats follow logins and accounting, also when a router that
// lost its power tells us so.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { PacketCode } from '../../src/protocols/radius/packet.ts';
import { createSystemRuntime } from '../../src/runtime/system-runtime.ts';
import { reportAccounting } from '../../src/services/client/account.ts';
import { tryLogin } from '../../src/services/client/login.ts';
import { macAddress } from '../../src/services/client/place.ts';
import { createRadiusClient } from '../../src/services/client/radius-client.ts';
import type { RadiusClient } from '../../src/services/client/radius-client.ts';
import { startEvergate } from '../servers/evergate.ts';
import type { Evergate } from '../servers/evergate.ts';

const ACCT_STATUS_TYPE = 40;
const ACCOUNTING_ON = 7;
const NAS_IDENTIFIER = 32;

const runtime = createSystemRuntime({
  log: { level: 'silent', format: 'json' },
  fields: {},
  engine: 'dgram',
  processMetrics: false,
});
let evergate: Evergate;
let router: RadiusClient;

beforeAll(async () => {
  evergate = await startEvergate({
    apply: {
      sites: [{ name: 'lab', timezone: 'UTC' }],
      routers: [{ name: 'r1', site: 'lab', address: '127.0.0.1', secret: 'testing123' }],
      plans: [{ name: 'single', devices: 1 }],
      subscribers: [{ username: 'alice', password: 'wonderland', plan: 'single' }],
    },
    environment: { EVERGATE_RADIUS_REJECT_DELAY: '0' },
  });
  router = await createRadiusClient(
    { address: '127.0.0.1', secret: 'testing123', timeoutMs: 10_000, retransmitAfterMs: 2_000 },
    runtime,
  );
});

afterAll(async () => {
  await router[Symbol.asyncDispose]();
  await evergate[Symbol.asyncDispose]();
});

function placeOf(station: number) {
  return {
    nasIdentifier: 'lab-1',
    nasIpAddress: '127.0.0.1',
    calledStationId: `${macAddress(1)}:lab`,
    callingStationId: macAddress(station),
  };
}

async function logIn(station: number): Promise<string> {
  const login = {
    username: 'alice',
    password: 'wonderland',
    method: 'pap' as const,
    place: placeOf(station),
  };
  const outcome = await tryLogin(router, evergate.authPort, login, runtime.random);
  return outcome.kind;
}

async function report(kind: 'start' | 'stop', station: number): Promise<void> {
  const outcome = await reportAccounting(router, evergate.acctPort, {
    kind,
    acctSessionId: `s${station}`,
    multiSessionId: `s${station}`,
    username: 'alice',
    framedIpAddress: '10.0.0.1',
    place: placeOf(station),
    seconds: 10,
    inputOctets: 1,
    outputOctets: 1,
    eventAtMs: Date.now() - 2_000,
  });
  expect(outcome.kind).toBe('answer');
}

test('a seat is free again after the Stop', async () => {
  expect(await logIn(1)).toBe('accepted');
  await report('start', 1);
  expect(await logIn(2)).toBe('rejected');
  await report('stop', 1);
  await expect.poll(() => logIn(2), { timeout: 10_000 }).toBe('accepted');
});

test('a router that restarts gives the seats of its sessions back', async () => {
  await report('start', 2);
  expect(await logIn(3)).toBe('rejected');
  const outcome = await router.exchange({
    code: PacketCode.AccountingRequest,
    port: evergate.acctPort,
    write(writer) {
      writer.integer(ACCT_STATUS_TYPE, ACCOUNTING_ON);
      writer.text(NAS_IDENTIFIER, 'lab-1');
    },
  });
  expect(outcome.kind).toBe('answer');
  await expect.poll(() => logIn(3), { timeout: 10_000 }).toBe('accepted');
});
