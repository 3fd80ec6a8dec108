// EAP-TLS from the device: it proves its certificate, and waits for the server's promise. RFC 5216, RFC 9190.

import { EapType } from '../packet.ts';
import type { EapDevice } from './device.ts';
import { createTlsDevice, exportMsk } from './tls-device.ts';
import type { InnerDevice, TlsDeviceOptions } from './tls-device.ts';

export type EapTlsDeviceOptions = Omit<TlsDeviceOptions, 'type' | 'inner'>;

export function createEapTlsDevice(options: EapTlsDeviceOptions): EapDevice {
  const inner: InnerDevice = {
    hear(heard) {
      const { data, facts } = heard;
      const earned = () => exportMsk(EapType.Tls, 'client EAP encryption', heard);
      if (facts.version === '1.2') {
        if (data.length > 0) return { kind: 'distrust', detail: 'data inside EAP-TLS' };
        return { kind: 'say', data: NOTHING, earned: earned() };
      }
      // TLS 1.3: the byte that says that no other message follows. RFC 9190 §2.1.1.
      if (data.length === 0) return { kind: 'say', data: NOTHING };
      if (!data.equals(COMMITMENT)) return { kind: 'distrust', detail: 'data inside EAP-TLS' };
      return { kind: 'say', data: NOTHING, earned: earned() };
    },
  };
  return createTlsDevice({ ...options, type: EapType.Tls, inner });
}

const COMMITMENT = Buffer.of(0);
const NOTHING = Buffer.alloc(0);
