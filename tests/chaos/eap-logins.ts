// 802.1X logins for the chaos tests: three nodes that offer every EAP method, and eapol_test of hostap,
// which is not ours, as the device and its access point. Each login goes through a packet spreader
// (packet-spreader.ts), which the test tells what happens on the way.

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { authorityOf, createAuthority, issueCertificate } from '../../src/protocols/x509/create.ts';
import { startCluster } from '../servers/cluster.ts';
import type { TestCluster } from '../servers/cluster.ts';
import { eapolTestWithTeap } from '../servers/eapol-test-teap.ts';
import { ensureDebianPackage } from '../servers/ensure-package.ts';
import { openPacketSpreader } from './packet-spreader.ts';
import type { RouterPacket, SpreadNode, SpreaderHooks } from './packet-spreader.ts';

const SECRET = 'testing123';
const PASSWORD = 'wonderland';

export type EapLogin = {
  readonly name: string;
  /** Lines of the network block of wpa_supplicant.conf. */
  readonly network: readonly string[];
  readonly tls?: TlsVersion;
  readonly hasKeys: boolean;
  /** Whether the device may come back with a short handshake. */
  readonly resumes: boolean;
  readonly needs: 'eapol_test' | 'eapol_test with TEAP';
};

type TlsVersion = '1.2' | '1.3';
const TLS_VERSIONS: readonly TlsVersion[] = ['1.2', '1.3'];
const ANONYMOUS = 'anonymous_identity="anonymous"';

/** Every method in every way that hostap speaks it. */
export const eapLogins: readonly EapLogin[] = [
  { ...plain('MD5'), hasKeys: false },
  { ...plain('GTC'), hasKeys: false },
  plain('MSCHAPV2'),
  ...TLS_VERSIONS.map((version) => tunnel('TLS', version, 'certificate')),
  ...TLS_VERSIONS.map((version) => tunnel('PEAP', version, 'auth=MSCHAPV2')),
  ...TLS_VERSIONS.map((version) => tunnel('PEAP', version, 'auth=GTC')),
  ...['auth=PAP', 'auth=CHAP', 'auth=MSCHAPV2', 'autheap=MSCHAPV2'].flatMap((inner) =>
    TLS_VERSIONS.map((version) => tunnel('TTLS', version, inner)),
  ),
  ...TLS_VERSIONS.flatMap((version) => [
    tunnel('TEAP', version, 'auth=MSCHAPV2'),
    // It refuses EAP inside, and the server asks for the password itself.
    tunnel('TEAP', version, 'auth=GTC'),
  ]),
];

function plain(method: string): EapLogin {
  return {
    name: `EAP-${method}`,
    network: [`eap=${method}`],
    hasKeys: true,
    resumes: false,
    needs: 'eapol_test',
  };
}

function tunnel(method: string, version: TlsVersion, inner: string): EapLogin {
  // Without the second a client of TLS 1.2 has no way to come back.
  const phase1 =
    version === '1.3'
      ? 'tls_disable_tlsv1_3=0'
      : 'tls_disable_tlsv1_3=1 tls_disable_session_ticket=0';
  const network = [`eap=${method}`, `phase1="${phase1}"`, 'ca_cert="authority.pem"'];
  if (inner === 'certificate') network.push('client_cert="alice.pem"', 'private_key="alice.key"');
  else network.push(ANONYMOUS, `phase2="${inner}"`);
  // hostap 2.10 insists on a place for PACs, which neither side uses.
  if (method === 'TEAP') network.push('pac_file="blob://none"');
  return {
    name: `${method}${inner === 'certificate' ? '' : `/${inner}`} over TLS ${version}`,
    network,
    tls: version,
    hasKeys: true,
    resumes: canResume(method, version, inner),
    needs: method === 'TEAP' ? 'eapol_test with TEAP' : 'eapol_test',
  };
}

/**
 * hostap 2.10 does not try to with TEAP. A ticket of TLS 1.3 travels with what the server says last inside
 * the tunnel: where that is nothing, there is none.
 */
function canResume(method: string, version: TlsVersion, inner: string): boolean {
  if (method === 'TEAP') return false;
  return !(method === 'TTLS' && version === '1.3') || inner === 'auth=MSCHAPV2';
}

export type EapLoginRun = {
  /** Why it is no success, in sentences; with the transcript if there are any. */
  problems: string[];
  packets: number;
  retransmissions: readonly RouterPacket[];
  wasResumed: boolean;
};

export type EapCluster = AsyncDisposable & {
  readonly cluster: TestCluster;
  /** One login, from the first packet to the last; with `again`, a second one of the same device after it. */
  logIn(login: EapLogin, hooks: SpreaderHooks, again?: 'again'): Promise<EapLoginRun>;
};

const DAY_MS = 86_400_000;

