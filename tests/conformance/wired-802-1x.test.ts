// A whole login by 802.1X, with nothing of ours but the server: wpa_supplicant as the device, hostapd as the
// switch that it is plugged into, in network namespaces. And what such a switch does when the server that it
// uses is killed in the middle of a login, and it has another. IEEE 802.1X-2004, RFC 3579, 3580.

import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from 'vitest';
import type { CertificateAuthority, Issued } from '../servers/certificate-authority.ts';
import { createCertificateAuthority } from '../servers/certificate-authority.ts';
import type { Evergate } from '../servers/evergate.ts';
import { startEvergate } from '../servers/evergate.ts';
import type { Hostapd } from '../servers/hostapd.ts';
import { startHostapd } from '../servers/hostapd.ts';
import type { NetworkNamespace } from '../servers/network-namespace.ts';
import { layCable, openNetworkNamespace, ownAddress } from '../servers/network-namespace.ts';
import { startPostgres } from '../servers/postgres.ts';
import { startRedis } from '../servers/redis.ts';
import type { ServerProcess } from '../servers/server-process.ts';
import type { WpaSupplicant } from '../servers/wpa-supplicant.ts';
import { startWpaSupplicant } from '../servers/wpa-supplicant.ts';

const SECRET = 'testing123';
const SWITCHES = ['switch-1', 'switch-2', 'switch-3'];
const NODE_ADDRESSES = [ownAddress(1), ownAddress(2)];
const START_WITHIN_MS = 60_000;
const FAILOVER_WITHIN_MS = 90_000;
const USER_REQUEST = 1;

const opened = new AsyncDisposableStack();
const places: Place[] = [];
const nodes: Evergate[] = [];
let authority: CertificateAuthority;
let certificate: Issued;

/** A switch, and the device on one of its ports. */
type Place = {
  name: string;
  ofSwitch: NetworkNamespace;
  ofDevice: NetworkNamespace;
  port: string;
  devicePort: string;
};

beforeAll(async () => {
  for (const name of SWITCHES) places.push(openPlace(name));
  const redis = opened.use(await startRedis());
  const postgres = opened.use(await startPostgres());
  authority = opened.use(createCertificateAuthority('Test Root'));
  certificate = authority.issue({ usage: 'client', commonName: 'alice' });
  const name = 'radius.example.org';
  const server = authority.issue({ usage: 'server', commonName: name, names: [`DNS:${name}`] });
  const shared = {
    EVERGATE_DATABASE_URL: postgres.url,
    EVERGATE_STATE_URL: redis.url,
    EVERGATE_SECRETS_KEY: randomBytes(32).toString('hex'),
    EVERGATE_RADIUS_REJECT_DELAY: '0',
    EVERGATE_RADIUS_EAP_CERTIFICATE: server.certificateFile,
    EVERGATE_RADIUS_EAP_KEY: server.keyFile,
    EVERGATE_RADIUS_EAP_CLIENT_CA: authority.certificateFile,
  };
  const nodeOn = (address = '') => ({ ...shared, EVERGATE_RADIUS_HOST: address });
  // The second one has the API, which outlives the first.
  const second = await startEvergate({
    environment: { ...nodeOn(NODE_ADDRESSES[1]), EVERGATE_NODE: 'node-2' },
    apply: {
      sites: [{ name: 'office', timezone: 'UTC' }],
      routers: SWITCHES.map((switchName, index) => ({
        name: switchName,
        site: 'office',
        address: `${switchAddress(index)}/32`,
        secret: SECRET,
      })),
      plans: [{ name: 'hour', duration: '1h' }],
      subscribers: [{ username: 'alice', password: 'wonderland', plan: 'hour' }],
    },
  });
  opened.use(second);
  const first = await startEvergate({
    services: ['radius'],
    environment: { ...nodeOn(NODE_ADDRESSES[0]), EVERGATE_NODE: 'node-1' },
  });
  nodes.push(opened.use(first), second);
}, START_WITHIN_MS);

afterAll(() => opened.disposeAsync());

