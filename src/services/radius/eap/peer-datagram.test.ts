import { expect, test } from 'vitest';
import { pathFrom, request } from '../../../../tests/simulation/packets.ts';
import { decodeRequest, encodeForwarded, encodePart } from './peer-datagram.ts';
import type { ForwardedRequest, RecordPart } from './peer-datagram.ts';

const packet = request((writer) => writer.text(1, 'alice')).bytes;
const path = pathFrom('10.1.0.1', 40_001);
/** As the owner gets it: our own address that was asked is another machine's. */
const pathThere = Buffer.concat([path.subarray(0, 18), Buffer.alloc(22)]);
const router = '0189f7a2-7d3c-7b6e-9c1a-0123456789ab';

test.each<[string, ForwardedRequest]>([
  ['to the port for logins', { packet, path, port: 'auth' }],
  ['to the port for accounting', { packet, path, port: 'acct' }],
  [
    'over TLS, with the router that its certificate names',
    { packet, path, port: 'auth', protectedRouter: router },
  ],
])('a request that came %s arrives as it was', (_way, asked) => {
  const decoded = decodeRequest(encodeForwarded(asked));
  expect(decoded).toEqual({ kind: 'forwarded', request: { ...asked, path: pathThere } });
});

test('a part of a record arrives as it was', () => {
  const part: RecordPart = {
    id: '0011223344556677',
    round: 7,
    part: 1,
    parts: 3,
    bytes: Buffer.from('bytes'),
  };
  expect(decodeRequest(encodePart(part))).toEqual({ kind: 'copy', part });
});

test.each([
  ['nothing', Buffer.alloc(0)],
  ['an unknown kind', Buffer.alloc(200, 9)],
  [
    'a packet that is too short',
    encodeForwarded({ packet: packet.subarray(0, 19), path, port: 'auth' }),
  ],
  [
    'a packet that is too long',
    encodeForwarded({ packet: Buffer.alloc(4_097), path, port: 'auth' }),
  ],
  [
    'a part beyond the last',
    encodePart({ id: '0011223344556677', round: 1, part: 3, parts: 3, bytes: Buffer.of(1) }),
  ],
])('%s is not understood', (_what, payload) => {
  expect(decodeRequest(payload)).toBeUndefined();
});
