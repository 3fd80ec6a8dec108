// What one call sends. Handshake messages under the same keys share records: each record costs the client
// 22 bytes and both sides an encryption. RFC 8446 §5.1 allows it, RFC 5246 §6.2.1 too.

import assert from 'node:assert/strict';
import { encodeAlert } from './alerts.ts';
import type { Connection } from './connection.ts';
import type { Flight } from './handshake.ts';
import {
  MAX_PLAINTEXT_BYTES,
  type ObserveRecord,
  contentTypes,
  plainRecord,
  protect,
} from './records.ts';
import { TlsAlert, uint8, vector24 } from './wire.ts';

export type SentFlight = Flight & {
  isEmpty(): boolean;
  /** The records, in the order in which they were asked for. */
  bytes(): Buffer;
};

export function createFlight(connection: Connection, observe?: ObserveRecord): SentFlight {
  const records: Buffer[] = [];
  /** Handshake messages that wait for more of their kind. */
  let waiting: Buffer[] = [];

  function emit(type: number, content: Buffer): void {
    const limit = connection.maxPlaintextBytes ?? MAX_PLAINTEXT_BYTES;
    for (let offset = 0; offset < content.length; offset += limit) {
      const part = content.subarray(offset, offset + limit);
      const keys = connection.write;
      records.push(keys ? protect(keys, type, part, observe) : plainRecord(type, part));
    }
  }

  function flush(): void {
    const messages = Buffer.concat(waiting);
    waiting = [];
    emit(contentTypes.handshake, messages);
  }

  return {
    handshake(type, body) {
      const message = Buffer.concat([uint8(type), vector24(body)]);
      waiting.push(message);
      if (connection.transcript)
        connection.transcript = Buffer.concat([connection.transcript, message]);
    },
    changeCipherSpec() {
      flush();
      // Never protected by TLS 1.3, and in TLS 1.2 it comes before the keys.
      records.push(plainRecord(contentTypes.changeCipherSpec, uint8(1)));
    },
    alert(alert) {
      flush();
      emit(contentTypes.alert, encodeAlert(alert));
    },
    applicationData(data) {
      flush();
      emit(contentTypes.applicationData, data);
    },
    useWriteKeys(keys) {
      flush();
      connection.write = keys;
    },
    useReadKeys(keys) {
      if (connection.incoming.handshake.length > 0)
        throw new TlsAlert('unexpected_message', 'a message goes on beyond a change of keys');
      connection.read = keys;
    },
    isEmpty: () => records.length === 0 && waiting.length === 0,
    bytes() {
      flush();
      assert(waiting.length === 0);
      return Buffer.concat(records);
    },
  };
}
