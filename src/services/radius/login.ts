// Which proof of the password a packet carries, and whether it is right.
// PAP: RFC 2865 §5.2. CHAP: §5.3 and §2.2. MS-CHAPv2: RFC 2548 §2.3, RFC 2759.

import { MICROSOFT_VENDOR_ID, MicrosoftType } from '../../protocols/radius/dictionary/microsoft.ts';
import { verifyMsChapV2 } from '../../protocols/mschap/mschapv2.ts';
import { revealUserPassword, verifyChap } from '../../protocols/radius/password.ts';
import {
  AttributeType,
  findValue,
  findVendorAttribute,
  packetAuthenticator,
} from '../../protocols/radius/packet.ts';
import type { Packet } from '../../protocols/radius/packet.ts';
import type { Secret } from '../../protocols/radius/authenticator.ts';

export type Proof =
  | { method: 'pap'; password: Buffer }
  | { method: 'chap'; response: Buffer; challenge: Buffer }
  | {
      method: 'mschapv2';
      ident: number;
      challenge: Buffer;
      peerChallenge: Buffer;
      ntResponse: Buffer;
    }
  | { method: 'none' };

/** `successAttribute`: the value of MS-CHAP2-Success. */
export type MsChapKeys = { successAttribute: Buffer; sendKey: Buffer; recvKey: Buffer };
export type Verdict = { kind: 'right'; msChap?: MsChapKeys } | { kind: 'wrong' };

/** `none` also when a proof is there but cannot be one, such as a password of 15 bytes. */
export function readProof(packet: Packet, secret: Secret): Proof {
  const hidden = findValue(packet, AttributeType.UserPassword);
  if (hidden !== undefined) {
    const password = revealUserPassword(hidden, secret, packetAuthenticator(packet));
    return password === undefined ? { method: 'none' } : { method: 'pap', password };
  }

  const chap = findValue(packet, AttributeType.ChapPassword);
  if (chap !== undefined) {
    if (chap.length !== 17) return { method: 'none' };
    const challenge = findValue(packet, AttributeType.ChapChallenge) ?? packetAuthenticator(packet);
    return { method: 'chap', response: chap, challenge };
  }

  const msChap = findVendorAttribute(packet, MICROSOFT_VENDOR_ID, MicrosoftType.Chap2Response);
  if (msChap !== undefined) {
    const challenge = findVendorAttribute(packet, MICROSOFT_VENDOR_ID, MicrosoftType.ChapChallenge);
    if (msChap.length !== 50 || challenge?.length !== 16) return { method: 'none' };
    return {
      method: 'mschapv2',
      ident: msChap.readUInt8(0),
      challenge,
      peerChallenge: msChap.subarray(2, 18),
      ntResponse: msChap.subarray(26, 50),
    };
  }
  return { method: 'none' };
}

export function verifyProof(proof: Proof, username: string, password: Buffer): Verdict {
  switch (proof.method) {
    case 'pap':
      return { kind: isSamePassword(proof.password, password) ? 'right' : 'wrong' };
    case 'chap':
      return { kind: verifyChap(proof.response, proof.challenge, password) ? 'right' : 'wrong' };
    case 'mschapv2': {
      const checked = verifyMsChapV2({
        username,
        password,
        authenticatorChallenge: proof.challenge,
        peerChallenge: proof.peerChallenge,
        ntResponse: proof.ntResponse,
        ident: proof.ident,
      });
      if (checked.kind === 'mismatch') return { kind: 'wrong' };
      const { successAttribute, sendKey, recvKey } = checked;
      return { kind: 'right', msChap: { successAttribute, sendKey, recvKey } };
    }
    case 'none':
      return { kind: 'wrong' };
  }
}

/** Takes as long for a password that is wrong at its first byte as for one wrong at its last. */
export function isSamePassword(given: Buffer, expected: Buffer): boolean {
  let difference = given.length ^ expected.length;
  for (let i = 0; i < given.length; i++) {
    difference |= (given[i] as number) ^ (expected[i % expected.length] ?? 0);
  }
  return difference === 0;
}
