// The other side of an EAP login: a subscriber's device, which answers one request after another and
// remembers what it must. RFC 3748 §4. One file of this folder for each method over TLS; the passwords
// inside are ../peer.ts. For `evergate login`, the simulator and tests.

import type { AlertName, Soon } from '../../tls/engine.ts';

export type EapDevice = {
  /** The response that a login begins with: the name that is shown outside. */
  readonly identity: Buffer;
  /** What the device says to this EAP packet of the server. Each packet once, in their order. */
  answer(packet: Buffer): Soon<DeviceAnswer>;
};

export type DeviceAnswer =
  | { kind: 'response'; eap: Buffer }
  /** `msk`: the server sends its two halves to the router as MS-MPPE keys. */
  | { kind: 'success'; msk: Buffer }
  | { kind: 'failure'; refusal: Refusal }
  /** The device gives up: this is not the server it wants. `eap`, if any, tells the server. */
  | { kind: 'distrust'; distrust: Distrust; eap?: Buffer };

/** What is known of the server's reason. */
export type Refusal =
  /** It wants another method, and ours it does not have. */
  | { kind: 'method-not-offered'; offered: number | undefined }
  | { kind: 'alert'; alert: AlertName | undefined }
  /** Said inside the tunnel, so by the server itself. */
  | { kind: 'wrong-password' }
  | { kind: 'unexplained' };

export type Distrust =
  | { kind: 'certificate'; detail: string }
  /** A TLS handshake that could not be completed. */
  | { kind: 'tls'; detail: string }
  /** What no server should say, such as a wrong proof of the password, or success before any proof. */
  | { kind: 'protocol'; detail: string };
