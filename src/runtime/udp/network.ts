// The system's network: the batched engine where it loads, node:dgram elsewhere. What a refused bind
// means is said here, in one sentence for the operator.

import type { DatagramSocket, Network, UdpOptions } from '../network.ts';
import { listenTls } from '../tls-server.ts';
import { bindBatched, loadNative } from './batched.ts';
import type { Native } from './batched.ts';
import { bindDgram } from './dgram.ts';

/** Bursts of a thousand requests arrive faster than any process wakes up; the kernel's 208 KiB hold 280. */
const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024;

export type NetworkOptions = {
  /** `auto` takes the batched engine when it loads. A named one that does not load is an error at bind. */
  engine?: 'auto' | 'batched' | 'dgram';
};

/** UDP through the engine that was asked for, and TLS through node:tls. */
export function systemNetwork(options: NetworkOptions = {}): Network {
  const engine = options.engine ?? 'auto';
  const native = engine === 'dgram' ? undefined : loadNative();
  return {
    async bindUdp(asked) {
      const udp = { reusePort: false, receiveBufferBytes: RECEIVE_BUFFER_BYTES, ...asked };
      try {
        if (engine === 'batched' && native instanceof Error) throw native;
        return await bind(native, udp);
      } catch (cause) {
        throw new Error(whyNotBound('udp', udp, cause), { cause });
      }
    },
    async listenTls(tls) {
      try {
        return await listenTls(tls);
      } catch (cause) {
        throw new Error(whyNotBound('tcp', tls, cause), { cause });
      }
    },
  };
}

async function bind(
  native: Native | Error | undefined,
  options: Required<UdpOptions>,
): Promise<DatagramSocket> {
  if (native === undefined || native instanceof Error) return await bindDgram(options);
  return bindBatched(native, options);
}

function whyNotBound(
  transport: 'udp' | 'tcp',
  { host, port }: { host: string; port: number },
  cause: unknown,
): string {
  const address = host.includes(':') ? `[${host}]` : host;
  const where = `${transport} ${address}:${port}`;
  switch (cause instanceof Error && 'code' in cause ? cause.code : undefined) {
    case 'EADDRINUSE':
      return `${where} is in use by another process: stop it ("ss -${transport === 'udp' ? 'u' : 't'}lpn" shows which) or configure another port`;
    case 'EACCES':
    case 'EPERM':
      return `${where} may not be opened by this user: use a port above 1023 or give the process CAP_NET_BIND_SERVICE`;
    case 'EADDRNOTAVAIL':
      return `${where} cannot be opened because this machine does not have the address: configure one it has, 0.0.0.0 or ::`;
    case 'EAFNOSUPPORT':
      return `${where} cannot be opened because this machine has no ${host.includes(':') ? 'IPv6: configure 0.0.0.0' : 'IPv4: configure ::'}`;
    default:
      return `${where} could not be opened`;
  }
}
