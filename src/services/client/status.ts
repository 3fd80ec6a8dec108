// Status-Server: does the server work for this router? RFC 5997. It costs the server nothing and
// changes nothing.

import { PacketCode } from '../../protocols/radius/packet.ts';
import type { ExchangeOutcome, RadiusClient } from './radius-client.ts';

const NAS_IDENTIFIER = 32;

export function askStatus(client: RadiusClient, port: number): Promise<ExchangeOutcome> {
  return client.exchange({
    code: PacketCode.StatusServer,
    port,
    write: (writer) => writer.text(NAS_IDENTIFIER, 'evergate-doctor'),
  });
}
