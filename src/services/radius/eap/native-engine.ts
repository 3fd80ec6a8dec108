// OpenSSL as a TlsEngine, for clients that the portable engine refuses: TLS 1.0 and 1.1, CBC. Its state
// cannot leave the process, so a connection only names a handle here, and the node that has it must
// answer every packet. Who may connect is decided by the same path validation as in the portable engine.
//
// Nothing can be resumed: OpenSSL would hand out tickets before the inner login, and a client with one
// of those would pass EAP-TLS without a certificate. RFC 5216 §2.1.2, RFC 9190 §2.1.3.

import { constants } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { Duplex } from 'node:stream';
import { DEFAULT_CIPHERS, TLSSocket, createSecureContext } from 'node:tls';
import type { SecureContext } from 'node:tls';
import { alertName, encodeAlert } from '../../../protocols/tls/alerts.ts';
import type {
  AlertName,
  Json,
  TlsConnection,
  TlsEngine,
  TlsFacts,
  TlsProgress,
  TlsSent,
  TlsTerms,
} from '../../../protocols/tls/engine.ts';
import type { TlsSettings } from '../../../protocols/tls/settings.ts';
import { toPem } from '../../../protocols/x509/pem.ts';
import type { Clock } from '../../../runtime/clock.ts';
import type { Random } from '../../../runtime/random.ts';
import { nameOnly } from './native-authority-names.ts';
import { checkClientCertificate } from './native-client-certificate.ts';
import { readHelloRandom } from './native-hello-random.ts';

export type NativeEngineOptions = {
  /** Read at each handshake. Its identities and trust count, and its `maxVersion`. */
  settings: () => TlsSettings;
  /** Below 1.2 the security level of OpenSSL is 0: such clients sign with SHA-1. */
  minVersion: '1.0' | '1.1' | '1.2';
  clock: Clock;
  random: Random;
  /** Handshakes held at most; beyond that the one that was silent longest goes. */
  maxHandles?: number;
};

/** A handle waits in memory of OpenSSL, up to 62 KiB each. */
const MAX_HANDLES = 1_000;
const IDLE_MS = 60_000;
const SWEEP_MS = 15_000;
/** Two, of which one may begin while the other's writes are still on their way. */
const QUIET_TURNS = 2;
/** Answers that a repeated call gets again. A round of a conversation makes two or three calls. */
const KEPT_STEPS = 4;

const PROTOCOL = { '1.0': 'TLSv1', '1.1': 'TLSv1.1', '1.2': 'TLSv1.2', '1.3': 'TLSv1.3' } as const;
const VERSION = new Map<string, TlsFacts['version']>([
  ['TLSv1', '1.0'],
  ['TLSv1.1', '1.1'],
  ['TLSv1.2', '1.2'],
  ['TLSv1.3', '1.3'],
]);

type Handle = {
  id: string;
  terms: TlsTerms;
  settings: TlsSettings;
  socket: TLSSocket;
  pipe: Duplex;
  /** What OpenSSL wants sent, since it was last taken. */
  output: Buffer[];
  /** What the client said inside, since it was last taken. */
  data: Buffer[];
  /** Grows with whatever happens, so that silence can be noticed. */
  events: number;
  hasFinished: boolean;
  error: Error | undefined;
  hasEnded: boolean;
  clientRandom: HelloRandom;
  serverRandom: HelloRandom;
  facts: TlsFacts | undefined;
  /** How many calls have changed this connection. A value of before is of no use any more. */
  step: number;
  done: { step: number; call: string; input: Buffer; outcome: Promise<unknown> }[];
  lastUsedMs: number;
};

type HelloRandom = ReturnType<typeof readHelloRandom>;