describe('a device on a port of a switch', () => {
  test.each([
    ['PEAP-MSCHAPv2', () => peap('password="wonderland"')],
    ['EAP-TLS', () => eapTls()],
  ])('is let in, counted, asked again and seen off: %s', async (_, network) => {
    await using login = await startLogin(place(0), network());
    const { device, hostapd, address } = login;
    await until('the login', () => isAuthorized(login));
    await says(device, 'CTRL-EVENT-EAP-SUCCESS');
    expect(device.status()).toMatchObject({ eap_tls_version: 'TLSv1.3', tls_session_reused: '0' });
    // What it called itself outside the tunnel is on no record.
    expect(hostapd.device(address)).toMatchObject({ dot1xAuthSessionUserName: 'alice' });

    await until('the session', async () => (await openSessions(login)).length === 1);
    const [session] = await openSessions(login);
    expect(session).toMatchObject({ username: 'alice', router: 'switch-1', open: true });

    hostapd.cli('raw', 'EAPOL_REAUTH', address);
    await until('the second login', () => {
      return device.process.output().split('CTRL-EVENT-EAP-SUCCESS').length === 3;
    });
    expect(device.status()).toMatchObject({ tls_session_reused: '1' });
    expect(isAuthorized(login)).toBe(true);
    expect(await openSessions(login)).toMatchObject([{ id: session?.['id'] }]);

    device.cli('logoff');
    await until('the port is closed', () => !isAuthorized(login));
    await until('the session has ended', async () => (await openSessions(login)).length === 0);
    const ended = await nodes[1]?.api(`/v1/sessions/${String(session?.['id'])}`);
    expect(await ended?.json()).toMatchObject({ open: false, terminate_cause: USER_REQUEST });
  });

  test('stays outside with a wrong password', async () => {
    await using login = await startLogin(place(0), peap('password="looking-glass"'));
    await says(login.device, 'CTRL-EVENT-EAP-FAILURE');
    await says(login.hostapd, 'authentication failed');
    expect(isAuthorized(login)).toBe(false);
    expect(login.hostapd.process.output()).not.toContain('starting accounting session');
    expect(await openSessions(login)).toEqual([]);
  });
});

// What hostapd 2.10 does: it repeats the same bytes after 3, 9 and 21 s and turns to its next server after
// 45 s, from another port; accounting likewise. A refused datagram does not hurry it, but when its network
// has no way to the server at all it turns after 3 s, at its first repetition. Both sides of the cable give
// up after 30 s (serverTimeout, authPeriod) and begin anew, so that a login which shall outlive the 45 s
// needs more patience than is usual; without it the second one is through at that time.
describe('the node in use is killed in the middle of a login', () => {
  test(
    'and each login goes on at the other, where the device was',
    async () => {
      // All wait for somebody to tell them something, with the node's answer in their hands.
      await using inTunnel = await startLogin(place(0), peap());
      await using inHandshake = await startLogin(place(1), eapTls('tls_ext_cert_check=1'));
      await using silent = await startLogin(place(2), eapTls('tls_ext_cert_check=1'));
      await asksFor(inTunnel, 'PASSWORD');
      await asksFor(inHandshake, 'EXT_CERT_CHECK');
      await asksFor(silent, 'EXT_CERT_CHECK');
      expect(
        await nodes[0]?.metric('radius_responses_total', { type: 'challenge' }),
      ).toBeGreaterThan(6);
      expect(await nodes[1]?.metric('radius_requests_total', { type: 'access' })).toBe(0);

      silent.hostapd.cli('raw', 'EAPOL_SET', silent.address, 'serverTimeout', '60');
      silent.device.cli('set', 'EAPOL::authPeriod', '60');
      await nodes[0]?.process.kill();
      for (const { ofSwitch } of [place(0), place(1)]) {
        ofSwitch.ip('route', 'delete', NODE_ADDRESSES[0] ?? '');
      }
      inTunnel.device.cli('password', '0', 'wonderland');
      inHandshake.device.cli('raw', 'CTRL-RSP-EXT_CERT_CHECK-0:good');
      silent.device.cli('raw', 'CTRL-RSP-EXT_CERT_CHECK-0:good');

      await until('logins without a way to the first server', () =>
        [inTunnel, inHandshake].every(isAuthorized),
      );
      await until('the login at a silent server', () => isAuthorized(silent), FAILOVER_WITHIN_MS);
      for (const { hostapd, address, device } of [inTunnel, inHandshake, silent]) {
        await says(hostapd, 'No response from Authentication server');
        // Nobody began anew.
        expect(hostapd.device(address)).toMatchObject({ dot1xAuthEapolRespIdFramesRx: '1' });
        expect(device.process.output()).not.toContain('CTRL-EVENT-EAP-FAILURE');
      }
      expect(await nodes[1]?.metric('evergate_logins_total', { outcome: 'accept' })).toBe(3);
      for (const login of [inTunnel, inHandshake]) {
        await until('its session', async () => (await openSessions(login)).length === 1);
      }
    },
    FAILOVER_WITHIN_MS,
  );
});

