// The TLS of a simulated device. OpenSSL answers when it likes; the scripted client of conformance/ answers at
// once, as virtual time needs it. How it is cut into EAP packets is protocols/eap/device/.

import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import type { TlsClient, TlsClientProgress } from '../../src/protocols/eap/device/tls-device.ts';
import type { AlertName } from '../../src/protocols/tls/engine.ts';
import { messageTypes } from '../../src/protocols/tls/handshake.ts';
import { createTestClient, dataPart } from '../conformance/tls-test-client.ts';
import type { ClientOptions, ClientSession } from '../conformance/tls-test-client.ts';
import type { Chance } from './chance.ts';

export type SimulatedTlsClient = TlsClient & {
  readonly isResumed: boolean;
  /** TLS 1.2: what a later connection may begin with. */
  session(): ClientSession;
};

export function createTlsClient(
  chance: Chance,
  options: Pick<ClientOptions, 'version' | 'certificate' | 'session' | 'suites'>,
): SimulatedTlsClient {
  const { version } = options;
  const client = drawingFrom(chance, () => createTestClient(options));
  const { received } = client;
  let hasBegun = false;
  let hasAnswered = false;
  let heardBytes = 0;

  function takeIn(bytes: Buffer): TlsClientProgress {
    if (!hasBegun) {
      hasBegun = true;
      return { kind: 'handshaking', output: client.encode(client.hello()) };
    }
    client.receive(bytes);
    const [alert] = received.alerts;
    if (alert !== undefined) return { kind: 'refused', alert: alert.name as AlertName };
    const output = ourTurn() ? client.encode(drawingFrom(chance, client.answer)) : Buffer.alloc(0);
    hasAnswered ||= output.length > 0;
    if (!received.messages.includes(messageTypes.finished)) return { kind: 'handshaking', output };
    const data = received.data.subarray(heardBytes);
    heardBytes = received.data.length;
    const facts = { version, isResumed: client.isResumed() };
    return { kind: 'open', output, data, facts };
  }

  /** Whether the server's flight is whole, and wants the only one that we have after the hello. */
  function ourTurn(): boolean {
    const isLong = version === '1.2' && !client.isResumed();
    const last = isLong ? messageTypes.serverHelloDone : messageTypes.finished;
    return !hasAnswered && received.messages.includes(last);
  }

  return {
    receive(bytes) {
      try {
        return Promise.resolve(takeIn(bytes));
      } catch (error) {
        const distrust = { kind: 'tls', detail: String(error) } as const;
        return Promise.resolve({ kind: 'distrust', output: Buffer.alloc(0), distrust });
      }
    },
    send: (data) => Promise.resolve(client.encode([dataPart(data)])),
    exportKey: client.exportKey,
    get isResumed() {
      return client.isResumed();
    },
    session: client.session,
  };
}

/** The scripted client asks node:crypto for chance. While it does, it gets that of the world. */
function drawingFrom<T>(chance: Chance, draw: () => T): T {
  const { randomBytes } = crypto;
  Object.assign(crypto, { randomBytes: chance.bytes });
  syncBuiltinESMExports();
  try {
    return draw();
  } finally {
    Object.assign(crypto, { randomBytes });
    syncBuiltinESMExports();
  }
}