export function createNativeEngine(options: NativeEngineOptions): TlsEngine & Disposable {
  const { clock, random, maxHandles = MAX_HANDLES } = options;
  const handles = new Map<string, Handle>();
  let latest: { settings: TlsSettings; context: SecureContext } | undefined;
  const sweeping = clock.every(SWEEP_MS, () => {
    const idleSinceMs = clock.monotonicMs() - IDLE_MS;
    for (const handle of handles.values()) if (handle.lastUsedMs < idleSinceMs) close(handle);
  });

  function contextOf(settings: TlsSettings): SecureContext {
    if (latest === undefined || !isSameTerms(latest.settings, settings)) {
      latest = { settings, context: createContext(settings, options.minVersion) };
    }
    return latest.context;
  }

  function open(terms: TlsTerms): Handle {
    for (const oldest of handles.values()) {
      if (handles.size < maxHandles) break;
      close(oldest);
    }
    const settings = options.settings();
    const pipe = new Duplex({
      read: () => undefined,
      write(chunk: Buffer, _encoding, done) {
        handle.output.push(chunk);
        handle.events++;
        done();
      },
    });
    const socket = new TLSSocket(pipe, {
      isServer: true,
      secureContext: contextOf(settings),
      requestCert: terms.clientCertificate !== 'none' && settings.clientTrust !== undefined,
      // Node lets every handshake finish and reports what it thinks; we look for ourselves.
      rejectUnauthorized: false,
      // Not a server: the emitter that session and status events would go to. It has no listeners.
      server: new EventEmitter(),
    } as ConstructorParameters<typeof TLSSocket>[1]);
    const handle: Handle = {
      id: random.bytes(16).toString('hex'),
      terms,
      settings,
      socket,
      pipe,
      output: [],
      data: [],
      events: 0,
      hasFinished: false,
      error: undefined,
      hasEnded: false,
      clientRandom: readHelloRandom('client'),
      serverRandom: readHelloRandom('server'),
      facts: undefined,
      step: 0,
      done: [],
      lastUsedMs: clock.monotonicMs(),
    };
    const happened = (change: () => void) => () => {
      handle.events++;
      change();
    };
    const failed = (error: Error) => {
      handle.events++;
      handle.error ??= error;
    };
    socket.on(
      'secure',
      happened(() => void (handle.hasFinished = true)),
    );
    socket.on(
      'end',
      happened(() => void (handle.hasEnded = true)),
    );
    socket.on(
      'close',
      happened(() => void (handle.hasEnded = true)),
    );
    socket.on('_tlsError', failed);
    socket.on('error', failed);
    pipe.on('error', failed);
    socket.on('data', (bytes: Buffer) => {
      handle.events++;
      handle.data.push(bytes);
    });
    handles.set(handle.id, handle);
    return handle;
  }

  function close(handle: Handle) {
    handles.delete(handle.id);
    handle.socket.destroy();
    handle.pipe.destroy();
  }

  /** OpenSSL does not say when its flight is complete: it is when nothing has happened for a while. */
  async function settle(handle: Handle): Promise<void> {
    let seen = handle.events;
    for (let quiet = 0; quiet < QUIET_TURNS; quiet++) {
      await new Promise<void>((resolve) => clock.soon(resolve));
      if (handle.events !== seen) quiet = -1;
      seen = handle.events;
    }
  }

  /**
   * A round that is worked out twice makes the same calls with the same values, and must not feed
   * OpenSSL twice: the second time gets the first answer.
   */
  function once<T>(
    connection: TlsConnection,
    call: string,
    input: Buffer,
    work: (handle: Handle) => Promise<T>,
  ): Promise<T> | undefined {
    const handle = find(connection);
    if (handle === undefined) return undefined;
    const step = stepOf(connection);
    if (step !== handle.step) {
      const before = handle.done.find((each) => each.step === step);
      const isSame = before?.call === call && before.input.equals(input);
      return isSame ? (before.outcome as Promise<T>) : undefined;
    }
    handle.step++;
    const outcome = work(handle);
    handle.done.push({ step, call, input, outcome });
    if (handle.done.length > KEPT_STEPS) handle.done.shift();
    return outcome;
  }

  function find(connection: TlsConnection): Handle | undefined {
    const handle = handles.get(connection['id'] as string);
    if (handle === undefined) return undefined;
    handle.lastUsedMs = clock.monotonicMs();
    handles.delete(handle.id); // the longest silent stay in front
    handles.set(handle.id, handle);
    return handle;
  }

  async function feed(handle: Handle, bytes: Buffer, nowMs: number): Promise<TlsProgress> {
    handle.clientRandom.read(bytes);
    handle.pipe.push(bytes);
    await settle(handle);
    const output = take(handle.output);
    handle.serverRandom.read(output);
    if (handle.error !== undefined) return fail(handle, output, handle.error);
    if (handle.facts === undefined && handle.hasFinished) {
      const checked = finish(handle, nowMs);
      if ('alert' in checked) return refuse(handle, output, checked);
      handle.facts = checked;
    }
    if (handle.hasEnded) {
      close(handle);
      const detail = 'the client has closed the connection';
      const connection = connectionOf(handle);
      return { kind: 'failed', connection, output, alert: 'close_notify', from: 'client', detail };
    }
    const connection = connectionOf(handle);
    if (handle.facts === undefined) return { kind: 'handshaking', connection, output };
    return { kind: 'open', connection, output, data: take(handle.data), facts: handle.facts };
  }

  function fail(handle: Handle, output: Buffer, error: Error): TlsProgress {
    close(handle);
    const code = 'code' in error ? String(error.code) : '';
    const theirs = clientAlert(code);
    const ours = plainAlert(output) ?? likelyAlert(code);
    const detail = code === '' ? error.message : code;
    const connection = connectionOf(handle);
    return theirs === undefined
      ? { kind: 'failed', connection, output, alert: ours, from: 'us', detail }
      : { kind: 'failed', connection, output, alert: theirs, from: 'client', detail };
  }

  /**
   * Up to TLS 1.2 what OpenSSL has just said, its Finished, is not sent: the client still reads plain
   * records, so the alert can be a plain one. TLS 1.3 would have to encrypt it, and OpenSSL does not
   * let us: the client only learns that the connection is closed.
   */
  async function refuse(handle: Handle, flight: Buffer, refusal: Refusal): Promise<TlsProgress> {
    const { alert, detail } = refusal;
    let output = plainAlertRecord(handle, alert);
    if (handle.socket.getProtocol() === 'TLSv1.3') {
      handle.socket.end();
      await settle(handle);
      output = Buffer.concat([flight, take(handle.output)]);
    }
    close(handle);
    const connection = connectionOf(handle);
    return { kind: 'failed', connection, output, alert, from: 'us', detail };
  }

  return {
    kind: 'native',

    accept: (terms) => ({ engine: 'native', terms }),

    async receive(connection, bytes, moment) {
      const terms = connection['terms'];
      if (terms !== undefined) {
        const handle = open(terms as TlsTerms);
        return (
          once(connectionOf(handle), 'receive', bytes, () => feed(handle, bytes, moment.nowMs)) ??
          lost(connection)
        );
      }
      return (
        once(connection, 'receive', bytes, (handle) => feed(handle, bytes, moment.nowMs)) ??
        lost(connection)
      );
    },

    decide: (connection) => lost(connection), // nothing is offered, so nothing can be decided

    async send(connection, data) {
      const sent = once(connection, 'send', data, async (handle) => {
        handle.socket.write(data);
        await settle(handle);
        return { connection: connectionOf(handle), output: take(handle.output) };
      });
      if (sent === undefined) throw new Error(LOST);
      return sent;
    },

    async abort(connection, alert) {
      const sent = once(
        connection,
        'abort',
        Buffer.from(alert),
        async (handle): Promise<TlsSent> => {
          const isPlain = handle.facts === undefined && handle.socket.getProtocol() !== 'TLSv1.3';
          if (isPlain) {
            close(handle);
            return { connection: connectionOf(handle), output: plainAlertRecord(handle, alert) };
          }
          handle.socket.end(); // the only alert that Node sends: close_notify
          await settle(handle);
          close(handle);
          return { connection: connectionOf(handle), output: take(handle.output) };
        },
      );
      return sent ?? { connection, output: Buffer.alloc(0) };
    },

    issueTicket: (connection) => ({ connection, output: Buffer.alloc(0) }),

    exportKey(connection, label, length, context) {
      const handle = find(connection);
      if (handle?.facts === undefined) throw new Error(LOST);
      // Undefined is not an empty buffer: RFC 5705 §4. The types of Node ask for one all the same.
      return handle.socket.exportKeyingMaterial(length, label, context as Buffer);
    },

    [Symbol.dispose]() {
      sweeping[Symbol.dispose]();
      for (const handle of handles.values()) close(handle);
    },
  };
}

