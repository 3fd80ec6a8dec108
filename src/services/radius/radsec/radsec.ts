// RADIUS over TLS: RFC 6614 and what replaces it, RFC 9765. Who connects shows a certificate that names a
// router; from then on its requests are handled like those that come as datagrams. One port takes all.

import { toPem } from '../../../protocols/x509/pem.ts';
import type { ClientTrust } from '../../../protocols/x509/path-validation.ts';
import type {
  TlsFailure,
  TlsIdentity,
  TlsPeer,
  TlsPeerListener,
} from '../../../runtime/network.ts';
import type { Runtime } from '../../../runtime/runtime.ts';
import type { Certificates } from '../certificates/certificate-files.ts';
import type { WatchedCertificates } from '../certificates/watched-certificates.ts';
import type { RequestHandler } from '../handle-request.ts';
import type { RouterTable } from '../router-table.ts';
import { sourceAddress } from '../sources.ts';
import { CLOSE_REASONS, createConnection } from './connection.ts';
import type { CloseReason, Connection, ConnectionOptions } from './connection.ts';
import { RADIUS_1_0, RADIUS_1_1, judgePeer } from './judge-peer.ts';
import type { RefusalReason } from './judge-peer.ts';
import { createQuietLog } from './quiet-log.ts';

export type RadsecOptions = {
  host: string;
  /** 2083 by custom; 0 picks a free one. */
  port: number;
  reusePort: boolean;
  /** Ours, and whose we believe. */
  certificates: Pick<WatchedCertificates, 'current' | 'onChange'>;
};

export type Radsec = AsyncDisposable & {
  readonly port: number;
  readonly connections: number;
  /** Nobody connects any more; who is connected is still answered. The first step of an orderly stop. */
  stopListening(): void;
};

const MAX_CONNECTIONS = 4_096;
/** Of one address; many routers may stand behind it. */
const MAX_HANDSHAKES_PER_ADDRESS = 64;
const HANDSHAKE_TIMEOUT_MS = 10_000;
const SWEEP_MS = 2_500;
/** For the last answers, and for the other side to say goodbye. */
const GOODBYE_MS = 1_000;