export async function startEapCluster(
  nodeEnvironment: Record<string, string> = {},
): Promise<EapCluster> {
  ensureDebianPackage(['eapoltest'], ['eapol_test']);
  const programs = {
    eapol_test: 'eapol_test',
    'eapol_test with TEAP': await eapolTestWithTeap(),
  };
  await using opened = new AsyncDisposableStack();
  const directory = mkdtempSync(join(tmpdir(), 'evergate-eap-'));
  opened.defer(() => rmSync(directory, { recursive: true, force: true }));
  const at = (name: string) => join(directory, name);
  writeCertificates(at);
  const cluster = opened.use(
    await startCluster({
      nodeEnvironment: {
        EVERGATE_RADIUS_REJECT_DELAY: '0',
        EVERGATE_RADIUS_RATE_LIMIT_PER_MINUTE: '0',
        EVERGATE_RADIUS_EAP_CERTIFICATE: at('server.pem'),
        EVERGATE_RADIUS_EAP_KEY: at('server.key'),
        EVERGATE_RADIUS_EAP_CLIENT_CA: at('authority.pem'),
        ...nodeEnvironment,
      },
      apply: {
        sites: [{ name: 'lab', timezone: 'UTC' }],
        routers: [{ name: 'r1', site: 'lab', address: '127.0.0.0/8', secret: SECRET }],
        plans: [{ name: 'free', rate: '2M/10M' }],
        subscribers: [{ username: 'alice', password: PASSWORD, plan: 'free' }],
      },
    }),
  );

  const closing = opened.move();
  return {
    cluster,
    async logIn(login, hooks, again) {
      await using spreader = await openPacketSpreader(cluster.nodes, hooks);
      const file = at(`${randomBytes(6).toString('hex')}.conf`);
      const lines = ['key_mgmt=IEEE8021X', 'identity="alice"', `password="${PASSWORD}"`];
      writeFileSync(file, `network={\n  ${[...lines, ...login.network].join('\n  ')}\n}\n`);
      const args = ['-c', file, '-a', '127.0.0.1', '-p', String(spreader.port), '-s', SECRET];
      args.push('-t', String(LOGIN_WITHIN_S), ...(login.hasKeys ? [] : ['-n']));
      if (again === 'again') args.push('-r', '1');
      const { exitCode, text } = await run(programs[login.needs], args, directory);

      const logins = again === 'again' ? 2 : 1;
      const problems = [...spreader.contradictions];
      if (exitCode !== 0) problems.push(`eapol_test ended with ${exitCode}`);
      if (login.hasKeys && !text.includes(`MPPE keys OK: ${logins}  mismatch: 0`)) {
        problems.push('the two sides do not have the same keys');
      }
      if (login.tls !== undefined && !text.includes(`Using TLS version TLSv${login.tls}`)) {
        problems.push(`it does not use TLS ${login.tls}`);
      }
      if (spreader.beginnings !== logins) {
        problems.push(`${logins} logins began ${spreader.beginnings} times`);
      }
      if (problems.length > 0) {
        problems.unshift(login.name);
        problems.push(...spreader.transcript, ...text.split('\n').slice(-SHOWN_LINES));
      }
      return {
        problems,
        packets: spreader.packets,
        retransmissions: spreader.retransmissions,
        wasResumed: text.includes('Handshake finished - resumed=1'),
      };
    },
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
}

/** For several retransmissions, which come 3, 6 and 12 s after one another. */
const LOGIN_WITHIN_S = 40;
const SHOWN_LINES = 25;

function writeCertificates(at: (name: string) => string): void {
  const nowMs = Date.now();
  const terms = () => ({
    serial: randomBytes(16),
    notBeforeMs: nowMs - DAY_MS,
    // Nodes that have one for only a few days more say that they are not well.
    notAfterMs: nowMs + 300 * DAY_MS,
  });
  const root = createAuthority({ ...terms(), commonName: 'Test Root' });
  const authority = authorityOf(root);
  const server = issueCertificate({
    ...terms(),
    authority,
    usage: 'server',
    commonName: 'radius.example.org',
    dnsNames: ['radius.example.org'],
  });
  const alice = issueCertificate({ ...terms(), authority, usage: 'client', commonName: 'alice' });
  writeFileSync(at('authority.pem'), root.certificatePem);
  for (const [name, issued] of Object.entries({ server, alice })) {
    writeFileSync(at(`${name}.pem`), issued.certificatePem);
    writeFileSync(at(`${name}.key`), issued.privateKeyPem);
  }
}

function run(
  program: string,
  args: readonly string[],
  directory: string,
): Promise<{ exitCode: number | null; text: string }> {
  const child = spawn(program, args, { cwd: directory });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
    });
  }
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (exitCode) => resolve({ exitCode, text }));
  });
}

/** How many packets each login takes when nothing happens. */
export async function countPackets({ cluster, logIn }: EapCluster): Promise<Map<EapLogin, number>> {
  const counts = new Map<EapLogin, number>();
  for (const login of eapLogins) {
    const run = await logIn(login, { route: () => [{ node: nodeAt(cluster.nodes, 0) }] });
    if (run.problems.length > 0) throw new Error(run.problems.join('\n'));
    counts.set(login, run.packets);
  }
  return counts;
}

export type Meeting = {
  /** Resolves for all when the last one has come. */
  come(): Promise<void>;
  /** For who will not come any more. */
  leave(): void;
  isOver(): boolean;
};

/** Retransmissions of what is held meanwhile do not count (packet-spreader.ts). */
const MEETING_MS = 10_000;

/** `act` is called when all have come, or when it takes too long. */
export function createMeeting(expected: number, act: () => void): Meeting {
  const { promise, resolve } = Promise.withResolvers<void>();
  let missing = expected;
  let isOver = false;
  const end = () => {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    act();
    resolve();
  };
  const leave = () => {
    missing--;
    if (missing === 0) end();
  };
  const timer = setTimeout(end, MEETING_MS);
  return {
    isOver: () => isOver,
    leave,
    come() {
      leave();
      return promise;
    },
  };
}

/** The node that is not there would be a mistake of the test. */
export function nodeAt(nodes: readonly SpreadNode[], index: number): SpreadNode {
  const node = nodes[index % nodes.length];
  if (node === undefined) throw new Error('there are no nodes');
  return node;
}

/** Each job once, so many at a time. */
export async function inParallel<Job, Result>(
  jobs: readonly Job[],
  atOnce: number,
  work: (job: Job) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  let next = 0;
  const worker = async () => {
    while (next < jobs.length) {
      const index = next++;
      results[index] = await work(jobs[index] as Job);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return results;
}
