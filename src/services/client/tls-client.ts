// The TLS connection of a device, by Node's own TLS over a pipe in memory: bytes go in and out by hand,
// because EAP carries them. How they are cut into packets is protocols/eap/device/tls-device.ts.

import { Duplex } from 'node:stream';
import { connect, createSecureContext } from 'node:tls';
import type { SecureContext } from 'node:tls';
import type { Distrust } from '../../protocols/eap/device/device.ts';
import type { TlsClient, TlsClientProgress } from '../../protocols/eap/device/tls-device.ts';
import { alertName, encodeAlert } from '../../protocols/tls/alerts.ts';
import type { Clock } from '../../runtime/clock.ts';

export type TlsClientOptions = {
  context: SecureContext;
  /** Whether `context` has authorities that the server's certificate must come from. */
  isServerChecked: boolean;
  /** What an earlier connection's `session()` gave, to resume it. */
  session?: Buffer;
};

export type DeviceTls = TlsClient &
  Disposable & {
    /** Undefined until the handshake has ended. */
    facts(): TlsConnectionFacts | undefined;
    /** With what this connection can be resumed, if the server has allowed it. */
    session(): Buffer | undefined;
  };

export type TlsConnectionFacts = {
  version: '1.2' | '1.3';
  cipherSuite: string;
  isResumed: boolean;
  /** A resumed connection has shown none. */
  server: ServerCertificate | undefined;
};

type ServerCertificate = {
  name: string;
  issuer: string;
  expiresAtMs: number;
  isChecked: boolean;
};

export type TlsContextOptions = {
  /** All as PEM. */
  authorities?: string;
  certificate?: string;
  key?: string;
  minVersion?: '1.2' | '1.3';
  maxVersion?: '1.2' | '1.3';
};

/** Throws what OpenSSL finds wrong with certificate and key. */
export function createTlsContext(options: TlsContextOptions): SecureContext {
  const { authorities, certificate, key, minVersion = '1.2', maxVersion = '1.3' } = options;
  return createSecureContext({
    // Without authorities of our own OpenSSL would ask those of the machine, who say nothing here.
    ca: authorities ?? [],
    ...(certificate === undefined ? {} : { cert: certificate }),
    ...(key === undefined ? {} : { key }),
    minVersion: PROTOCOL[minVersion],
    maxVersion: PROTOCOL[maxVersion],
    // As devices have it. With post-quantum keys a ClientHello takes two EAP packets.
    ecdhCurve: 'X25519:P-256:P-384',
  });
}

const PROTOCOL = { '1.2': 'TLSv1.2', '1.3': 'TLSv1.3' } as const;
/** Turns of the event loop without any event after which OpenSSL has said all it has to say. */
const QUIET_TURNS = 2;
const NOTHING = Buffer.alloc(0);

