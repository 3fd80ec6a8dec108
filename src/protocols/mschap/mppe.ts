// The session keys that come out of MS-CHAPv2. RFC 3079 §3. Carried as MS-MPPE-Send-Key and
// MS-MPPE-Recv-Key, whose encryption is saltEncrypt in radius/password.ts.

import { createHash } from 'node:crypto';

export type MppeKeys = { sendKey: Buffer; recvKey: Buffer };

/** As seen from the server, 128 bits each: it sends with what the client receives with. */
export function mppeKeys(hashOfNtHash: Uint8Array, ntResponse: Uint8Array): MppeKeys {
  const masterKey = mppeMasterKey(hashOfNtHash, ntResponse);
  return {
    sendKey: startKey(masterKey, SERVER_SENDS),
    recvKey: startKey(masterKey, CLIENT_SENDS),
  };
}

export function mppeMasterKey(hashOfNtHash: Uint8Array, ntResponse: Uint8Array): Buffer {
  return createHash('sha1')
    .update(hashOfNtHash)
    .update(ntResponse)
    .update('This is the MPPE Master Key')
    .digest()
    .subarray(0, 16);
}

const CLIENT_SENDS =
  'On the client side, this is the send key; on the server side, it is the receive key.';
const SERVER_SENDS =
  'On the client side, this is the receive key; on the server side, it is the send key.';

function startKey(masterKey: Uint8Array, direction: string): Buffer {
  return createHash('sha1')
    .update(masterKey)
    .update(Buffer.alloc(40))
    .update(direction)
    .update(Buffer.alloc(40, 0xf2))
    .digest()
    .subarray(0, 16);
}
