// Requests for unit tests, as a router with the secret `testing123` would send them.

import { prepareSecret } from '../../src/protocols/radius/authenticator.ts';
import type { Secret } from '../../src/protocols/radius/authenticator.ts';
import { parsePacket, PacketCode } from '../../src/protocols/radius/packet.ts';
import type { Packet } from '../../src/protocols/radius/packet.ts';
import { createRequestWriter } from '../../src/protocols/radius/request.ts';
import type { RequestWriter } from '../../src/protocols/radius/request.ts';
import { pathTo } from '../../src/runtime/udp/path.ts';
import { SECRET } from './exchange.ts';

export const secret: Secret = prepareSecret(SECRET);
export const AUTHENTICATOR = Buffer.from('00112233445566778899aabbccddeeff', 'hex');

export type RequestOptions = {
  code?: number;
  identifier?: number;
  authenticator?: Buffer;
  isSigned?: boolean;
};

export function request(
  write: (writer: RequestWriter) => void,
  options: RequestOptions = {},
): Packet {
  const { code = PacketCode.AccessRequest, identifier = 1, isSigned = true } = options;
  const writer = createRequestWriter();
  writer.begin(code, identifier, options.authenticator ?? AUTHENTICATOR, isSigned);
  write(writer);
  const bytes = writer.finish(secret);
  const packet = bytes === undefined ? undefined : parsePacket(bytes);
  if (packet?.kind !== 'packet') throw new Error('the request does not fit');
  return packet;
}

export function accountingRequest(
  write: (writer: RequestWriter) => void,
  options: Omit<RequestOptions, 'code'> = {},
): Packet {
  return request(write, { isSigned: false, ...options, code: PacketCode.AccountingRequest });
}

/** The way a packet from this address came. */
export function pathFrom(address: string, port = 40_000, local = '10.0.0.1'): Buffer {
  return pathTo(address, port, local);
}