export function createTlsClient(options: TlsClientOptions, clock: Clock): DeviceTls {
  const output: Buffer[] = [];
  const data: Buffer[] = [];
  let events = 0;
  let hasFinished = false;
  let hasEnded = false;
  let error: Error | undefined;
  let session: Buffer | undefined;
  let connectionFacts: TlsConnectionFacts | undefined;

  const pipe = new Duplex({
    read: () => undefined,
    write(chunk: Buffer, _encoding, done) {
      output.push(chunk);
      events++;
      done();
    },
  });
  const socket = connect({
    socket: pipe,
    secureContext: options.context,
    // Node would only tell us after the handshake, as it does anyway, and then close without a word.
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined, // networks have no names to compare with
    ...(options.session === undefined ? {} : { session: options.session }),
  });
  const happened = (change: () => void) => () => {
    events++;
    change();
  };
  const failed = (reason: Error) => {
    events++;
    error ??= reason;
  };
  socket.on(
    'secureConnect',
    happened(() => void (hasFinished = true)),
  );
  socket.on(
    'end',
    happened(() => void (hasEnded = true)),
  );
  socket.on(
    'close',
    happened(() => void (hasEnded = true)),
  );
  socket.on('error', failed);
  pipe.on('error', failed);
  socket.on('session', (resumable: Buffer) => {
    session = resumable;
  });
  socket.on('data', (bytes: Buffer) => {
    events++;
    data.push(bytes);
  });

  /** OpenSSL does not say when its flight is complete: it is when nothing has happened for a while. */
  async function settle(): Promise<void> {
    let seen = events;
    for (let quiet = 0; quiet < QUIET_TURNS; quiet++) {
      await new Promise<void>((resolve) => clock.soon(resolve));
      if (events !== seen) quiet = -1;
      seen = events;
    }
  }

  function finish(): TlsConnectionFacts | Distrust {
    const version = socket.getProtocol() === 'TLSv1.3' ? '1.3' : '1.2';
    const isResumed = socket.isSessionReused();
    const certificate = socket.getPeerX509Certificate();
    if (options.isServerChecked && !isResumed && !socket.authorized) {
      return { kind: 'certificate', detail: explain(String(socket.authorizationError)) };
    }
    return {
      version,
      cipherSuite: socket.getCipher().standardName,
      isResumed,
      server: certificate && {
        name: nameIn(certificate.subject),
        issuer: nameIn(certificate.issuer),
        expiresAtMs: certificate.validToDate.getTime(),
        isChecked: options.isServerChecked,
      },
    };
  }

  /** What the server may know of it. In TLS 1.3 its keys are not agreed on yet, so that is not encrypted. */
  async function farewell(): Promise<Buffer> {
    if (socket.getProtocol() === 'TLSv1.3') {
      return Buffer.concat([ALERT_RECORD_HEADER, encodeAlert('unknown_ca')]);
    }
    socket.end();
    await settle();
    return take(output);
  }

  return {
    async receive(bytes): Promise<TlsClientProgress> {
      if (bytes.length > 0) pipe.push(bytes);
      await settle();
      if (error !== undefined) return failure(error, take(output));
      if (hasFinished && connectionFacts === undefined) {
        const outcome = finish();
        if ('kind' in outcome) {
          return { kind: 'distrust', output: await farewell(), distrust: outcome };
        }
        connectionFacts = outcome;
      }
      if (hasEnded) return { kind: 'refused', alert: 'close_notify' };
      return connectionFacts === undefined
        ? { kind: 'handshaking', output: take(output) }
        : { kind: 'open', output: take(output), data: take(data), facts: connectionFacts };
    },

    async send(bytes) {
      socket.write(bytes);
      await settle();
      return take(output);
    },

    // Undefined is not an empty buffer: RFC 5705 §4. The types of Node ask for one all the same.
    exportKey: (label, length, context) =>
      socket.exportKeyingMaterial(length, label, context as Buffer),

    facts: () => connectionFacts,
    session: () => session,

    [Symbol.dispose]() {
      socket.destroy();
      pipe.destroy();
    },
  };
}

/** An alert of two bytes that is not encrypted. */
const ALERT_RECORD_HEADER = Buffer.of(21, 3, 3, 0, 2);

function failure(error: Error, output: Buffer): TlsClientProgress {
  // `…:SSL alert number 48` is what OpenSSL says about an alert of the other side.
  const number = /SSL alert number (\d+)/.exec(error.message)?.[1];
  if (number !== undefined) return { kind: 'refused', alert: alertName(Number(number)) };
  const detail = 'reason' in error ? String(error.reason) : error.message;
  return { kind: 'distrust', output, distrust: { kind: 'tls', detail } };
}

/** The common name, or the whole when there is none. Node separates the parts by line breaks. */
function nameIn(distinguishedName: string | undefined): string {
  const parts = (distinguishedName ?? '').split('\n');
  const common = parts.find((part) => part.startsWith('CN='));
  return common?.slice('CN='.length) ?? parts.join(', ');
}

/** `authorizationError` is one of OpenSSL's codes. */
function explain(code: string): string {
  return EXPLANATIONS[code] ?? code.toLowerCase().replaceAll('_', ' ');
}

const NOT_FROM_AUTHORITY = 'it does not come from this authority';
const EXPLANATIONS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'it has expired',
  CERT_NOT_YET_VALID: 'it is not valid yet',
  CERT_SIGNATURE_FAILURE: NOT_FROM_AUTHORITY,
  DEPTH_ZERO_SELF_SIGNED_CERT: 'it is signed by nobody but itself',
  INVALID_PURPOSE: 'it is no certificate for servers',
  SELF_SIGNED_CERT_IN_CHAIN: NOT_FROM_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT: NOT_FROM_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: NOT_FROM_AUTHORITY,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: NOT_FROM_AUTHORITY,
};

function take(chunks: Buffer[]): Buffer {
  const [first] = chunks;
  if (first === undefined) return NOTHING;
  return Buffer.concat(chunks.splice(0));
}