const LOST = 'this process does not have the TLS connection, or has gone on with it';

function lost(connection: TlsConnection): TlsProgress {
  return {
    kind: 'failed',
    connection,
    output: Buffer.alloc(0),
    alert: 'internal_error',
    from: 'us',
    detail: LOST,
  };
}

function connectionOf({ id, step }: Handle): TlsConnection {
  return { engine: 'native', id, step };
}

function stepOf(connection: { readonly [key: string]: Json }): number {
  return Number(connection['step']);
}

/** Settings may come in a new object each time; the certificates in it only when they have changed. */
function isSameTerms(one: TlsSettings, other: TlsSettings): boolean {
  return (
    one.clientTrust === other.clientTrust &&
    one.maxVersion === other.maxVersion &&
    one.identities.length === other.identities.length &&
    one.identities.every((identity, i) => identity === other.identities[i])
  );
}

function createContext(settings: TlsSettings, minVersion: '1.0' | '1.1' | '1.2'): SecureContext {
  const { identities, clientTrust, maxVersion } = settings;
  return createSecureContext({
    cert: identities.map(({ chain }) => chain.map((der) => toPem(der, 'CERTIFICATE')).join('')),
    key: identities.map(({ privateKey }) => privateKey.export({ type: 'pkcs8', format: 'pem' })),
    // Their names tell the client which certificate to show. What it shows is checked elsewhere.
    ca: (clientTrust?.anchors ?? []).map((anchor) => toPem(nameOnly(anchor), 'CERTIFICATE')),
    minVersion: PROTOCOL[minVersion],
    maxVersion: PROTOCOL[maxVersion],
    ciphers: minVersion === '1.2' ? DEFAULT_CIPHERS : `${DEFAULT_CIPHERS}:@SECLEVEL=0`,
    // P-256 stays: certificates with such a key need it in TLS 1.2. Larger key shares cost round trips.
    ecdhCurve: 'X25519:P-256',
    sessionIdContext: 'evergate-eap',
    secureOptions:
      constants.SSL_OP_NO_TICKET |
      constants.SSL_OP_NO_RENEGOTIATION |
      constants.SSL_OP_CIPHER_SERVER_PREFERENCE,
  });
}

