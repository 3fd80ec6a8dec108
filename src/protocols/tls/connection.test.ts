import { expect, test } from 'vitest';
import { type Connection, freeze, newConnection, thaw } from './connection.ts';

const connection: Connection = {
  ...newConnection({ purpose: 'eap-tls', clientCertificate: 'required' }),
  stage: 'finished-1-3',
  write: { suite: 'TLS_AES_128_GCM_SHA256', key: Buffer.of(1, 2), iv: Buffer.of(3), sequence: 7 },
  tls13: {
    clientSecret: Buffer.alloc(32, 5),
    takesTickets: true,
    // What a client has named itself may look like bytes to us.
    resumed: { ticket: { identity: '=AAAA', policy: '=' }, path: [], expiresAtMs: 1 },
  },
};

const overTheStore = (frozen: unknown) => JSON.parse(JSON.stringify(frozen));

test('a connection is the same after it was stored', () => {
  expect(thaw(overTheStore(freeze(connection)))).toEqual(connection);
});

test('what is thawed can be changed, and the frozen value stays', () => {
  const frozen = freeze(connection);
  const before = JSON.stringify(frozen);
  const thawed = thaw(frozen);
  thawed.incoming.recordCount++;
  if (thawed.write) thawed.write.sequence++;
  thawed.write?.key.fill(0);
  expect(JSON.stringify(frozen)).toBe(before);
});

test('a connection of another release is refused', () => {
  expect(() => thaw({ ...freeze(connection), format: 1 })).toThrow('another release');
});
