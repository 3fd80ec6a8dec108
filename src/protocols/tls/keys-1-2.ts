// The keys of a TLS 1.2 connection and what its Finished says, from the state of its handshake.
// RFC 5246 §6.3, §7.1, §7.4.9. How secrets become keys is prf.ts.

import assert from 'node:assert/strict';
import { cipherSuite } from './cipher-suites.ts';
import type { Connection, RecordKeys } from './connection.ts';
import { type Tls12State, agreedOf, masterSecretOf, stateOf } from './handshake-1-2-state.ts';
import { type HandshakeContext, messageTypes } from './handshake.ts';
import { digest } from './hmac.ts';
import { finishedData, keyBlock } from './prf.ts';

/** Ours to read and to write with. */
export function recordKeys(state: Tls12State): { read: RecordKeys; write: RecordKeys } {
  const agreed = agreedOf(state);
  const suite = cipherSuite(agreed.suite);
  const keys = keyBlock(suite.hash, masterSecretOf(state), agreed, suite);
  return {
    read: { suite: suite.name, key: keys.clientKey, iv: keys.clientIv, sequence: 0 },
    write: { suite: suite.name, key: keys.serverKey, iv: keys.serverIv, sequence: 0 },
  };
}

/** Our last word under no keys, and the first under these. */
export function sayFinished(
  { flight }: HandshakeContext,
  connection: Connection,
  keys: RecordKeys,
): void {
  const { transcript } = connection;
  assert(transcript, 'there is no transcript of this handshake');
  flight.changeCipherSpec();
  flight.useWriteKeys(keys);
  const data = verifyData(stateOf(connection), 'server', transcript);
  flight.handshake(messageTypes.finished, data);
}

/** `transcript`: all messages before this Finished. */
export function verifyData(
  state: Tls12State,
  side: 'client' | 'server',
  transcript: Buffer,
): Buffer {
  const { hash } = cipherSuite(agreedOf(state).suite);
  return finishedData(hash, masterSecretOf(state), side, digest(hash, transcript));
}