type Refusal = { alert: AlertName; detail: string };

function finish(handle: Handle, nowMs: number): TlsFacts | Refusal {
  const { socket, terms, settings } = handle;
  if (socket.isSessionReused()) {
    return { alert: 'internal_error', detail: 'a session was resumed, which cannot be' };
  }
  const version = VERSION.get(socket.getProtocol() ?? '');
  const cipherSuite = socket.getCipher().standardName;
  const clientRandom = handle.clientRandom.value();
  const serverRandom = handle.serverRandom.value();
  if (version === undefined || clientRandom === undefined || serverRandom === undefined) {
    return { alert: 'internal_error', detail: 'the handshake could not be read' };
  }
  const facts = { version, cipherSuite, hash: hashOf(cipherSuite), clientRandom, serverRandom };
  if (terms.clientCertificate === 'none') return facts;

  const checked = checkClientCertificate(socket, settings.clientTrust, nowMs);
  switch (checked.kind) {
    case 'valid':
      return { ...facts, clientCertificate: checked.identity };
    case 'invalid':
      return { alert: checked.alert, detail: checked.detail };
    case 'absent': {
      if (terms.clientCertificate === 'optional') return facts;
      const alert = version === '1.3' ? 'certificate_required' : 'handshake_failure';
      return { alert, detail: 'the client has no certificate' };
    }
  }
}

function hashOf(cipherSuite: string): TlsFacts['hash'] {
  if (cipherSuite.endsWith('_SHA384')) return 'sha384';
  return cipherSuite.endsWith('_SHA') ? 'sha1' : 'sha256';
}

function take(chunks: Buffer[]): Buffer {
  return Buffer.concat(chunks.splice(0));
}

const ALERT_RECORD = 21;
const ALERT_RECORD_BYTES = 7;

function plainAlertRecord({ socket }: Handle, alert: AlertName): Buffer {
  const minor = { TLSv1: 1, 'TLSv1.1': 2 }[socket.getProtocol() ?? ''] ?? 3;
  return Buffer.concat([Buffer.from([ALERT_RECORD, 3, minor, 0, 2]), encodeAlert(alert)]);
}

/** The alert at the end of what OpenSSL has said, if it is not encrypted. */
function plainAlert(output: Buffer): AlertName | undefined {
  const record = output.subarray(-ALERT_RECORD_BYTES);
  if (record.length < ALERT_RECORD_BYTES || record[0] !== ALERT_RECORD) return undefined;
  return record.readUInt16BE(3) === 2 ? alertName(record.readUInt8(6)) : undefined;
}

const ALERT_NAMES: ReadonlySet<string> = new Set(
  Array.from({ length: 256 }, (_, number) => alertName(number)).filter(
    (name) => name !== undefined,
  ),
);

/** `ERR_SSL_TLSV1_ALERT_UNKNOWN_CA` is what OpenSSL says about an alert of the other side. */
function clientAlert(code: string): AlertName | undefined {
  const match = /^ERR_SSL_(?:SSLV3|TLSV1|TLSV13)_(?:ALERT_)?([A-Z_]+)$/.exec(code);
  if (match === null) return undefined;
  const name = (match[1] ?? '').toLowerCase().replace('cancelled', 'canceled');
  return ALERT_NAMES.has(name) ? (name as AlertName) : 'handshake_failure';
}

/** What OpenSSL has sent encrypted can only be guessed. */
function likelyAlert(code: string): AlertName {
  if (/DECRYPTION|BAD_RECORD/.test(code)) return 'bad_record_mac';
  if (/SIGNATURE|DIGEST_CHECK/.test(code)) return 'decrypt_error';
  if (/PROTOCOL|VERSION/.test(code)) return 'protocol_version';
  if (/UNEXPECTED/.test(code)) return 'unexpected_message';
  return 'handshake_failure';
}