type Login = AsyncDisposable & {
  place: Place;
  hostapd: Hostapd;
  device: WpaSupplicant;
  /** Of the device, as hostapd knows it. */
  address: string;
};

/** Of a device that is plugged in at this moment. */
async function startLogin(at: Place, network: string[]): Promise<Login> {
  await using starting = new AsyncDisposableStack();
  const hostapd = await startHostapd({
    namespace: at.ofSwitch,
    interface: at.port,
    name: at.name,
    secret: SECRET,
    servers: nodes.map(({ authPort, acctPort }, index) => ({
      address: NODE_ADDRESSES[index] ?? '',
      authPort,
      acctPort,
    })),
  });
  starting.use(hostapd);
  const device = await startWpaSupplicant({
    namespace: at.ofDevice,
    interface: at.devicePort,
    network,
  });
  starting.use(device);
  showWhenFailed(`hostapd of ${at.name}`, hostapd.process);
  showWhenFailed(`the device at ${at.name}`, device.process);
  for (const node of nodes) showWhenFailed('evergate', node.process);
  const closing = starting.move();
  return {
    place: at,
    hostapd,
    device,
    address: device.status()['address'] ?? '',
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
}

/** Without a password it asks for one when the server does, inside the tunnel. */
function peap(...password: string[]): string[] {
  return [
    'eap=PEAP',
    'anonymous_identity="anonymous"',
    'identity="alice"',
    'phase1="tls_disable_tlsv1_3=0"',
    'phase2="auth=MSCHAPV2"',
    `ca_cert="${authority.certificateFile}"`,
    ...password,
  ];
}

/** With tls_ext_cert_check it asks whether the server's certificate is good before it shows its own. */
function eapTls(...phase1: string[]): string[] {
  return [
    'eap=TLS',
    'identity="alice"',
    `phase1="${['tls_disable_tlsv1_3=0', ...phase1].join(' ')}"`,
    `ca_cert="${authority.certificateFile}"`,
    `client_cert="${certificate.certificateFile}"`,
    `private_key="${certificate.keyFile}"`,
  ];
}

function openPlace(name: string): Place {
  const index = places.length;
  const ofSwitch = opened.use(openNetworkNamespace(name));
  const ofDevice = opened.use(openNetworkNamespace(`device-${index + 1}`));
  const address = switchAddress(index);
  layCable(
    { reaches: [address], addresses: index === 0 ? NODE_ADDRESSES : [] },
    { namespace: ofSwitch, addresses: [address], reaches: NODE_ADDRESSES },
  );
  const [port, devicePort] = layCable({ namespace: ofSwitch }, { namespace: ofDevice });
  return { name, ofSwitch, ofDevice, port, devicePort };
}

function switchAddress(index: number): string {
  return ownAddress(3 + index);
}

function place(index: number): Place {
  const found = places[index];
  if (found === undefined) throw new Error(`there is no switch ${index}`);
  return found;
}

function isAuthorized({ device, hostapd, address }: Login): boolean {
  return (
    device.status()['suppPortStatus'] === 'Authorized' &&
    hostapd.device(address)['flags']?.includes('[AUTHORIZED]') === true
  );
}

async function asksFor({ device }: Login, what: string): Promise<void> {
  await says(device, `CTRL-REQ-${what}-0`);
}

async function says({ process }: { process: ServerProcess }, text: string): Promise<void> {
  await until(`“${text}”`, () => process.output().includes(text));
}

/** At the switch of this login. */
async function openSessions({ place: { name } }: Login): Promise<Record<string, unknown>[]> {
  const response = await nodes[1]?.api(`/v1/sessions?open=true&router=${name}`);
  const body = (await response?.json()) as { data: Record<string, unknown>[] };
  return body.data;
}

async function until(
  what: string,
  isTrue: () => boolean | Promise<boolean>,
  withinMs = 15_000,
): Promise<void> {
  const deadlineMs = performance.now() + withinMs;
  while (!(await isTrue())) {
    if (performance.now() > deadlineMs) throw new Error(`waited in vain for ${what}`);
    await sleep(50);
  }
}

function showWhenFailed(name: string, { output }: ServerProcess) {
  onTestFailed(() => {
    console.error(`--- ${name}\n${output().slice(-40_000)}`);
  });
}