export async function startRadsec(
  options: RadsecOptions,
  deps: {
    receive: RequestHandler['receiveProtected'];
    malformed: ConnectionOptions['malformed'];
    routers: RouterTable;
    runtime: Runtime;
  },
): Promise<Radsec> {
  const { routers, runtime } = deps;
  const { clock, network } = runtime;
  const log = createQuietLog(runtime);
  const counters = createRadsecCounters(runtime);
  const connections = new Map<Connection, { peer: TlsPeer; expiresAtMs: number }>();
  let trust = trustOf(options.certificates.current());

  function welcome(peer: TlsPeer): TlsPeerListener {
    const judged = judgePeer(peer, { trust, routers, nowMs: clock.nowMs() });
    const address = sourceAddress(peer.path, 0);
    if (judged.kind === 'refused') {
      const { reason, detail, hint } = judged;
      counters.refused(reason);
      log.warn(`${reason} ${address}`, 'refused a RADIUS/TLS connection', {
        reason,
        address,
        detail,
        hint,
      });
      peer.end();
      return { onBytes: () => undefined, onClosed: () => undefined };
    }
    const connection = createConnection({
      peer,
      router: judged.router,
      identify: () => routers.findByNames(judged.certificate.subjectAltName),
      generation: () => routers.generation,
      receive: deps.receive,
      malformed: deps.malformed,
      runtime,
      onEnd(ended, reason, detail) {
        connections.delete(ended);
        counters.closed(reason);
        tellEnd(ended, reason, detail);
      },
    });
    connections.set(connection, { peer, expiresAtMs: judged.certificate.notAfterMs });
    counters.accepted();
    const protocol = peer.protocol ?? RADIUS_1_0;
    const router = connection.routerName;
    runtime.log.info('a router has connected over TLS', { router, address, protocol });
    return connection;
  }

  function tellEnd({ address, routerName }: Connection, reason: CloseReason, detail?: string) {
    const fields = {
      router: routerName,
      address,
      reason,
      ...(detail === undefined ? {} : { detail }),
    };
    if (EXPECTED.has(reason)) return runtime.log.info('a RADIUS/TLS connection has ended', fields);
    log.warn(`${reason} ${address}`, 'closed a RADIUS/TLS connection', fields);
  }

  function failed(address: string, reason: TlsFailure, error?: Error) {
    counters.refused(reason);
    // Load balancers look whether the port is open, and hang up.
    if (error !== undefined && 'code' in error && error.code === 'ECONNRESET') return;
    log.warn(`${reason} ${address}`, 'refused a RADIUS/TLS connection', {
      reason,
      address,
      ...(error === undefined ? {} : { error }),
    });
  }

  await using opened = new AsyncDisposableStack();
  const server = opened.use(
    await network.listenTls({
      host: options.host,
      port: options.port,
      reusePort: options.reusePort,
      identity: identityOf(options.certificates.current()),
      protocols: [RADIUS_1_1, RADIUS_1_0],
      maxConnections: MAX_CONNECTIONS,
      maxHandshakesPerAddress: MAX_HANDSHAKES_PER_ADDRESS,
      handshakeTimeoutMs: HANDSHAKE_TIMEOUT_MS,
      onPeer: welcome,
      onFailed: failed,
    }),
  );

  options.certificates.onChange(() => {
    const present = options.certificates.current();
    try {
      const nextTrust = trustOf(present);
      server.replaceIdentity(identityOf(present));
      trust = nextTrust;
    } catch (error) {
      runtime.log.error('RADIUS/TLS cannot use the new certificates; the old stay', { error });
      return;
    }
    // Who came in by the old lists may not be welcome any more.
    for (const [connection, { peer }] of connections) {
      const judged = judgePeer(peer, { trust, routers, nowMs: clock.nowMs() });
      if (judged.kind === 'refused') connection.close('certificate', judged.detail);
    }
  });
  opened.use(
    clock.every(SWEEP_MS, () => {
      const nowMs = clock.nowMs();
      for (const [connection, { expiresAtMs }] of connections) {
        if (nowMs > expiresAtMs) connection.close('certificate', 'it has expired');
        connection.sweep();
      }
      log.sweep();
    }),
  );
  const count = 'RADIUS/TLS connections that are open.';
  runtime.metrics.measured('radius_tls_connections', count, () => connections.size, {});

  // Closed first, while the server is still there: what was answered is also sent.
  opened.defer(async () => {
    server.stopListening();
    for (const connection of connections.keys()) connection.close('stopping');
    const deadlineMs = clock.monotonicMs() + GOODBYE_MS;
    while (connections.size > 0 && clock.monotonicMs() < deadlineMs) await clock.sleep(10);
  });

  const closing = opened.move();
  return {
    port: server.port,
    get connections() {
      return connections.size;
    },
    stopListening: () => server.stopListening(),
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
}

const EXPECTED: ReadonlySet<CloseReason> = new Set(['peer', 'idle', 'stopping', 'router-gone']);

function trustOf({ clientTrust }: Certificates): ClientTrust {
  if (clientTrust !== undefined) return clientTrust;
  throw new Error(
    'RADIUS over TLS must know whose certificates routers may show: set radius.radsec.client_ca or radius.eap.client_ca',
  );
}

function identityOf({ identity }: Certificates): TlsIdentity {
  return {
    certificates: [identity.chain.map((der) => toPem(der, 'CERTIFICATE')).join('')],
    keys: [identity.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()],
  };
}

const REFUSALS = [
  'no-certificate',
  'untrusted-certificate',
  'unknown-router',
  'tls-version',
  'handshake-failed',
  'too-many-connections',
  'too-many-handshakes',
] as const satisfies readonly (RefusalReason | TlsFailure)[];

function createRadsecCounters({ metrics }: Pick<Runtime, 'metrics'>) {
  const attempts = metrics.counter(
    'radius_tls_handshakes_total',
    'RADIUS/TLS connections that came, by outcome.',
  );
  const ends = metrics.counter(
    'radius_tls_closed_total',
    'RADIUS/TLS connections that ended, by reason.',
  );
  const accepted = attempts.labels({ outcome: 'accepted' });
  const refused = new Map(REFUSALS.map((outcome) => [outcome, attempts.labels({ outcome })]));
  const closed = new Map(CLOSE_REASONS.map((reason) => [reason, ends.labels({ reason })]));
  return {
    accepted: () => accepted.add(),
    refused: (reason: (typeof REFUSALS)[number]) => refused.get(reason)?.add(),
    closed: (reason: CloseReason) => closed.get(reason)?.add(),
  };
}
